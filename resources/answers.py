"""Shaping answers: JSON, and reads that a client may already have."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import Response, request
from flask_restful import Api
from werkzeug.http import parse_etags

from core.db.clock import iso
from resources.problems import to_json


def optional_time(moment: datetime | None) -> str | None:
    """A time as the contract has it, or null."""
    return None if moment is None else iso(moment)


def json_response(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON; an answer without content has none."""
    body = "" if status == 204 else to_json(data)
    response = Response(body, status=status, mimetype="application/json")
    response.headers.update(headers or {})
    return response


def conditional(data: Mapping[str, Any], etag: str, cache_control: str) -> Response:
    """`data`, or 304 where `If-None-Match` says that the client has it."""
    headers = conditional_headers(etag, cache_control)
    if is_known(etag, request.headers.get("If-None-Match")):
        return Response(status=304, headers=headers)
    return json_response(data, 200, headers)


def conditional_headers(etag: str, cache_control: str) -> dict[str, str]:
    """The headers of a read that a client may already have."""
    return {"ETag": f'"{etag}"', "Cache-Control": cache_control}


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Whether the header `If-None-Match` says that the client has what `etag` stands for."""
    return if_none_match is not None and parse_etags(if_none_match).contains_weak(etag)


def digest(*values: object) -> str:
    """A short text that changes when one of `values` does."""
    return sha256(repr(values).encode()).hexdigest()[:16]


class ProblemApi(Api):  # type: ignore[misc]
    """Flask-RESTful with our JSON, and with every error left to the application's handlers.

    Its own handling answers a bare 500 in production and something else under TESTING (its issues 280, 578, 792).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.representations = {"application/json": json_response}

    def error_router(self, original_handler: Any, error: Exception) -> Any:
        return original_handler(error)
