"""One log line and one count for each request, and the id by which both can be found."""

import logging
import re
import sys
import time
import uuid
from typing import TextIO

from flask import Flask, Response, g, request
from prometheus_client import Counter
from pythonjsonlogger.json import JsonFormatter

REQUESTS = Counter(
    "seckill_http_requests_total", "Requests answered by the application.", ["route", "method", "status"]
)

log = logging.getLogger("seckill.requests")

_PLAIN = re.compile(r"[A-Za-z0-9._:+/=@-]{1,64}")
# A method is the caller's to choose: an unknown one must not make a new series.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def configure(debug: bool, stream: TextIO | None = None) -> None:
    """Send the process's logs to `stream`, by default standard output: JSON lines, or readable text under DEBUG."""
    handler = logging.StreamHandler(stream or sys.stdout)
    if debug:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    else:
        handler.setFormatter(
            JsonFormatter("%(levelname)s %(name)s %(message)s", timestamp=True, json_ensure_ascii=False)
        )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("mysql").setLevel(logging.WARNING)  # it tells of every connection


def register(app: Flask) -> None:
    """Give each request of `app` its id and its line."""
    app.before_request(_begin)
    app.after_request(_end)


def ids() -> dict[str, str]:
    """What ties a line of the log to its request."""
    return {"request_id": g.request_id}


def _begin() -> None:
    g.began = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _PLAIN.fullmatch(given) else uuid.uuid4().hex


def _end(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    route = request.url_rule.rule if request.url_rule else "none"
    method = request.method if request.method in _METHODS else "other"
    REQUESTS.labels(route, method, response.status_code).inc()
    caller = g.get("caller")
    entry = {
        "request_id": g.request_id,
        "method": method,
        "route": route,
        "status": response.status_code,
        "code": g.get("problem_code"),
        "duration_ms": round((time.perf_counter() - g.began) * 1000, 2),
        "user_id": caller.user_id if caller else None,
    }
    # The extra fields are the JSON line; the message is for people.
    log.info("%s %s %s %s ms", method, route, response.status_code, entry["duration_ms"], extra=entry)
    return response
