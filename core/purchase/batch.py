"""One transaction for a list of purchases: slots, locked rows, the decision, one INSERT, one UPDATE, COMMIT."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from prometheus_client import Histogram
from sqlalchemy import Connection, bindparam, insert, select

from core import orders
from core.clock import Deadline, database_now, utc_now_after_wait
from core.database import Database
from core.metrics import record
from core.order_numbers import new_order_no
from core.purchase import slots, statements
from core.purchase.decide import (
    KnownOrder,
    LockedGoods,
    Outcome,
    Placed,
    PurchaseRequest,
    Refused,
    UserGoods,
    UserKey,
    decide,
)
from core.refusals import GOODS_NOT_FOUND, Refusal
from core.transaction import run
from models import Goods, Order

TRANSACTION_SECONDS = Histogram(
    "seckill_purchase_transaction_seconds",
    "Time that settling purchases takes, from the wait for a connection to the answer of COMMIT, reruns included.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

# Built once: their shape is always the same.
_LOCK_GOODS = (
    select(*(Goods.__table__.columns[name] for name in LockedGoods.__slots__), utc_now_after_wait().label("now"))
    .where(Goods.id.in_(bindparam("ids", expanding=True)))
    .order_by(Goods.id)
    # Forced onto the primary key: on a small table the optimiser scans, and locks in another order than it is told.
    .with_hint(Goods, "FORCE INDEX (PRIMARY)", "mysql")
    .with_hint(Goods, "FORCE INDEX (PRIMARY)", "mariadb")
    .with_for_update()
)
_READ_ORDERS = select(*orders.VIEW_COLUMNS).where(Order.order_no.in_(bindparam("numbers", expanding=True)))
_INSERT_ORDERS = insert(Order)


def serve(
    database: Database, caps: slots.Caps, requests: Sequence[PurchaseRequest], deadline: Deadline
) -> list[Outcome | None]:
    """Settle `requests` in one transaction and return an outcome for each, in their order.

    None stands for a request whose item had no free slot: nothing was done for it, and it may be asked again. An
    outcome is returned only after COMMIT was answered, or was found to have happened. Raises Busy (nothing was
    bought) or Unavailable (perhaps it was).
    """
    known_caps = caps.of({request.goods_id for request in requests}, deadline)
    began = time.perf_counter()
    outcomes = run(
        database,
        lambda connection: _work(connection, known_caps, requests, database.settings.ORDER_PAYMENT_SECONDS),
        deadline,
        was_committed=_was_committed,
    )
    if any(outcome is not None for outcome in outcomes):
        record(lambda: TRANSACTION_SECONDS.observe(time.perf_counter() - began))
    return outcomes


def _work(
    connection: Connection, caps: dict[int, int], requests: Sequence[PurchaseRequest], payment_seconds: int
) -> list[Outcome | None]:
    had = slots.take(connection, caps)
    outcomes: list[Outcome | None] = [
        None if request.goods_id in caps else Refused(Refusal(GOODS_NOT_FOUND)) for request in requests
    ]
    served = [index for index, request in enumerate(requests) if request.goods_id in had]
    if not served:
        return outcomes
    batch = [requests[index] for index in served]
    goods, now = _lock_goods(connection, sorted(had))
    decided = decide(
        batch,
        goods,
        _known_orders(connection, batch, now),
        _held_units(connection, batch, goods, now),
        now,
        payment_seconds,
        new_order_no,
    )
    _write(connection, [outcome for outcome in decided if isinstance(outcome, Placed)])
    for index, outcome in zip(served, decided, strict=True):
        outcomes[index] = outcome
    return outcomes


def _lock_goods(connection: Connection, ids: list[int]) -> tuple[dict[int, LockedGoods], datetime]:
    rows = connection.execute(_LOCK_GOODS, {"ids": ids}).all()
    goods = {row.id: LockedGoods(*row[:-1]) for row in rows}
    now: datetime | None = max((row.now for row in rows), default=None)
    return goods, now or database_now(connection)


def _known_orders(
    connection: Connection, requests: Sequence[PurchaseRequest], now: datetime
) -> dict[UserKey, KnownOrder]:
    """The orders that stand under the requests' keys, whatever item they are for."""
    wanted = {(request.user_id, request.idempotency_key) for request in requests if request.idempotency_key is not None}
    found = statements.orders_under_keys(connection, wanted) if wanted else []
    if not found:
        return {}
    rows = connection.execute(_READ_ORDERS, {"numbers": [order_no for *_, order_no in found]})
    views = {row.order_no: orders.view(row, now) for row in rows}
    return {(user, key): KnownOrder(views[order_no], fingerprint) for user, key, fingerprint, order_no in found}


def _held_units(
    connection: Connection, requests: Sequence[PurchaseRequest], goods: dict[int, LockedGoods], now: datetime
) -> dict[UserGoods, int]:
    """The units that each buyer holds of an item with a limit."""
    limited = {key for key, item in goods.items() if item.per_user_limit is not None}
    wanted = {(request.user_id, request.goods_id) for request in requests if request.goods_id in limited}
    return statements.held_units(connection, wanted, now) if wanted else {}


def _write(connection: Connection, placed: list[Placed]) -> None:
    if not placed:
        return
    connection.execute(
        _INSERT_ORDERS,
        [
            asdict(outcome.order)
            | {
                "per_user_limit": outcome.per_user_limit,
                "idempotency_key": outcome.request.idempotency_key,
                "request_fingerprint": outcome.request.fingerprint,
            }
            for outcome in placed
        ],
    )
    units: dict[int, int] = {}
    for outcome in placed:
        units[outcome.order.goods_id] = units.get(outcome.order.goods_id, 0) + outcome.order.quantity
    if statements.take_units(connection, units) != len(units):
        raise RuntimeError("the stock changed under its lock")


def _was_committed(connection: Connection, outcomes: list[Outcome | None]) -> bool:
    placed = [outcome.order.order_no for outcome in outcomes if isinstance(outcome, Placed)]
    if not placed:
        return True  # nothing was to be written
    # A locking read waits for a COMMIT that is still running; a plain one would say "absent".
    query = select(Order.id).where(Order.order_no == placed[0]).with_for_update()
    return connection.execute(query).one_or_none() is not None
