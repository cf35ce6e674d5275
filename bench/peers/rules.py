"""What every peer checks before it sells: the token and the body. Their own ways begin after that."""

from typing import Any

import jwt

MAX_QUANTITY = 1000


class Unauthenticated(Exception):
    """No token, or one that proves nothing."""


class InvalidBody(Exception):
    """The body is no purchase."""


def user_of(authorization: str, secret: str) -> str:
    """The user whom a bearer token names: HS256 under `secret`, not expired. Raises Unauthenticated."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["exp", "sub"]})
    except jwt.PyJWTError as error:
        raise Unauthenticated from error
    user: str = claims["sub"]
    return user


def quantity_of(body: Any) -> int:
    """The units that a JSON body asks for, 1 to 1,000. Raises InvalidBody."""
    if not isinstance(body, dict) or body.keys() - {"quantity"}:
        raise InvalidBody
    quantity = body.get("quantity", 1)
    if type(quantity) is not int or not 1 <= quantity <= MAX_QUANTITY:
        raise InvalidBody
    return quantity


def fingerprint_of(goods_id: int, quantity: int) -> str:
    """The same for two requests exactly if they ask for the same."""
    return f"{goods_id}:{quantity}"
