"""Who is calling: JSON Web Tokens, HS256 under SECRET_KEY, or those of an identity provider.

Checking one never touches the database or the network.
"""

import hashlib
import hmac
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from core import plain_tokens
from core.identity.provider import MAX_TOKEN as MAX_PROVIDERS_TOKEN
from core.identity.provider import IdentityProvider, NotProven
from core.ops.secret_key import is_blank

ALGORITHM = "HS256"
ADMIN_SCOPE = "admin"
MAX_USER_ID = 64
_MAX_TOKEN = 4096
REMEMBERED_MAX = 20_000  # tokens
REMEMBERED_CHARACTERS_MAX = 32_000_000  # of all of them; ours have a few hundred, a provider's one or two thousand


class InvalidToken(Exception):
    """A token that proves nothing. Deliberately without a reason: a forger learns none."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller: a user's id (1 to 64 characters), and whether they are an administrator."""

    user_id: str
    is_admin: bool


class Tokens:
    """Makes and checks tokens. The first key signs; the rest still verify. Raises ValueError for a blank one.

    Tokens of `provider`, if there is one, count as well. Where they count alone (`provider_only`), the tokens made here
    are for the service's own pages: they are signed under keys derived for that purpose, and make nobody an
    administrator.

    A token that was verified is remembered until it expires: buyers send theirs again and again. At most
    `remembered_max` are, of `remembered_characters_max` characters together.
    """

    def __init__(
        self,
        key: str,
        fallbacks: Sequence[str] = (),
        provider: IdentityProvider | None = None,
        provider_only: bool = False,
        remembered_max: int = REMEMBERED_MAX,
        remembered_characters_max: int = REMEMBERED_CHARACTERS_MAX,
    ) -> None:
        self._keys = (key, *fallbacks)
        if any(is_blank(key) for key in self._keys):
            raise ValueError("a key is blank: anybody could sign with it")
        self._provider_only = provider_only
        if provider_only:
            self._keys = tuple(key_of_pages(key) for key in self._keys)
        self._readable_keys = frozenset(filter(_may_sign, self._keys))
        # By the whole token, signature included: only who holds it finds it. With the moment at which it expires.
        self._verified: dict[str, tuple[Identity, float]] = {}
        self._characters = 0  # of the remembered tokens
        self._remembered_max = remembered_max
        self._remembered_characters_max = remembered_characters_max
        self.provider = provider
        if provider is not None:
            provider.when_keys_go(self._forget)

    def issue(self, user_id: str, is_admin: bool = False, hours: float = 12) -> str:
        """A token for `user_id` that expires after `hours`. Raises ValueError for an id that no token may carry, and
        for an administrator where only a provider's tokens count.
        """
        if is_admin and self._provider_only:
            raise ValueError("administrators are named by the identity provider alone")
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
        if self.provider is not None and len(token) <= MAX_PROVIDERS_TOKEN:
            header = _header(token)
            if header.get("alg") != ALGORITHM:
                return self._verify_providers(self.provider, token, header)
        if len(token) <= _MAX_TOKEN:
            for key in self._keys:
                claims = plain_tokens.claims(token, key.encode()) if key in self._readable_keys else None
                claims = claims or _claims(token, key)
                if claims is not None:
                    identity, expires = _identity(claims), int(claims["exp"])  # as PyJWT reads it: in whole seconds
                    if self._provider_only:
                        identity = Identity(identity.user_id, is_admin=False)
                    self._remember(token, identity, expires)
                    return identity, expires
        raise InvalidToken

    def _verify_providers(self, provider: IdentityProvider, token: str, header: dict[str, Any]) -> tuple[Identity, int]:
        keys = provider.keys
        try:
            proven = provider.verify(token, header, keys)
        except NotProven:
            raise InvalidToken from None
        if not is_user_id(proven.user):
            raise InvalidToken
        identity = Identity(str(proven.user), proven.is_admin)
        self._remember(token, identity, proven.expires)
        if provider.keys is not keys:  # replaced meanwhile: `_forget` may have come before `_remember`
            self._drop(token)
        return identity, proven.expires

    def _remember(self, token: str, identity: Identity, expires: int) -> None:
        characters = self._characters + len(token)
        if len(self._verified) >= self._remembered_max or characters > self._remembered_characters_max:
            self._forget()
        if token not in self._verified:
            self._characters += len(token)
        self._verified[token] = identity, expires

    def _drop(self, token: str) -> None:
        if self._verified.pop(token, None) is not None:
            self._characters -= len(token)

    def _forget(self) -> None:
        self._verified.clear()
        self._characters = 0

    @property
    def remembered(self) -> int:
        """The number of verified tokens in memory."""
        return len(self._verified)

    def has_keys(self) -> bool:
        """Whether tokens can be verified: not before the keys of the provider, if there is one, were read once."""
        return self.provider is None or self.provider.began

    def known(self, token: str) -> Identity | None:
        """The identity that `token` was found to prove, if it was verified lately and still holds."""
        known = self._verified.get(token)
        return known[0] if known is not None and known[1] > time.time() else None


def is_user_id(value: object) -> bool:
    """Whether `value` may name a user: a string of 1 to 64 characters, no control characters or lone surrogates."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= MAX_USER_ID
        and (
            (value.isascii() and value.isprintable())
            or not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)
        )
    )


def key_of_pages(key: str) -> str:
    """A key for the tokens of the pages, from which `key` cannot be found."""
    return hmac.new(key.encode(), b"seckill tokens of the pages", hashlib.sha256).hexdigest()


def _may_sign(key: str) -> bool:
    """Whether the library takes the key: one that looks like a public key could be known to anybody."""
    try:
        jwt.get_algorithm_by_name(ALGORITHM).prepare_key(key)
    except jwt.InvalidKeyError:
        return False
    return True


def _header(token: str) -> dict[str, Any]:
    """The header of a token, of which nothing is verified; empty where it has none."""
    try:
        return jwt.get_unverified_header(token)
    except Exception:  # as below
        return {}


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
