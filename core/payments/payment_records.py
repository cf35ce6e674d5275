"""The rows of payments: what was told of money, what came of it, and what was done about what did not fit.

All rows of an order are written under its row's lock (`lock_order`), so each writer sees those before it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from core.db.clock import database_now, utc_now_after_wait
from core.db.database import AnyRow, Database
from core.db.paging import Page, PageRequest, Sort, fetch
from core.orders import orders
from core.orders.orders import OrderView
from models import OPEN_OUTCOMES, Order, Payment, PaymentClaim, PaymentOutcome, PaymentResolution


class PaymentEventType(StrEnum):
    """The types of provider events that have an effect; others are ignored."""

    SUCCEEDED = "payment.succeeded"
    FAILED = "payment.failed"
    REFUNDED = "payment.refunded"


# The payment did something to its order, or is to be given back: it does so once, and has a claim (`claim`).
WITH_EFFECT = (PaymentOutcome.PAID, PaymentOutcome.REFUND_DUE, PaymentOutcome.ALREADY_PAID)
# Events of money that came in, if their type is SUCCEEDED.
OF_MONEY = (*WITH_EFFECT, PaymentOutcome.MISMATCH, PaymentOutcome.UNKNOWN_ORDER)

# What a payment that nobody has to look after counts as.
_RESOLVED_BY_ITSELF: Mapping[str, PaymentResolution] = {
    PaymentOutcome.PAID: PaymentResolution.ACCEPTED,
    PaymentOutcome.FAILED: PaymentResolution.IGNORED,
    PaymentOutcome.REPEATED: PaymentResolution.IGNORED,
    PaymentOutcome.REFUNDED: PaymentResolution.REFUNDED,
}

Money = tuple[str, int, str]  # the order it is for, amount in the currency's minor unit, currency


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """What a provider told: `type` is a PaymentEventType, `amount` in the currency's minor unit."""

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
        """All but the id: an event id has its effect for one content."""
        return self.type, *self.money, self.payment_id

    @property
    def digest(self) -> str:
        """The same for two events exactly if their contents are: SHA-256, in hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was done about a payment. `by` is None where the provider told of it."""

    resolution: str
    note: str | None
    by: str | None


def lock_order(connection: Connection, order_no: str) -> tuple[OrderView | None, datetime]:
    """The order as it stands under its lock, None where there is none, and the database's time after the wait."""
    query = select(*orders.VIEW_COLUMNS, utc_now_after_wait().label("now")).where(Order.order_no == order_no)
    locking = query.with_hint(Order, orders.BY_NUMBER, "mysql").with_hint(Order, orders.BY_NUMBER, "mariadb")
    row = connection.execute(locking.with_for_update()).one_or_none()
    if row is None:
        return None, database_now(connection)
    return orders.view(row, row.now), row.now


def told_under(connection: Connection, event_id: str, lock: bool = False) -> Sequence[AnyRow]:
    """What an event id told so far: rows with `outcome` and the members of PaymentEvent."""
    columns = [getattr(Payment, name) for name in PaymentEvent.__slots__]
    query = select(*columns, Payment.outcome).where(Payment.event_id == event_id).order_by(Payment.id)
    return connection.execute(query.with_for_update() if lock else query).all()


def is_same(row: AnyRow, event: PaymentEvent) -> bool:
    """Whether a row of `told_under` has the content of `event`."""
    return event.content == (row.type, row.order_no, row.amount, row.currency, row.payment_id)


def record(connection: Connection, event: PaymentEvent, outcome: str, is_first: bool = True) -> None:
    """Write an event's row. Of several transactions with the first content of an event id, one can commit."""
    told: dict[str, Any] = {name: getattr(event, name) for name in PaymentEvent.__slots__}
    connection.execute(
        insert(Payment).values(
            **told,
            outcome=outcome,
            received_at=utc_now_after_wait(),
            variant="" if is_first else event.digest,
            resolved=False if outcome in OPEN_OUTCOMES else None,
        )
    )


def claimed(connection: Connection, payment_id: str) -> Money | None:
    """What the payment had its effect on; None where it had none yet."""
    columns = PaymentClaim.order_no, PaymentClaim.amount, PaymentClaim.currency
    row = connection.execute(select(*columns).where(PaymentClaim.payment_id == payment_id)).one_or_none()
    return None if row is None else (row.order_no, row.amount, row.currency)


def claim(connection: Connection, payment_id: str, money: Money) -> None:
    """Let the payment have its effect. Of several transactions that do so for one `payment_id`, one can commit."""
    order_no, amount, currency = money
    connection.execute(
        insert(PaymentClaim).values(payment_id=payment_id, order_no=order_no, amount=amount, currency=currency)
    )


def money_under(connection: Connection, payment_id: str) -> Sequence[AnyRow]:
    """The rows of money that came in under a payment's id, those with an effect first."""
    query = select(*Payment.__table__.columns).where(
        Payment.payment_id == payment_id, Payment.type == PaymentEventType.SUCCEEDED, Payment.outcome.in_(OF_MONEY)
    )
    return connection.execute(query.order_by(Payment.outcome.not_in(WITH_EFFECT), Payment.id)).all()


def to_give_back(connection: Connection, order: OrderView) -> int | None:
    """The id of the payment that a refund of the order gives back: the one that paid it, or the first that is owed.

    None where no money came for the order, as for one with a total of 0.
    """
    query = select(Payment.id).where(
        Payment.order_no == order.order_no,
        Payment.type == PaymentEventType.SUCCEEDED,
        Payment.outcome == order.status,
        or_(Payment.resolution.is_(None), Payment.resolution != PaymentResolution.REFUNDED),
    )
    return connection.execute(query.order_by(Payment.resolution.is_not(None), Payment.id)).scalars().first()


def lock(connection: Connection, row_id: int) -> AnyRow | None:
    """A payment's row, under its lock."""
    query = select(*Payment.__table__.columns).where(Payment.id == row_id)
    return connection.execute(query.with_for_update()).one_or_none()


def resolve(connection: Connection, row_id: int, how: Resolution) -> bool:
    """Note what was done about a payment. Money that was given back stays so; whether it was noted."""
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
    """What a payment counts as that is resolved, or needs no resolution."""
    resolution: str = row.resolution or _RESOLVED_BY_ITSELF[row.outcome]
    return resolution


def find(database: Database, row_id: int) -> AnyRow | None:
    with database.reading() as connection:
        return connection.execute(select(*Payment.__table__.columns).where(Payment.id == row_id)).one_or_none()


def list_page(
    database: Database,
    page: PageRequest,
    outcome: str | None = None,
    order_no: str | None = None,
    resolved: bool | None = None,
) -> Page[AnyRow]:
    """A page of what was told, newest first.

    `resolved` False: what somebody has yet to look after; True: what was resolved, or given back.
    """
    query = select(*Payment.__table__.columns)
    index = "PRIMARY"
    if resolved is not None:
        query, index = query.where(Payment.resolved == resolved), "payments_resolved"
    if outcome is not None:
        query = query.where(Payment.outcome == outcome)
        index = "payments_outcome" if resolved is None else "payments_outcome_resolved"
    if order_no is not None:
        query, index = query.where(Payment.order_no == order_no), "payments_order"
    # By chance of its statistics the server would read the table from its end, to the last row if few fit.
    for dialect in ("mysql", "mariadb"):
        query = query.with_hint(Payment, f"FORCE INDEX ({index})", dialect)
    newest_first = Sort(Payment.id.expression, Payment.id.expression, descending=True)
    with database.reading() as connection:
        return fetch(connection, query, newest_first, page)
