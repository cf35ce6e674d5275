"""Pages of other origins: which may call the API, and what they may read. Flask-CORS knows the headers."""

import logging
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from flask import Flask
from flask_cors.core import get_cors_headers, get_cors_options
from werkzeug.datastructures import Headers

from resources.http.api_request import ApiRequest

log = logging.getLogger("seckill")

# What such a page may read beside the body.
_EXPOSED = ["ETag", "Idempotent-Replayed", "Location", "Poll-After", "Retry-After", "Server-Time", "X-Request-ID"]
_LONGEST = 300  # characters of a header
# An origin that may stand in the log: nothing in it breaks a line.
_PLAIN = re.compile(r"[a-z][a-z0-9+.-]{0,30}://[A-Za-z0-9.:_~\[\]-]{1,200}", re.ASCII)
_PREFLIGHT = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")

# The CORS headers of the answer to a request.
CorsHeaders = Callable[[ApiRequest], Sequence[tuple[str, str]]]


def headers_for(app: Flask, origins: Sequence[str]) -> CorsHeaders:
    """The function that lets pages of `origins` call `app`."""
    if not origins:
        return _Off()
    options = get_cors_options(
        app,
        {
            # As patterns, so that Flask-CORS takes none of an origin's characters for one.
            "origins": [re.compile(re.escape(origin) + r"\Z", re.IGNORECASE) for origin in origins],
            "expose_headers": _EXPOSED,
            "max_age": 600,
            "always_send": False,  # a request that names no origin gets none of these headers
        },
    )

    @lru_cache(maxsize=1000)
    def made(method: str, *values: str | None) -> Sequence[tuple[str, str]]:
        sent = Headers([(name, value) for name, value in zip(_PREFLIGHT, values, strict=True) if value is not None])
        found = [(name, str(value)) for name, value in get_cors_headers(options, sent, method).items(multi=True)]
        # Always: a shared cache must not hand out an answer without the headers that another origin needs.
        return [*(pair for pair in found if pair[0] != "Vary"), ("Vary", "Origin")]

    def headers(request: ApiRequest) -> Sequence[tuple[str, str]]:
        # Bounded, since it is remembered. No origin that is served is as long.
        if request.method == "OPTIONS":
            return made("OPTIONS", *(_bounded(request.header(name)) for name in _PREFLIGHT))
        return made("GET", _bounded(request.environ.get("HTTP_ORIGIN")), None, None)

    return headers


class _Off:
    """No page of another origin is served. The first request of one leaves a line in the log, with the remedy."""

    def __init__(self) -> None:
        self._logged = False

    def __call__(self, request: ApiRequest) -> Sequence[tuple[str, str]]:
        if "HTTP_ORIGIN" in request.environ and not self._logged and _is_from_elsewhere(request):
            self._logged = True
            origin = request.environ["HTTP_ORIGIN"]
            named = origin if _PLAIN.fullmatch(origin) else "another origin"
            log.warning("a page of %s asked; browsers refuse it the answer until CORS_ORIGINS names it", named)
        return ()


def _is_from_elsewhere(request: ApiRequest) -> bool:
    """Whether the page that sent a request is of another origin. Pages of this service name theirs with a POST."""
    site = request.header("Sec-Fetch-Site")
    if site is not None:
        return site in ("cross-site", "same-site")
    origin, host = request.header("Origin"), request.header("Host")
    return origin is not None and origin.partition("://")[2] != host


def is_preflight(request: ApiRequest) -> bool:
    """Whether this is a CORS preflight: a browser sends it, without token and body, ahead of a page's request."""
    return request.method == "OPTIONS" and all(request.header(name) is not None for name in _PREFLIGHT[:2])


def _bounded(value: str | None) -> str | None:
    return None if value is None else value[:_LONGEST]
