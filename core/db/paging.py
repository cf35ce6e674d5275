"""Pages of lists by key, not by offset: a page neither skips nor repeats rows during concurrent inserts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, UnaryExpression, and_, literal, or_
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.operators import custom_op

from core.db.database import AnyRow

Item = TypeVar("Item")

MAX_LIMIT = 100
DEFAULT_LIMIT = 20
# A hint for a table that a page joins by its primary key. MySQL may join one with few rows by a hash instead, for which
# it reads and sorts all that could be on the page.
BY_ID = "FORCE INDEX (PRIMARY)"


def unindexed(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The column without its index: SQLite has no such hint, but uses no index for a column behind a unary plus."""
    return UnaryExpression(column.expression, operator=custom_op("+"), type_=column.type)


@dataclass(frozen=True)
class PageRequest:
    """The number of rows (clients: 1 to 100), and the sort value and id after which to begin, if not at the start."""

    limit: int = DEFAULT_LIMIT
    after: tuple[Any, Any] | None = None


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A page, and the sort value and id of its last row where more rows follow."""

    items: list[Item]
    after: tuple[Any, Any] | None


@dataclass(frozen=True)
class Sort:
    """A sort order: a value, and the row's id for ties. The query has the id as its column `id`.

    If the values are unique, both are the same column. `nullable`: the value may be NULL; such rows come first.
    """

    value: ColumnElement[Any]
    id: ColumnElement[Any]
    descending: bool = False
    nullable: bool = False


def fetch(connection: Connection, query: Select[Any], sort: Sort, page: PageRequest) -> Page[AnyRow]:
    """Fetch one page of `query` in the order of `sort`."""
    value = sort.value.label("sort_value")
    query = query.add_columns(value)
    if page.after is not None:
        query = query.where(behind(sort, page.after))
    # If a column is named twice, SQLite sorts rows that its index already has in order.
    columns = (sort.value,) if sort.value is sort.id else (sort.value, sort.id)
    order = (column.desc() for column in columns) if sort.descending else columns
    # One more row than requested shows whether another page follows.
    rows: Sequence[AnyRow] = connection.execute(query.order_by(*order).limit(page.limit + 1)).all()
    shown = list(rows[: page.limit])
    more = len(rows) > page.limit
    return Page(shown, (shown[-1].sort_value, shown[-1].id) if more else None)


def behind(sort: Sort, after: tuple[Any, Any]) -> ColumnElement[bool]:
    """Whether a row comes after the one with the sort value and id `after`. NULL comes before all values."""
    value, row_id = after
    # Not as a pair: for that MySQL would read the whole index.
    tied = sort.id < literal(row_id, sort.id.type) if sort.descending else sort.id > literal(row_id, sort.id.type)
    if value is None:
        tied = and_(sort.value.is_(None), tied)
        return tied if sort.descending else or_(sort.value.is_not(None), tied)
    last = literal(value, sort.value.type)
    further = sort.value < last if sort.descending else sort.value > last
    if sort.value is sort.id:
        return further
    # SQLite seeks by the bound on the value alone, MySQL by the OR.
    bound = sort.value <= last if sort.descending else sort.value >= last
    further = and_(bound, or_(further, and_(sort.value == last, tied)))
    return or_(further, sort.value.is_(None)) if sort.descending and sort.nullable else further
