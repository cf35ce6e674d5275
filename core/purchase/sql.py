"""SQL as text for batches: one parameter, a JSON array with a row for each buyer, read as a table by the server.

SQLAlchemy would build and compile an expression for every size of batch, under the lock; and the driver turns
parameters into SQL one by one, which costs more than all else in a batch.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect

from core.db.database import sent
from core.json_text import to_json

Answer = TypeVar("Answer")

_CODE = "VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin"
# Of the columns that are no numbers.
_TYPES = {
    "order_no": "CHAR(32) CHARACTER SET ascii COLLATE ascii_bin",
    "idempotency_key": "VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin",
    "request_fingerprint": "CHAR(64) CHARACTER SET ascii COLLATE ascii_bin",
    "coupon_code": _CODE,
    "shipping_method": _CODE,
    # A document within the batch's own, as text: a column of JSON_TABLE takes no object on MariaDB.
    "address": "TEXT CHARACTER SET utf8mb4",
}


@dataclass(frozen=True)
class Sql:
    """What differs from server to server."""

    sqlite: bool
    mariadb: bool

    @property
    def select(self) -> str:
        """The batch is read first, and rows are found, and locked, in its order."""
        return "SELECT" if self.sqlite else "SELECT STRAIGHT_JOIN"

    @property
    def value(self) -> str:
        return "?" if self.sqlite else "%s"

    @property
    def lock(self) -> str:
        """Locks the rows of a statement that reads one table."""
        return "" if self.sqlite else " FOR UPDATE"

    def lock_of(self, table: str) -> str:
        """Locks the rows of `table` in a statement that joins it with `batch`.

        MySQL refuses a lock without OF there (3569), and MariaDB, which locks rows of tables alone, does not know OF.
        """
        return self.lock if self.sqlite or self.mariadb else f" FOR UPDATE OF {table}"

    def batch(self, *columns: str) -> str:
        """The batch as a table, a column for each place in its rows."""
        if self.sqlite:
            read = ", ".join(f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(columns))
            return f"(SELECT {read} FROM json_each(?)) batch"  # noqa: S608 (names of our own)
        user = (
            f"VARCHAR(64) CHARACTER SET utf8mb4 COLLATE {'utf8mb4_nopad_bin' if self.mariadb else 'utf8mb4_0900_bin'}"
        )
        types = {"user_id": user} | _TYPES
        read = ", ".join(f"{name} {types.get(name, 'BIGINT')} PATH '$[{place}]'" for place, name in enumerate(columns))
        return f"JSON_TABLE(%s, '$[*]' COLUMNS ({read})) batch"

    def row(self, *values: str) -> str:
        """The values of a row as `fetch_rows` reads them: in one column, since the driver takes long over each."""
        return ", ".join(values) if self.sqlite else f"JSON_ARRAY({', '.join(values)})"

    def row_of_union(self, *values: str) -> str:
        """`row` where a UNION has it: some servers cut its text there to a length that they reckon without escapes."""
        return self.row(*values) if self.sqlite else f"CAST({self.row(*values)} AS CHAR(4000))"

    def by_index(self, table: str, name: str) -> str:
        """Row by row through the index, whatever the optimiser thinks of sizes; a scan locks in its own order."""
        return table if self.sqlite else f"{table} FORCE INDEX ({name})"


def sql_of(connection: Connection) -> Sql:
    """The SQL of the server that is connected."""
    dialect: Dialect = connection.dialect
    return _sql(dialect.name == "sqlite", bool(getattr(dialect, "is_mariadb", False)))


@cache
def _sql(sqlite: bool, mariadb: bool) -> Sql:
    return Sql(sqlite, mariadb)


def as_batch(rows: Iterable[Any]) -> str:
    """The parameter for `Sql.batch`."""
    return to_json(list(rows))


def fetch(connection: Connection, statement: str, *values: str) -> Iterable[tuple[Any, ...]]:
    """The rows, their values as text or as SQLite has them."""
    if connection.dialect.name == "sqlite":
        return map(tuple, connection.exec_driver_sql(statement, values))
    return _execute(connection, statement, values)[0]


def fetch_rows(connection: Connection, statement: str, *values: str) -> Iterable[Sequence[Any]]:
    """The rows of a statement whose columns were made by `Sql.row`: numbers, text and None; times as text."""
    if connection.dialect.name == "sqlite":
        return fetch(connection, statement, *values)
    return [json.loads(text) for (text,) in fetch(connection, statement, *values)]


def change(connection: Connection, statement: str, *values: str) -> int:
    """Returns how many rows it changed."""
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql(statement, values).rowcount
    return _execute(connection, statement, values)[1]


class Change(NamedTuple):
    """A statement that must change so many `rows`; where it changes another number, `otherwise` is raised."""

    statement: str
    values: tuple[str, ...]
    rows: int
    otherwise: Exception


def carry_out(connection: Connection, changes: Sequence[Change]) -> None:
    """Make several changes, in their order and in one round trip: rows stay locked meanwhile.

    Raises the `otherwise` of the first that changed another number of rows; by then all are made, and to be rolled
    back.
    """
    if connection.dialect.name == "sqlite":
        counts = [connection.exec_driver_sql(each.statement, each.values).rowcount for each in changes]
    else:
        statements = [(each.statement, each.values) for each in changes]
        counts = sent(connection, lambda opened: opened.execute_all(statements))
    for each, count in zip(changes, counts, strict=True):
        if count != each.rows:
            raise each.otherwise


def _execute(connection: Connection, statement: str, values: Sequence[str]) -> tuple[list[tuple[str | None, ...]], int]:
    result: tuple[list[tuple[str | None, ...]], int] = sent(
        connection, lambda opened: opened.execute(statement, *values)
    )
    return result


def number(written: str | int | None) -> int | None:
    return None if written is None else int(written)


def stored(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
