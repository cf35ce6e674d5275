"""Exceptions to problems: the one place where an error becomes an answer."""

import logging
import traceback

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from core.db.faults import read
from core.payments.signature import InvalidSignature
from core.refusals import Refusal
from core.tokens import InvalidToken
from resources.problems import problem

log = logging.getLogger("seckill")

INTERNAL_ERROR = "internal_error"

# What the framework itself raises; any other 4xx of its own is a bad request.
_BY_STATUS = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}


def register(app: Flask) -> None:
    """Answer every exception of `app` with a problem."""
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(InvalidToken, _unauthenticated)
    app.register_error_handler(InvalidSignature, _unproven)
    app.register_error_handler(HTTPException, _framework)
    app.register_error_handler(Exception, _unexpected)


def _refused(refusal: Refusal) -> Response:
    return problem(refusal.code, refusal_headers(refusal), **refusal.details)


def refusal_headers(refusal: Refusal) -> dict[str, str]:
    """The headers that a refusal has beside those of every problem."""
    return {"Retry-After": str(refusal.details["retry_after"])} if "retry_after" in refusal.details else {}


def _unauthenticated(error: InvalidToken) -> Response:
    return problem("unauthenticated", {"WWW-Authenticate": "Bearer"})


def _unproven(error: InvalidSignature) -> Response:
    return problem("unauthenticated", {"WWW-Authenticate": "StandardWebhooks"})


def _framework(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:
        return error.get_response()  # type: ignore[return-value]  # a redirect
    if error.code >= 500:
        return _unexpected(error)
    headers = {"Allow": ", ".join(error.valid_methods or ())} if isinstance(error, MethodNotAllowed) else {}
    return problem(_BY_STATUS.get(error.code, "bad_request"), headers)


def _unexpected(error: Exception) -> Response:
    tell_unexpected(error, g.request_id)
    return problem(INTERNAL_ERROR)


def tell_unexpected(error: Exception, request_id: str) -> None:
    """Leave an unexpected error's trace in the log."""
    # The error's own words are left out: they can quote what a buyer sent, and what the database holds.
    frames = "".join(traceback.format_tb(error.__traceback__))
    said = {"request_id": request_id}
    log.error("unexpected %s, error %s\n%s", type(error).__name__, read(error).errno, frames, extra=said)
