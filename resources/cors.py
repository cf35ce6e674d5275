"""Pages of other origins: which may call the API, and what they may read."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from flask import Flask, Request, Response
from flask_cors import CORS
from flask_cors.core import get_cors_headers, get_cors_options
from werkzeug.datastructures import Headers

# What such a page may read beside the body.
_EXPOSED = ["ETag", "Idempotent-Replayed", "Location", "Retry-After", "X-Request-ID"]
_LONGEST = 300  # characters

OriginHeaders = Callable[[str | None], Sequence[tuple[str, str]]]


def register(app: Flask, origins: Sequence[str]) -> OriginHeaders:
    """Let pages of `origins` call `app`.

    Returns the function that makes the same headers for an answer that Flask does not give, from the header `Origin`.
    """
    if not origins:
        return lambda origin: ()
    options: dict[str, Any] = {
        # As patterns, so that Flask-CORS takes none of an origin's characters for one.
        "origins": [re.compile(re.escape(origin) + r"\Z", re.IGNORECASE) for origin in origins],
        "expose_headers": _EXPOSED,
        "max_age": 600,
        "always_send": False,  # a request that names no origin is told none
    }
    CORS(app, **options)
    app.after_request(_vary_by_origin)
    computed = get_cors_options(app, options)

    @lru_cache(maxsize=1000)
    def headers_for(origin: str | None) -> Sequence[tuple[str, str]]:
        asked = Headers() if origin is None else Headers({"Origin": origin})
        found = [(name, str(value)) for name, value in get_cors_headers(computed, asked, "GET").items(multi=True)]
        return [*(pair for pair in found if pair[0] != "Vary"), ("Vary", "Origin")]

    # No origin that is served is as long, and what is remembered must be bounded.
    return lambda origin: headers_for(origin if origin is None else origin[:_LONGEST])


def is_preflight(request: Request) -> bool:
    """Whether a browser asks if a page of another origin may send a request. It says so without token or body."""
    names = ("Origin", "Access-Control-Request-Method")
    return request.method == "OPTIONS" and all(name in request.headers for name in names)


def _vary_by_origin(response: Response) -> Response:
    # Always: a shared cache must not hand out an answer without the headers that another origin needs.
    response.vary.add("Origin")
    return response
