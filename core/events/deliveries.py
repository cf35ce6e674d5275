"""The deliveries of events to subscribers: creates them, claims those that are due, and records each attempt.

An attempt is claimed in one transaction, made outside of any, and recorded in another. If the process dies in between,
the claim times out and the event is sent again under the same id. All times are the database's.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, exists, func, insert, literal, or_, select, update

from core.db.clock import database_now, utc_now
from core.db.database import AnyRow, Database
from core.db.transaction import run_with_default_deadline
from core.events.webhook_call import Answer, DeliveryError
from models import DeliveryStatus, Event, Outbox, RemovedWebhook, Webhook, WebhookDelivery

# Seconds until the next attempt, by the number of failed ones; the last value is for all further attempts.
BACK_OFF = (5, 30, 120, 600, 1800, 3600, 7200)
GIVE_UP = timedelta(days=3)
# Longer than the attempts of one claim take, even if they take the longest time.
LEASE = timedelta(seconds=90)
CLAIMED_AT_ONCE = 10
FANNED_OUT_AT_ONCE = 1000
_JITTER = 0.2


@dataclass(frozen=True)
class Waiting:
    """Which kinds of work are pending."""

    events: bool
    subscribers: bool
    removed: bool


@dataclass(frozen=True)
class Claim:
    """Deliveries to one subscriber, claimed at `now` for this process until `lease_ends`.

    Each message is signed with each of `secrets`, the newest first.
    """

    webhook_id: int
    url: str
    secrets: Sequence[str]
    rows: Sequence[AnyRow]
    now: datetime
    lease_ends: datetime


def waiting(database: Database) -> Waiting:
    """Which kinds of work are pending: one cheap query, the only one of an idle publisher."""
    removed = exists(select(RemovedWebhook.webhook_id))
    look = select(
        exists(select(Outbox.id)),
        exists(select(Webhook.id).where(Webhook.active)),
        removed,
    )
    with database.reading() as connection:
        return Waiting(*(bool(found) for found in connection.execute(look).one()))


def behind(database: Database) -> list[int]:
    """The subscriptions whose events have not all been fanned out, the one furthest behind first."""
    newest = select(func.max(Event.seq)).scalar_subquery()
    with database.reading() as connection:
        some = select(Webhook.id).where(Webhook.active, Webhook.after_seq < newest).order_by(Webhook.after_seq)
        return list(connection.scalars(some))


def fan_out(database: Database, webhook_id: int) -> bool:
    """Create deliveries for the next events of a subscription, a bounded number. Returns whether there may be more."""

    def work(connection: Connection) -> bool:
        # If the row is locked, another process is doing this work.
        query = select(Webhook.after_seq, Webhook.types).where(Webhook.id == webhook_id, Webhook.active)
        row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
        if row is None:
            return False
        some = select(Event.seq).where(Event.seq > row.after_seq).order_by(Event.seq).limit(FANNED_OUT_AT_ONCE)
        count, last = connection.execute(select(func.count(), func.max(some.subquery().c.seq))).one()
        if not count:
            return False
        wanted = select(literal(webhook_id), Event.seq, literal(DeliveryStatus.PENDING), utc_now(), utc_now())
        wanted = wanted.where(Event.seq > row.after_seq, Event.seq <= last).order_by(Event.seq)
        if row.types is not None:
            wanted = wanted.where(Event.type.in_(row.types))
        columns = ("webhook_id", "seq", "status", "next_attempt_at", "created_at")
        connection.execute(insert(WebhookDelivery).from_select(columns, wanted))
        moved = update(Webhook).where(Webhook.id == webhook_id, Webhook.after_seq == row.after_seq)
        if connection.execute(moved.values(after_seq=last)).rowcount != 1:
            raise RuntimeError("a subscription moved under its lock")
        return bool(count == FANNED_OUT_AT_ONCE)

    return run_with_default_deadline(database, work)


def due(database: Database) -> list[int]:
    """The subscriptions with a delivery that is due now."""
    mine = WebhookDelivery.webhook_id == Webhook.id
    now = exists().where(
        mine, WebhookDelivery.status == DeliveryStatus.PENDING, WebhookDelivery.next_attempt_at <= utc_now()
    )
    with database.reading() as connection:
        return list(connection.scalars(select(Webhook.id).where(Webhook.active, now)))


def claim(database: Database, webhook_id: int) -> Claim | None:
    """Claim the deliveries to a subscriber that are due, at most CLAIMED_AT_ONCE; None where there are none."""
    ours = (WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.status == DeliveryStatus.PENDING)
    query = (
        select(WebhookDelivery.id, WebhookDelivery.seq, WebhookDelivery.attempts, WebhookDelivery.created_at)
        .with_hint(WebhookDelivery, "FORCE INDEX (webhook_deliveries_due)")
        .where(*ours, WebhookDelivery.next_attempt_at <= utc_now())
        .order_by(WebhookDelivery.next_attempt_at, WebhookDelivery.id)
        .limit(CLAIMED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    valid = or_(Webhook.old_secret_ends_at.is_(None), Webhook.old_secret_ends_at > utc_now())
    old = case((valid, Webhook.old_secret), else_=None).label("old_secret")
    subscriber = select(Webhook.url, Webhook.secret, old).where(Webhook.id == webhook_id, Webhook.active)

    def work(connection: Connection) -> Claim | None:
        rows = connection.execute(query).all()
        found = connection.execute(subscriber).one_or_none()
        if not rows or found is None:
            return None
        now = database_now(connection)
        lease_ends = now + LEASE
        still_due = (WebhookDelivery.id.in_([row.id for row in rows]), WebhookDelivery.next_attempt_at <= now)
        taken = update(WebhookDelivery).where(*ours, *still_due)
        if connection.execute(taken.values(next_attempt_at=lease_ends)).rowcount != len(rows):
            raise RuntimeError("a delivery was taken under its lock")
        return Claim(
            webhook_id, found.url, tuple(filter(None, (found.secret, found.old_secret))), rows, now, lease_ends
        )

    return run_with_default_deadline(database, work)


def note(database: Database, taken: Claim, row: AnyRow, answer: Answer) -> str:
    """Record the result of an attempt. Returns the delivery's status after it."""

    def work(connection: Connection) -> str:
        now = database_now(connection)
        if answer.error == DeliveryError.GONE:
            switch_off = update(Webhook).where(Webhook.id == taken.webhook_id, Webhook.active)
            connection.execute(switch_off.values(active=False, version=Webhook.version + 1, updated_at=now))
        result = {"last_attempt_at": now, "last_status": answer.status, "last_error": answer.error}
        values = {**result, "attempts": WebhookDelivery.attempts + 1}
        mine = update(WebhookDelivery).where(
            WebhookDelivery.id == row.id, WebhookDelivery.status == DeliveryStatus.PENDING
        )
        if answer.error is None:
            # It has arrived, even if another process has claimed it meanwhile.
            connection.execute(mine.values(**values, status=DeliveryStatus.DELIVERED, delivered_at=now))
            return DeliveryStatus.DELIVERED
        again = now + timedelta(seconds=pause(row.attempts + 1))
        given_up = answer.error == DeliveryError.GONE or again > row.created_at + GIVE_UP
        status = DeliveryStatus.FAILED if given_up else DeliveryStatus.PENDING
        ours = mine.where(WebhookDelivery.next_attempt_at == taken.lease_ends)
        connection.execute(ours.values(**values, status=status, next_attempt_at=again))
        return status

    return run_with_default_deadline(database, work)


def hand_back(database: Database, taken: Claim, rows: Sequence[AnyRow], seconds: float) -> None:
    """Release the claim on deliveries that were not attempted; they are due again after `seconds`."""

    def work(connection: Connection) -> None:
        ours = update(WebhookDelivery).where(
            WebhookDelivery.id.in_([row.id for row in rows]),
            WebhookDelivery.status == DeliveryStatus.PENDING,
            WebhookDelivery.next_attempt_at == taken.lease_ends,
        )
        connection.execute(ours.values(next_attempt_at=database_now(connection) + timedelta(seconds=seconds)))

    if rows:
        run_with_default_deadline(database, work)


def pause(failed: int) -> float:
    """Seconds until the next attempt after `failed` failures: the back-off plus jitter."""
    return BACK_OFF[min(failed, len(BACK_OFF)) - 1] * random.uniform(1, 1 + _JITTER)  # noqa: S311 (no secret)
