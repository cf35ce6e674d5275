"""Records refunds of orders, by an operator or by an event of the provider, and how payments were resolved.

Nothing here moves money. Each amount is recorded as given back once: docs/payments.md.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from core import refusals
from core.db.clock import deadline_of_request
from core.db.database import AnyRow, Database
from core.db.transaction import run, run_with_default_deadline
from core.events import events
from core.events.events import EventType, NewEvent
from core.orders import holds, orders
from core.orders.holds import Locked
from core.orders.orders import TRANSITIONS, OrderView, Viewer
from core.payments import payment_records
from core.payments.payment_records import WITH_EFFECT, PaymentEvent, PaymentEventType, Resolution
from core.refusals import Refusal
from models import OPEN_OUTCOMES, Order, OrderStatus, PaymentOutcome, PaymentResolution

_MONEY_OF_ITS_OWN = (PaymentResolution.ACCEPTED, PaymentResolution.REFUNDED)


def refund(database: Database, by: str, order_no: str, reference: str, restock: bool) -> OrderView:
    """Record that the money of a paid or refund_due order was given back, under the operator's `reference`.

    With `restock`, a paid order also returns what it holds: units, coupon use, room in the buyer's limit. The same
    reference again changes nothing and returns the order. Raises Refusal order_not_found, or order_not_refundable with
    the order's status.
    """
    order = orders.find(database, Viewer(by, is_admin=True), order_no)

    def work(connection: Connection) -> OrderView:
        locked = holds.lock(connection, order.goods_id, holds.codes_of([order])) if restock else None
        found, now = payment_records.lock_order(connection, order_no)
        if found is None:
            raise Refusal(refusals.ORDER_NOT_FOUND)
        if found.status == OrderStatus.REFUNDED and found.refund_reference == reference:
            return found
        if OrderStatus.REFUNDED not in TRANSITIONS.get(found.status, ()):
            raise Refusal(refusals.ORDER_NOT_REFUNDABLE, order_status=found.status)
        payment = payment_records.to_give_back(connection, found)
        _move(connection, found, now, reference, locked)
        if payment is not None:
            _resolve(connection, payment, Resolution(PaymentResolution.REFUNDED, reference, by))
        refunded, _ = payment_records.lock_order(connection, order_no)
        assert refunded is not None
        return refunded

    return run_with_default_deadline(database, work)


def receive(connection: Connection, event: PaymentEvent, order: OrderView | None, now: datetime) -> str:
    """Apply a `payment.refunded` event to an order whose row is locked. Returns the event's outcome."""
    how = Resolution(PaymentResolution.REFUNDED, event.event_id, None)
    received = payment_records.money_under(connection, event.payment_id)
    if not received:
        return _receive_of_unknown_payment(connection, event, order, now, how)
    claimed = payment_records.claimed(connection, event.payment_id)
    fitting = [
        row
        for row in received
        # Not what names another order for money that is accounted for, unless that was found to be money of its own.
        if _money(row) == event.money
        and (claimed in (None, event.money) or row.outcome in WITH_EFFECT or row.resolution in _MONEY_OF_ITS_OWN)
    ]
    if not fitting:
        return PaymentOutcome.MISMATCH  # a part of the money, or another order's
    if any(row.resolution == PaymentResolution.REFUNDED for row in fitting):
        return PaymentOutcome.REPEATED
    return PaymentOutcome.REFUNDED if _give_back(connection, fitting[0], order, now, how) else PaymentOutcome.REPEATED


def _receive_of_unknown_payment(
    connection: Connection, event: PaymentEvent, order: OrderView | None, now: datetime, how: Resolution
) -> str:
    """Apply a refund event whose payment id has brought no money: some providers give each refund an id of its own.

    The refund is then for the order's total. Such an id, too, has an effect once over all orders.
    """
    claimed = payment_records.claimed(connection, event.payment_id)
    if claimed is not None:
        return PaymentOutcome.REPEATED if claimed == event.money else PaymentOutcome.MISMATCH
    if order is None:
        return PaymentOutcome.UNKNOWN_ORDER
    if (event.amount, event.currency) != (order.total, order.currency):
        return PaymentOutcome.MISMATCH
    if order.status == OrderStatus.REFUNDED and order.refund_reference == event.payment_id:
        return PaymentOutcome.REPEATED
    if OrderStatus.REFUNDED not in TRANSITIONS.get(order.status, ()):
        return PaymentOutcome.MISMATCH
    payment = payment_records.to_give_back(connection, order)
    _move(connection, order, now, event.payment_id)
    if payment is not None:
        _resolve(connection, payment, how)
    payment_records.claim(connection, event.payment_id, event.money)
    return PaymentOutcome.REFUNDED


def resolve(database: Database, row_id: int, how: Resolution) -> AnyRow:
    """Record how an operator resolved a payment that did not fit its order. Returns the payment's row.

    If money owed for a refund_due order was given back, the order becomes `refunded`, with the payment's id as its
    reference. Raises Refusal not_found, or payment_already_resolved with the resolution, also where none is needed.
    """
    known = payment_records.find(database, row_id)
    if known is None:
        raise Refusal(refusals.NOT_FOUND)

    def work(connection: Connection) -> AnyRow:
        order, now = payment_records.lock_order(connection, known.order_no)
        payment = payment_records.lock(connection, row_id)
        if payment is None:
            raise Refusal(refusals.NOT_FOUND)
        # Not by `resolved`: during an upgrade, workers of the previous release leave it empty.
        if payment.resolution is not None or payment.outcome not in OPEN_OUTCOMES:
            raise Refusal(refusals.PAYMENT_ALREADY_RESOLVED, resolution=payment_records.resolution_of(payment))
        is_money = payment.type == PaymentEventType.SUCCEEDED and how.resolution != PaymentResolution.IGNORED
        # The money is accounted for from now on: another event that reports it has no effect.
        if is_money and payment_records.claimed(connection, payment.payment_id) is None:
            payment_records.claim(connection, payment.payment_id, _money(payment))
        if is_money and how.resolution == PaymentResolution.REFUNDED:
            _give_back(connection, payment, order, now, how)
        else:
            _resolve(connection, row_id, how)
        changed = payment_records.lock(connection, row_id)
        assert changed is not None
        return changed

    def was_committed(connection: Connection, row: AnyRow) -> bool:
        now = payment_records.lock(connection, row_id)
        return now is not None and now.resolved_at == row.resolved_at

    return run(database, work, deadline_of_request(database.settings.PURCHASE_WAIT_SECONDS), was_committed)


def _give_back(
    connection: Connection, payment: AnyRow, order: OrderView | None, now: datetime, how: Resolution
) -> bool:
    """Record that a payment's money was given back, and refund its order if this payment paid or is owed for it.

    Returns False where it had been given back before.
    """
    if not payment_records.resolve(connection, payment.id, how):
        return False
    if payment_records.claimed(connection, payment.payment_id) is None:
        payment_records.claim(connection, payment.payment_id, _money(payment))
    is_the_orders = payment.outcome in (PaymentOutcome.PAID, PaymentOutcome.REFUND_DUE)
    if order is not None and is_the_orders and order.status == payment.outcome:
        _move(connection, order, now, payment.payment_id)
    return True


def _move(
    connection: Connection, order: OrderView, now: datetime, reference: str, locked: Locked | None = None
) -> None:
    """Move the order, which the caller has locked, to `refunded`. With `locked` it returns what it holds."""
    gives_back = locked is not None and order.status == OrderStatus.PAID
    values: dict[str, Any] = {"refunded_at": now, "refund_reference": reference}
    if gives_back:
        values["closed_at"] = now
    if not orders.move(connection, order.order_no, OrderStatus.REFUNDED, Order.status == order.status, **values):
        raise RuntimeError("an order changed under its lock")
    new_events = [NewEvent(EventType.ORDER_REFUNDED, order.goods_id, order.order_no)]
    if gives_back and locked is not None:
        new_events += holds.give_back(connection, locked, [order])
    events.write(connection, now, new_events)


def _resolve(connection: Connection, row_id: int, how: Resolution) -> None:
    if not payment_records.resolve(connection, row_id, how):
        raise RuntimeError("a payment changed under its order's lock")


def _money(row: AnyRow) -> payment_records.Money:
    return row.order_no, row.amount, row.currency
