"""Who may call an operation, and what proves it. Every operation names its access; there is no default."""

from enum import Enum

from flask import g, request
from werkzeug.exceptions import Forbidden

from core.payments import signature
from core.payments.signature import SignatureHeaders
from core.tokens import Identity, InvalidToken
from resources.context import services


class Access(Enum):
    """Who may call an operation."""

    PUBLIC = "anyone"
    BUYER = "anyone with a token; what they see is their own"
    ADMIN = "administrators"
    PROVIDER = "the payment provider, by its signature"


def authenticate(access: Access) -> Identity | None:
    """The caller, checked against `access`; None where it is no user.

    Raises InvalidToken, Forbidden or Unproven; Busy or Unavailable where the database's clock is needed and not there.
    """
    if access is Access.PUBLIC:
        return None
    if access is Access.PROVIDER:
        _prove_provider()
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise InvalidToken
    caller = services().tokens.verify(token.strip())
    g.caller = caller
    if access is Access.ADMIN and not caller.is_admin:
        raise Forbidden
    return caller


def is_signed() -> bool:
    """Whether the request bears a payment provider's signature that holds. Reads the body, but no database.

    Raises RequestEntityTooLarge.
    """
    proof = _proof()
    return bool(proof.signatures) and signature.is_signed(
        services().settings.PAYMENT_WEBHOOK_SECRETS, proof, request.get_data()
    )


def _prove_provider() -> None:
    service = services()
    # The body as it came: any other way to write the same JSON is another message.
    signature.check(service.database, service.settings.PAYMENT_WEBHOOK_SECRETS, _proof(), request.get_data())


def _proof() -> SignatureHeaders:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return SignatureHeaders(*(request.headers.get(name, "") for name in names))
