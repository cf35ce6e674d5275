"""Who may call an operation. Every operation names its access; there is no default."""

from enum import Enum

from flask import g, request
from werkzeug.exceptions import Forbidden

from core.tokens import Identity, InvalidToken
from resources.context import shop


class Access(Enum):
    """Who may call an operation."""

    PUBLIC = "anyone"
    BUYER = "anyone with a token; what they see is their own"
    ADMIN = "administrators"


def authenticate(access: Access) -> Identity | None:
    """The caller, checked against `access`; None where anyone may call. Raises InvalidToken or Forbidden."""
    if access is Access.PUBLIC:
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise InvalidToken
    caller = shop().tokens.verify(token.strip())
    g.caller = caller
    if access is Access.ADMIN and not caller.is_admin:
        raise Forbidden
    return caller
