"""Exceptions to problems: the one place where an error becomes an answer."""

import logging
import traceback
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import flask
from flask import Flask, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from core import refusals as codes
from core.db.faults import read
from core.json_text import to_json_bytes
from core.payments.signature import InvalidSignature
from core.refusals import Refusal
from core.tokens import InvalidToken
from resources.http.answers import flask_response
from resources.http.api_request import ApiRequest
from resources.http.problems import MIME_TYPE, PROBLEMS, language_of, problem_json
from resources.http.reasons import detail
from resources.http.reply import Headers, Reply

log = logging.getLogger("seckill")

# What the framework itself raises; any other 4xx of its own is a bad request.
_BY_STATUS = {
    401: codes.UNAUTHENTICATED,
    403: codes.FORBIDDEN,
    404: codes.NOT_FOUND,
    405: codes.METHOD_NOT_ALLOWED,
    413: codes.BODY_TOO_LARGE,
    415: codes.UNSUPPORTED_MEDIA_TYPE,
}


class Fault(NamedTuple):
    """What an error is to a client: a problem's code, the headers beside those of every problem, and its members."""

    code: str
    headers: Mapping[str, str]
    members: Mapping[str, Any]


def register(app: Flask) -> None:
    """Answer every exception of `app` with a problem."""
    app.register_error_handler(Exception, _answer)


def _answer(error: Exception) -> Response:
    if isinstance(error, HTTPException) and (error.code is None or error.code < 400):
        return error.get_response()  # type: ignore[return-value]  # a redirect
    return flask_response(reply_to(error, ApiRequest.of(flask.request.environ)))


def reply_to(error: Exception, request: ApiRequest) -> Reply:
    """The problem that answers a request which ended with `error`, in the caller's language."""
    fault = fault_of(error, request.id)
    request.code = fault.code
    spoken = language_of(request.environ.get("HTTP_ACCEPT_LANGUAGE", ""))
    # A quote and errors of fields are for one client; all other problems are the same for many.
    make = _problem.__wrapped__ if _FOR_ONE & fault.members.keys() else _problem
    status, headers, head, tail = make(fault.code, spoken, tuple(fault.headers.items()), tuple(fault.members.items()))
    return Reply(status, headers, head + request.id.encode() + tail)


_FOR_ONE = {"quote", "errors"}
_GAP = "\0"  # stands for the request's id in a body that is made for many requests


@lru_cache(maxsize=1000)
def _problem(
    code: str, spoken: str, own_headers: tuple[tuple[str, str], ...], members: tuple[tuple[str, Any], ...]
) -> tuple[int, Headers, bytes, bytes]:
    """A problem's status, its headers, and its body before and after the request's id."""
    headers = [
        ("Content-Type", MIME_TYPE),
        ("Content-Language", spoken),
        ("Vary", "Accept-Language"),
        *own_headers,
    ]
    own = dict(members)
    head, _, tail = problem_json(code, spoken, _GAP, detail(code, own), **own).partition(to_json_bytes(_GAP)[1:-1])
    return int(PROBLEMS[code].status), headers, head, tail


def fault_of(error: Exception, request_id: str) -> Fault:
    """What `error` is to a client. One that is no client's doing leaves its trace in the log."""
    if isinstance(error, Refusal):
        return Fault(error.code, _refusal_headers(error), error.details)
    if isinstance(error, InvalidToken):
        return Fault(codes.UNAUTHENTICATED, {"WWW-Authenticate": "Bearer"}, {})
    if isinstance(error, InvalidSignature):
        return Fault(codes.UNAUTHENTICATED, {"WWW-Authenticate": "StandardWebhooks"}, {})
    if isinstance(error, HTTPException) and error.code is not None and 400 <= error.code < 500:
        headers = {"Allow": ", ".join(error.valid_methods or ())} if isinstance(error, MethodNotAllowed) else {}
        return Fault(_BY_STATUS.get(error.code, codes.BAD_REQUEST), headers, {})
    _log_unexpected(error, request_id)
    return Fault(codes.INTERNAL_ERROR, {}, {})


def _refusal_headers(refusal: Refusal) -> dict[str, str]:
    """The headers that a refusal has beside those of every problem."""
    return {"Retry-After": str(refusal.details["retry_after"])} if "retry_after" in refusal.details else {}


def _log_unexpected(error: Exception, request_id: str) -> None:
    """Leave an unexpected error's trace in the log."""
    # The error's own words are left out: they can quote what a buyer sent, and what the database holds.
    frames = "".join(traceback.format_tb(error.__traceback__))
    fields = {"request_id": request_id}
    log.error("unexpected %s, error %s\n%s", type(error).__name__, read(error).errno, frames, extra=fields)
