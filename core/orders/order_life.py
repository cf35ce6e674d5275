"""How orders end: cancelled, expired or paid, each in exactly one way. Explained in docs/orders.md.

Each move is one conditional UPDATE, in the transaction that also moves what the order held and writes what happened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from config import Settings
from core import refusals
from core.db.clock import database_now, utc_now_after_wait
from core.db.database import Database
from core.db.transaction import plain
from core.events import events
from core.events.events import EventType, NewEvent
from core.orders import holds, orders
from core.orders.holds import Holder, Locked, Owned
from core.orders.orders import TRANSITIONS, OrderView, Viewer, move, move_all
from core.refusals import RefusalWithEffect
from models import Order, OrderStatus

# By the time at which the row is read, after any wait for it: nobody ends an order by a time that is over.
IN_TIME = Order.expires_at > utc_now_after_wait()
OVERDUE = Order.expires_at <= utc_now_after_wait()
# Of a payment's transaction, from the look at its order's row on, COMMIT and one to spare included.
_STATEMENTS = 10


@dataclass(frozen=True, slots=True)
class Received:
    """What money for an order came to: the order's status after it, and whether this money moved it there.

    `paid` and not moved: it was paid before. `refund_due`: the money is to be given back, moved or not. `at` is the
    database's time.
    """

    status: str
    moved: bool
    at: datetime


def cancel(database: Database, viewer: Viewer, order_no: str) -> OrderView:
    """Cancel a pending order and give back what it held, once.

    An order whose time is over cannot be cancelled any more, but its expiry is noted, and what it held goes back all
    the same. Raises Refusal order_not_found, or order_not_pending with the order's status.
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
            told = [NewEvent(EventType.ORDER_CANCELLED, order.goods_id, order_no)]
            events.write(connection, locked.now, told + holds.give_back(connection, locked, [order]))
        else:
            events.write(connection, locked.now, expire(connection, locked, [order]))
        row = connection.execute(select(*orders.VIEW_COLUMNS).where(Order.order_no == order_no)).one()
        return cancelled, orders.view(row, locked.now)

    cancelled, closed = plain(database, work)
    if not cancelled:
        raise RefusalWithEffect(refusals.ORDER_NOT_PENDING, order_status=closed.status)
    return closed


def expire(connection: Connection, locked: Locked, due: Sequence[Holder]) -> list[NewEvent]:
    """Note that pending orders of the locked item have expired, and give back what they held. What happened.

    All of them are, or none: of several, the caller has read under their locks that they are pending and overdue.
    """
    moved = move_all(
        connection, [order.order_no for order in due], OrderStatus.EXPIRED, OVERDUE, closed_at=Order.expires_at
    )
    if moved == 0:
        return []
    if moved != len(due):
        raise RuntimeError("an order changed under its lock")
    told = [NewEvent(EventType.ORDER_EXPIRED, locked.goods_id, order.order_no) for order in due]
    return told + holds.give_back(connection, locked, due)


def keep_free(connection: Connection, locked: Locked, order: Owned) -> bool:
    """Note that an overdue order with a total of 0 is paid, if its buyer's limit still allows it. Whether it was.

    Purchases place such orders paid; those of an earlier release, which may be selling beside this one during an
    upgrade, are left pending. What the order holds stays, but room in the limit, which others may have taken since.
    """
    if not holds.within_limit(connection, locked, order):
        return False
    free = (Order.status == OrderStatus.PENDING, Order.total == 0)
    # As for money that comes late, the limit that counts from then on is that of now.
    values = {"paid_at": locked.now, "per_user_limit": locked.per_user_limit}
    if not move(connection, order.order_no, OrderStatus.PAID, *free, **values):
        return False
    events.write(connection, locked.now, [NewEvent(EventType.ORDER_PAID, locked.goods_id, order.order_no)])
    return True


def is_close(order: OrderView, now: datetime, settings: Settings) -> bool:
    """Whether the order's time is over, or will be while a transaction that begins now may still last.

    Its money is settled under the item's lock then: an order whose payment is not committed when its time is over would
    not count for its buyer's limit.
    """
    return order.expires_at - now < longest_payment(settings)


def longest_payment(settings: Settings) -> timedelta:
    """Longer than the transaction of a payment lasts: the server ends those that are silent, the driver statements."""
    return timedelta(seconds=_STATEMENTS * (settings.DATABASE_TIMEOUT_SECONDS + settings.IDLE_TRANSACTION_SECONDS))


def pay_in_time(connection: Connection, order: OrderView) -> bool:
    """Note that a pending order is paid, if its time is not over. Whether it was.

    Nothing but the order's row is locked: whoever pays does not queue behind the buyers of a hot item. So nothing that
    comes before orders in the order of locks may be locked after this, in the same transaction. Where the end
    `is_close`, the caller holds the item's lock.
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
    """Do what money does to an order under its item's lock: it pays the order, or is to be given back."""
    told = expire(connection, locked, [order])
    if not told and pay_in_time(connection, order):
        return Received(OrderStatus.PAID, True, locked.now)
    # From here on only who holds the item's lock could move it.
    status = connection.execute(select(Order.status).where(Order.order_no == order.order_no)).scalar_one()
    moved = False
    if OrderStatus.REFUND_DUE in TRANSITIONS.get(status, ()):
        again = holds.take_again(connection, locked, order) if OrderStatus.PAID in TRANSITIONS[status] else None
        if again is None:
            moved = move(connection, order.order_no, OrderStatus.REFUND_DUE, Order.status == status)
            told.append(NewEvent(EventType.ORDER_REFUND_DUE, order.goods_id, order.order_no))
            status = OrderStatus.REFUND_DUE
        else:
            moved = move(
                connection, order.order_no, OrderStatus.PAID, Order.status == status, paid_at=locked.now, closed_at=None
            )
            told += [NewEvent(EventType.ORDER_PAID, order.goods_id, order.order_no), *again]
            status = OrderStatus.PAID
        if not moved:
            raise RuntimeError("an order changed under its item's lock")
    events.write(connection, locked.now, told)
    return Received(status, moved, locked.now)
