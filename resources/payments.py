"""`/payments`: events of the payment provider, and their outcomes."""

from typing import Any

from config import Settings
from core import refusals as codes
from core.payments import payment_records, payments, refunds
from core.payments.payment_records import PaymentEvent, Resolution
from core.tokens import Identity
from resources import payment_models as models
from resources.http.auth import Access
from resources.http.context import services
from resources.http.operation import ApiResource, Operation, operation
from resources.http.paging import Listing
from resources.http.serialiser import serialiser
from resources.http.versioned import row_id

_TAG = "Payments"
IGNORED = "ignored"
# A payment as the contract shows it.
payment_json = serialiser(models.Payment)


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
            refusals=(codes.UNAVAILABLE,),
            offered=_has_secrets,
            offered_by="PAYMENT_WEBHOOK_SECRETS",
        )
    )
    def post(self, body: models.PaymentWebhook, headers: models.SignatureHeaders) -> dict[str, Any]:
        """Receive an event of the payment provider, signed per Standard Webhooks.

        Each event id has its effect once, and the same answer each time. Events of other types are ignored.
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
            refusals=(codes.UNAVAILABLE,),
        )
    )
    def get(self, caller: Identity, query: models.PaymentsQuery) -> dict[str, Any]:
        """List the events of the payment provider with their outcomes, newest first."""
        listing = Listing("payments", outcome=query.outcome, order_no=query.order_no, resolved=query.resolved)
        page = payment_records.list_page(
            services().database,
            listing.request(query.limit, query.cursor),
            query.outcome,
            query.order_no,
            query.resolved,
        )
        return listing.answer([payment_json(row) for row in page.items], page.after)


class PaymentResolve(ApiResource):
    @operation(
        Operation(
            "resolvePayment",
            _TAG,
            Access.ADMIN,
            {200: models.Payment},
            body=models.ResolveBody,
            refusals=(codes.NOT_FOUND, codes.PAYMENT_ALREADY_RESOLVED, codes.UNAVAILABLE),
        )
    )
    def post(self, payment_id: str, caller: Identity, body: models.ResolveBody) -> dict[str, Any]:
        """Record how a payment that did not fit its order was resolved, once.

        A payment that needs no resolution, such as one that paid its order, is refused as already resolved: `accepted`
        if its money is kept, `refunded` if it was given back, `ignored` if it reports none.
        """
        how = Resolution(body.resolution, body.note, caller.user_id)
        return payment_json(refunds.resolve(services().database, row_id(payment_id, codes.NOT_FOUND), how))
