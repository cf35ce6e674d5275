"""Who is calling: JSON Web Tokens, HS256 under SECRET_KEY. Checking one never touches the database."""

import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from core.ops.secret_key import is_blank

ALGORITHM = "HS256"
ADMIN_SCOPE = "admin"
MAX_USER_ID = 64
_MAX_TOKEN = 4096
_REMEMBERED = 20_000  # tokens
_REMEMBERED_LENGTH = 1024  # characters; a token has a few hundred


class InvalidToken(Exception):
    """A token that proves nothing. Deliberately without a reason: a forger learns none."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller: a user's id (1 to 64 characters), and whether they are an administrator."""

    user_id: str
    is_admin: bool


class Tokens:
    """Makes and checks tokens. The first key signs; the rest still verify. Raises ValueError for a blank one.

    A token that was verified is remembered until it expires: buyers send theirs again and again.
    """

    def __init__(self, key: str, fallbacks: Sequence[str] = ()) -> None:
        self._keys = (key, *fallbacks)
        if any(is_blank(key) for key in self._keys):
            raise ValueError("a key is blank: anybody could sign with it")
        # By the whole token, signature included: only who holds it finds it. With the moment at which it expires.
        self._verified: dict[str, tuple[Identity, float]] = {}

    def issue(self, user_id: str, is_admin: bool = False, hours: float = 12) -> str:
        """A token for `user_id` that expires after `hours`. Raises ValueError for an id that no token may carry."""
        if not is_user_id(user_id):
            raise ValueError(f"a user's id has 1 to {MAX_USER_ID} characters, none of them a control character")
        claims: dict[str, Any] = {"sub": user_id, "exp": int(time.time() + hours * 3600)}
        if is_admin:
            claims["scope"] = ADMIN_SCOPE
        return jwt.encode(claims, self._keys[0], algorithm=ALGORITHM)

    def verify(self, token: str) -> Identity:
        """The identity that `token` proves. Raises InvalidToken."""
        known = self.known(token)
        return self.verify_until(token)[0] if known is None else known

    def verify_until(self, token: str) -> tuple[Identity, int]:
        """The identity that `token` proves, and until when: Unix time in whole seconds. Raises InvalidToken."""
        if len(token) <= _MAX_TOKEN:
            for key in self._keys:
                claims = _claims(token, key)
                if claims is not None:
                    identity, expires = _identity(claims), int(claims["exp"])  # as PyJWT reads it: in whole seconds
                    self._remember(token, identity, expires)
                    return identity, expires
        raise InvalidToken

    def _remember(self, token: str, identity: Identity, expires: int) -> None:
        if len(token) <= _REMEMBERED_LENGTH:
            if len(self._verified) >= _REMEMBERED:
                self._verified.clear()
            self._verified[token] = identity, expires

    @property
    def remembered(self) -> int:
        """The number of verified tokens in memory."""
        return len(self._verified)

    def known(self, token: str) -> Identity | None:
        """The identity that `token` was found to prove, if it was verified lately and still holds."""
        known = self._verified.get(token)
        return known[0] if known is not None and known[1] > time.time() else None


def is_user_id(value: object) -> bool:
    """Whether `value` may name a user: a string of 1 to 64 characters, no control characters or lone surrogates."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= MAX_USER_ID
        and not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)
    )


def _claims(token: str, key: str) -> dict[str, Any] | None:
    try:
        # Only what the contract names is judged: `iat` and `aud` of an issuer's own are not ours.
        return jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            options={"require": ["exp", "sub"], "verify_iat": False, "verify_aud": False},
        )
    except Exception:
        # Not only jwt.PyJWTError: a hostile token can carry `exp: 1e999` or ten thousand nested brackets.
        return None


def _identity(claims: dict[str, Any]) -> Identity:
    scope = claims.get("scope", "")
    expires = claims["exp"]
    if not is_user_id(claims["sub"]) or not isinstance(scope, str) or type(expires) not in (int, float):
        raise InvalidToken
    return Identity(claims["sub"], ADMIN_SCOPE in scope.split(" "))
