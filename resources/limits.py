"""How often one may call: so often a user, and so often an address. Flask-Limiter counts.

All of it is checked before anything else of a request, so that unknown addresses count too. Not counted are refusals
of the sale cache, which cost no more than this would, the paths that a host is watched by, browsers' preflights, and
what a payment provider has signed. Flask's requests are checked by Flask-Limiter itself; the layer ahead of Flask asks
here, and counts the same in the same place. Either counts a request that it answers, so that none counts twice.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response, current_app, g, request
from flask_limiter import ApplicationLimit, Limiter, RateLimitExceeded
from limits import RateLimitItem, parse_many
from werkzeug.exceptions import HTTPException

from core.ops.rate_limit_storage import storage_uri
from core.refusals import RATE_LIMITED, Refusal
from core.services import Services
from resources.auth import Access, is_signed
from resources.callers import address, identity
from resources.cors import is_preflight
from resources.errors import refusal_headers
from resources.problems import problem

# Whoever watches the service does so most when callers are being refused.
FREE = frozenset({"/healthz", "/readyz", "/metrics"})
_KEYS_REMEMBERED = 10_000
# In the environment of a request that was counted ahead of Flask, and is left to Flask all the same.
COUNTED = "seckill.counted"

# Counts a request that is answered ahead of Flask. Raises Refusal rate_limited.
CheckCaller = Callable[[WSGIEnvironment], None]


def register(app: Flask, services: Services) -> CheckCaller:
    """Limit the callers of `app`. Returns the check for what is answered ahead of it."""
    settings = services.settings
    if not settings.RATE_LIMITS:
        return lambda environ: None

    def user(environ: WSGIEnvironment) -> str:
        caller = identity(environ, services.tokens)
        return f"user:{caller.user_id}" if caller is not None else ""

    def place(environ: WSGIEnvironment) -> str:
        return f"address:{address(environ, settings.PROXIES)}"

    rules = [(settings.RATE_LIMIT_PER_USER, user), (settings.RATE_LIMIT_PER_ADDRESS, place)]
    limiter = Limiter(
        lambda: place(request.environ),
        app=app,
        application_limits=[_of_flask(text, key) for text, key in rules],
        storage_uri=storage_uri(settings.RATE_LIMIT_STORAGE),
        strategy="fixed-window",
        headers_enabled=False,
        swallow_errors=True,
        request_identifier=lambda: "any",  # a request for which there is no route counts too
    )
    # A preflight carries no token, costs as little as a refusal, and refused it would hide why from the page.
    limiter.request_filter(lambda: COUNTED in request.environ or request.path in FREE)
    limiter.request_filter(lambda: is_preflight(request) or _is_the_provider_s(services))
    app.register_error_handler(RateLimitExceeded, lambda error: _exceeded(limiter, services))
    return _ahead_of_flask(limiter, [(item, key) for text, key in rules for item in parse_many(text)])


def _is_the_provider_s(services: Services) -> bool:
    """Whether this is a call of the payment provider, which tells of a crowd's orders from few addresses.

    A signature that does not hold counts like any request: nobody who has no secret can send these without end.
    """
    view = current_app.view_functions.get(request.endpoint or "")
    method = getattr(getattr(view, "view_class", None), request.method.lower(), None)
    declared = getattr(method, "operation", None)
    if declared is None or declared.access is not Access.PROVIDER:
        return False
    try:
        return is_signed(request, services)
    except HTTPException:
        return False  # too large, or cut off


def _of_flask(text: str, key: Callable[[WSGIEnvironment], str]) -> ApplicationLimit:
    return ApplicationLimit(
        text, key_function=lambda: key(request.environ), exempt_when=lambda: not key(request.environ)
    )


def _exceeded(limiter: Limiter, services: Services) -> Response:
    reached = limiter.current_limit
    assert reached is not None
    g.caller = identity(request.environ, services.tokens)  # for the log
    with suppress(HTTPException):  # too large, or cut off
        request.get_data()  # left unread it would end the connection, and with it the caller's next request
    refusal = _refusal(limiter, reached.key)
    return problem(refusal.code, refusal_headers(refusal), **refusal.details)


def _refusal(limiter: Limiter, key: str) -> Refusal:
    seconds = limiter.limiter.storage.get_expiry(key) - time.time()
    return Refusal(RATE_LIMITED, retry_after=max(1, math.ceil(seconds)))


def _ahead_of_flask(
    limiter: Limiter, rules: list[tuple[RateLimitItem, Callable[[WSGIEnvironment], str]]]
) -> CheckCaller:
    storage = limiter.limiter.storage
    # As Flask-Limiter does: the shortest windows first, and nothing more once one is full.
    ordered = [
        (key, _counted_as(item), item.get_expiry(), item.amount)
        for item, key in sorted(rules, key=lambda rule: rule[0])
    ]

    def check(environ: WSGIEnvironment) -> None:
        for key, counted_as, seconds, amount in ordered:
            caller = key(environ)
            if caller:
                counted = counted_as(caller)
                if storage.incr(counted, seconds) > amount:
                    raise _refusal(limiter, counted)

    return check


def _counted_as(item: RateLimitItem) -> Callable[[str], str]:
    """What has the key under which Flask-Limiter counts a caller for `item`."""
    scope = str(ApplicationLimit("").scope)
    # To put one together takes longer than to count.
    return lru_cache(maxsize=_KEYS_REMEMBERED)(lambda caller: item.key_for(caller, scope))
