"""One transaction for a list of purchases: slots, locked rows, the decision, one statement for each table, COMMIT."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Gauge, Histogram
from sqlalchemy import Connection, bindparam, select

from config import Settings
from core.catalogue import shipping
from core.catalogue.shipping import Method
from core.db.clock import Deadline
from core.db.database import Database
from core.db.transaction import run
from core.events import events
from core.events.events import EventType, NewEvent
from core.ops.metrics import record
from core.orders import orders
from core.orders.order_numbers import new_order_numbers
from core.purchase import coupon_statements, slots, statements
from core.purchase.decide import (
    Held,
    KnownOrder,
    Locked,
    LockedGoods,
    Outcome,
    Placed,
    PurchaseRequest,
    Refused,
    Rules,
    UserGoods,
    UserKey,
    decide,
)
from core.purchase.queue import JoinLate, nobody_joins
from core.purchase.sql import carry_out, sql_of
from core.refusals import GOODS_NOT_FOUND, Refusal
from models import Order, OrderStatus

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
TRANSACTION_SECONDS = Histogram(
    "seckill_purchase_transaction_seconds",
    "Time that settling purchases takes, from the wait for a connection to the answer of COMMIT, reruns included.",
    buckets=_SECONDS,
)
LOCK_HOLD_SECONDS = Histogram(
    "seckill_lock_hold_seconds",
    "Time that a purchase transaction holds the rows of its items, from their lock to the answer of COMMIT.",
    buckets=_SECONDS,
)
SLOTS_IN_USE = Gauge(
    "seckill_purchase_slots_in_use", "Slots held by purchase transactions now.", multiprocess_mode="livesum"
)

_READ_ORDERS = select(*orders.VIEW_COLUMNS).where(Order.order_no.in_(bindparam("numbers", expanding=True)))


@dataclass
class _Run:
    """What one run of the transaction holds: slots of items, and its rows since `locked_at` (`time.perf_counter`)."""

    caps: slots.Caps
    items: Collection[int] = ()
    locked_at: float | None = None

    def took(self, items: Collection[int]) -> None:
        # A rerun begins with nothing: the run before it was rolled back.
        before, self.items, self.locked_at = self.items, items, None
        record(lambda: SLOTS_IN_USE.inc(len(items) - len(before)))
        record(lambda: self.caps.count(began=items, ended=before))


def serve(
    database: Database,
    caps: slots.Caps,
    requests: list[PurchaseRequest],
    deadline: Deadline,
    patient: bool = True,
    join_late: JoinLate = nobody_joins,
) -> list[Outcome | None]:
    """Settle `requests` in one transaction and return an outcome for each, in their order.

    What `join_late` returns once the rows are locked is added to `requests`, and settled with them.
    None stands for a request whose item had no free slot: nothing was done for it, and it may be tried again. An
    outcome is returned only after COMMIT was answered, or was found to have happened. Raises Busy (nothing was
    bought; at the first row that others hold for long unless `patient`) or Unavailable (perhaps it was).
    """
    known_caps = caps.of({request.goods_id for request in requests}, deadline)
    rules = rules_of(database.settings)
    began = time.perf_counter()
    holding = _Run(caps)
    try:
        outcomes = run(
            database,
            lambda connection: _work(connection, caps, known_caps, requests, rules, holding, join_late),
            deadline,
            was_committed=was_committed,
            rerun_lock_waits=patient,
        )
        ended = time.perf_counter()
    finally:
        locked_at = holding.locked_at
        holding.took(())
    if locked_at is not None:
        record(lambda: TRANSACTION_SECONDS.observe(ended - began))
        record(lambda: LOCK_HOLD_SECONDS.observe(ended - locked_at))
    return outcomes


def rules_of(settings: Settings) -> Rules:
    """The settings of purchases."""
    return Rules(
        settings.ORDER_PAYMENT_SECONDS,
        settings.HOLD_STRIKES,
        settings.HOLD_COOLDOWN_SECONDS,
        settings.HOLD_FORGET_SECONDS,
    )


def _work(
    connection: Connection,
    caps: slots.Caps,
    known_caps: dict[int, int],
    requests: list[PurchaseRequest],
    rules: Rules,
    holding: _Run,
    join_late: JoinLate,
) -> list[Outcome | None]:
    # Read ahead of all locks, which others wait for.
    methods: Sequence[Method] | None = shipping.all_methods(connection) if _need_methods(requests) else None
    had = caps.take(connection, known_caps)
    holding.took(had)
    if not had:
        return _unsettled(requests, known_caps)
    goods = statements.lock_goods(connection, sorted(had))
    holding.locked_at = time.perf_counter()
    # Requests that arrived during the wait for the rows share this transaction: the larger it is, the less each costs.
    requests.extend(join_late(had))
    outcomes = _unsettled(requests, known_caps)
    served = [index for index, request in enumerate(requests) if request.goods_id in had]
    batch = [requests[index] for index in served]
    if methods is None and _need_methods(batch):  # of those that joined: their one read is made under the locks
        methods = shipping.all_methods(connection)
    codes = {request.choices.coupon_code for request in batch if request.choices.coupon_code is not None}
    coupons = coupon_statements.lock(connection, codes)[0] if codes else {}
    # The time by which all is decided comes with this: after all waits and all arrivals.
    known, held, now = read_standing(connection, batch, goods, rules)
    owners = {
        (request.user_id, code)
        for request in batch
        if (code := request.choices.coupon_code) in coupons and coupons[code].per_user_limit is not None
    }
    used = coupon_statements.uses(connection, owners) if owners else {}
    locked = Locked(goods, now, known, held, coupons, used, methods or ())
    decided = decide(batch, locked, rules, new_order_numbers(len(batch)).__next__)
    _write(connection, [outcome for outcome in decided if isinstance(outcome, Placed)], goods)
    for index, outcome in zip(served, decided, strict=True):
        outcomes[index] = outcome
    return outcomes


def _unsettled(requests: Sequence[PurchaseRequest], known: Collection[int]) -> list[Outcome | None]:
    """The outcomes of requests that are not settled, or not yet; `known` are the items that exist."""
    return [None if request.goods_id in known else Refused(Refusal(GOODS_NOT_FOUND)) for request in requests]


def _need_methods(requests: Sequence[PurchaseRequest]) -> bool:
    """Whether the shipping methods are needed: only for a price that has to be shown or checked."""
    return any(
        request.choices.shipping_method is not None or request.choices.expected_total is not None
        for request in requests
    )


def read_standing(
    connection: Connection,
    requests: Sequence[PurchaseRequest],
    goods: Mapping[int, LockedGoods],
    rules: Rules,
) -> tuple[dict[UserKey, KnownOrder], Mapping[UserGoods, Held], datetime]:
    """The orders under the requests' keys, whatever item they are for, what buyers hold and gave up, and the time.

    What they hold only of items for which it matters: those with a limit, or all where a rule counts what is given up.
    """
    keys = {(request.user_id, request.idempotency_key) for request in requests if request.idempotency_key is not None}
    counted: Collection[int] = goods.keys()
    if not rules.hold_cooldown_seconds:
        counted = {key for key, item in goods.items() if item.per_user_limit is not None}
    owners = {(request.user_id, request.goods_id) for request in requests if request.goods_id in counted}
    found = statements.standing(connection, keys, owners, rules.hold_forget_seconds)
    if not found.orders:
        return {}, found.held, found.now
    rows = connection.execute(_READ_ORDERS, {"numbers": [order_no for *_, order_no in found.orders]})
    views = {row.order_no: orders.view(row, found.now) for row in rows}
    known = {(user, key): KnownOrder(views[number], fingerprint) for user, key, fingerprint, number in found.orders}
    return known, found.held, found.now


def _write(connection: Connection, placed: list[Placed], goods: Mapping[int, LockedGoods]) -> None:
    if not placed:
        return
    units: dict[int, int] = {}
    for outcome in placed:
        units[outcome.order.goods_id] = units.get(outcome.order.goods_id, 0) + outcome.order.quantity
    new_events = []
    for order in (outcome.order for outcome in placed):
        new_events.append(NewEvent(EventType.ORDER_PLACED, order.goods_id, order.order_no))
        if order.status == OrderStatus.PAID:
            new_events.append(NewEvent(EventType.ORDER_PAID, order.goods_id, order.order_no))
    for key, count in units.items():
        new_events += events.of_stock(key, goods[key].stock, goods[key].stock - count)
    sql = sql_of(connection)
    changes = [
        statements.new_orders(sql, placed),
        *coupon_statements.new_uses(sql, placed),
        statements.taken_units(units),
        statements.events_in_outbox(sql, placed[0].order.purchased_at, new_events),
    ]
    carry_out(connection, changes)


def was_committed(connection: Connection, outcomes: list[Outcome | None]) -> bool:
    """Whether the transaction with these outcomes was committed, where the answer to its COMMIT was lost."""
    placed = [outcome.order.order_no for outcome in outcomes if isinstance(outcome, Placed)]
    if not placed:
        return True  # nothing was to be written
    # A locking read waits for a COMMIT that is still running; a plain one would find no row.
    query = select(Order.id).where(Order.order_no == placed[0]).with_for_update()
    return connection.execute(query).one_or_none() is not None
