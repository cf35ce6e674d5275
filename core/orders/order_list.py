"""Lists of orders, filtered and sorted by the time of purchase, that a reader can follow without missing an order.

Each combination of filters has an index with its rows in the order of the list. These indexes begin with the status, so
a list of every status merges the first rows of each. docs/orders.md explains more.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, or_, select, union_all

from core.db.clock import Deadline, deadline_of_request, utc_now
from core.db.database import AnyRow, Database
from core.db.paging import Page, PageRequest, Sort, behind, unindexed
from core.orders.orders import INSERTED_WITHIN, VIEW_COLUMNS, OrderView, Viewer, view
from core.refusals import Busy
from models import Order, OrderStatus

_LOOK_AGAIN = 0.02  # seconds
ROWS_AT_ONCE = 1000  # of an export: composing a page's statement costs as much as reading hundreds of rows


@dataclass(frozen=True)
class Filters:
    """Which orders a list has; None is any. `purchased_from` is the first moment, `purchased_to` the first after."""

    status: str | None = None
    goods_id: int | None = None
    user_id: str | None = None
    purchased_from: datetime | None = None
    purchased_to: datetime | None = None


class Place(NamedTuple):
    """The position of an order in the list."""

    purchased_at: datetime
    id: int


def list_page(
    database: Database,
    viewer: Viewer,
    page: PageRequest,
    filters: Filters,
    descending: bool = True,
    deadline: Deadline | None = None,
) -> Page[OrderView]:
    """A page of the orders that the viewer may see, by the time of purchase, those of one moment by their ids.

    In ascending order, a page with a successor waits until no order can appear among its own any more, so that a reader
    who continues from its cursor misses none, however late the order's COMMIT is. It waits until `deadline`, by default
    that of the request. Raises Busy or Unavailable.
    """
    if not viewer.is_admin:
        filters = replace(filters, user_id=viewer.user_id)
    after = None if page.after is None else Place(*page.after)
    deadline = deadline or deadline_of_request(database.settings.PURCHASE_WAIT_SECONDS)
    while True:
        query = page_query(filters, after, descending, page.limit + 1)
        with database.reading(deadline) as connection:
            rows = connection.execute(query).all()
        shown, more = rows[: page.limit], len(rows) > page.limit
        # SQLite has one writer at a time: orders appear in the order of their times.
        if descending or not more or database.is_sqlite:
            return _as_page(shown, more)
        missing = find_missing(database, deadline, filters, after, shown)
        if missing is None:
            return _as_page(shown, True)
        if deadline.passed:
            shown = [row for row in shown if _place(row) < missing]
            if not shown:
                raise Busy()  # an empty page without a cursor would end the list
            return _as_page(shown, True)
        time.sleep(_LOOK_AGAIN)


def every(database: Database, viewer: Viewer, filters: Filters) -> Iterator[list[OrderView]]:
    """All orders of a list, the oldest first, in pages. The first page is read before this returns.

    Each page has a deadline of its own. Raises Busy or Unavailable, now or later.
    """

    def read(request: PageRequest) -> Page[OrderView]:
        deadline = Deadline(database.settings.PURCHASE_WAIT_SECONDS)
        return list_page(database, viewer, request, filters, descending=False, deadline=deadline)

    first = read(PageRequest(ROWS_AT_ONCE))

    def pages() -> Iterator[list[OrderView]]:
        page = first
        yield page.items
        while page.after is not None:
            page = read(PageRequest(ROWS_AT_ONCE, page.after))
            yield page.items

    return pages()


def _as_page(rows: Sequence[AnyRow], more: bool) -> Page[OrderView]:
    items = [view(row, row.now) for row in rows]
    return Page(items, _place(rows[-1]) if more and rows else None)


def _place(row: AnyRow) -> Place:
    return Place(row.purchased_at, row.id)


def find_missing(
    database: Database, deadline: Deadline, filters: Filters, after: Place | None, shown: Sequence[AnyRow]
) -> Place | None:
    """The first order behind `after`, up to the last of `shown`, that is missing from `shown`; None where none is.

    It reads uncommitted rows as well, after waiting until every order up to the last one's time has been inserted or
    never will be (INSERTED_WITHIN).
    """
    last = shown[-1]
    time.sleep(max(0.0, (last.purchased_at + INSERTED_WITHIN - last.now).total_seconds()))
    known = {row.id for row in shown}
    query = _merged(filters, after, False, len(shown) + 1, up_to=_place(last))
    with database.reading(deadline) as connection:
        # For this transaction alone.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
        rows = connection.execute(query).all()
    return min((_place(row) for row in rows if row.id not in known), default=None)


def page_query(filters: Filters, after: Place | None, descending: bool, count: int) -> Select[Any]:
    """The whole rows of a page."""
    page = _merged(filters, after, descending, count).subquery("page")
    query = select(Order.id, *VIEW_COLUMNS, utc_now().label("now"))
    for name in ("mysql", "mariadb"):
        query = query.prefix_with("STRAIGHT_JOIN", dialect=name)  # the page first, whatever the optimiser estimates
    joined = page.join(Order, Order.id == page.c.id)
    return query.select_from(joined).order_by(*_sorted(Order.purchased_at, Order.id, descending)).limit(count)


def _merged(
    filters: Filters, after: Place | None, descending: bool, count: int, up_to: Place | None = None
) -> Select[Any]:
    """The first `count` orders behind `after`: their ids and times, from indexes alone."""
    branches = []
    for index, conditions in _branches(filters):
        query = select(Order.id, Order.purchased_at).where(*conditions, *_between(filters, after, descending, up_to))
        query = query.with_hint(Order, f"FORCE INDEX ({index})")
        branches.append(query.order_by(*_sorted(Order.purchased_at, Order.id, descending)).limit(count).subquery())
    merged = union_all(*(select(branch.c.id, branch.c.purchased_at) for branch in branches)).subquery("merged")
    order = _sorted(merged.c.purchased_at, merged.c.id, descending)
    return select(merged.c.id, merged.c.purchased_at).order_by(*order).limit(count)


def _branches(filters: Filters) -> Iterator[tuple[str, list[ColumnElement[bool]]]]:
    """The indexes that have the list's orders, with the conditions for each."""
    owner: list[ColumnElement[bool]] = []
    if filters.user_id is not None:
        owner.append(Order.user_id == filters.user_id)
    if filters.goods_id is not None:
        owner.append(Order.goods_id == filters.goods_id)
    if filters.user_id is not None:
        index = "orders_user_time" if filters.goods_id is None else "orders_goods_user"
    else:
        index = "orders_status_time" if filters.goods_id is None else "orders_goods_time"
    for status in OrderStatus if filters.status is None else (filters.status,):
        if filters.status == OrderStatus.PENDING:
            yield index, [*owner, Order.status == OrderStatus.PENDING, unindexed(Order.expires_at) > utc_now()]
        else:
            yield index, [*owner, Order.status == status]
    if filters.status == OrderStatus.EXPIRED:
        # Overdue orders that no sweep has expired yet are few: the pending ones with the earliest `expires_at`.
        by_end = filters.user_id is None
        ends = Order.expires_at.expression if by_end else unindexed(Order.expires_at)
        yield (
            "orders_status_expires" if by_end else index,
            [*owner, Order.status == OrderStatus.PENDING, ends <= utc_now()],
        )


def _between(
    filters: Filters, after: Place | None, descending: bool, up_to: Place | None
) -> Iterator[ColumnElement[bool]]:
    moment, key = Order.purchased_at, Order.id
    if filters.purchased_from is not None:
        yield moment >= filters.purchased_from
    if filters.purchased_to is not None:
        yield moment < filters.purchased_to
    if after is not None:
        yield behind(Sort(moment.expression, key.expression, descending), after)
    if up_to is not None:
        yield moment <= up_to.purchased_at  # as `behind` has it
        yield or_(moment < up_to.purchased_at, and_(moment == up_to.purchased_at, key <= up_to.id))


def _sorted(moment: Any, key: Any, descending: bool) -> tuple[Any, Any]:
    return (moment.desc(), key.desc()) if descending else (moment, key)
