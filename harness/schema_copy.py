"""A database with all tables, copied from one that the migrations made: in a fraction of the time that they take.

For tests that are about something else; the migrations have tests of their own (tests/test_schema.py and others).
"""

import contextlib
import itertools
import re
import shutil
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import mysql.connector
from sqlalchemy import URL, Connection, Engine, inspect, make_url, text

from harness.database_server import DatabaseServer
from models import SCHEMA_REVISION

# The table whose row is not a test's.
_REVISION = "alembic_version"


class Copies:
    """Copies of the databases that it has seen made, one for SQLite and one for each server."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "made.db"
        # By the server's port.
        self._statements: dict[int | None, list[str]] = {}
        # As the server shows them, where the migrations made them and where a copy did. MySQL repeats what was written:
        # it shows a column's character set, though it is the table's, only where it was stated.
        self._tables: dict[int | None, list[dict[str, str]]] = {}
        self._complete: set[str] = set()

    def fill(self, engine: Engine) -> bool:
        """Make the tables in a database that has none, where a copy is known.

        Returns whether the database is now as the migrations make it, so that they need not run.
        """
        address = _address(engine.url)
        if address in self._complete:
            # Once only: what is tested may change the tables, and start another application on them.
            self._complete.remove(address)
            return True
        if engine.dialect.name == "sqlite":
            path = Path(str(engine.url.database))
            if not self._file.exists() or path.exists():
                return False
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._file, path)
            return True
        statements = self._statements.get(engine.url.port)
        if statements is None:
            return False
        with engine.connect() as connection:
            if inspect(connection).get_table_names():
                return False
            for statement in statements:
                connection.exec_driver_sql(statement)
            connection.commit()
            known = self._tables[engine.url.port]
            if len(known) == 1:
                known.append(_without_counters(_tables(connection)))
        return True

    def vouch(self, uri: str) -> None:
        """Record that the database is as the migrations make it."""
        self._complete.add(_address(make_url(uri)))

    def learn(self, engine: Engine, fresh: bool) -> None:
        """Keep a copy of a database that was `fresh` before the migrations ran."""
        if not fresh:
            return
        if engine.dialect.name == "sqlite":
            if not self._file.exists():
                with contextlib.closing(sqlite3.connect(str(engine.url.database))) as made:
                    made.execute("VACUUM INTO ?", (str(self._file),))
            return
        with engine.connect() as connection:
            if engine.url.port in self._statements:
                return
            tables = _tables(connection)
            self._tables[engine.url.port] = [_without_counters(tables)]
            self._statements[engine.url.port] = [
                # A percent sign would be taken for a parameter.
                line.replace("%", "%%")
                for name, text in tables.items()
                for line in (text, *_rows(connection, name))
            ]

    def are_all(self, port: int, tables: dict[str, str]) -> bool:
        """Whether these are all tables that the migrations make on the server at `port`, as it shows them."""
        return tables in self._tables.get(port, [])


def _address(url: URL) -> str:
    return f"{url.port}/{url.database}"


def is_fresh(engine: Engine) -> bool:
    """Whether nothing was made in the database yet."""
    if engine.dialect.name == "sqlite":
        return not Path(str(engine.url.database)).exists()
    with engine.connect() as connection:
        return not inspect(connection).get_table_names()


def _tables(connection: Connection) -> dict[str, str]:
    """The statements that make the tables, by their names."""
    names = inspect(connection).get_table_names()
    return {name: connection.exec_driver_sql(f"SHOW CREATE TABLE `{name}`").one()[1] for name in names}


def _rows(connection: Connection, name: str) -> list[str]:
    rows = connection.execute(text(f"SELECT * FROM `{name}`")).all()
    values = (", ".join("NULL" if value is None else f"'{value}'" for value in row) for row in rows)
    return [f"INSERT INTO `{name}` VALUES ({row})" for row in values]


class Recycled:
    """Databases of one server whose tables the migrations made, used by one test after the other.

    To make and drop tables is most of what a short test on a server costs. A database in which a test has changed the
    tables is dropped.
    """

    def __init__(self, server: DatabaseServer, copies: Copies) -> None:
        self._server = server
        self._copies = copies
        self._free: list[str] = []
        self._name = f"recycled_{uuid.uuid4().hex[:6]}"
        self._numbers = itertools.count(1)

    def take(self) -> str:
        """The address of a database: empty, or with all tables and no rows but those that the migrations make."""
        if not self._free:
            return self._server.create_database(f"{self._name}_{next(self._numbers)}")
        self._copies.vouch(self._free[-1])
        return self._free.pop()

    def give_back(self, uri: str) -> None:
        """Empty the database for the next test. Nobody may be connected to it any more."""
        name = uri.rpartition("/")[2]
        connection = self._server.connect(name)
        try:
            if self._clean(connection.cursor()):
                self._free.append(uri)
                return
        except mysql.connector.Error:
            pass  # somebody still holds its rows or its tables
        finally:
            connection.close()
        self._server.drop_database(name)

    def _clean(self, cursor: Any) -> bool:
        """Whether the database is as the migrations left it."""

        def execute(statement: str) -> list[Any]:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.with_rows else []

        execute("SET SESSION lock_wait_timeout = 2, innodb_lock_wait_timeout = 2")
        if execute("SHOW TRIGGERS"):
            return False
        shown = {table: execute(f"SHOW CREATE TABLE `{table}`")[0][1] for (table,) in execute("SHOW TABLES")}
        found = _without_counters(shown)
        if not self._copies.are_all(self._server.port, found):
            return False
        if execute(f"SELECT version_num FROM {_REVISION}") != [(SCHEMA_REVISION,)]:
            return False
        filled = [f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM `{table}`)" for table in shown]
        used = {table for (table,) in execute(" UNION ALL ".join(filled))}
        counted = {table for table in shown if found[table] != shown[table]}
        for table in (used | counted) - {_REVISION}:
            # TRUNCATE takes MySQL as long as ten other statements, but ids begin at 1 again.
            execute(f"TRUNCATE `{table}`" if table in counted else f"DELETE FROM `{table}`")
        return True


def _without_counters(shown: dict[str, str]) -> dict[str, str]:
    return {name: _without_counter(text) for name, text in shown.items()}


def _without_counter(shown: str) -> str:
    return re.sub(r" AUTO_INCREMENT=\d+", "", shown)
