"""The shop's session: a signed cookie, for which a token was exchanged.

By it the pages know their visitor without JavaScript. It names the user and its end, which is no later than the
token's, and holds no token. It makes nobody an administrator. It is signed under keys derived from `SECRET_KEY` and its
fallbacks for this purpose alone: a cookie is no bearer token, and no token is a cookie.

Forms of a signed-in visitor carry a form token, bound to the session. Besides, a browser must say that a form is ours.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Collection, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from flask import Request, Response
from itsdangerous import BadData, URLSafeSerializer

from core.tokens import is_user_id

COOKIE = "seckill_session"
MAX_SECONDS = 12 * 3600
_LONGEST = 2048  # characters of a cookie that are looked at
_NONCE_HEX = 16
_TAG_HEX = 40
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Session(NamedTuple):
    """Who looks at the pages, until when (Unix time, seconds), and what binds their forms to this session."""

    user_id: str
    expires: int
    nonce: str

    def seconds_left(self) -> int:
        return max(0, self.expires - int(time.time()))


class Sessions:
    """Makes and checks sessions and form tokens. The first key signs; the others still verify."""

    def __init__(self, key: str, fallbacks: Sequence[str] = ()) -> None:
        keys = [hmac.digest(key.encode(), b"seckill shop session", "sha256").hex() for key in (key, *fallbacks)]
        # itsdangerous signs with the last, and verifies with all.
        self._serializer = URLSafeSerializer(
            keys[::-1], salt="session", signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
        )
        self._form_keys = [hmac.digest(key.encode(), b"form", "sha256") for key in keys]

    def open(self, user_id: str, expires: int) -> Session:
        """A new session that ends at `expires` (Unix time, seconds), or after MAX_SECONDS if that is earlier."""
        return Session(user_id, min(expires, int(time.time()) + MAX_SECONDS), secrets.token_hex(8))

    def cookie(self, session: Session) -> str:
        """The cookie's value."""
        return str(self._serializer.dumps(list(session)))

    def read(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None for one that is not ours, or is over."""
        if not cookie or len(cookie) > _LONGEST:
            return None
        try:
            user_id, expires, nonce = self._serializer.loads(cookie)
        except (BadData, ValueError, TypeError):
            return None
        if not is_user_id(user_id) or type(expires) is not int or expires <= time.time() or type(nonce) is not str:
            return None
        return Session(user_id, expires, nonce)

    def form_token(self, session: Session) -> str:
        """A token for the forms of one page. Each is different: a compressed page must not reveal it by its length."""
        nonce = secrets.token_hex(_NONCE_HEX // 2)
        return nonce + _tag(self._form_keys[0], nonce, session)

    def is_form_token(self, session: Session, token: str | None) -> bool:
        """Whether `token` came with a page of this session."""
        if not token or not token.isascii() or len(token) != _NONCE_HEX + _TAG_HEX:
            return False
        nonce, tag = token[:_NONCE_HEX], token[_NONCE_HEX:]
        return any(hmac.compare_digest(tag, _tag(key, nonce, session)) for key in self._form_keys)


def _tag(key: bytes, nonce: str, session: Session) -> str:
    return hmac.digest(key, repr((nonce, session)).encode(), "sha256").hex()[:_TAG_HEX]


def set_cookie(response: Response, name: str, value: str, seconds: int, secure: bool) -> None:
    """Set a cookie that no script reads, and that no other site's form or call sends along."""
    response.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="Lax")


def is_secure(request: Request, proxies: int) -> bool:
    """Whether the visitor came over TLS. A proxy of ours says so in `X-Forwarded-Proto`, where there is one."""
    return request.is_secure or (proxies > 0 and request.headers.get("X-Forwarded-Proto") == "https")


def is_ours(request: Request, proxies: int, trusted: Collection[str] = ()) -> bool:
    """Whether a form or call that a browser sends comes from a page of this service, or of a `trusted` origin.

    Browsers say so in `Sec-Fetch-Site`; over plain HTTP, and if they are old, by `Origin` alone. What names neither is
    no browser's form of another site.
    """
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if origin is not None and origin in trusted:
        return True
    if site is not None:
        return site == "same-origin"
    return origin is None or _is_own_host(origin, request, proxies)


def _is_own_host(origin: str, request: Request, proxies: int) -> bool:
    stated = request.headers.get("X-Forwarded-Host") if proxies else None
    try:
        theirs, own = urlsplit(origin), urlsplit(f"//{stated or request.headers.get('Host', '')}")
        # Proxies may leave out the port. Cookies are for all ports of a host alike.
        same_port = own.port is None or (theirs.port or _DEFAULT_PORTS.get(theirs.scheme)) == own.port
    except ValueError:
        return False
    return theirs.hostname is not None and theirs.hostname == own.hostname and same_port
