"""What a database says of its own tables, to be compared with another's."""

import re

import sqlalchemy
from sqlalchemy import Engine

from config import load
from core.db.database import patient_engine
from harness.service import SECRET


def engine(uri: str) -> Engine:
    return patient_engine(load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET))


def tables(uri: str) -> dict[str, list[str]]:
    """The definition of each table and, on SQLite, of each index: its parts, sorted.

    Two ways to one table can make its columns and indexes in another order.
    """
    made = engine(uri)
    with made.connect() as connection:
        if connection.dialect.name == "sqlite":
            rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%'")
            return {row.name: sorted(re.sub(r"\s+", "", row.sql or "").split(",")) for row in rows}
        return {
            name: _lines(connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").one()[1])
            for name in sqlalchemy.inspect(connection).get_table_names()
            if name != "alembic_version"
        }


def _lines(definition: str) -> list[str]:
    # MySQL writes the texts in a CHECK down in another way (`_utf8mb4\\'paid\\'`) after a later change of the table.
    definition = re.sub(r"(\b_\w+)?\\?'", "'", re.sub(r" AUTO_INCREMENT=\d+", "", definition))
    return sorted(line.rstrip(",") for line in definition.splitlines())


def rows(uri: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, by its name."""
    made = engine(uri)
    with made.connect() as connection:
        return {
            name: sorted((tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name}")), key=repr)
            for name in sqlalchemy.inspect(connection).get_table_names()
        }
