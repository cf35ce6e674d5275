"""Orders: reading them, and the moves of their life."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select, update

from core import refusals
from core.clock import utc_now, utc_now_after_wait
from core.database import AnyRow, Database
from core.paging import Page, PageRequest, Sort, fetch
from core.refusals import Refusal
from core.transaction import plain
from models import Goods, Order

PENDING = "pending"
PAID = "paid"
CANCELLED = "cancelled"
EXPIRED = "expired"
REFUND_DUE = "refund_due"


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as its owner sees it. Amounts are in the currency's minor unit."""

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


@dataclass(frozen=True)
class Viewer:
    """Who asks: a buyer sees their own orders, an administrator all of them."""

    user_id: str
    is_admin: bool


VIEW_COLUMNS = tuple(Order.__table__.columns[name] for name in OrderView.__slots__)


def view(row: AnyRow, now: datetime) -> OrderView:
    """The order in `row` as it stands at `now`: one whose time is over has expired, whether that was noted or not."""
    order = OrderView(*(getattr(row, name) for name in OrderView.__slots__))
    if order.status == PENDING and order.expires_at <= now:
        return replace(order, status=EXPIRED, closed_at=order.expires_at)
    return order


def holds_units(now: datetime) -> ColumnElement[bool]:
    """Whether an order counts towards its buyer's limit at `now`: paid, or pending and not overdue."""
    return or_(Order.status == PAID, and_(Order.status == PENDING, Order.expires_at > now))


def _status_is(status: str) -> ColumnElement[bool]:
    overdue = Order.expires_at <= utc_now()
    if status == PENDING:
        return and_(Order.status == PENDING, ~overdue)
    if status == EXPIRED:
        return or_(Order.status == EXPIRED, and_(Order.status == PENDING, overdue))
    return Order.status == status


def _visible(viewer: Viewer) -> Select[Any]:
    query = select(Order.id, *VIEW_COLUMNS, utc_now().label("now"))
    return query if viewer.is_admin else query.where(Order.user_id == viewer.user_id)


def find(database: Database, viewer: Viewer, order_no: str) -> OrderView:
    """The order, if the viewer may see it. Raises Refusal order_not_found, the same for a stranger's order."""
    with database.reading() as connection:
        row = connection.execute(_visible(viewer).where(Order.order_no == order_no)).one_or_none()
    if row is None:
        raise Refusal(refusals.ORDER_NOT_FOUND)
    return view(row, row.now)


def list_page(
    database: Database,
    viewer: Viewer,
    page: PageRequest,
    descending: bool = True,
    status: str | None = None,
    goods_id: int | None = None,
    user_id: str | None = None,
) -> Page[OrderView]:
    """A page of the orders that the viewer may see, by the time of purchase."""
    query = _visible(viewer)
    if status is not None:
        query = query.where(_status_is(status))
    if goods_id is not None:
        query = query.where(Order.goods_id == goods_id)
    if user_id is not None:
        query = query.where(Order.user_id == user_id)
    # Ids rise with the time of purchase, and unlike it they have an index of all orders.
    by_age = Sort(Order.id.expression, Order.id.expression, descending)
    with database.reading() as connection:
        rows = fetch(connection, query, by_age, page)
    return Page([view(row, row.now) for row in rows.items], rows.after)


def cancel(database: Database, viewer: Viewer, order_no: str) -> OrderView:
    """Cancel a pending order and give its units back, once.

    An order whose time is over cannot be cancelled any more, but its expiry is noted, and its units go back all the
    same. Raises Refusal order_not_found, or order_not_pending with the order's status.
    """
    order = find(database, viewer, order_no)

    def work(connection: Connection) -> tuple[bool, OrderView]:
        # The item's row first, then the order: the order of all locks (docs/locking.md).
        locked = select(utc_now_after_wait()).select_from(Goods).where(Goods.id == order.goods_id).with_for_update()
        now = connection.execute(locked).scalar_one()
        cancelled = _close(connection, order, CANCELLED, Order.expires_at > now, closed_at=now)
        if not cancelled:
            _close(connection, order, EXPIRED, Order.expires_at <= now, closed_at=order.expires_at)
        row = connection.execute(select(*VIEW_COLUMNS).where(Order.order_no == order_no)).one()
        return cancelled, view(row, now)

    cancelled, closed = plain(database, work)
    if not cancelled:
        raise Refusal(refusals.ORDER_NOT_PENDING, order_status=closed.status)
    return closed


def _close(
    connection: Connection, order: OrderView, status: str, condition: ColumnElement[bool], closed_at: datetime
) -> bool:
    """Move a pending order to `status` and give its units back, if `condition` holds. Whether it did."""
    moved = connection.execute(
        update(Order)
        .where(Order.order_no == order.order_no, Order.status == PENDING, condition)
        .values(status=status, closed_at=closed_at)
    )
    if moved.rowcount != 1:
        return False
    returned = connection.execute(
        update(Goods)
        .where(Goods.id == order.goods_id, Goods.sold >= order.quantity)
        .values(stock=Goods.stock + order.quantity, sold=Goods.sold - order.quantity)
    )
    if returned.rowcount != 1:
        raise RuntimeError("an order's units are not among those sold")
    return True
