"""Whether the database has the tables that this code needs."""

from sqlalchemy import Connection, inspect, text

from models import SCHEMA_REVISION, Base

__all__ = [
    "SCHEMA_REVISION",
    "WrongSchema",
    "check",
    "check_columns",
    "check_first",
    "foreign_tables",
    "revision",
]

_VERSION_TABLE = "alembic_version"
# What the set-up writes before its first table.
BEGUN = "0000"
# The tables of the first migration, with columns that distinguish them from those of other programs.
_FIRST = {
    "goods": {"id", "currency", "price", "stock", "sold", "paused", "starts_at", "per_user_limit", "order_limit"},
    "orders": {"id", "order_no", "goods_id", "user_id", "quantity", "status", "request_fingerprint", "expires_at"},
    "purchase_slots": {"goods_id", "slot"},
    "goods_changes": {"id", "goods_id", "version", "action", "changed_by", "stock_delta", "changes"},
}


class WrongSchema(Exception):
    """The database does not have the tables of this code; the text says why, in one line."""


def revision(connection: Connection) -> str | None:
    """The database's migration, or None where none ever ran."""
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    row: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return row


def foreign_tables(connection: Connection) -> set[str]:
    """Tables with our names that belong to another program.

    The set-up writes revision 0000 before its first table. Releases up to 1.0 did not: their interrupted set-up is
    recognised by an empty table of revisions and by the columns.
    """
    found = inspect(connection)
    there = set(found.get_table_names())
    ours = there & set(Base.metadata.tables)
    if _VERSION_TABLE not in there:
        return ours
    foreign = {
        name
        for name in ours & set(_FIRST)
        if not _FIRST[name] <= {str(column["name"]) for column in found.get_columns(name)}
    }
    return foreign if revision(connection) is not None else foreign | (ours - set(_FIRST))


def check_first(connection: Connection) -> None:
    """Raise WrongSchema if the first migration is recorded but its tables do not exist."""
    if revision(connection) in (None, BEGUN):
        return
    for name in sorted(set(_FIRST) - set(inspect(connection).get_table_names())):
        raise WrongSchema(f"the database has no table {name}")


def check(connection: Connection) -> None:
    """Raise WrongSchema unless the database is at this code's revision."""
    found = revision(connection)
    if found != SCHEMA_REVISION:
        raise WrongSchema(f"the database's schema is at {found or 'none'}, this release needs {SCHEMA_REVISION}")


def check_columns(connection: Connection) -> None:
    """Raise WrongSchema unless every table and column of ours exists, whatever the recorded revision."""
    found = inspect(connection)
    for table in Base.metadata.sorted_tables:
        if not found.has_table(table.name):
            raise WrongSchema(f"the database has no table {table.name}")
        missing = {column.name for column in table.columns} - {
            str(each["name"]) for each in found.get_columns(table.name)
        }
        if missing:
            raise WrongSchema(f"the database's table {table.name} has no column {', '.join(sorted(missing))}")
