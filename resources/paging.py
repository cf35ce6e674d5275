"""Cursors: signed, so that none can be made up, and bound to the list that they were given out for."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import current_app
from itsdangerous import BadData, URLSafeSerializer

from core.clock import iso
from core.paging import PageRequest
from core.refusals import InvalidField

After = tuple[Any, Any]  # the sort value and the id of a row


class Listing:
    """One list: its name and all that decides which rows are in it, in which order, and for whom."""

    def __init__(self, name: str, **bound: Any) -> None:
        self._salt = repr((name, sorted((key, value) for key, value in bound.items() if value is not None)))

    def request(self, limit: int, cursor: str | None) -> PageRequest:
        """The page that `cursor` leads to. Raises InvalidField for a cursor that is not of this list."""
        return PageRequest(limit, None if cursor is None else self._decode(cursor))

    def answer(self, items: list[dict[str, Any]], after: After | None) -> dict[str, Any]:
        """The body of the page."""
        return {"items": items, "next_cursor": None if after is None else self._encode(after)}

    def _serializer(self) -> URLSafeSerializer:
        fallbacks: tuple[str, ...] = current_app.config["SECRET_KEY_FALLBACKS"]
        # Oldest first: the last one signs.
        keys = [*reversed(fallbacks), current_app.config["SECRET_KEY"]]
        return URLSafeSerializer(keys, salt=f"cursor {self._salt}", signer_kwargs={"digest_method": sha256})

    def _encode(self, after: After) -> str:
        value, row_id = after
        stored: Mapping[str, Any] = {"time": iso(value)} if isinstance(value, datetime) else {"value": value}
        token = self._serializer().dumps([stored, row_id])
        return token if isinstance(token, str) else token.decode()

    def _decode(self, cursor: str) -> After:
        try:
            stored, row_id = self._serializer().loads(cursor)
        except BadData:
            raise InvalidField("cursor", "invalid_cursor") from None
        value = datetime.fromisoformat(stored["time"]) if "time" in stored else stored["value"]
        return value, row_id
