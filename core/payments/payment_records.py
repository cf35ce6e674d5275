"""The table `payments`: the provider's events, the outcome of each, and how an operator resolved it.

All rows of an order are written under the order's lock (`lock_order`), so that each writer sees the earlier ones.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update

from core.db.clock import Deadline, database_now, utc_now_after_wait
from core.db.database import AnyRow, Database
from core.db.paging import Page, PageRequest, Sort, fetch, unindexed
from core.orders import orders
from core.orders.orders import OrderView
from models import OPEN_OUTCOMES, Order, Payment, PaymentClaim, PaymentOutcome, PaymentResolution


class PaymentEventType(StrEnum):
    """The types of provider events that have an effect; others are ignored."""

    SUCCEEDED = "payment.succeeded"
    FAILED = "payment.failed"
    REFUNDED = "payment.refunded"


# Outcomes of money that paid an order or is owed back. A payment has one of them at most once (`claim`).
WITH_EFFECT = (PaymentOutcome.PAID, PaymentOutcome.REFUND_DUE, PaymentOutcome.ALREADY_PAID)
# Outcomes of events of type SUCCEEDED that report received money.
OF_MONEY = (*WITH_EFFECT, PaymentOutcome.MISMATCH, PaymentOutcome.UNKNOWN_ORDER)

# The resolution of payments that no operator has to resolve.
_RESOLVED_BY_ITSELF: Mapping[str, PaymentResolution] = {
    PaymentOutcome.PAID: PaymentResolution.ACCEPTED,
    PaymentOutcome.FAILED: PaymentResolution.IGNORED,
    PaymentOutcome.REPEATED: PaymentResolution.IGNORED,
    PaymentOutcome.REFUNDED: PaymentResolution.REFUNDED,
}

READ_AT_ONCE = 500
Money = tuple[str, int, str]  # the order it is for, amount in the currency's minor unit, currency


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """An event of the payment provider. `type` is a PaymentEventType, `amount` is in the currency's minor unit."""

    event_id: str
    type: str
    order_no: str
    amount: int
    currency: str
    payment_id: str

    @property
    def money(self) -> Money:
        return self.order_no, self.amount, self.currency

    @property
    def content(self) -> tuple[str, str, int, str, str]:
        """All fields but the id. An event id has an effect for its first content only."""
        return self.type, *self.money, self.payment_id

    @property
    def digest(self) -> str:
        """The SHA-256 of the content, in hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a payment was resolved. `by` is the operator, or None for an event of the provider."""

    resolution: str
    note: str | None
    by: str | None


def lock_order(connection: Connection, order_no: str) -> tuple[OrderView | None, datetime]:
    """Lock the order and read it. Returns it, or None where there is none, and the database's time after the wait."""
    query = select(*orders.VIEW_COLUMNS, utc_now_after_wait().label("now")).where(Order.order_no == order_no)
    row = connection.execute(query.with_hint(Order, orders.BY_NUMBER).with_for_update()).one_or_none()
    if row is None:
        return None, database_now(connection)
    return orders.view(row, row.now), row.now


def recorded_under(connection: Connection, event_id: str, lock: bool = False) -> Sequence[AnyRow]:
    """The rows recorded under an event id, with `outcome` and the fields of PaymentEvent."""
    columns = [getattr(Payment, name) for name in PaymentEvent.__slots__]
    query = select(*columns, Payment.outcome).where(Payment.event_id == event_id).order_by(Payment.id)
    return connection.execute(query.with_for_update() if lock else query).all()


def is_same(row: AnyRow, event: PaymentEvent) -> bool:
    """Whether a row of `recorded_under` has the content of `event`."""
    return event.content == (row.type, row.order_no, row.amount, row.currency, row.payment_id)


def record(connection: Connection, event: PaymentEvent, outcome: str, is_first: bool = True) -> None:
    """Insert an event's row. Of concurrent transactions with the first row of an event id, only one can commit."""
    values: dict[str, Any] = {name: getattr(event, name) for name in PaymentEvent.__slots__}
    connection.execute(
        insert(Payment).values(
            **values,
            outcome=outcome,
            received_at=utc_now_after_wait(),
            variant="" if is_first else event.digest,
            resolved=False if outcome in OPEN_OUTCOMES else None,
        )
    )


def claimed(connection: Connection, payment_id: str) -> Money | None:
    """The order, amount and currency of the payment's claim; None where it has none."""
    columns = PaymentClaim.order_no, PaymentClaim.amount, PaymentClaim.currency
    row = connection.execute(select(*columns).where(PaymentClaim.payment_id == payment_id)).one_or_none()
    return None if row is None else (row.order_no, row.amount, row.currency)


def claim(connection: Connection, payment_id: str, money: Money) -> None:
    """Claim the payment's effect. Of concurrent transactions that claim one `payment_id`, only one can commit."""
    order_no, amount, currency = money
    connection.execute(
        insert(PaymentClaim).values(payment_id=payment_id, order_no=order_no, amount=amount, currency=currency)
    )


def money_under(connection: Connection, payment_id: str) -> Sequence[AnyRow]:
    """The rows of received money under a payment's id, those with an effect first."""
    query = select(*Payment.__table__.columns).where(
        Payment.payment_id == payment_id, Payment.type == PaymentEventType.SUCCEEDED, Payment.outcome.in_(OF_MONEY)
    )
    return connection.execute(query.order_by(Payment.outcome.not_in(WITH_EFFECT), Payment.id)).all()


def to_give_back(connection: Connection, order: OrderView) -> int | None:
    """The id of the payment that a refund of the order returns: the one that paid it, or the first that is owed back.

    None where no money was received for the order, as with a total of 0.
    """
    query = select(Payment.id).where(
        Payment.order_no == order.order_no,
        Payment.type == PaymentEventType.SUCCEEDED,
        Payment.outcome == order.status,
        or_(Payment.resolution.is_(None), Payment.resolution != PaymentResolution.REFUNDED),
    )
    return connection.execute(query.order_by(Payment.resolution.is_not(None), Payment.id)).scalars().first()


def lock(connection: Connection, row_id: int) -> AnyRow | None:
    """Lock a payment's row and read it; None where there is none."""
    query = select(*Payment.__table__.columns).where(Payment.id == row_id)
    return connection.execute(query.with_for_update()).one_or_none()


def resolve(connection: Connection, row_id: int, how: Resolution) -> bool:
    """Record how a payment was resolved, unless its money was already given back. Returns whether it was recorded."""
    noted = (
        update(Payment)
        .where(
            Payment.id == row_id, or_(Payment.resolution.is_(None), Payment.resolution != PaymentResolution.REFUNDED)
        )
        .values(
            resolved=True,
            resolution=how.resolution,
            note=how.note,
            resolved_at=utc_now_after_wait(),
            resolved_by=how.by,
        )
    )
    return connection.execute(noted).rowcount == 1


def resolution_of(row: AnyRow) -> str:
    """The resolution of a payment that is resolved or needs none."""
    resolution: str = row.resolution or _RESOLVED_BY_ITSELF[row.outcome]
    return resolution


def find(database: Database, row_id: int) -> AnyRow | None:
    with database.reading() as connection:
        return connection.execute(select(*Payment.__table__.columns).where(Payment.id == row_id)).one_or_none()


def every(database: Database) -> Iterator[AnyRow]:
    """All payments, the oldest first, read in pages: one that is recorded meanwhile may be missing. Raises Busy or
    Unavailable.
    """
    last = 0
    while True:
        query = select(*Payment.__table__.columns).where(Payment.id > last).order_by(Payment.id).limit(READ_AT_ONCE)
        with database.reading(Deadline(database.settings.PURCHASE_WAIT_SECONDS)) as connection:
            rows = connection.execute(query).all()
        yield from rows
        if len(rows) < READ_AT_ONCE:
            return
        last = rows[-1].id


def list_page(
    database: Database,
    page: PageRequest,
    outcome: str | None = None,
    order_no: str | None = None,
    resolved: bool | None = None,
) -> Page[AnyRow]:
    """A page of payments, newest first.

    `resolved` False: those that an operator has yet to resolve; True: those resolved or given back.
    """
    query = select(*Payment.__table__.columns)
    index = "PRIMARY"
    of_outcome: ColumnElement[Any] = Payment.outcome.expression
    of_resolved: ColumnElement[Any] = Payment.resolved.expression
    if order_no is not None:  # it has few payments, among which the others are looked for
        of_outcome, of_resolved = unindexed(Payment.outcome), unindexed(Payment.resolved)
    if resolved is not None:
        query, index = query.where(of_resolved == resolved), "payments_resolved"
    if outcome is not None:
        query = query.where(of_outcome == outcome)
        index = "payments_outcome" if resolved is None else "payments_outcome_resolved"
    if order_no is not None:
        query, index = query.where(Payment.order_no == order_no), "payments_order"
    # Left to its statistics, the server may read the whole table from its end when few rows match.
    query = query.with_hint(Payment, f"FORCE INDEX ({index})")
    newest_first = Sort(Payment.id.expression, Payment.id.expression, descending=True)
    with database.reading() as connection:
        return fetch(connection, query, newest_first, page)
