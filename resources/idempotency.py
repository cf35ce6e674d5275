"""`Idempotency-Key` on every POST and PATCH of users: what the same request is, and its first answer given again.

A purchase keeps its key with its order (core/purchase); all others are handled here, around their methods.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from flask import Response, request
from flask_restful.utils import unpack
from pydantic import BaseModel, Field

from core import idempotency
from core.idempotency import Answer, Asked
from resources import fields
from resources.answers import json_response
from resources.context import services

NAME = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
ANSWER_HEADERS = {REPLAYED: "`true` where this is the first answer to the same request under the key, given again"}


class KeyHeaders(BaseModel):
    """`Idempotency-Key` makes a retry safe: the same key and request have their effect once within 24 hours."""

    idempotency_key: fields.IdempotencyKey | None = Field(None, alias="Idempotency-Key")


def answer_once(
    user_id: str, key: str, body: BaseModel | None, act: Callable[[], Any], prepare: Callable[[], None] | None = None
) -> Response:
    """The answer of `act`, a method of a resource, done once for the user, the key and this request.

    `prepare` is called ahead of it, outside the transaction. Raises what `core.idempotency.once` raises.
    """
    asked = Asked(user_id, key, _fingerprint(body))
    answer, replayed = idempotency.once(services().database, asked, lambda: _stored(act()), prepare)
    headers = {**answer.headers, REPLAYED: "true"} if replayed else answer.headers
    response = Response(answer.body, status=answer.status, mimetype="application/json")
    response.headers.update(headers)
    return response


def _fingerprint(body: BaseModel | None) -> str:
    """Of the method, the path, the body after its defaults, and the version that the caller expects."""
    # A PATCH has no defaults: what it leaves out stays as it is.
    given = None if body is None else body.model_dump(mode="json", exclude_unset=request.method == "PATCH")
    expected = sorted(tag.strip() for tag in request.headers.get("If-Match", "").split(","))
    asked = [request.method, request.path, request.query_string.decode("latin-1"), given, expected]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _stored(told: Any) -> Answer:
    """What a method of a resource returned, as it is stored."""
    data, status, headers = unpack(told)
    return Answer(status, dict(headers), json_response(data, status).get_data(as_text=True))
