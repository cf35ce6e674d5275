"""`/payments`: what the payment provider tells, and what came of it."""

from typing import Any

from config import Settings
from core import payments
from core.clock import iso
from core.database import AnyRow
from core.payments import PaymentEvent
from core.tokens import Identity
from resources import payment_models as models
from resources.auth import Access
from resources.context import shop
from resources.operation import ApiResource, Operation, operation
from resources.paging import Listing

_TAG = "Payments"
IGNORED = "ignored"


def _has_secrets(settings: Settings) -> bool:
    return bool(settings.PAYMENT_WEBHOOK_SECRETS)


class PaymentWebhook(ApiResource):
    @operation(
        Operation(
            "receivePayment",
            _TAG,
            Access.PROVIDER,
            {200: models.PaymentReceived},
            body=models.PaymentWebhook,
            headers=models.SignatureHeaders,
            refusals=("unavailable",),
            offered=_has_secrets,
        )
    )
    def post(self, body: models.PaymentWebhook, headers: models.SignatureHeaders) -> dict[str, Any]:
        """Take in what the payment provider tells, signed per Standard Webhooks.

        Each event id has its effect once and the same answer ever after. Events of other types are ignored.
        """
        if body.data is None:
            return {"event_id": headers.event_id, "outcome": IGNORED}
        event = PaymentEvent(headers.event_id, body.type, **body.data.model_dump())
        return {"event_id": event.event_id, "outcome": payments.receive(shop().database, event)}


class PaymentList(ApiResource):
    @operation(
        Operation(
            "listPayments",
            _TAG,
            Access.ADMIN,
            {200: models.PaymentsPage},
            query=models.PaymentsQuery,
            refusals=("unavailable",),
        )
    )
    def get(self, caller: Identity, query: models.PaymentsQuery) -> dict[str, Any]:
        """List what the payment provider told and what came of it, newest first."""
        listing = Listing("payments", outcome=query.outcome, order_no=query.order_no)
        page = payments.list_page(
            shop().database, listing.request(query.limit, query.cursor), query.outcome, query.order_no
        )
        return listing.answer([_payment_json(row) for row in page.items], page.after)


def _payment_json(row: AnyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "event_id": row.event_id,
        "type": row.type,
        "order_no": row.order_no,
        "payment_id": row.payment_id,
        "amount": row.amount,
        "currency": row.currency,
        "outcome": row.outcome,
        "received_at": iso(row.received_at),
    }
