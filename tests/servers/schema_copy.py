"""A database with all tables, copied from one that the migrations made: in a fraction of the time that they take.

For tests that are about something else; the migrations have tests of their own (tests/test_schema.py and others).
"""

import contextlib
import itertools
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import mysql.connector
from sqlalchemy import Connection, Engine, inspect, text

from tests.servers.database_server import DatabaseServer

# Tables whose rows are not a test's.
KEPT = ("alembic_version",)


class Copies:
    """Copies of the databases that it has seen made, one for SQLite and one for each server."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "made.db"
        self._statements: dict[str, list[str]] = {}

    def fill(self, engine: Engine) -> None:
        """Make the tables in a database that has none, where a copy is known; else do nothing."""
        if engine.dialect.name == "sqlite":
            path = Path(str(engine.url.database))
            if self._file.exists() and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._file, path)
            return
        statements = self._statements.get(_server(engine))
        if statements is None:
            return
        with engine.connect() as connection:
            if inspect(connection).get_table_names():
                return
            for statement in statements:
                connection.exec_driver_sql(statement)
            connection.commit()

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
            names = inspect(connection).get_table_names()
            self._statements.setdefault(
                _server(engine),
                [line for name in names for line in (_create(connection, name), *_rows(connection, name))],
            )


def is_fresh(engine: Engine) -> bool:
    """Whether nothing was made in the database yet."""
    if engine.dialect.name == "sqlite":
        return not Path(str(engine.url.database)).exists()
    with engine.connect() as connection:
        return not inspect(connection).get_table_names()


def _server(engine: Engine) -> str:
    return f"{engine.url.host}:{engine.url.port}"


def _create(connection: Connection, name: str) -> str:
    # A percent sign would be taken for a parameter.
    return connection.exec_driver_sql(f"SHOW CREATE TABLE `{name}`").one()[1].replace("%", "%%")


def _rows(connection: Connection, name: str) -> list[str]:
    rows = connection.execute(text(f"SELECT * FROM `{name}`")).all()
    values = (", ".join("NULL" if value is None else f"'{value}'" for value in row) for row in rows)
    return [f"INSERT INTO `{name}` VALUES ({row})" for row in values]


class Recycled:
    """Databases of one server whose tables the migrations made, used by one test after the other.

    To make and drop tables is most of what a short test on a server costs. A database in which a test has changed the
    tables is dropped.
    """

    def __init__(self, server: DatabaseServer) -> None:
        self._server = server
        self._free: list[str] = []
        self._tables: dict[str, str] = {}
        self._numbers = itertools.count(1)

    def take(self) -> str:
        """The address of a database: empty, or with all tables and no rows but those that the migrations make."""
        return self._free.pop() if self._free else self._server.create_database(f"recycled_{next(self._numbers)}")

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

        def ask(statement: str) -> list[Any]:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.with_rows else []

        ask("SET SESSION lock_wait_timeout = 2, innodb_lock_wait_timeout = 2")
        if ask("SHOW TRIGGERS"):
            return False
        used: list[str] = []
        found = {}
        for (table,) in ask("SHOW TABLES"):
            shown = ask(f"SHOW CREATE TABLE `{table}`")[0][1]
            found[table] = re.sub(r" AUTO_INCREMENT=\d+", "", shown)
            if found[table] != shown or ask(f"SELECT 1 FROM `{table}` LIMIT 1"):
                used.append(table)
        if not found:
            return True
        self._tables = self._tables or found
        if found != self._tables:
            return False
        for table in used:
            if table not in KEPT:
                ask(f"TRUNCATE `{table}`")
        return True
