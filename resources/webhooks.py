"""`/webhooks`: subscriptions to events, and the log of each one's deliveries."""

from typing import Any

from core import refusals
from core import refusals as codes
from core.db.database import AnyRow
from core.events import webhooks
from core.events.event_log import event_id
from core.tokens import Identity
from models import DeliveryStatus
from resources import event_models as models
from resources import inputs
from resources.http.auth import Access
from resources.http.context import services
from resources.http.operation import ApiResource, Operation, operation
from resources.http.paging import Listing
from resources.http.reply import Reply
from resources.http.serialiser import serialiser
from resources.http.versioned import Answered, Answers, expected_versions, row_id

_TAG = "Webhooks"
_ETAG = {"ETag": "the subscription's version"}


def _id(text: str) -> int:
    return row_id(text, refusals.NOT_FOUND)


_json = serialiser(models.Webhook)
_answers = Answers("/webhooks", _json)
_delivery = serialiser(models.Delivery, "event_id", "next_attempt_at")


def _delivery_json(row: AnyRow) -> dict[str, Any]:
    next_attempt_at = row.next_attempt_at if row.status == DeliveryStatus.PENDING else None
    return _delivery(row, event_id=event_id(row.seq), next_attempt_at=next_attempt_at)


def _check_url(body: models.WebhookCreate | models.WebhookPatch) -> None:
    if "url" in body.model_fields_set:
        webhooks.check_url(services().database, body.url)


def _prepare(body: models.WebhookCreate) -> None:
    webhooks.prepare(services().database, body.url)


def _with_secret(answered: Answered, secret: str) -> Answered:
    body, status, headers = answered
    return {**body, "secret": secret}, status, {**headers, "Cache-Control": "no-store"}


class WebhookList(ApiResource):
    @operation(
        Operation(
            "listWebhooks",
            _TAG,
            Access.ADMIN,
            {200: models.WebhooksPage},
            query=models.WebhooksQuery,
            refusals=(codes.UNAVAILABLE,),
        )
    )
    def get(self, caller: Identity, query: models.WebhooksQuery) -> dict[str, Any]:
        """List the subscriptions."""
        listing = Listing("webhooks", active=query.active)
        page = webhooks.list_page(services().database, listing.request(query.limit, query.cursor), query.active)
        return listing.answer([_json(row) for row in page.items], page.after)

    @operation(
        Operation(
            "createWebhook",
            _TAG,
            Access.ADMIN,
            {201: models.WebhookWithSecret},
            body=models.WebhookCreate,
            prepare=_prepare,
            refusals=(codes.BUSY, codes.UNAVAILABLE),
            answer_headers={"Location": "the subscription's address", **_ETAG},
        )
    )
    def post(self, caller: Identity, body: models.WebhookCreate) -> Any:
        """Subscribe to events.

        The subscription begins with events after this call. Only this answer shows the secret that signs the messages.
        There are at most 100 subscriptions; one too many, or a forbidden URL, is a `validation_failed`.
        """
        row, secret = webhooks.create(services().database, body.url, body.types, body.active)
        return _with_secret(_answers.created(row), secret)


class WebhookItem(ApiResource):
    @operation(
        Operation(
            "getWebhook",
            _TAG,
            Access.ADMIN,
            {200: models.Webhook, 304: None},
            refusals=(codes.NOT_FOUND, codes.UNAVAILABLE),
            answer_headers=_ETAG,
        )
    )
    def get(self, webhook_id: str, caller: Identity) -> Reply:
        """Read a subscription."""
        return _answers.read(webhooks.find(services().database, _id(webhook_id)))

    @operation(
        Operation(
            "changeWebhook",
            _TAG,
            Access.ADMIN,
            {200: models.Webhook},
            body=models.WebhookPatch,
            prepare=_check_url,
            refusals=(codes.NOT_FOUND, codes.VERSION_MISMATCH, codes.UNAVAILABLE),
            answer_headers=_ETAG,
        )
    )
    def patch(self, webhook_id: str, caller: Identity, body: models.WebhookPatch) -> Any:
        """Change a subscription, deactivate or activate it.

        While it is inactive nothing is sent; once it is active again, it receives the events of that time. `If-Match`
        with a version prevents overwriting another change.
        """
        row = webhooks.change(services().database, _id(webhook_id), body.given(), expected_versions())
        return _answers.changed(row)

    @operation(
        Operation(
            "deleteWebhook",
            _TAG,
            Access.ADMIN,
            {204: None},
            refusals=(codes.NOT_FOUND, codes.VERSION_MISMATCH, codes.UNAVAILABLE),
        )
    )
    def delete(self, webhook_id: str, caller: Identity) -> tuple[str, int]:
        """Delete a subscription. It ends at once; its log is no longer readable and is deleted in the background."""
        webhooks.remove(services().database, _id(webhook_id), expected_versions())
        return "", 204


class WebhookSecret(ApiResource):
    @operation(
        Operation(
            "rotateWebhookSecret",
            _TAG,
            Access.ADMIN,
            {200: models.WebhookWithSecret},
            body=models.SecretRotation,
            body_optional=True,
            refusals=(codes.NOT_FOUND, codes.VERSION_MISMATCH, codes.UNAVAILABLE),
            answer_headers=_ETAG,
        )
    )
    def post(self, webhook_id: str, caller: Identity, body: models.SecretRotation) -> Any:
        """Give a subscription a new secret.

        Only this answer shows it. For `keep_hours`, messages are signed with the old one as well, so that the
        subscriber can change over without missing a message; 0 ends it at once.
        """
        key = _id(webhook_id)
        row, secret = webhooks.rotate_secret(services().database, key, body.keep_hours, expected_versions())
        return _with_secret(_answers.changed(row), secret)


class WebhookDeliveries(ApiResource):
    @operation(
        Operation(
            "listWebhookDeliveries",
            _TAG,
            Access.ADMIN,
            {200: models.DeliveriesPage},
            query=models.DeliveriesQuery,
            refusals=(codes.NOT_FOUND, codes.UNAVAILABLE),
        )
    )
    def get(self, webhook_id: str, caller: Identity, query: models.DeliveriesQuery) -> dict[str, Any]:
        """List the deliveries to a subscriber, the newest event first."""
        key = _id(webhook_id)
        listing = Listing("deliveries", webhook_id=key, status=query.status)
        page = webhooks.deliveries(services().database, key, listing.request(query.limit, query.cursor), query.status)
        return listing.answer([_delivery_json(row) for row in page.items], page.after)


class WebhookDeliveryRetry(ApiResource):
    @operation(
        Operation(
            "retryWebhookDelivery",
            _TAG,
            Access.ADMIN,
            {200: models.Delivery},
            body=inputs.NoFields,
            body_optional=True,
            refusals=(codes.NOT_FOUND, codes.UNAVAILABLE),
        )
    )
    def post(self, webhook_id: str, delivery_id: str, caller: Identity, body: inputs.NoFields) -> dict[str, Any]:
        """Send an event to the subscriber again, at once, whatever the delivery's status."""
        return _delivery_json(webhooks.retry(services().database, _id(webhook_id), _id(delivery_id)))
