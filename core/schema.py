"""Whether the database has the tables that this code needs."""

from sqlalchemy import Connection, inspect, text

from models import SCHEMA_REVISION, Base

__all__ = ["SCHEMA_REVISION", "WrongSchema", "check", "check_columns", "foreign_tables", "revision"]


class WrongSchema(Exception):
    """The database's tables are not those of this code; the text says how, in one line."""


def revision(connection: Connection) -> str | None:
    """The migration that the database is at, or None where none ever ran."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    row: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return row


def foreign_tables(connection: Connection) -> set[str]:
    """Tables with our names in a database that our migrations never touched: somebody else's."""
    if revision(connection) is not None:
        return set()
    return set(inspect(connection).get_table_names()) & set(Base.metadata.tables)


def check(connection: Connection) -> None:
    """Raise WrongSchema unless the database is at this code's revision."""
    found = revision(connection)
    if found != SCHEMA_REVISION:
        raise WrongSchema(f"the database's schema is at {found or 'none'}, this release needs {SCHEMA_REVISION}")


def check_columns(connection: Connection) -> None:
    """Raise WrongSchema unless every table and column of ours is there, whatever the revision says."""
    found = inspect(connection)
    for table in Base.metadata.sorted_tables:
        if not found.has_table(table.name):
            raise WrongSchema(f"the database has no table {table.name}")
        missing = {column.name for column in table.columns} - {
            str(each["name"]) for each in found.get_columns(table.name)
        }
        if missing:
            raise WrongSchema(f"the database's table {table.name} has no column {', '.join(sorted(missing))}")
