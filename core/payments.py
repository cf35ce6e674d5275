"""Payments: what a provider tells of an order has its effect once, recorded in the same transaction.

The outcomes are explained in docs/payments.md, the locks in docs/locking.md.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from prometheus_client import Counter
from sqlalchemy import Connection, insert, select

from config import Settings
from core import events, holds, order_life, orders, refusals
from core.clock import database_now, deadline_of_request, utc_now_after_wait
from core.database import AnyRow, Database
from core.events import Happening
from core.holds import Locked
from core.metrics import record
from core.orders import CANCELLED, PAID, PENDING, REFUND_DUE, OrderView, Viewer
from core.paging import Page, PageRequest, Sort, fetch
from core.refusals import Refusal
from core.transaction import run
from models import Order, Payment

Result = TypeVar("Result")

log = logging.getLogger("seckill.payments")

PAYMENTS = Counter("seckill_payments_total", "Events of payments recorded, by what came of them.", ["outcome"])

SUCCEEDED = "payment.succeeded"
FAILED = "payment.failed"
TYPES = (SUCCEEDED, FAILED)

ALREADY_PAID = "already_paid"
MISMATCH = "mismatch"
UNKNOWN_ORDER = "unknown_order"
PAYMENT_FAILED = "failed"
REPEATED = "repeated"
# There is money, and it did something or is to be given back: the same payment does so once.
_WITH_EFFECT = (PAID, REFUND_DUE, ALREADY_PAID)
# Somebody has to look after these.
_FOR_THE_OPERATOR = (REFUND_DUE, ALREADY_PAID, MISMATCH, UNKNOWN_ORDER)


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """What a provider told: `type` is one of TYPES, `amount` in the currency's minor unit. An event id is told once."""

    event_id: str
    type: str
    order_no: str
    amount: int
    currency: str
    payment_id: str


@dataclass(frozen=True, slots=True)
class _Settled:
    """What came of an event, and whether this transaction is the one that recorded it."""

    outcome: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Late:
    """Nothing was done: the order's time is over or nearly so, and the locks of what it holds come before its own."""

    order: OrderView


def receive(database: Database, event: PaymentEvent) -> str:
    """Do what the event does to its order, once, and record it. Returns its outcome, one of models.PAYMENT_OUTCOMES.

    An event that was seen before has the outcome that it had then, and no effect. Raises Busy, or Unavailable where it
    may have been done: to tell the same event again is safe.
    """
    settled = _commit(database, event.event_id, lambda connection: _settle(connection, event, None, database.settings))
    if isinstance(settled, _Late):
        order = settled.order

        def with_locks(connection: Connection) -> _Settled | _Late:
            locked = holds.lock(connection, order.goods_id, holds.codes_of([order]))
            return _settle(connection, event, locked, database.settings)

        settled = _commit(database, event.event_id, with_locks)
        assert isinstance(settled, _Settled)
    if settled.is_new:
        _tell(event, settled.outcome)
    return settled.outcome


def pay(database: Database, user_id: str, order_no: str) -> OrderView:
    """Pay the user's own pending order without money, for trials.

    Raises Refusal order_not_found, also for an administrator who is not its owner, or order_not_pending.
    """
    order = orders.find(database, Viewer(user_id, is_admin=False), order_no)
    number = f"test-{order_no}"
    event = PaymentEvent(number, SUCCEEDED, order_no, order.total, order.currency, number)

    def work(connection: Connection) -> OrderView:
        if order_life.is_close(order, database_now(connection), database.settings):
            holds.lock(connection, order.goods_id, ())
        was_paid = order_life.pay_in_time(connection, order)
        found, _ = _lock_order(connection, order_no)
        if found is None:
            raise Refusal(refusals.ORDER_NOT_FOUND)
        if not was_paid:
            raise Refusal(refusals.ORDER_NOT_PENDING, order_status=found.status)
        _record(connection, event, PAID)
        return found

    paid = _commit(database, event.event_id, work)
    _tell(event, PAID)
    return paid


def list_page(
    database: Database, page: PageRequest, outcome: str | None = None, order_no: str | None = None
) -> Page[AnyRow]:
    """A page of what was told, newest first."""
    query = select(*Payment.__table__.columns)
    if outcome is not None:
        query = query.where(Payment.outcome == outcome)
    if order_no is not None:
        query = query.where(Payment.order_no == order_no)
    newest_first = Sort(Payment.id.expression, Payment.id.expression, descending=True)
    with database.reading() as connection:
        return fetch(connection, query, newest_first, page)


def _commit(database: Database, event_id: str, work: Callable[[Connection], Result]) -> Result:
    def was_committed(connection: Connection, result: Result) -> bool:
        if isinstance(result, _Late):
            return True  # there was nothing to commit
        # A locking read: a plain one could say "absent" while the COMMIT still runs.
        query = select(Payment.id).where(Payment.event_id == event_id).with_for_update()
        return connection.execute(query).one_or_none() is not None

    return run(database, work, deadline_of_request(database.settings.PURCHASE_WAIT_SECONDS), was_committed)


def _settle(connection: Connection, event: PaymentEvent, locked: Locked | None, settings: Settings) -> _Settled | _Late:
    # All events of an order queue at its row, so that each sees what those before it did. Events without an order, or
    # of several, meet at the unique event id: whoever comes second is run again, and finds what the first has recorded.
    order, now = _lock_order(connection, event.order_no)
    seen = connection.execute(select(Payment.outcome).where(Payment.event_id == event.event_id)).scalar_one_or_none()
    if seen is not None:
        return _Settled(seen, is_new=False)
    outcome = _without_effect(connection, event, order)
    if outcome is None:
        assert order is not None
        outcome = _take(connection, order, now, locked, settings)
        if outcome is None:
            return _Late(order)
    _record(connection, event, outcome)
    return _Settled(outcome, is_new=True)


def _without_effect(connection: Connection, event: PaymentEvent, order: OrderView | None) -> str | None:
    """The outcome of an event that changes no order; None for money that is meant for it."""
    if event.type == FAILED:
        return PAYMENT_FAILED
    if order is None:
        return UNKNOWN_ORDER
    if (event.amount, event.currency) != (order.total, order.currency):
        return MISMATCH
    told = select(Payment.order_no).where(Payment.payment_id == event.payment_id, Payment.outcome.in_(_WITH_EFFECT))
    known = set(connection.execute(told).scalars())
    if not known:
        return None
    # The same money for two orders is no repetition: somebody has to find out which of them it is for.
    return REPEATED if order.order_no in known else MISMATCH


def _take(
    connection: Connection, order: OrderView, now: datetime, locked: Locked | None, settings: Settings
) -> str | None:
    """Do what money does to the order, whose row is locked. None, and nothing done, where `locked` is needed for it."""
    may_pay = locked is not None or not order_life.is_close(order, now, settings)
    if order.status == PENDING and may_pay and order_life.pay_in_time(connection, order):
        return PAID
    if order.status == PAID:
        return ALREADY_PAID
    if order.status == REFUND_DUE:
        return REFUND_DUE
    if order.status == CANCELLED:
        # It holds nothing: its own row is all that has to be locked.
        if not orders.move(connection, order.order_no, REFUND_DUE, Order.status == CANCELLED):
            raise RuntimeError("an order changed under its lock")
        events.write(connection, now, [Happening(events.ORDER_REFUND_DUE, order.goods_id, order.order_no)])
        return REFUND_DUE
    return None if locked is None else order_life.receive_late(connection, locked, order).status


def _lock_order(connection: Connection, order_no: str) -> tuple[OrderView | None, datetime]:
    """The order as it stands under its lock, None where there is none, and the database's time after the wait."""
    query = select(*orders.VIEW_COLUMNS, utc_now_after_wait().label("now")).where(Order.order_no == order_no)
    locking = query.with_hint(Order, orders.BY_NUMBER, "mysql").with_hint(Order, orders.BY_NUMBER, "mariadb")
    row = connection.execute(locking.with_for_update()).one_or_none()
    if row is None:
        return None, database_now(connection)
    return orders.view(row, row.now), row.now


def _record(connection: Connection, event: PaymentEvent, outcome: str) -> None:
    values: dict[str, Any] = {name: getattr(event, name) for name in PaymentEvent.__slots__}
    connection.execute(insert(Payment).values(**values, outcome=outcome, received_at=utc_now_after_wait()))


def _tell(event: PaymentEvent, outcome: str) -> None:
    record(lambda: PAYMENTS.labels(outcome).inc())
    if outcome in _FOR_THE_OPERATOR:
        log.warning("payment event %s for order %s: %s", event.event_id, event.order_no, outcome)
