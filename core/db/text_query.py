"""A query of our own as text, over a connection that stays open: for rows that are read again and again.

SQLAlchemy takes several times as long as SQLite does for a row, and a connection out of the pool as long again.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from sqlalchemy import Boolean, Connection, Integer, Select
from sqlalchemy.engine import Dialect

from core.db.clock import utc
from core.db.database import Database
from models import UtcTime


class TextQuery:
    """A query for all rows of a table, of which those with some ids are read."""

    def __init__(self, query: Select[Any]) -> None:
        """`query` has no parameters and no condition, and a column `id`; no two columns of it have the same name."""
        self._query = query
        columns = query.selected_columns
        row: Any = namedtuple("Row", columns.keys())  # type: ignore[misc]
        self._made: Callable[[list[Any]], Any] = row._make
        self._convert = [(place, made) for place, column in enumerate(columns) if (made := _converter(column.type))]
        self._texts: dict[str, str] = {}

    def read(self, database: Database, connection: Connection, ids: Sequence[int]) -> list[Any]:
        """The rows with these ids, as far as they exist: their columns as attributes. Raises what the driver raises."""
        if not ids:
            return []
        mark = "?" if database.is_sqlite else "%s"
        found = database.execute(connection, f"{self._text(connection.dialect)} ({', '.join([mark] * len(ids))})", ids)
        return [self._made(self._converted(list(values))) for values in found]

    def _text(self, dialect: Dialect) -> str:
        if dialect.name not in self._texts:
            self._texts[dialect.name] = f"{self._query.compile(dialect=dialect)} WHERE id IN"
        return self._texts[dialect.name]

    def _converted(self, values: list[Any]) -> list[Any]:
        for place, convert in self._convert:
            if values[place] is not None:
                values[place] = convert(values[place])
        return values


def _converter(kind: Any) -> Callable[[Any], Any] | None:
    """Makes a value out of what the driver has: text, or on SQLite a number. None: it is that already."""
    if isinstance(kind, Boolean):
        return lambda value: bool(int(value))
    if isinstance(kind, Integer):
        return int
    return utc if isinstance(kind, UtcTime) else None


class KeptConnection:
    """A connection for reads without locks, which stays open from one use to the next. For one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._open = ExitStack()

    @contextmanager
    def use(self) -> Iterator[Connection]:
        """The connection; a new one after an error. Raises as Database.reading does."""
        if self._connection is None:
            self._connection = self._open.enter_context(self._database.reading())
        try:
            yield self._connection
        except BaseException:
            self._connection = None
            with self._open.pop_all():  # which closes it, as its state is not known
                raise

    def close(self) -> None:
        """Give the connection back, until the next use."""
        self._connection = None
        self._open.close()
