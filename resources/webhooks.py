"""`/webhooks`: subscriptions to events, and the log of what was sent to each."""

import re
from typing import Any

from core import refusals
from core.db.clock import iso
from core.db.database import AnyRow
from core.events import webhooks
from core.events.event_log import event_id
from core.refusals import Refusal
from core.tokens import Identity
from resources import event_models as models
from resources import inputs
from resources.answers import conditional, optional_time
from resources.auth import Access
from resources.context import services
from resources.fields import MAX_ID
from resources.goods import expected_versions
from resources.operation import ApiResource, Operation, operation
from resources.paging import Listing
from resources.reply import Reply

_TAG = "Webhooks"
_ID = re.compile(r"[1-9]\d{0,18}", re.ASCII)
_ETAG = {"ETag": "the subscription's version"}


def _id(text: str) -> int:
    if not _ID.fullmatch(text) or int(text) > MAX_ID:
        raise Refusal(refusals.NOT_FOUND)
    return int(text)


def _json(row: AnyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "url": row.url,
        "types": row.types,
        "active": row.active,
        "old_secret_ends_at": optional_time(row.old_secret_ends_at),
        "version": row.version,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def _delivery_json(row: AnyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "event_id": event_id(row.seq),
        "type": row.type,
        "status": row.status,
        "attempts": row.attempts,
        "last_status": row.last_status,
        "last_error": row.last_error,
        "created_at": iso(row.created_at),
        "last_attempt_at": optional_time(row.last_attempt_at),
        "next_attempt_at": iso(row.next_attempt_at) if row.status == webhooks.PENDING else None,
        "delivered_at": optional_time(row.delivered_at),
    }


def _check_url(body: models.WebhookCreate | models.WebhookPatch) -> None:
    if "url" in body.model_fields_set:
        webhooks.check_url(services().database, body.url)


def _prepare(body: models.WebhookCreate) -> None:
    webhooks.prepare(services().database, body.url)


def _with_secret(row: AnyRow, secret: str) -> dict[str, Any]:
    return {**_json(row), "secret": secret}


def _answer(row: AnyRow) -> Any:
    return _json(row), 200, {"ETag": f'"{row.version}"'}


class WebhookList(ApiResource):
    @operation(
        Operation(
            "listWebhooks",
            _TAG,
            Access.ADMIN,
            {200: models.WebhooksPage},
            query=models.WebhooksQuery,
            refusals=("unavailable",),
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
            refusals=("busy", "unavailable"),
            answer_headers={"Location": "the subscription's address", **_ETAG},
        )
    )
    def post(self, caller: Identity, body: models.WebhookCreate) -> Any:
        """Subscribe to events.

        It begins with what happens after this. The answer has the secret that signs what is sent, and no other answer
        has. There are at most 100 subscriptions; one too many, and a URL that nothing may be sent to, is a
        `validation_failed`.
        """
        row, secret = webhooks.create(services().database, body.url, body.types, body.active)
        headers = {"Location": f"/webhooks/{row.id}", "ETag": f'"{row.version}"', "Cache-Control": "no-store"}
        return _with_secret(row, secret), 201, headers


class WebhookItem(ApiResource):
    @operation(
        Operation(
            "getWebhook",
            _TAG,
            Access.ADMIN,
            {200: models.Webhook, 304: None},
            refusals=("not_found", "unavailable"),
            answer_headers=_ETAG,
        )
    )
    def get(self, webhook_id: str, caller: Identity) -> Reply:
        """Read a subscription."""
        row = webhooks.find(services().database, _id(webhook_id))
        return conditional(_json(row), str(row.version), "private, no-cache")

    @operation(
        Operation(
            "changeWebhook",
            _TAG,
            Access.ADMIN,
            {200: models.Webhook},
            body=models.WebhookPatch,
            prepare=_check_url,
            refusals=("not_found", "version_mismatch", "unavailable"),
            answer_headers=_ETAG,
        )
    )
    def patch(self, webhook_id: str, caller: Identity, body: models.WebhookPatch) -> Any:
        """Change a subscription, switch it off or on.

        While it is off nothing is sent; switched on again it is sent what happened meanwhile. `If-Match` with a version
        guards against changes by others.
        """
        return _answer(webhooks.change(services().database, _id(webhook_id), body.given(), expected_versions()))

    @operation(
        Operation(
            "deleteWebhook",
            _TAG,
            Access.ADMIN,
            {204: None},
            refusals=("not_found", "version_mismatch", "unavailable"),
        )
    )
    def delete(self, webhook_id: str, caller: Identity) -> tuple[str, int]:
        """End a subscription, at once. Its log cannot be read any more, and is deleted in the background."""
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
            refusals=("not_found", "version_mismatch", "unavailable"),
            answer_headers=_ETAG,
        )
    )
    def post(self, webhook_id: str, caller: Identity, body: models.SecretRotation) -> Any:
        """Give a subscription a new secret.

        The answer has it, and no other answer has. For `keep_hours` what is sent is signed with the old one too, so
        that the subscriber can change over without missing anything; 0 ends it at once.
        """
        key = _id(webhook_id)
        row, secret = webhooks.rotate_secret(services().database, key, body.keep_hours, expected_versions())
        return _with_secret(row, secret), 200, {"ETag": f'"{row.version}"', "Cache-Control": "no-store"}


class WebhookDeliveries(ApiResource):
    @operation(
        Operation(
            "listWebhookDeliveries",
            _TAG,
            Access.ADMIN,
            {200: models.DeliveriesPage},
            query=models.DeliveriesQuery,
            refusals=("not_found", "unavailable"),
        )
    )
    def get(self, webhook_id: str, caller: Identity, query: models.DeliveriesQuery) -> dict[str, Any]:
        """List what was and is to be sent to a subscriber, the newest event first."""
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
            refusals=("not_found", "unavailable"),
        )
    )
    def post(self, webhook_id: str, delivery_id: str, caller: Identity, body: inputs.NoFields) -> dict[str, Any]:
        """Send an event to the subscriber once more, at once, whatever came of it before."""
        return _delivery_json(webhooks.retry(services().database, _id(webhook_id), _id(delivery_id)))
