"""The bodies, queries and answers of payments as typed models."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, ValidatorFunctionWrapHandler, field_validator

import models
from core.payments.payment_records import PaymentEventType
from resources.http import fields
from resources.http.bases import Answer, Input, PageQuery, example

PaymentOutcome = Annotated[str, fields.OneOf(models.PaymentOutcome)]
Resolution = Annotated[str, fields.OneOf(models.PaymentResolution)]

_TYPES = frozenset(PaymentEventType)
_ORDER_NO = "019ab0f32d4a7c1e9b6d52f08a417e33"


class PaymentsQuery(PageQuery):
    """Filters of the list of payments."""

    outcome: PaymentOutcome | None = None
    order_no: fields.ProviderText | None = Field(None, max_length=64)
    resolved: fields.FlagInQuery | None = Field(
        None, description="`false`: payments that an operator has yet to resolve; `true`: those resolved or given back"
    )


class ResolveBody(Input):
    """How a payment that did not fit its order was resolved."""

    model_config = ConfigDict(json_schema_extra=example({"resolution": "refunded", "note": "by bank, ticket 117"}))

    resolution: Resolution = Field(
        description="`refunded`: the money was given back; `accepted`: it is kept; `ignored`: none was received"
    )
    note: fields.Note | None = None


class PaymentData(BaseModel):
    """A payment, as its provider reports it."""

    # A provider may add fields of its own.
    model_config = ConfigDict(extra="ignore", strict=True)

    order_no: fields.ProviderText = Field(max_length=64)
    amount: int = Field(ge=0, le=fields.MAX_ID, description="in the currency's minor unit")
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")
    payment_id: fields.ProviderText


def _data_is_needed(schema: dict[str, Any]) -> None:
    schema["required"] = ["type", "data"]
    data = schema["properties"]["data"]
    data.pop("default", None)
    data["$ref"] = data.pop("anyOf")[0]["$ref"]
    schema["examples"] = [
        {
            "type": "payment.succeeded",
            "data": {
                "order_no": _ORDER_NO,
                "amount": 19900,
                "currency": "CNY",
                "payment_id": "pay_51Hq",
            },
        }
    ]


class PaymentWebhook(BaseModel):
    """An event of the payment provider: `payment.succeeded`, `.failed` or `.refunded`. Other types are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, json_schema_extra=_data_is_needed)

    type: str
    data: PaymentData | None = Field(None, validate_default=True)

    @field_validator("data", mode="wrap")
    @classmethod
    def _of_known_type(
        cls, value: Any, validate: ValidatorFunctionWrapHandler, others: ValidationInfo
    ) -> PaymentData | None:
        # The data of other events is ignored, whatever its form.
        if others.data.get("type", PaymentEventType.SUCCEEDED) not in _TYPES:
            return None
        if value is None:
            raise fields.failed("missing")
        data: PaymentData = validate(value)
        return data


class SignatureHeaders(BaseModel):
    """The signature that proves that the payment provider sent the call."""

    event_id: str = Field(alias="webhook-id", description="the event's id: the same in each delivery of it")
    timestamp: str = Field(alias="webhook-timestamp", description="when it was signed, in seconds since 1970")
    signature: str = Field(alias="webhook-signature", description="`v1,` and a signature; several, separated by spaces")


class PaymentReceived(Answer):
    """The outcome of an event of the payment provider."""

    model_config = ConfigDict(json_schema_extra=example({"event_id": "evt_2kY7", "outcome": "paid"}))

    event_id: str
    outcome: PaymentOutcome | Literal["ignored"]


_PAYMENT: dict[str, Any] = {
    "id": 3,
    "event_id": "evt_2kY7",
    "type": "payment.succeeded",
    "order_no": _ORDER_NO,
    "payment_id": "pay_51Hq",
    "amount": 19900,
    "currency": "CNY",
    "outcome": "already_paid",
    "received_at": "2026-11-23T12:00:00.000Z",
    "resolution": "refunded",
    "note": "by bank, ticket 117",
    "resolved_at": "2026-11-24T09:30:00.000Z",
    "resolved_by": "operator",
}


class Payment(Answer):
    """An event of the payment provider, its outcome, and how it was resolved."""

    model_config = ConfigDict(json_schema_extra=example(_PAYMENT))

    id: int
    event_id: str
    type: str
    order_no: str
    payment_id: str
    amount: int = Field(description="in the currency's minor unit")
    currency: str
    outcome: PaymentOutcome
    received_at: datetime
    resolution: Resolution | None = Field(description="null while it is not resolved, or needs no resolution")
    note: str | None
    resolved_at: datetime | None
    resolved_by: str | None = Field(description="null if an event of the provider reported the refund")


class PaymentsPage(Answer):
    """A page of payments, newest first."""

    model_config = ConfigDict(json_schema_extra=example({"items": [_PAYMENT], "next_cursor": None}))

    items: list[Payment]
    next_cursor: str | None
