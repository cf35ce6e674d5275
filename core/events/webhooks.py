"""Subscriptions to events, and the log of the deliveries to each, as administrators read and change them."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from core import refusals
from core.db.clock import database_now, utc_now
from core.db.database import AnyRow, Database
from core.db.paging import BY_ID, Page, PageRequest, Sort, fetch
from core.db.transaction import run_with_default_deadline
from core.db.versioned_table import VersionedTable, differing
from core.events import event_log, url_policy
from core.refusals import InvalidField, Refusal
from models import DeliveryStatus, Event, RemovedWebhook, Sequencer, Webhook, WebhookDelivery

MOST = 100
_SECRET_BYTES = 32
DELETED_AT_ONCE = 1000

_table = VersionedTable(
    Webhook,
    refusals.NOT_FOUND,
    columns=[column for column in Webhook.__table__.columns if column.name not in ("secret", "old_secret")],
)


def list_page(database: Database, page: PageRequest, active: bool | None = None) -> Page[AnyRow]:
    """A page of subscriptions, the oldest first, without their secrets."""
    query = _table.select()
    if active is not None:
        query = query.where(Webhook.active == active)
    key = Webhook.id.expression
    with database.reading() as connection:
        return fetch(connection, query, Sort(key, key), page)


def find(database: Database, webhook_id: int) -> AnyRow:
    """A subscription, without its secret. Raises Refusal not_found."""
    return _table.find(database, webhook_id)


def check_url(database: Database, url: str) -> None:
    """Raise InvalidField for a URL that the policy forbids. It waits for DNS: never call it in a transaction."""
    url_policy.check(url, database.settings.WEBHOOKS_TO_PRIVATE)


def prepare(database: Database, url: str) -> None:
    """Prepare `create`: check the URL, and number all events so far. Raises InvalidField or Busy."""
    check_url(database, url)
    event_log.catch_up(database)


def create(database: Database, url: str, types: Sequence[str] | None, active: bool) -> tuple[AnyRow, str]:
    """Subscribe `url`, which was checked, to events of `types` (None: all) from now on.

    Returns the subscription and its secret. Raises InvalidField where there are MOST subscriptions.
    """
    secret = _new_secret()
    # All earlier events have their numbers by now: the subscription begins after them.
    after = event_log.newest(database)

    def work(connection: Connection) -> AnyRow:
        # All creations lock this row: otherwise two could both become the hundredth.
        hold_events(connection)
        if connection.execute(select(func.count()).select_from(Webhook)).scalar_one() >= MOST:
            raise InvalidField("url", "too_many")
        values = {"url": url, "types": types, "active": active, "secret": secret, "after_seq": after}
        made = connection.execute(insert(Webhook).values(**values, created_at=utc_now(), updated_at=utc_now()))
        return _table.read(connection, made.inserted_primary_key[0])  # type: ignore[index]

    return run_with_default_deadline(database, work), secret


def change(database: Database, webhook_id: int, fields: Mapping[str, Any], versions: set[int] | None) -> AnyRow:
    """Set `fields` (`url`, which was checked, `types`, `active`) of a subscription with one of `versions` (None: any).

    Raises Refusal not_found or version_mismatch.
    """

    def work(connection: Connection) -> AnyRow:
        if fields.get("active"):
            hold_events(connection)
        row = _table.lock(connection, webhook_id, versions)
        changed = differing(row, fields)
        return _table.write(connection, row, changed) if changed else row

    return run_with_default_deadline(database, work)


def remove(database: Database, webhook_id: int, versions: set[int] | None) -> None:
    """End a subscription. Publishers delete its log later. Raises Refusal not_found or version_mismatch."""

    def work(connection: Connection) -> None:
        # Creating deliveries locks this row, so no delivery is added to the log after this.
        row = _table.lock(connection, webhook_id, versions)
        _table.remove(connection, row)
        connection.execute(insert(RemovedWebhook).values(webhook_id=webhook_id))

    run_with_default_deadline(database, work)


def delete_removed_logs(database: Database) -> bool:
    """Delete a piece of the log of a removed subscription. Returns whether there may be more to delete."""

    def work(connection: Connection) -> bool:
        one = select(RemovedWebhook.webhook_id).limit(1).with_for_update(skip_locked=True)
        webhook_id = connection.execute(one).scalar_one_or_none()
        if webhook_id is None:
            return False
        some = select(WebhookDelivery.id).where(WebhookDelivery.webhook_id == webhook_id).limit(DELETED_AT_ONCE)
        ids = connection.execute(some).scalars().all()
        connection.execute(delete(WebhookDelivery).where(WebhookDelivery.id.in_(ids)))
        if len(ids) < DELETED_AT_ONCE:
            connection.execute(delete(RemovedWebhook).where(RemovedWebhook.webhook_id == webhook_id))
        return True

    return run_with_default_deadline(database, work)


def rotate_secret(
    database: Database, webhook_id: int, keep_hours: int, versions: set[int] | None
) -> tuple[AnyRow, str]:
    """Give a subscription a new secret; the old one also signs for another `keep_hours`.

    Returns the subscription and the new secret. Raises Refusal not_found or version_mismatch.
    """
    secret = _new_secret()

    def work(connection: Connection) -> AnyRow:
        row = _table.lock(connection, webhook_id, versions)
        ends_at = database_now(connection) + timedelta(hours=keep_hours)
        kept = {"old_secret": Webhook.secret, "old_secret_ends_at": ends_at}
        changed = _table.write(connection, row, kept if keep_hours else dict.fromkeys(kept))
        # In a statement of its own: in one, MySQL would already read the new secret as the one to keep.
        connection.execute(update(Webhook).where(Webhook.id == webhook_id).values(secret=secret))
        return changed

    return run_with_default_deadline(database, work), secret


def _new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


def deliveries(database: Database, webhook_id: int, page: PageRequest, status: str | None = None) -> Page[AnyRow]:
    """A page of a subscription's deliveries, the newest event first. Raises Refusal not_found."""
    query = _log().where(WebhookDelivery.webhook_id == webhook_id)
    if status is not None:
        query = query.where(WebhookDelivery.status == status)
    seq = WebhookDelivery.seq.expression
    newest_first = Sort(seq, seq, descending=True)
    with database.reading() as connection:
        _table.read(connection, webhook_id)
        return fetch(connection, query, newest_first, page)


def retry(database: Database, webhook_id: int, delivery_id: int) -> AnyRow:
    """Make a delivery due at once, whatever its status. Raises Refusal not_found."""

    def work(connection: Connection) -> AnyRow:
        hold_events(connection)
        conditions = (WebhookDelivery.id == delivery_id, WebhookDelivery.webhook_id == webhook_id)
        due = (
            update(WebhookDelivery)
            .where(*conditions)
            .values(status=DeliveryStatus.PENDING, next_attempt_at=utc_now(), delivered_at=None)
        )
        if connection.execute(due).rowcount != 1:
            raise Refusal(refusals.NOT_FOUND)
        return connection.execute(_log().where(*conditions)).one()

    return run_with_default_deadline(database, work)


def hold_events(connection: Connection) -> None:
    """Lock the row that retention locks while it deletes events (core/ops/retention.py), until the transaction ends.

    Without the lock, an event could be deleted just after a subscription began to need it, and be missed in silence.
    """
    connection.execute(select(Sequencer.id).with_for_update())


def _log() -> Select[Any]:
    events = Event.seq == WebhookDelivery.seq
    query = select(*WebhookDelivery.__table__.columns, Event.type).outerjoin(Event, events)
    return query.with_hint(Event, BY_ID)
