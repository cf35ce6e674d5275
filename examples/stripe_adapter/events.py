"""Events of Stripe, in the shop's terms."""

import re
from collections.abc import Mapping
from typing import Any

from examples.stripe_adapter.money import from_stripe
from examples.stripe_adapter.shop import FAILED, REFUNDED, SUCCEEDED, Fact

ORDER_NO = re.compile(r"[0-9a-f]{32}")
# What the endpoint at Stripe has to send.
TYPES = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "charge.refunded",
    "refund.failed",
)


def translate(kind: str, data: Mapping[str, Any]) -> list[Fact]:
    """The facts in an event of type `kind` about the object `data`, in order; none where it is no payment of the shop.

    Raises money.Unpayable for an amount that the shop cannot have.
    """
    if kind == "charge.refunded":
        return _refunded(data)
    if kind == "checkout.session.async_payment_failed":
        return _of_session(FAILED, data)
    # A method that takes days completes the session unpaid: what became of it comes later.
    if kind == "checkout.session.async_payment_succeeded" or (
        kind == "checkout.session.completed" and data.get("payment_status") == "paid"
    ):
        return _of_session(SUCCEEDED, data)
    return []


def _of_session(kind: str, session: Mapping[str, Any]) -> list[Fact]:
    return _facts(session, session.get("client_reference_id"), (kind, session.get("amount_total")))


def _refunded(charge: Mapping[str, Any]) -> list[Fact]:
    """First that it was paid: Stripe's events come in any order, and the shop takes no refund of unknown money.

    `amount_refunded` is the sum so far: a partial refund is a mismatch to the shop, the last of several is a refund.
    """
    order_no = (charge.get("metadata") or {}).get("order_no")
    return _facts(charge, order_no, (SUCCEEDED, charge.get("amount")), (REFUNDED, charge.get("amount_refunded")))


def _facts(data: Mapping[str, Any], order_no: object, *amounts: tuple[str, Any]) -> list[Fact]:
    payment, currency = data.get("payment_intent"), str(data.get("currency")).upper()
    # Others may use the same account: what does not name an order of ours is not for the shop.
    if not isinstance(order_no, str) or not ORDER_NO.fullmatch(order_no) or not isinstance(payment, str):
        return []
    return [Fact(kind, order_no, from_stripe(int(amount), currency), currency, payment) for kind, amount in amounts]
