"""What was sold, what it brought and what was refused, over all items, from the tables in one snapshot.

Revenue is what paid orders come to; a refunded order's total counts as refunded. Refusals are those that workers have
counted and that retention has kept (`FIGURES_KEEP_DAYS`).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, case, func, select

from config import Settings
from core.db.clock import database_now
from core.live.tally import PLACED, REPLAYED
from core.ops import audit
from core.ops.checks.money import WAS_PAID
from core.orders.orders import HOLDS
from models import Goods, Order, OrderStatus, SaleFigures

order = Order.__table__.c
_LOW_BITS = 32
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class Sales:
    """Units and orders, and money in the minor unit of the currency."""

    units: int = 0  # that orders hold: pending ones, paid ones, and refunded ones that kept them
    orders: int = 0  # of whatever status
    paid_orders: int = 0
    revenue: int = 0
    refunded: int = 0
    unpaid: int = 0  # of pending orders

    def __add__(self, other: "Sales") -> "Sales":
        return Sales(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Sales)))


@dataclass(frozen=True)
class OfItem:
    """What became of an item. Its currency never changes."""

    goods_id: int
    name: str
    currency: str
    sales: Sales
    refusals: Counter[str]


@dataclass(frozen=True)
class Summary:
    """The snapshot at `taken_at`, by the database's clock. Refusals are by their code."""

    taken_at: datetime
    items: tuple[OfItem, ...]
    by_currency: dict[str, Sales]
    refusals: Counter[str]


def make(settings: Settings) -> Summary:
    """Read the summary beside a running sale. Raises audit.CannotAudit, and DBAPIError."""
    with audit.reading(settings) as connection:
        refused = _refused(connection)  # the first read, which fixes the snapshot
        now = database_now(connection)
        items = tuple(_items(connection, refused))
    by_currency: dict[str, Sales] = {}
    for item in items:
        by_currency[item.currency] = by_currency.get(item.currency, Sales()) + item.sales
    total: Counter[str] = Counter()
    for codes in refused.values():
        total.update(codes)
    return Summary(now, items, dict(sorted(by_currency.items())), total)


def _items(connection: Connection, refused: dict[int, Counter[str]]) -> Iterator[OfItem]:
    """Every item that has orders, in the order of ids, and those that were requested in vain."""
    names = {row.id: row for row in connection.execute(select(Goods.id, Goods.name, Goods.currency))}
    sold = {row.goods_id: row for row in connection.execute(_sold())}
    for goods_id in sorted(sold.keys() | (refused.keys() & names.keys())):
        row, item = sold.get(goods_id), names.get(goods_id)
        yield OfItem(
            goods_id,
            item.name if item is not None else row.goods_name,  # type: ignore[union-attr]
            item.currency if item is not None else row.currency,  # type: ignore[union-attr]
            Sales() if row is None else _sales(row),
            refused.get(goods_id, Counter()),
        )


def _sold() -> Any:
    """The sums of each item's orders. Money is in two parts: SQLite fails if a sum exceeds 2^63."""
    money = {
        "revenue": order.status == OrderStatus.PAID,
        "refunded": and_(WAS_PAID, order.status == OrderStatus.REFUNDED),
        "unpaid": order.status == OrderStatus.PENDING,
    }
    parts = {"high": order.total.bitwise_rshift(_LOW_BITS), "low": order.total.bitwise_and(2**_LOW_BITS - 1)}
    sums = (
        func.sum(case((condition, part), else_=0)).label(f"{name}_{end}")
        for name, condition in money.items()
        for end, part in parts.items()
    )
    return select(
        order.goods_id,
        func.max(order.goods_name).label("goods_name"),
        func.max(order.currency).label("currency"),
        func.sum(case((HOLDS, order.quantity), else_=0)).label("units"),
        func.count().label("orders"),
        func.sum(case((order.status == OrderStatus.PAID, 1), else_=0)).label("paid_orders"),
        *sums,
    ).group_by(order.goods_id)


def _sales(row: Any) -> Sales:
    # MySQL's sums are decimals.
    money = {
        name: (int(getattr(row, f"{name}_high")) << _LOW_BITS) + int(getattr(row, f"{name}_low"))
        for name in ("revenue", "refunded", "unpaid")
    }
    return Sales(int(row.units), int(row.orders), int(row.paid_orders), **money)


def _refused(connection: Connection) -> dict[int, Counter[str]]:
    """The refusals of each item by their code, `busy` among them; those of item 0 are of no item."""
    found: dict[int, Counter[str]] = {}
    query = select(SaleFigures.goods_id, SaleFigures.figures).execution_options(yield_per=_ROWS_AT_ONCE)
    for row in connection.execute(query):
        codes = {code: n for code, n in row.figures.get("o", {}).items() if code not in (PLACED, REPLAYED)}
        if codes:
            found.setdefault(row.goods_id, Counter()).update(codes)
    return found
