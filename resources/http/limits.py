"""Rate limits: how many requests one user, and one address, may send in a fixed window.

All of it is checked before anything else of a request, so that unknown addresses count too. Not counted are refusals
of the sale cache, which cost no more than this would, the paths that a host is watched by, browsers' preflights, and
what a payment provider has signed. A request is counted once, by the fast path or ahead of Flask's resources.
"""

import math
import time
from collections.abc import Callable
from functools import lru_cache

import flask
from flask import Flask, current_app
from limits import RateLimitItem, parse_many

from config import Settings
from core.ops import rate_limit_storage
from core.refusals import RATE_LIMITED, Refusal
from core.services import Services
from core.tokens import Tokens
from resources.http.api_request import ApiRequest
from resources.http.auth import Access, is_signed
from resources.http.callers import address
from resources.http.cors import is_preflight

# Whoever watches the service does so most when callers are being refused.
FREE = frozenset({"/healthz", "/readyz", "/metrics"})
_KEYS_REMEMBERED = 10_000


class Limits:
    """Counts requests by user and by address, and refuses those above the limits. Shared by all threads."""

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self._tokens = tokens
        self._proxies = settings.PROXIES
        self._counts = rate_limit_storage.open_storage(settings.RATE_LIMIT_STORAGE)
        rules = [("user", settings.RATE_LIMIT_PER_USER), ("address", settings.RATE_LIMIT_PER_ADDRESS)]
        limits = [(item, kind) for kind, text in rules for item in parse_many(text)]
        # The shortest windows first, and nothing more is counted once one is full.
        self._rules = [
            (kind == "user", _key_of(item, kind), item.get_expiry(), item.amount)
            for item, kind in sorted(limits, key=lambda limit: limit[0])
        ]
        # Counting elsewhere takes a call over the network.
        self.waits = rate_limit_storage.is_shared(settings.RATE_LIMIT_STORAGE)

    def check(self, request: ApiRequest) -> None:
        """Count the request, if it is not counted yet. Raises Refusal rate_limited."""
        if request.counted:
            return
        request.counted = True
        caller = request.identity(self._tokens)
        place = address(request.environ, self._proxies)
        for of_user, key_of, seconds, amount in self._rules:
            if of_user and caller is None:
                continue
            key = key_of(caller.user_id if of_user and caller is not None else place)
            if self._counts.incr(key, seconds) > amount:
                request.caller = caller  # for the log
                left = self._counts.get_expiry(key) - time.time()
                raise Refusal(RATE_LIMITED, retry_after=max(1, math.ceil(left)))


class NoLimits:
    """Lets everybody call as often as they like."""

    waits = False

    def check(self, request: ApiRequest) -> None:
        """Count nothing."""


def of(settings: Settings, tokens: Tokens) -> Limits | NoLimits:
    """The limits that the settings ask for."""
    return Limits(settings, tokens) if settings.RATE_LIMITS else NoLimits()


def register(app: Flask, limits: Limits | NoLimits, services: Services) -> None:
    """Limit the callers of `app`, ahead of all that its requests do."""

    def check() -> None:
        request = ApiRequest.of(flask.request.environ)
        # A preflight carries no token, costs as little as a refusal, and refused it would hide why from the page.
        preflight = is_preflight(request) and bool(services.settings.CORS_ORIGINS)
        if flask.request.path in FREE or preflight or _is_from_provider(request, services):
            return
        limits.check(request)

    app.before_request(check)


def _is_from_provider(request: ApiRequest, services: Services) -> bool:
    """Whether this is a call of the payment provider, which reports the payments of all buyers from few addresses.

    A signature that does not hold counts like any request: nobody who has no secret can send these without end.
    """
    view = current_app.view_functions.get(flask.request.endpoint or "")
    method = getattr(getattr(view, "view_class", None), request.method.lower(), None)
    declared = getattr(method, "operation", None)
    return declared is not None and declared.access is Access.PROVIDER and is_signed(request, services)


def _key_of(item: RateLimitItem, kind: str) -> Callable[[str], str]:
    """The function that returns the key under which a caller is counted for `item`."""
    # To put one together takes longer than to count.
    return lru_cache(maxsize=_KEYS_REMEMBERED)(lambda caller: item.key_for(kind, caller))
