"""Expires overdue orders, which return what they held. Any number of sweepers may run at the same time."""

import random
import time
from collections.abc import Callable, Sequence

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import Connection, select

from core.db.clock import Deadline, utc_now
from core.db.database import AnyRow, Database
from core.db.transaction import run
from core.events import events
from core.ops.metrics import record
from core.orders import holds, order_life
from core.orders.orders import BY_NUMBER
from core.refusals import Unavailable
from models import Order, OrderStatus

# At most this many orders of an item expire in one transaction, which bounds how long the item's row is locked.
BATCH = 100
# At most this many overdue orders are read at once.
READ_AT_ONCE = 1000

ORDERS_EXPIRED = Counter("seckill_orders_expired_total", "Orders whose expiry a sweep has noted.")
SWEEP_SECONDS = Histogram(
    "seckill_sweep_seconds",
    "Time that a sweep takes, from the look for overdue orders to the last COMMIT.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
LAST_SWEEP = Gauge(
    "seckill_last_sweep_timestamp_seconds",
    "When the last sweep ended that served all it found, by this host's clock.",
    multiprocess_mode="livemax",
)


def sweep(database: Database, stopping: Callable[[], bool] = lambda: False) -> int:
    """Expire all orders that are overdue by the database's clock. Returns how many this sweep expired.

    Once `stopping`, it begins nothing more. An item that fails, or that another sweeper has locked, does not delay the
    others. Raises Unavailable; or, at the end, the error of the first item that failed.
    """
    began = time.monotonic()
    left: set[int] = set()
    failures: list[Exception] = []
    expired = 0
    while not stopping():
        due = overdue(database, left)
        if not due:
            break
        for goods_id, orders in _by_item(due):
            for first in range(0, len(orders), BATCH):
                if goods_id in left or stopping():
                    break
                try:
                    settled, noted = _expire(database, goods_id, orders[first : first + BATCH])
                except Unavailable:
                    raise  # the other items would fail as well
                except Exception as error:
                    failures.append(error)
                    settled = noted = 0
                expired += noted
                if not settled:  # it failed, or another sweeper was first
                    left.add(goods_id)
    ended = time.monotonic()
    record(lambda: SWEEP_SECONDS.observe(ended - began))
    if failures:
        raise failures[0]
    record(LAST_SWEEP.set_to_current_time)
    return expired


def overdue(database: Database, left: set[int]) -> Sequence[AnyRow]:
    """Overdue orders, the oldest first, without those of the items in `left`, which wait for the next sweep."""
    query = (
        select(Order.order_no, Order.goods_id, Order.coupon_code)
        .with_hint(Order, "FORCE INDEX (orders_status_expires)")
        .where(Order.status == OrderStatus.PENDING, Order.expires_at <= utc_now())
        .order_by(Order.expires_at)
        .limit(READ_AT_ONCE)
    )
    if left:
        query = query.where(Order.goods_id.not_in(sorted(left)))
    with database.reading() as connection:
        return connection.execute(query).all()


def _by_item(due: Sequence[AnyRow]) -> list[tuple[int, list[AnyRow]]]:
    items: dict[int, list[AnyRow]] = {}
    for order in due:
        items.setdefault(order.goods_id, []).append(order)
    found = list(items.items())
    random.shuffle(found)  # so that sweepers that start together do not queue for the same item
    return found


def _expire(database: Database, goods_id: int, orders: Sequence[AnyRow]) -> tuple[int, int]:
    """Expire those of the item's orders that are still pending.

    Returns how many were still pending, and how many of them expired: those with a total of 0 are paid instead.
    """

    def work(connection: Connection) -> tuple[int, int]:
        locked = holds.lock(connection, goods_id, holds.codes_of(orders))
        # Read again under the lock: meanwhile they may have been paid, cancelled or expired.
        query = (
            select(Order.order_no, Order.user_id, Order.quantity, Order.total, Order.coupon_code)
            .with_hint(Order, BY_NUMBER)
            .where(Order.order_no.in_(sorted(order.order_no for order in orders)))
            .where(Order.status == OrderStatus.PENDING, order_life.OVERDUE)
            .order_by(Order.order_no)
            .with_for_update()
        )
        found = connection.execute(query).all()
        due = [order for order in found if order.total or not order_life.keep_free(connection, locked, order)]
        if due:
            events.write(connection, locked.now, order_life.expire(connection, locked, due))
        return len(found), len(due)

    # If another transaction holds the item's row for long, the next sweep handles it.
    found, expired = run(database, work, Deadline(database.settings.PURCHASE_WAIT_SECONDS), rerun_lock_waits=False)
    record(lambda: ORDERS_EXPIRED.inc(expired))
    return found, expired
