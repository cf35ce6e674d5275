"""Whether the stored rows keep the promises of a sale: invariants 1, 3 and 4 of the design, over the whole database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal, null, select
from sqlalchemy.exc import DBAPIError

from config import Settings
from core.clock import database_now
from core.database import patient_engine
from core.orders import holds_units
from models import HOLDING_STATUSES, Goods, GoodsChange, Order

# How many rows of each breach are named; all are counted.
SHOWN = 100


class CannotAudit(Exception):
    """The database could not be read to the end; the text says why, in one line."""


@dataclass(frozen=True)
class Breach:
    """A row that breaks a promise, named by those of its keys that apply.

    `expected` and `found` are units, orders or items, as the check's promise says.
    """

    goods_id: int | None
    order_no: str | None
    user_id: str | None
    idempotency_key: str | None
    expected: int
    found: int


@dataclass(frozen=True)
class Check:
    """A promise, and the query that finds the rows which break it, as the columns of Breach.

    `invariant` is its number in the design. The query is made for a moment of the database's clock.
    """

    name: str
    invariant: int
    promise: str
    broken_at: Callable[[datetime], Select[Any]]


@dataclass(frozen=True)
class Result:
    """What one check came to: how many rows break it, and the first SHOWN of them."""

    check: Check
    count: int
    breaches: tuple[Breach, ...]


@dataclass(frozen=True)
class Report:
    """The outcome of an audit of one snapshot. `taken_at` is by the database's clock."""

    taken_at: datetime
    goods: int
    orders: int
    results: tuple[Result, ...]

    @property
    def clean(self) -> bool:
        return all(result.count == 0 for result in self.results)


def run(settings: Settings, on_checked: Callable[[Check], None] = lambda check: None) -> Report:
    """Audit the database that the settings name, in one consistent snapshot, beside a running sale.

    `on_checked` is told of each check that is done. Raises CannotAudit.
    """
    try:
        with _snapshot(settings) as connection:
            # The first read of a table fixes the snapshot. Only then the time: an order that the snapshot has was
            # placed before it, when those that it replaces were already overdue.
            goods = connection.execute(select(func.count()).select_from(Goods)).scalar_one()
            orders = connection.execute(select(func.count()).select_from(Order)).scalar_one()
            now = database_now(connection)
            results = []
            for check in CHECKS:
                results.append(_result(connection, check, now))
                on_checked(check)
            return Report(now, goods, orders, tuple(results))
    except DBAPIError as error:
        raise CannotAudit(f"the database could not be read: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """The first line of what the driver said, for an operator's eyes: never for a client of the API."""
    said = str(error.orig if isinstance(error, DBAPIError) else error)
    return said.strip().partition("\n")[0] or type(error).__name__


@contextmanager
def _snapshot(settings: Settings) -> Iterator[Connection]:
    path = settings.database_url.database or ""
    if settings.on_sqlite and not Path(path).exists():
        # To connect would make an empty file, which hides the mistake.
        raise CannotAudit(f"there is no database file {path}; run `flask init-db`")
    # Not the service's pool: its time-outs are too short, and a pooled connection could keep the isolation level.
    try:
        connection = patient_engine(settings).connect()
    except Exception as error:
        raise CannotAudit(f"the database cannot be reached: {one_line(error)}") from error
    with connection:
        # SQLite: AUTOCOMMIT leaves the transaction to the BEGIN below, and its snapshot to the first read.
        level = "AUTOCOMMIT" if settings.on_sqlite else "REPEATABLE READ"
        connection = connection.execution_options(isolation_level=level)
        if settings.on_sqlite:
            connection.exec_driver_sql("BEGIN")
        yield connection


def _result(connection: Connection, check: Check, now: datetime) -> Result:
    broken = check.broken_at(now).subquery()
    query = select(broken, func.count().over().label("total"))
    query = query.order_by(broken.c.goods_id, broken.c.order_no, broken.c.user_id).limit(SHOWN)
    rows = connection.execute(query).all()
    breaches = tuple(
        # MySQL's SUM is a decimal.
        Breach(row.goods_id, row.order_no, row.user_id, row.idempotency_key, int(row.expected), int(row.found))
        for row in rows
    )
    return Result(check, rows[0].total if rows else 0, breaches)


def _columns(
    expected: ColumnElement[Any],
    found: ColumnElement[Any],
    goods_id: ColumnElement[Any] | None = None,
    order_no: ColumnElement[Any] | None = None,
    user_id: ColumnElement[Any] | None = None,
    idempotency_key: ColumnElement[Any] | None = None,
) -> Select[Any]:
    keys = {"goods_id": goods_id, "order_no": order_no, "user_id": user_id, "idempotency_key": idempotency_key}
    return select(
        *((null() if column is None else column).label(name) for name, column in keys.items()),
        expected.label("expected"),
        found.label("found"),
    )


def _put_in() -> Any:
    total = func.sum(GoodsChange.stock_delta).label("units")
    return select(GoodsChange.goods_id, total).group_by(GoodsChange.goods_id).subquery()


def _stock_adds_up(now: datetime) -> Select[Any]:
    put_in = _put_in()
    expected, found = func.coalesce(put_in.c.units, 0), Goods.stock + Goods.sold
    query = _columns(expected, found, goods_id=Goods.id.expression)
    return query.select_from(Goods).outerjoin(put_in, put_in.c.goods_id == Goods.id).where(found != expected)


def _removed_adds_up(now: datetime) -> Select[Any]:
    put_in = _put_in()
    query = _columns(literal(0), put_in.c.units, goods_id=put_in.c.goods_id).select_from(put_in)
    query = query.outerjoin(Goods, Goods.id == put_in.c.goods_id)
    return query.where(Goods.id.is_(None), put_in.c.units != 0)


def _stock_not_negative(now: datetime) -> Select[Any]:
    return _columns(literal(0), Goods.stock.expression, goods_id=Goods.id.expression).where(Goods.stock < 0)


def _sold_is_held(now: datetime) -> Select[Any]:
    # By the stored status: an overdue order holds its units until it is swept.
    total = func.sum(Order.quantity).label("units")
    held = select(Order.goods_id, total).where(Order.status.in_(HOLDING_STATUSES)).group_by(Order.goods_id).subquery()
    expected = func.coalesce(held.c.units, 0)
    query = _columns(expected, Goods.sold.expression, goods_id=Goods.id.expression)
    return query.select_from(Goods).outerjoin(held, held.c.goods_id == Goods.id).where(Goods.sold != expected)


def _orders_have_goods(now: datetime) -> Select[Any]:
    order = Order.__table__.c
    query = _columns(literal(1), literal(0), goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id)
    return query.select_from(Order).outerjoin(Goods, Goods.id == order.goods_id).where(Goods.id.is_(None))


def _one_order_a_key(now: datetime) -> Select[Any]:
    order = Order.__table__.c
    query = _columns(
        literal(1),
        func.count(),
        order_no=func.group_concat(order.order_no),
        user_id=order.user_id,
        idempotency_key=order.idempotency_key,
    )
    query = query.where(order.idempotency_key.is_not(None)).group_by(order.user_id, order.idempotency_key)
    return query.having(func.count() > 1)


def _limit_kept(now: datetime) -> Select[Any]:
    # Each order is judged by the limit of its own time. Ids rise with the time of purchase within an item, since
    # they are given under its row's lock; what a buyer held and gave back since can only lower the sum.
    order = Order.__table__.c
    so_far = func.sum(order.quantity).over(
        partition_by=(order.goods_id, order.user_id), order_by=order.id, rows=(None, 0)
    )
    held = (
        select(order.goods_id, order.user_id, order.order_no, order.per_user_limit, so_far.label("units"))
        .where(holds_units(now))
        .subquery()
    ).c
    query = _columns(
        held.per_user_limit, held.units, goods_id=held.goods_id, order_no=held.order_no, user_id=held.user_id
    )
    return query.where(held.per_user_limit.is_not(None), held.units > held.per_user_limit)


CHECKS = (
    Check("stock_adds_up", 1, "stock + sold is what the administrators put in", _stock_adds_up),
    Check("removed_adds_up", 1, "an item that is gone was taken out with all its units", _removed_adds_up),
    Check("stock_not_negative", 1, "stock is at least 0", _stock_not_negative),
    Check("sold_is_held", 1, "sold is the units of the item's pending and paid orders", _sold_is_held),
    Check("orders_have_goods", 1, "every order's item is there", _orders_have_goods),
    Check("one_order_a_key", 3, "a user's idempotency key has at most one order", _one_order_a_key),
    Check("limit_kept", 4, "a buyer holds no more units of an item than the limit of that time", _limit_kept),
)
