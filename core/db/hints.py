"""Index hints of queries, for the servers whose optimiser takes them."""

from typing import Any, TypeVar

from sqlalchemy.sql.selectable import HasHints

Query = TypeVar("Query", bound=HasHints)

# SQLAlchemy's names of the dialects: which of them a server has, the scheme of its address says.
SERVER_DIALECTS = ("mysql", "mariadb")


def with_hint(query: Query, table: Any, hint: str) -> Query:
    """The query with a hint behind a table's name, such as `FORCE INDEX (name)`. SQLite goes without."""
    for dialect in SERVER_DIALECTS:
        query = query.with_hint(table, hint, dialect)
    return query
