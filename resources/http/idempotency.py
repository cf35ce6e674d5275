"""`Idempotency-Key` on every POST and PATCH of users: what the same request is, and its first answer given again.

A purchase keeps its key with its order (core/purchase); all others are handled here, around their methods.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, Field

from core import idempotency
from core.db.database import Database
from core.idempotency import Answer, KeyedRequest
from resources.http import fields
from resources.http.api_request import ApiRequest
from resources.http.reply import JSON, Reply, reply_of

NAME = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
ANSWER_HEADERS = {REPLAYED: "`true` where this is the first answer to the same request under the key, given again"}


class KeyHeaders(BaseModel):
    """`Idempotency-Key` makes a retry safe: the same key and request have their effect once within 24 hours."""

    idempotency_key: fields.IdempotencyKey | None = Field(None, alias="Idempotency-Key")


def answer_once(
    database: Database,
    request: ApiRequest,
    user_id: str,
    key: str,
    body: BaseModel | None,
    act: Callable[[], Any],
    prepare: Callable[[], None] | None = None,
) -> Reply:
    """The answer of `act`, a method of a resource, done once for the user, the key and this request.

    `prepare` is called ahead of it, outside the transaction. Raises what `core.idempotency.once` raises.
    """
    keyed = KeyedRequest(user_id, key, _fingerprint(request, body))
    answer, replayed = idempotency.once(database, keyed, lambda: _stored(reply_of(act())), prepare)
    headers = [("Content-Type", JSON), *answer.headers.items()]
    if replayed:
        headers.append((REPLAYED, "true"))
    return Reply(answer.status, headers, answer.body.encode())


def _fingerprint(request: ApiRequest, body: BaseModel | None) -> str:
    """Of the method, the path, the body after its defaults, and the version that the caller expects."""
    # A PATCH has no defaults: what it leaves out stays as it is.
    given = None if body is None else body.model_dump(mode="json", exclude_unset=request.method == "PATCH")
    expected = sorted(tag.strip() for tag in (request.header("If-Match") or "").split(","))
    parts = [request.method, request.environ["PATH_INFO"], request.environ.get("QUERY_STRING", ""), given, expected]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _stored(reply: Reply) -> Answer:
    """An answer in JSON as it is stored: its type goes without saying."""
    assert isinstance(reply.body, bytes)
    headers = {name: value for name, value in reply.headers if name != "Content-Type"}
    return Answer(reply.status, headers, reply.body.decode())
