"""Shaping answers: JSON, and reads that a client may already have."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import Response
from flask_restful import Api

from core.db.clock import iso
from resources.http.reply import Reply, json_reply


def optional_time(moment: datetime | None) -> str | None:
    """A time as the contract has it, or null."""
    return None if moment is None else iso(moment)


def conditional(data: Mapping[str, Any], etag: str, cache_control: str) -> Reply:
    """A read that a client may already have: the envelope answers 304 where `If-None-Match` says so."""
    return json_reply(data, 200, conditional_headers(etag, cache_control))


def conditional_headers(etag: str, cache_control: str) -> dict[str, str]:
    """The headers of a read that a client may already have."""
    return {"ETag": f'"{etag}"', "Cache-Control": cache_control}


def flask_response(reply: Reply) -> Response:
    """The answer as Flask has it."""
    return Response(reply.body, reply.status, reply.headers)


def digest(*values: object) -> str:
    """A short text that changes when one of `values` does."""
    return sha256(repr(values).encode()).hexdigest()[:16]


class ProblemApi(Api):  # type: ignore[misc]
    """Flask-RESTful with every error left to the application's handlers.

    Its own handling answers a bare 500 in production and something else under TESTING (its issues 280, 578, 792).
    """

    def error_router(self, original_handler: Any, error: Exception) -> Any:
        return original_handler(error)
