"""Cancels, expires and pays orders, each in exactly one way. docs/orders.md explains the transitions.

Each transition is one conditional UPDATE, in the transaction that also returns what the order held and writes events.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from config import Settings
from core import refusals
from core.db.clock import database_now, utc_now_after_wait
from core.db.database import Database
from core.db.transaction import run_with_default_deadline
from core.events import events
from core.events.events import EventType, NewEvent
from core.orders import holds, orders
from core.orders.holds import Holder, Locked, Owned
from core.orders.orders import TRANSITIONS, OrderView, Viewer, move, move_all
from core.refusals import RefusalWithEffect
from models import Order, OrderStatus

# Compared with the time at which the row is read, after any wait for its lock.
IN_TIME = Order.expires_at > utc_now_after_wait()
OVERDUE = Order.expires_at <= utc_now_after_wait()
# Statements of a payment's transaction from the read of its order's row on, with COMMIT and one to spare.
_STATEMENTS = 10


@dataclass(frozen=True, slots=True)
class Received:
    """The effect of money for an order: the order's status after it, and whether this money moved it there.

    `paid` and not moved: it was paid before. `refund_due`: the money is owed back, moved or not. `at` is the database's
    time.
    """

    status: str
    moved: bool
    at: datetime


def cancel(database: Database, viewer: Viewer, order_no: str) -> OrderView:
    """Cancel a pending order and return what it held, once.

    An overdue order cannot be cancelled: it expires, which also returns what it held. Raises Refusal order_not_found,
    or order_not_pending with the order's status.
    """
    order = orders.find(database, viewer, order_no)

    def work(connection: Connection) -> tuple[bool, OrderView]:
        locked = holds.lock(connection, order.goods_id, holds.codes_of([order]))
        cancelled = move(
            connection,
            order_no,
            OrderStatus.CANCELLED,
            IN_TIME,
            closed_at=utc_now_after_wait(),
            cancelled_by=viewer.user_id,
        )
        if cancelled:
            cancellation = NewEvent(EventType.ORDER_CANCELLED, order.goods_id, order_no)
            events.write(connection, locked.now, [cancellation, *holds.give_back(connection, locked, [order])])
        else:
            events.write(connection, locked.now, expire(connection, locked, [order]))
        row = connection.execute(select(*orders.VIEW_COLUMNS).where(Order.order_no == order_no)).one()
        return cancelled, orders.view(row, locked.now)

    cancelled, closed = run_with_default_deadline(database, work)
    if not cancelled:
        raise RefusalWithEffect(refusals.ORDER_NOT_PENDING, order_status=closed.status)
    return closed


def expire(connection: Connection, locked: Locked, due: Sequence[Holder]) -> list[NewEvent]:
    """Expire overdue pending orders of the locked item, and return what they held. Returns the events.

    Expires all of them or none. For more than one, the caller has read under their locks that they are pending and
    overdue.
    """
    moved = move_all(
        connection, [order.order_no for order in due], OrderStatus.EXPIRED, OVERDUE, closed_at=Order.expires_at
    )
    if moved == 0:
        return []
    if moved != len(due):
        raise RuntimeError("an order changed under its lock")
    expirations = [NewEvent(EventType.ORDER_EXPIRED, locked.goods_id, order.order_no) for order in due]
    return expirations + holds.give_back(connection, locked, due)


def keep_free(connection: Connection, locked: Locked, order: Owned) -> bool:
    """Mark an overdue order with a total of 0 as paid, if its buyer's limit still allows it. Returns whether it was.

    Purchases place such orders as paid. Workers of an earlier release, which may run beside this one during an upgrade,
    leave them pending. The order still holds its units and its coupon use, but other orders may have used up the limit.
    """
    if not holds.within_limit(connection, locked, order):
        return False
    free = (Order.status == OrderStatus.PENDING, Order.total == 0)
    # As with late money, the current limit is the one that an audit judges this order by.
    values = {"paid_at": locked.now, "per_user_limit": locked.per_user_limit}
    if not move(connection, order.order_no, OrderStatus.PAID, *free, **values):
        return False
    events.write(connection, locked.now, [NewEvent(EventType.ORDER_PAID, locked.goods_id, order.order_no)])
    return True


def is_close(order: OrderView, now: datetime, settings: Settings) -> bool:
    """Whether the order expires before the longest transaction that begins now would have ended.

    Then its payment needs the item's lock: an order whose payment is not yet committed when it expires would not count
    towards its buyer's limit.
    """
    return order.expires_at - now < longest_payment(settings)


def longest_payment(settings: Settings) -> timedelta:
    """An upper bound on a payment's transaction: the driver bounds each statement, the server each pause."""
    return timedelta(seconds=_STATEMENTS * (settings.DATABASE_TIMEOUT_SECONDS + settings.IDLE_TRANSACTION_SECONDS))


def pay_in_time(connection: Connection, order: OrderView) -> bool:
    """Mark a pending order as paid, if it is not overdue. Returns whether it was.

    Only the order's row is locked, so that payments do not queue behind the purchases of a hot item. Do not lock slots,
    goods or coupons after this call in the same transaction (lock order). If `is_close`, hold the item's lock before.
    """
    paid = move(
        connection,
        order.order_no,
        OrderStatus.PAID,
        Order.status == OrderStatus.PENDING,
        IN_TIME,
        paid_at=utc_now_after_wait(),
    )
    if paid:
        events.write(
            connection, database_now(connection), [NewEvent(EventType.ORDER_PAID, order.goods_id, order.order_no)]
        )
    return paid


def receive_late(connection: Connection, locked: Locked, order: OrderView) -> Received:
    """Apply received money to an order under its item's lock: it pays the order, or is owed back."""
    new_events = expire(connection, locked, [order])
    if not new_events and pay_in_time(connection, order):
        return Received(OrderStatus.PAID, True, locked.now)
    # An order that is not pending moves under its item's lock only, which this transaction holds.
    status = connection.execute(select(Order.status).where(Order.order_no == order.order_no)).scalar_one()
    moved = False
    if OrderStatus.REFUND_DUE in TRANSITIONS.get(status, ()):
        again = holds.take_again(connection, locked, order) if OrderStatus.PAID in TRANSITIONS[status] else None
        if again is None:
            moved = move(connection, order.order_no, OrderStatus.REFUND_DUE, Order.status == status)
            new_events.append(NewEvent(EventType.ORDER_REFUND_DUE, order.goods_id, order.order_no))
            status = OrderStatus.REFUND_DUE
        else:
            moved = move(
                connection, order.order_no, OrderStatus.PAID, Order.status == status, paid_at=locked.now, closed_at=None
            )
            new_events += [NewEvent(EventType.ORDER_PAID, order.goods_id, order.order_no), *again]
            status = OrderStatus.PAID
        if not moved:
            raise RuntimeError("an order changed under its item's lock")
    events.write(connection, locked.now, new_events)
    return Received(status, moved, locked.now)
