"""Retention: what is deleted after how many days. `flask prune` does it; a setting of 0 keeps for ever.

Rows are deleted in small transactions, the oldest first, beside a running sale. What an audit needs stays: the sum of
an item's changes of stock, and every order that holds units or for which money came. See docs/retention.md.
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
from models import (
    CouponUse,
    DeliveryStatus,
    Event,
    GoodsChange,
    Order,
    OrderStatus,
    Payment,
    PaymentOutcome,
    Sequencer,
    Webhook,
    WebhookDelivery,
)

# Rows that one transaction looks at.
AT_ONCE = 1000
# By how much the last event of an order may be later than the order's own last time: as long as no sweeper was running.
_SLACK = timedelta(days=7)
# Payments that had no effect and wait for nobody.
_WITHOUT_EFFECT = (PaymentOutcome.FAILED, PaymentOutcome.REPEATED)

# Deletes some rows of before a moment; returns how many by their kind in Pruned, and none only where none are left.
_Piece = Callable[[Connection, datetime], Counter[str]]


@dataclass(frozen=True)
class Pruned:
    """How many rows of each kind were deleted."""

    deliveries: int
    events: int
    payments: int
    changes: int
    orders: int


def prune(database: Database, stopping: Callable[[], bool] = lambda: False) -> Pruned:
    """Delete what is older than the settings keep it. Once `stopping`, nothing more is begun.

    Any number of processes may do so at once, and each may be ended at any time. Raises Busy or Unavailable.
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

    # Deliveries go ahead of the events that they tell of.
    for key in subscriptions:
        older(settings.DELIVERIES_KEEP_DAYS, partial(_deliveries, webhook_id=key))
    older(settings.EVENTS_KEEP_DAYS, _events)
    older(settings.PAYMENTS_KEEP_DAYS, _payments)
    for key in items:
        older(settings.CHANGES_KEEP_DAYS, partial(_changes, goods_id=key))
    older(settings.ORDERS_KEEP_DAYS, _orders)
    return Pruned(**{kind.name: deleted[kind.name] for kind in fields(Pruned)})


def _deliveries(connection: Connection, end: datetime, webhook_id: int) -> Counter[str]:
    """Attempts that are over, by the order of their events."""
    mine = (WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.status != DeliveryStatus.PENDING)
    old = select(WebhookDelivery.id).where(*mine, WebhookDelivery.created_at < end)
    # Once more in the DELETE: an operator may have one sent again meanwhile.
    return Counter(deliveries=_delete(connection, WebhookDelivery.id, old.order_by(WebhookDelivery.seq), *mine))


def _events(connection: Connection, end: datetime) -> Counter[str]:
    """The first events, as far as no active subscription still needs one, and the deliveries that tell of them."""
    # Held until COMMIT: nobody subscribes, is switched on or has an event sent again, and no other process prunes.
    held = select(Sequencer.id, Sequencer.pruned_before).with_for_update()
    row = connection.execute(held).one_or_none()
    if row is None:
        return Counter()  # nothing was ever numbered
    first = connection.execute(select(Event.seq, Event.occurred_at).order_by(Event.seq).limit(AT_ONCE)).all()
    needed = _first_needed(connection)
    last = 0
    for event in first:
        if event.occurred_at >= end or (needed is not None and event.seq >= needed):
            break
        last = event.seq
    if not last:
        return Counter()
    webhooks = list(connection.scalars(select(Webhook.id)))
    told = select(WebhookDelivery.id).where(WebhookDelivery.webhook_id.in_(webhooks), WebhookDelivery.seq <= last)
    if deliveries := _delete(connection, WebhookDelivery.id, told):
        return Counter(deliveries=deliveries)  # the events next time: no transaction is to be large
    latest = max(end, row.pruned_before or end, _behind_orders_of(connection, last))
    pruned = update(Sequencer).where(Sequencer.id == row.id)
    connection.execute(pruned.values(pruned_seq=last, pruned_before=latest))
    return Counter(events=connection.execute(delete(Event).where(Event.seq <= last)).rowcount)


def _behind_orders_of(connection: Connection, last: int) -> datetime:
    """A moment after which no order of the events to `last` was placed.

    That is before the events themselves, unless somebody has set a clock: an audit must not miss what was deleted.
    """
    orders = select(func.max(Order.purchased_at)).join(Event, Event.order_no == Order.order_no)
    newest = connection.execute(orders.where(Event.seq <= last)).scalar()
    return newest + timedelta(milliseconds=1) if newest is not None else datetime.min.replace(tzinfo=timezone.utc)


def _first_needed(connection: Connection) -> int | None:
    """The first event that an active subscription has not looked at, or has still to be sent."""
    looked_at = connection.execute(select(func.min(Webhook.after_seq)).where(Webhook.active)).scalar()
    waits = (WebhookDelivery.webhook_id == Webhook.id, WebhookDelivery.status == DeliveryStatus.PENDING)
    sent = select(func.min(WebhookDelivery.seq)).select_from(Webhook).join(WebhookDelivery, waits[0] & waits[1])
    to_send = connection.execute(sent.where(Webhook.active)).scalar()
    return min(
        (seq for seq in (None if looked_at is None else looked_at + 1, to_send) if seq is not None), default=None
    )


def _payments(connection: Connection, end: datetime) -> Counter[str]:
    old = select(Payment.id).where(Payment.outcome.in_(_WITHOUT_EFFECT), Payment.received_at < end)
    return Counter(payments=_delete(connection, Payment.id, old.order_by(Payment.id)))


def _changes(connection: Connection, end: datetime, goods_id: int) -> Counter[str]:
    """An item's old changes become one, the last of them, which keeps the sum of what they did to the stock."""
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
    """Orders that ended without money and hold nothing, once all events that tell of them are gone.

    Their idempotency keys go with them: the same request again is a new one.
    """
    oldest = connection.execute(select(Event.occurred_at).order_by(Event.seq).limit(1)).scalar()
    end = end if oldest is None else min(end, oldest - _SLACK)
    paid = exists().where(Payment.order_no == Order.order_no)
    old = select(Order.id).where(
        Order.status.in_((OrderStatus.CANCELLED, OrderStatus.EXPIRED)), Order.expires_at < end, Order.closed_at < end
    )
    ids = connection.execute(old.where(~paid).limit(AT_ONCE).with_for_update(skip_locked=True)).scalars().all()
    numbers = connection.execute(select(Order.order_no).where(Order.id.in_(ids))).scalars().all()
    connection.execute(delete(CouponUse).where(CouponUse.order_no.in_(numbers)))
    return Counter(orders=connection.execute(delete(Order).where(Order.id.in_(ids))).rowcount if ids else 0)


def _delete(
    connection: Connection, key: InstrumentedAttribute[int], some: Select[Any], *still: ColumnElement[bool]
) -> int:
    """Delete AT_ONCE of the rows that `some` finds, by their keys, where they are `still` so.

    MySQL takes no LIMIT in a subquery of IN.
    """
    ids = connection.execute(some.limit(AT_ONCE)).scalars().all()
    return connection.execute(delete(key.class_).where(key.in_(ids), *still)).rowcount if ids else 0
