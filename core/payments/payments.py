"""Payments: applies each event of the payment provider to its order once, and records it in the same transaction.

docs/payments.md explains the outcomes, docs/locking.md the locks.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from prometheus_client import Counter
from sqlalchemy import Connection

from config import Settings
from core import refusals
from core.db.clock import database_now, deadline_of_request
from core.db.database import Database
from core.db.transaction import run
from core.events import events
from core.events.events import EventType, NewEvent
from core.ops.metrics import record
from core.orders import holds, order_life, orders
from core.orders.holds import Locked
from core.orders.orders import OrderView, Viewer
from core.payments import payment_records, refunds
from core.payments.payment_records import PaymentEvent, PaymentEventType
from core.refusals import Refusal
from models import OPEN_OUTCOMES, Order, OrderStatus, PaymentOutcome

Result = TypeVar("Result")

log = logging.getLogger("seckill.payments")

PAYMENTS = Counter("seckill_payments_total", "Events of payments recorded, by what came of them.", ["outcome"])


@dataclass(frozen=True, slots=True)
class _Settled:
    """The outcome of an event, and whether this transaction recorded it."""

    outcome: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Late:
    """Nothing was done: the order expires soon or has expired, so that locks are needed that come before its own."""

    order: OrderView


def receive(database: Database, event: PaymentEvent) -> str:
    """Apply the event to its order once, and record it. Returns its outcome, a PaymentOutcome.

    A repeated event returns its first outcome and has no effect; one with the same id and another content is a
    mismatch. Raises Busy (nothing was done) or Unavailable (it may have been). Sending the event again is safe.
    """
    settled = _commit(database, event, lambda connection: _settle(connection, event, None, database.settings))
    if isinstance(settled, _Late):
        order = settled.order

        def with_locks(connection: Connection) -> _Settled | _Late:
            locked = holds.lock(connection, order.goods_id, holds.codes_of([order]))
            return _settle(connection, event, locked, database.settings)

        settled = _commit(database, event, with_locks)
        assert isinstance(settled, _Settled)
    if settled.is_new:
        _report(event, settled.outcome)
    return settled.outcome


def pay(database: Database, user_id: str, order_no: str) -> OrderView:
    """Pay the user's own pending order without money, for trials.

    Raises Refusal order_not_found, also for an administrator who is not its owner, or order_not_pending.
    """
    order = orders.find(database, Viewer(user_id, is_admin=False), order_no)
    number = f"test-{order_no}"
    event = PaymentEvent(number, PaymentEventType.SUCCEEDED, order_no, order.total, order.currency, number)

    def work(connection: Connection) -> OrderView:
        if order_life.is_close(order, database_now(connection), database.settings):
            holds.lock(connection, order.goods_id, ())
        was_paid = order_life.pay_in_time(connection, order)
        found, _ = payment_records.lock_order(connection, order_no)
        if found is None:
            raise Refusal(refusals.ORDER_NOT_FOUND)
        if not was_paid:
            raise Refusal(refusals.ORDER_NOT_PENDING, order_status=found.status)
        payment_records.claim(connection, event.payment_id, event.money)
        payment_records.record(connection, event, PaymentOutcome.PAID)
        return found

    paid = _commit(database, event, work)
    _report(event, PaymentOutcome.PAID)
    return paid


def _commit(database: Database, event: PaymentEvent, work: Callable[[Connection], Result]) -> Result:
    def was_committed(connection: Connection, result: Result) -> bool:
        if isinstance(result, _Late):
            return True  # there was nothing to commit
        # A locking read: a plain one could find no row while the COMMIT still runs.
        recorded = payment_records.recorded_under(connection, event.event_id, lock=True)
        return any(payment_records.is_same(row, event) for row in recorded)

    return run(database, work, deadline_of_request(database.settings.PURCHASE_WAIT_SECONDS), was_committed)


def _settle(connection: Connection, event: PaymentEvent, locked: Locked | None, settings: Settings) -> _Settled | _Late:
    # The lock on the order's row serialises the events of one order. Events of different orders with one event id or
    # payment id collide in a unique key: the second transaction is run again and finds the record of the first.
    order, now = payment_records.lock_order(connection, event.order_no)
    recorded = payment_records.recorded_under(connection, event.event_id)
    for row in recorded:
        if payment_records.is_same(row, event):
            return _Settled(row.outcome, is_new=False)
    outcome = PaymentOutcome.MISMATCH if recorded else _effect(connection, event, order, now, locked, settings)
    if outcome is None:
        assert order is not None
        return _Late(order)
    payment_records.record(connection, event, outcome, is_first=not recorded)
    return _Settled(outcome, is_new=True)


def _effect(
    connection: Connection,
    event: PaymentEvent,
    order: OrderView | None,
    now: datetime,
    locked: Locked | None,
    settings: Settings,
) -> str | None:
    """Apply an event that is not recorded yet. Returns its outcome; None, with nothing done, if it needs `locked`."""
    if event.type == PaymentEventType.FAILED:
        return PaymentOutcome.FAILED
    if event.type == PaymentEventType.REFUNDED:
        return refunds.receive(connection, event, order, now)
    claimed = payment_records.claimed(connection, event.payment_id)
    if claimed is not None and claimed != event.money:
        # One payment reported for two orders, or with two amounts: an operator has to find out which is right.
        return PaymentOutcome.MISMATCH
    # A claim without money is that of a refund event under this id: this money still counts.
    if claimed is not None and payment_records.money_under(connection, event.payment_id):
        return PaymentOutcome.REPEATED
    if order is None:
        return PaymentOutcome.UNKNOWN_ORDER
    if (event.amount, event.currency) != (order.total, order.currency):
        return PaymentOutcome.MISMATCH
    outcome = _take(connection, order, now, locked, settings)
    if outcome is not None and claimed is None:
        payment_records.claim(connection, event.payment_id, event.money)
    return outcome


def _take(
    connection: Connection, order: OrderView, now: datetime, locked: Locked | None, settings: Settings
) -> str | None:
    """Apply received money to the order, whose row is locked.

    Returns the outcome; None, with nothing done, if it needs `locked`.
    """
    may_pay = locked is not None or not order_life.is_close(order, now, settings)
    if order.status == OrderStatus.PENDING and may_pay and order_life.pay_in_time(connection, order):
        return PaymentOutcome.PAID
    if order.status == OrderStatus.PAID:
        return PaymentOutcome.ALREADY_PAID
    if order.status in (OrderStatus.REFUND_DUE, OrderStatus.REFUNDED):
        return PaymentOutcome.REFUND_DUE  # more money to give back; the order does not move
    if order.status == OrderStatus.CANCELLED:
        # A cancelled order holds nothing: no lock but that of its own row is needed.
        if not orders.move(connection, order.order_no, OrderStatus.REFUND_DUE, Order.status == OrderStatus.CANCELLED):
            raise RuntimeError("an order changed under its lock")
        events.write(connection, now, [NewEvent(EventType.ORDER_REFUND_DUE, order.goods_id, order.order_no)])
        return PaymentOutcome.REFUND_DUE
    return None if locked is None else order_life.receive_late(connection, locked, order).status


def _report(event: PaymentEvent, outcome: str) -> None:
    record(lambda: PAYMENTS.labels(outcome).inc())
    if outcome in OPEN_OUTCOMES:
        log.warning("payment event %s for order %s: %s", event.event_id, event.order_no, outcome)
