"""Orders: their fields, reads, and the table of their transitions, which core/orders/order_life.py makes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select, update

from core import refusals
from core.db.clock import utc_now
from core.db.database import AnyRow, Database
from core.refusals import Refusal
from models import HOLDING_STATUSES, Order, OrderStatus

# From each status, those that an order can go to. What causes each transition: docs/orders.md.
TRANSITIONS: Mapping[str, frozenset[str]] = {
    OrderStatus.PENDING: frozenset({OrderStatus.PAID, OrderStatus.CANCELLED, OrderStatus.EXPIRED}),
    OrderStatus.EXPIRED: frozenset({OrderStatus.PAID, OrderStatus.REFUND_DUE}),
    OrderStatus.CANCELLED: frozenset({OrderStatus.REFUND_DUE}),
    OrderStatus.PAID: frozenset({OrderStatus.REFUNDED}),
    OrderStatus.REFUND_DUE: frozenset({OrderStatus.REFUNDED}),
}

# A new order's row is inserted at most this long after its `purchased_at`, by the database's clock, or not at all.
INSERTED_WITHIN = timedelta(seconds=1)
# A refund alone returns no units: a paid order keeps them until a restock, which sets `closed_at`.
KEPT_BY_REFUNDED = and_(Order.status == OrderStatus.REFUNDED, Order.closed_at.is_(None))
# Whether the order's units count as sold and its coupon use as taken. The stored status decides, overdue or not.
HOLDS = or_(Order.status.in_(HOLDING_STATUSES), KEPT_BY_REFUNDED)

# All statements that lock orders use this index. Through different indexes, two transactions would lock the index
# records of one row in opposite order and deadlock.
BY_NUMBER = "FORCE INDEX (orders_order_no)"


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as its owner sees it: the one list of its fields. Amounts are in the currency's minor unit.

    The columns that are read (VIEW_COLUMNS), the answers of the API and the export follow this list and its order.
    """

    order_no: str
    goods_id: int
    goods_name: str
    user_id: str
    quantity: int
    currency: str
    unit_price: int
    subtotal: int
    discount: int
    shipping_fee: int
    total: int
    coupon_code: str | None
    shipping_method: str | None
    address: dict[str, Any] | None
    status: str
    purchased_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    closed_at: datetime | None
    refunded_at: datetime | None = None
    refund_reference: str | None = None


@dataclass(frozen=True)
class Viewer:
    """The user on whose behalf orders are read: a buyer sees their own, an administrator all."""

    user_id: str
    is_admin: bool


VIEW_COLUMNS = tuple(Order.__table__.columns[name] for name in OrderView.__slots__)


def view(row: AnyRow, now: datetime) -> OrderView:
    """The order in `row` as it stands at `now`: an overdue one is expired, whether a sweep has recorded that or not."""
    order = OrderView(*(getattr(row, name) for name in OrderView.__slots__))
    if order.status == OrderStatus.PENDING and order.expires_at <= now:
        return replace(order, status=OrderStatus.EXPIRED, closed_at=order.expires_at)
    return order


def holds_units(now: datetime) -> ColumnElement[bool]:
    """Whether an order counts towards its buyer's limit at `now`: paid, not restocked; or pending, not overdue.

    `held_units` in core/purchase/statements.py is the same rule for a batch of buyers.
    """
    return or_(
        Order.status == OrderStatus.PAID,
        KEPT_BY_REFUNDED,
        and_(Order.status == OrderStatus.PENDING, Order.expires_at > now),
    )


def _visible(viewer: Viewer) -> Select[Any]:
    query = select(Order.id, *VIEW_COLUMNS, utc_now().label("now"))
    return query if viewer.is_admin else query.where(Order.user_id == viewer.user_id)


def find(database: Database, viewer: Viewer, order_no: str) -> OrderView:
    """The order, if the viewer may see it. Raises Refusal order_not_found, also for another user's order."""
    with database.reading() as connection:
        row = connection.execute(_visible(viewer).where(Order.order_no == order_no)).one_or_none()
    if row is None:
        raise Refusal(refusals.ORDER_NOT_FOUND)
    return view(row, row.now)


def move(connection: Connection, order_no: str, to: str, *conditions: ColumnElement[bool], **values: Any) -> bool:
    """Move an order to the status `to`, if TRANSITIONS and `conditions` allow it, and set `values`.

    Returns whether it was moved. If units or a coupon's use move with the order, take their locks first
    (core/orders/holds.py, docs/locking.md).
    """
    return move_all(connection, [order_no], to, *conditions, **values) == 1


def move_all(
    connection: Connection, order_nos: Collection[str], to: str, *conditions: ColumnElement[bool], **values: Any
) -> int:
    """`move` for many orders, in one statement. Returns how many were moved."""
    before = sorted(status for status, after in TRANSITIONS.items() if to in after)
    moved = (
        update(Order)
        .with_hint(BY_NUMBER)
        .where(Order.order_no.in_(sorted(order_nos)), Order.status.in_(before), *conditions)
        .values(status=to, **values)
    )
    return connection.execute(moved).rowcount
