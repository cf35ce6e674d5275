"""The queries, bodies and answers of `/events` and `/webhooks`."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

import models
from core.db.paging import DEFAULT_LIMIT
from core.events import events, url_policy, webhook_call
from core.events.event_log import ORDER_FIELDS
from core.orders.orders import OrderView
from resources.http import fields
from resources.http.bases import Answer, Input, PageQuery, Patch, Query, example, patch_example

EventType = Annotated[str, fields.OneOf(events.EventType)]
DeliveryStatus = Annotated[str, fields.OneOf(models.DeliveryStatus)]
DeliveryError = Annotated[str, fields.OneOf(webhook_call.DeliveryError)]

_NUMBER = {"type": "integer", "minimum": 0, "maximum": fields.MAX_ID}
EventNumber = Annotated[int, BeforeValidator(fields.digits), Field(ge=0, le=fields.MAX_ID), WithJsonSchema({**_NUMBER})]


def _url(value: str) -> str:
    try:
        url_policy.parse(value)
    except ValueError:
        raise fields.failed("invalid_format") from None
    return value


Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=url_policy.MAX_URL),
    AfterValidator(_url),
    Field(description="https, of the public internet; no user, password or fragment"),
]
Types = Annotated[
    list[EventType],
    Field(min_length=1, max_length=len(events.EventType), description="the event types to send; null is all"),
    AfterValidator(fields.distinct),
]

_TIME = "2026-11-23T12:00:00.000Z"
_ORDER_NO = "019ab0f32d4a7c1e9b6d52f08a417e33"
_EVENT: dict[str, Any] = {
    "seq": 42,
    "id": "evt_42",
    "type": "order.placed",
    "occurred_at": _TIME,
    "goods_id": 1,
    "order_no": _ORDER_NO,
    "data": {
        "order_no": _ORDER_NO,
        "goods_id": 1,
        "user_id": "alice",
        "quantity": 1,
        "currency": "CNY",
        "unit_price": 19900,
        "subtotal": 19900,
        "discount": 0,
        "shipping_fee": 0,
        "total": 19900,
        "coupon_code": None,
    },
}
_GIVEN: dict[str, Any] = {"url": "https://shop.example/hooks", "types": ["order.placed", "order.paid"]}
_WEBHOOK: dict[str, Any] = {
    "id": 1,
    **_GIVEN,
    "active": True,
    "old_secret_ends_at": None,
    "version": 1,
    "created_at": _TIME,
    "updated_at": _TIME,
}
_DELIVERY: dict[str, Any] = {
    "id": 7,
    "event_id": "evt_42",
    "type": "order.placed",
    "status": "delivered",
    "attempts": 2,
    "last_status": 200,
    "last_error": None,
    "created_at": _TIME,
    "last_attempt_at": _TIME,
    "next_attempt_at": None,
    "delivered_at": _TIME,
}


class EventsQuery(Query):
    """The event after which to read."""

    after: EventNumber = Field(0, description="`seq` of the last event that the caller has; 0 for the beginning")
    cursor: EventNumber | None = Field(None, description="`next_cursor` of the page before; instead of `after`")
    limit: fields.PageLimit = DEFAULT_LIMIT


class EventOrder(Answer):
    """The order of an event, as it was placed; for its present state, read the order."""

    __annotations__ = {name: OrderView.__annotations__[name] for name in ORDER_FIELDS}


class EventGoods(Answer):
    """The item of an event."""

    goods_id: int
    name: str | None


class Event(Answer):
    """An event of an order or of an item's stock."""

    model_config = ConfigDict(json_schema_extra=example(_EVENT))

    seq: int = Field(description="ascends from event to event, with gaps; no event appears later with a lower number")
    id: str = Field(description="the same in every delivery")
    type: EventType
    occurred_at: datetime
    goods_id: int
    order_no: str | None = Field(description="null for events of stock")
    data: EventOrder | EventGoods


class EventsPage(Answer):
    """A page of events, the oldest first. To follow them, pass the last `seq` as `after`, whatever `next_cursor` is."""

    model_config = ConfigDict(json_schema_extra=example({"items": [_EVENT], "next_cursor": None}))

    items: list[Event]
    next_cursor: str | None = Field(description="the last `seq`, where more events follow now; null where none do yet")


class WebhookCreate(Input):
    """A subscription to events from now on."""

    model_config = ConfigDict(json_schema_extra=example(_GIVEN))

    url: Url
    types: Types | None = None
    active: bool = True


class WebhookPatch(Patch):
    """What to change of a subscription; a field that is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra=patch_example({"active": False}))

    url: Url = ""
    types: Types | None = None
    active: bool = True


class SecretRotation(Input):
    """How long the old secret stays valid."""

    model_config = ConfigDict(json_schema_extra=example({"keep_hours": 24}))

    keep_hours: int = Field(24, ge=0, le=168, description="hours that the old secret signs beside the new one")


class WebhooksQuery(PageQuery):
    """A page of subscriptions."""

    active: fields.FlagInQuery | None = None


class DeliveriesQuery(PageQuery):
    """A page of a subscription's deliveries."""

    status: DeliveryStatus | None = None


class Webhook(Answer):
    """A subscription. Its secret is shown once, by its creation."""

    model_config = ConfigDict(json_schema_extra=example(_WEBHOOK))

    id: int
    url: str
    types: list[EventType] | None = Field(description="null is all")
    active: bool = Field(description="an inactive subscription keeps its position and continues from there")
    old_secret_ends_at: datetime | None = Field(
        description="until when messages are signed with the old secret as well; null after a creation"
    )
    version: int = Field(description="counts changes")
    created_at: datetime
    updated_at: datetime


class WebhookWithSecret(Webhook):
    """A new subscription, with the key that signs its messages."""

    model_config = ConfigDict(
        json_schema_extra=example({**_WEBHOOK, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"})
    )

    secret: str = Field(description="`whsec_` and 32 bytes in base64, for Standard Webhooks; not shown again")


class WebhooksPage(Answer):
    """A page of subscriptions, the oldest first."""

    model_config = ConfigDict(json_schema_extra=example({"items": [_WEBHOOK], "next_cursor": None}))

    items: list[Webhook]
    next_cursor: str | None


class Delivery(Answer):
    """The delivery of an event to a subscriber, and the result of the last attempt."""

    model_config = ConfigDict(json_schema_extra=example(_DELIVERY))

    id: int
    event_id: str = Field(description="the `webhook-id` that the subscriber receives")
    type: EventType
    status: DeliveryStatus
    attempts: int
    last_status: int | None = Field(description="the subscriber's HTTP status, if it answered")
    last_error: DeliveryError | None
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None = Field(description="the next attempt is not earlier; null if there will be none")
    delivered_at: datetime | None


class DeliveriesPage(Answer):
    """A page of a subscription's deliveries, the newest event first."""

    model_config = ConfigDict(json_schema_extra=example({"items": [_DELIVERY], "next_cursor": None}))

    items: list[Delivery]
    next_cursor: str | None
