"""Deletes rows older than the settings keep them (`flask prune`); a setting of 0 keeps them for ever.

Rows are deleted in small transactions, the oldest first, beside a running sale. Rows that an audit needs are kept: the
sum of an item's stock changes, and every order that holds units or received money. See docs/retention.md.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, exists, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from core.db.clock import Deadline, database_now
from core.db.database import Database
from core.db.transaction import run
from core.events import sequencer
from models import (
    CouponUse,
    DeliveryStatus,
    Event,
    GoodsChange,
    Order,
    OrderStatus,
    Outbox,
    Payment,
    PaymentOutcome,
    SaleFigures,
    Sequencer,
    Webhook,
    WebhookDelivery,
)

# The maximum number of rows of one transaction.
AT_ONCE = 1000
# Seconds for which events are numbered first, at most.
_NUMBER_SECONDS = 60.0
# An order's last event may be this much later than the order's last time: for so long no sweeper may have run.
_SLACK = timedelta(days=7)
# Outcomes of payments without an effect that no operator has to resolve.
_WITHOUT_EFFECT = (PaymentOutcome.FAILED, PaymentOutcome.REPEATED)

# Deletes some rows older than a moment; returns their number by kind (Pruned), and zero only if none are left.
_Piece = Callable[[Connection, datetime], Counter[str]]


@dataclass(frozen=True)
class Pruned:
    """The number of deleted rows of each kind."""

    deliveries: int
    events: int
    payments: int
    changes: int
    orders: int
    figures: int


def prune(database: Database, stopping: Callable[[], bool] = lambda: False) -> Pruned:
    """Delete rows older than the settings keep them. Once `stopping`, it begins nothing more.

    Any number of processes may run it at once, and each may be killed at any time. Raises Busy or Unavailable.
    """
    settings = database.settings
    with database.reading() as connection:
        now = database_now(connection)
        subscriptions = list(connection.scalars(select(Webhook.id).order_by(Webhook.id)))
        items = list(connection.scalars(select(GoodsChange.goods_id).distinct().order_by(GoodsChange.goods_id)))

    deleted: Counter[str] = Counter()

    def older(days: int, piece: _Piece) -> None:
        end = now - timedelta(days=days)
        while days and not stopping():
            deadline = Deadline(settings.PURCHASE_WAIT_SECONDS)
            some = run(database, lambda connection: piece(connection, end), deadline)
            if not some.total():
                break
            deleted.update(some)

    # Where no publisher runs, events wait in the outbox, from which nothing is deleted.
    if not stopping():
        sequencer.number(database, _NUMBER_SECONDS, stopping=stopping)
    # Deliveries are deleted before their events.
    for key in subscriptions:
        older(settings.DELIVERIES_KEEP_DAYS, partial(_deliveries, webhook_id=key))
    older(settings.EVENTS_KEEP_DAYS, _events)
    older(settings.PAYMENTS_KEEP_DAYS, _payments)
    for key in items:
        older(settings.CHANGES_KEEP_DAYS, partial(_changes, goods_id=key))
    older(settings.ORDERS_KEEP_DAYS, _orders)
    older(settings.FIGURES_KEEP_DAYS, _figures)
    return Pruned(**{kind.name: deleted[kind.name] for kind in fields(Pruned)})


def _deliveries(connection: Connection, end: datetime, webhook_id: int) -> Counter[str]:
    """Finished deliveries, in the order of their events."""
    mine = (WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.status != DeliveryStatus.PENDING)
    old = select(WebhookDelivery.id).where(*mine, WebhookDelivery.created_at < end)
    # The DELETE repeats the condition: an operator may have retried one meanwhile.
    return Counter(deliveries=delete_some(connection, WebhookDelivery.id, old.order_by(WebhookDelivery.seq), *mine))


def _events(connection: Connection, end: datetime) -> Counter[str]:
    """The oldest events, up to the first that an active subscription still needs, and their deliveries."""
    # Held until COMMIT: excludes new subscriptions, their activation, retries, and other processes that prune.
    held = select(Sequencer.id, Sequencer.pruned_before).with_for_update()
    row = connection.execute(held).one_or_none()
    if row is None:
        return Counter()  # nothing was ever numbered
    first = connection.execute(select(Event.seq, Event.occurred_at).order_by(Event.seq).limit(AT_ONCE)).all()
    needed = first_needed(connection)
    last = 0
    for event in first:
        if event.occurred_at >= end or (needed is not None and event.seq >= needed):
            break
        last = event.seq
    if not last:
        return Counter()
    webhooks = list(connection.scalars(select(Webhook.id)))
    ids = select(WebhookDelivery.id).where(WebhookDelivery.webhook_id.in_(webhooks), WebhookDelivery.seq <= last)
    if deliveries := delete_some(connection, WebhookDelivery.id, ids):
        return Counter(deliveries=deliveries)  # the events in a further transaction: each is to be small
    latest = max(end, row.pruned_before or end, _behind_orders_of(connection, last))
    pruned = update(Sequencer).where(Sequencer.id == row.id)
    connection.execute(pruned.values(pruned_seq=last, pruned_before=latest))
    return Counter(events=connection.execute(delete(Event).where(Event.seq <= last)).rowcount)


def _behind_orders_of(connection: Connection, last: int) -> datetime:
    """A moment after which no order of the events up to `last` was placed.

    It is earlier than the events, unless a clock was set: the audit must know which orders may lack events.
    """
    orders = select(func.max(Order.purchased_at)).join(Event, Event.order_no == Order.order_no)
    newest = connection.execute(orders.where(Event.seq <= last)).scalar()
    return newest + timedelta(milliseconds=1) if newest is not None else datetime.min.replace(tzinfo=timezone.utc)


def first_needed(connection: Connection) -> int | None:
    """The first event that an active subscription has no delivery for yet, or a pending one."""
    looked_at = connection.execute(select(func.min(Webhook.after_seq)).where(Webhook.active)).scalar()
    waits = (WebhookDelivery.webhook_id == Webhook.id, WebhookDelivery.status == DeliveryStatus.PENDING)
    sent = select(func.min(WebhookDelivery.seq)).select_from(Webhook).join(WebhookDelivery, waits[0] & waits[1])
    to_send = connection.execute(sent.where(Webhook.active)).scalar()
    return min(
        (seq for seq in (None if looked_at is None else looked_at + 1, to_send) if seq is not None), default=None
    )


def _payments(connection: Connection, end: datetime) -> Counter[str]:
    old = select(Payment.id).where(Payment.outcome.in_(_WITHOUT_EFFECT), Payment.received_at < end)
    return Counter(payments=delete_some(connection, Payment.id, old.order_by(Payment.id)))


def _changes(connection: Connection, end: datetime, goods_id: int) -> Counter[str]:
    """Merge an item's old changes into the last of them, which keeps the sum of their stock changes."""
    first = select(GoodsChange.id, GoodsChange.stock_delta).where(
        GoodsChange.goods_id == goods_id, GoodsChange.changed_at < end
    )
    rows = connection.execute(first.order_by(GoodsChange.id).limit(AT_ONCE).with_for_update()).all()
    if len(rows) < 2:
        return Counter()
    *others, last = rows
    total = sum(row.stock_delta for row in rows)
    connection.execute(update(GoodsChange).where(GoodsChange.id == last.id).values(stock_delta=total))
    gone = delete(GoodsChange).where(GoodsChange.id.in_([row.id for row in others]))
    return Counter(changes=connection.execute(gone).rowcount)


def _orders(connection: Connection, end: datetime) -> Counter[str]:
    """Orders that ended without a payment and hold nothing, once all their events are deleted.

    Their idempotency keys are deleted with them: the same request again is a new one.
    """
    for oldest in (
        select(Event.occurred_at).order_by(Event.seq),
        select(Outbox.occurred_at).order_by(Outbox.id),
    ):
        if (moment := connection.execute(oldest.limit(1)).scalar()) is not None:
            end = min(end, moment - _SLACK)
    paid = exists().where(Payment.order_no == Order.order_no)
    old = select(Order.id).where(
        Order.status.in_((OrderStatus.CANCELLED, OrderStatus.EXPIRED)), Order.expires_at < end, Order.closed_at < end
    )
    ids = connection.execute(old.where(~paid).limit(AT_ONCE).with_for_update(skip_locked=True)).scalars().all()
    numbers = connection.execute(select(Order.order_no).where(Order.id.in_(ids))).scalars().all()
    connection.execute(delete(CouponUse).where(CouponUse.order_no.in_(numbers)))
    return Counter(orders=connection.execute(delete(Order).where(Order.id.in_(ids))).rowcount if ids else 0)


def _figures(connection: Connection, end: datetime) -> Counter[str]:
    """The oldest of what workers counted, whole seconds of all items at once."""
    old = select(SaleFigures.at).where(SaleFigures.at < end).order_by(SaleFigures.at).limit(AT_ONCE)
    last = connection.execute(select(func.max(old.subquery().c.at))).scalar()
    if last is None:
        return Counter()
    return Counter(figures=connection.execute(delete(SaleFigures).where(SaleFigures.at <= last)).rowcount)


def delete_some(
    connection: Connection, key: InstrumentedAttribute[int], some: Select[Any], *still: ColumnElement[bool]
) -> int:
    """Delete AT_ONCE of the rows that `some` finds, by their keys, where they are `still` so.

    MySQL takes no LIMIT in a subquery of IN.
    """
    ids = connection.execute(some.limit(AT_ONCE)).scalars().all()
    return connection.execute(delete(key.class_).where(key.in_(ids), *still)).rowcount if ids else 0
