"""The identity provider that a team already has: verifies its tokens, and keeps its public keys fresh.

Keys are read in a background thread, never while a request is answered.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import jwt
from prometheus_client import Counter, Gauge

from config import Settings
from core.db.clock import iso
from core.identity import claims, key_set, key_source
from core.identity.kept_keys import KeptKeys
from core.identity.key_set import NO_KEYS, KeySet, UnusableKeys
from core.identity.key_source import Unreadable

REFRESH_SECONDS = 300.0
# Between two attempts, whatever requests them: after a failure, or for a token that names an unknown key.
RETRY_SECONDS = 10.0
# How long the last keys count while no new ones can be read. Without an end, whoever keeps the provider's address from
# us would keep a withdrawn key alive.
OUTAGE_SECONDS = 24 * 3600.0
MAX_TOKEN = 8000  # characters; nginx takes a header of 8 KiB
# How far the provider's clock may be ahead of ours, for tokens that are not valid before now.
_AHEAD_SECONDS = 10
# A token for another purpose, such as logout+jwt, is no proof of who calls (RFC 8725).
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})

_FAILURES = Counter("seckill_identity_key_failures_total", "Attempts to read the identity provider's keys that failed.")
_STALE = Gauge(
    "seckill_identity_stale_workers",
    "Workers whose last attempt to read the identity provider's keys failed.",
    multiprocess_mode="livesum",
)

log = logging.getLogger("seckill.identity")


class NotProven(Exception):
    """A token that proves nothing."""


@dataclass(frozen=True)
class Rules:
    """What a token of the provider must say, and where it names the user.

    Without an `admin_claim` it makes nobody an administrator.
    """

    source: str
    issuer: str
    audiences: tuple[str, ...]
    audience_claim: str = "aud"
    user_claim: str = "sub"
    admin_claim: str = ""
    admin_value: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """The rules that the settings state."""
        return cls(
            settings.IDENTITY_JWKS,
            settings.IDENTITY_ISSUER,
            settings.IDENTITY_AUDIENCE,
            settings.IDENTITY_AUDIENCE_CLAIM,
            settings.IDENTITY_USER_CLAIM,
            settings.IDENTITY_ADMIN_CLAIM,
            settings.IDENTITY_ADMIN_VALUE,
        )


@dataclass(frozen=True, slots=True)
class Proven:
    """What a token proves: the claim that names the user, as it is; until when, in whole seconds of Unix time."""

    user: object
    is_admin: bool
    expires: int


class IdentityProvider:
    """Safe to share between threads. `keys` are replaced as a whole."""

    def __init__(self, rules: Rules, kept: KeptKeys | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """The keys that are read are also put into `kept`, of which a later provider of this host begins."""
        self.rules = rules
        self._kept = kept
        self.keys = NO_KEYS
        self._clock = clock
        self._read_at = clock()
        self._failing = False
        self.began = False  # whether keys were read at all
        self._refresh_requested = threading.Event()
        self._keys_went: list[Callable[[], None]] = []
        self._user = claims.reader(rules.user_claim)
        self._audience = claims.reader(rules.audience_claim)
        self._admin = claims.reader(rules.admin_claim)

    def when_keys_go(self, notify: Callable[[], None]) -> None:
        """Call `notify` each time after a key that counted no longer does."""
        self._keys_went.append(notify)

    def verify(self, token: str, header: dict[str, Any], keys: KeySet) -> Proven:
        """What `token`, whose header is `header`, proves by `keys`. Raises NotProven; requests new keys if it names an
        unknown one.

        What else the header says of keys (`jku`, `jwk`, `x5u`, `x5c`) is not looked at.
        """
        algorithm, kid = header.get("alg"), header.get("kid")
        if len(token) > MAX_TOKEN or algorithm not in key_set.ALGORITHMS or not isinstance(kid, str | None):
            raise NotProven
        typ = header.get("typ", "JWT")
        if not isinstance(typ, str) or typ.lower() not in _TYPES:
            raise NotProven
        key = keys.find(kid, algorithm)
        if key is None:
            if not self._refresh_requested.is_set():
                self._refresh_requested.set()
            raise NotProven
        try:
            found = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self.rules.issuer,
                leeway=_AHEAD_SECONDS,
                # The audience is judged below: not every provider calls it `aud`.
                options={"require": ["exp", "iss"], "verify_iat": False, "verify_aud": False, "verify_sub": False},
            )
        except Exception:  # not only jwt.PyJWTError, as in core/tokens.py
            raise NotProven from None
        expires = found["exp"]
        if type(expires) not in (int, float) or int(expires) <= time.time():
            raise NotProven
        audience = self._audience(found)
        stated = audience if isinstance(audience, list) else [audience]
        if not any(wanted in stated for wanted in self.rules.audiences):
            raise NotProven
        is_admin = bool(self.rules.admin_claim) and claims.names(self._admin(found), self.rules.admin_value)
        return Proven(self._user(found), is_admin, int(expires))

    def start(self) -> None:
        """Read the keys now, and keep them fresh, in a thread of its own. To be called after the process was forked."""
        self.begin_with_kept()
        threading.Thread(target=self._keep_fresh, name="identity keys", daemon=True).start()

    def begin_with_kept(self) -> None:
        """Begin with the keys that a provider of this host has kept, unless they are too old or half written."""
        found = self._kept and self._kept.take()
        if found and self._clock() - found[1] < OUTAGE_SECONDS:
            self._read_at = found[1]
            self._replace(key_set.read(found[0]))
            self.began = True

    def _keep_fresh(self) -> None:
        while True:
            self._refresh_requested.clear()
            fresh = self.refresh()
            time.sleep(RETRY_SECONDS)
            if fresh:
                # Workers that started together should not coincide each time.
                self._refresh_requested.wait(REFRESH_SECONDS * random.uniform(0.8, 1) - RETRY_SECONDS)  # noqa: S311 (no secret)

    def refresh(self) -> bool:
        """Read the keys once. Returns whether it worked; a failure leaves the keys as they are, but not for ever."""
        try:
            text = key_source.read(self.rules.source)
            found = key_set.read(text)
        except (Unreadable, UnusableKeys) as error:
            self._failed(str(error))
            return False
        except Exception as error:  # the thread must not end
            self._failed(type(error).__name__)
            return False
        self._read_at = self._clock()
        if self._kept is not None:
            self._kept.put(text, self._read_at)
        _STALE.set(0)
        if self._failing or not self.keys:
            log.info("the identity provider's keys were read: %d, for %s", len(found), ", ".join(found.algorithms))
        self._failing = False
        self._replace(found)
        self.began = True
        return True

    def _failed(self, reason: str) -> None:
        _FAILURES.inc()
        _STALE.set(1)
        if self.keys and self._clock() - self._read_at >= OUTAGE_SECONDS:
            self._replace(NO_KEYS)
            log.error("the identity provider's keys are too old, and its tokens are refused from now on")
        elif not self._failing:
            # Once, not at each attempt.
            until = datetime.now(timezone.utc).timestamp() + OUTAGE_SECONDS - (self._clock() - self._read_at)
            kept = f"the present ones count until {iso(datetime.fromtimestamp(until, timezone.utc))}"
            log.warning(
                "the identity provider's keys cannot be read (IDENTITY_JWKS): %s; %s",
                reason,
                kept if self.keys else "there are none yet, and its tokens are refused",
            )
        self._failing = True

    def _replace(self, keys: KeySet) -> None:
        earlier, self.keys = self.keys, keys
        if not keys.has_all_of(earlier):
            for notify in self._keys_went:
                notify()
