"""Who may call an operation, and what proves it. Every operation names its access; there is no default."""

from enum import StrEnum

from werkzeug.exceptions import Forbidden

from core.payments import signature
from core.payments.signature import SignatureHeaders
from core.services import Services
from core.tokens import Identity, InvalidToken
from resources.http.api_request import ApiRequest


class Access(StrEnum):
    """Who may call an operation."""

    PUBLIC = "anyone"
    BUYER = "anyone with a token; what they see is their own"
    ADMIN = "administrators"
    PROVIDER = "the payment provider, by its signature"


def authenticate(access: Access, request: ApiRequest, services: Services) -> Identity | None:
    """The caller, checked against `access`; None where it is no user.

    The request's log line names the user as soon as the token is verified, also where `access` is refused then. Raises
    InvalidToken, Forbidden or InvalidSignature; Busy or Unavailable where the database's clock is needed and not there.
    """
    if access is Access.PUBLIC:
        return None
    if access is Access.PROVIDER:
        # The body as it came: any other way to write the same JSON is another message.
        secrets = services.settings.PAYMENT_WEBHOOK_SECRETS
        signature.check(services.database, secrets, _signature_of(request), request.body())
        return None
    caller = request.caller = request.identity(services.tokens)
    if caller is None:
        raise InvalidToken
    if access is Access.ADMIN and not caller.is_admin:
        raise Forbidden
    return caller


def is_signed(request: ApiRequest, services: Services) -> bool:
    """Whether the request bears a payment provider's signature that holds. Reads the body, but no database."""
    stated = _signature_of(request)
    return bool(stated.signatures) and signature.is_signed(
        services.settings.PAYMENT_WEBHOOK_SECRETS, stated, request.body()
    )


def _signature_of(request: ApiRequest) -> SignatureHeaders:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return SignatureHeaders(*(request.header(name) or "" for name in names))
