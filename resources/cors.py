"""Pages of other origins: which may call the API, and what they may read. Flask-CORS knows the headers."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from flask import Flask
from flask_cors.core import get_cors_headers, get_cors_options
from werkzeug.datastructures import Headers

from resources.api_request import ApiRequest

# What such a page may read beside the body.
_EXPOSED = ["ETag", "Idempotent-Replayed", "Location", "Retry-After", "X-Request-ID"]
_LONGEST = 300  # characters of a header
_ASKED = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")

# The CORS headers of the answer to a request.
CorsHeaders = Callable[[ApiRequest], Sequence[tuple[str, str]]]


def headers_for(app: Flask, origins: Sequence[str]) -> CorsHeaders:
    """The function that lets pages of `origins` call `app`."""
    if not origins:
        return lambda request: ()
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
    def made(method: str, *asked: str | None) -> Sequence[tuple[str, str]]:
        sent = Headers([(name, value) for name, value in zip(_ASKED, asked, strict=True) if value is not None])
        found = [(name, str(value)) for name, value in get_cors_headers(options, sent, method).items(multi=True)]
        # Always: a shared cache must not hand out an answer without the headers that another origin needs.
        return [*(pair for pair in found if pair[0] != "Vary"), ("Vary", "Origin")]

    def headers(request: ApiRequest) -> Sequence[tuple[str, str]]:
        # Bounded, since it is remembered. No origin that is served is as long.
        if request.method == "OPTIONS":
            return made("OPTIONS", *(_bounded(request.header(name)) for name in _ASKED))
        return made("GET", _bounded(request.environ.get("HTTP_ORIGIN")), None, None)

    return headers


def is_preflight(request: ApiRequest) -> bool:
    """Whether a browser asks if a page of another origin may send a request. It says so without token or body."""
    return request.method == "OPTIONS" and all(request.header(name) is not None for name in _ASKED[:2])


def _bounded(value: str | None) -> str | None:
    return None if value is None else value[:_LONGEST]
