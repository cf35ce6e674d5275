"""`/payments`: what the payment provider tells, and what came of it."""

from typing import Any

from config import Settings
from core.payments import payment_records, payments, refunds
from core.payments.payment_records import PaymentEvent, Resolution
from core.refusals import NOT_FOUND
from core.tokens import Identity
from resources import payment_models as models
from resources.auth import Access
from resources.context import services
from resources.operation import ApiResource, Operation, operation
from resources.paging import Listing
from resources.serialiser import serialiser
from resources.versioned import row_id

_TAG = "Payments"
IGNORED = "ignored"
_payment_json = serialiser(models.Payment)


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
        return {"event_id": event.event_id, "outcome": payments.receive(services().database, event)}


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
        listing = Listing("payments", outcome=query.outcome, order_no=query.order_no, resolved=query.resolved)
        page = payment_records.list_page(
            services().database,
            listing.request(query.limit, query.cursor),
            query.outcome,
            query.order_no,
            query.resolved,
        )
        return listing.answer([_payment_json(row) for row in page.items], page.after)


class PaymentResolve(ApiResource):
    @operation(
        Operation(
            "resolvePayment",
            _TAG,
            Access.ADMIN,
            {200: models.Payment},
            body=models.ResolveBody,
            refusals=("not_found", "payment_already_resolved", "unavailable"),
        )
    )
    def post(self, payment_id: str, caller: Identity, body: models.ResolveBody) -> dict[str, Any]:
        """Say what was done about a payment that did not fit, once.

        What needs nothing, such as the payment that paid an order, is refused as if it were resolved: `accepted` where
        its money is kept, `refunded` where it was given back, `ignored` where it tells of none.
        """
        how = Resolution(body.resolution, body.note, caller.user_id)
        return _payment_json(refunds.resolve(services().database, row_id(payment_id, NOT_FOUND), how))
