"""Cursors: encrypted and authenticated, and bound to their list.

Unencrypted, two cursors would reveal how many orders were placed between them.
"""

import hmac
import json
import os
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flask import current_app

from core.db.clock import iso
from core.db.paging import PageRequest
from core.refusals import InvalidField

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

After = tuple[Any, Any]  # the sort value and the id of a row

_VERSION = "1."
_NONCE_BYTES = 12
_BLOCK = 64  # bytes; content is padded to a multiple of them: a cursor's length is not to reveal the size of an id


class Listing:
    """One list: its name, and everything that selects and orders its rows."""

    def __init__(self, name: str, **bound: Any) -> None:
        given = sorted((key, value) for key, value in bound.items() if value is not None)
        self._list = repr((name, given)).encode()

    def request(self, limit: int, cursor: str | None) -> PageRequest:
        """The page that `cursor` leads to. Raises InvalidField for a cursor that is not of this list."""
        return PageRequest(limit, None if cursor is None else self._decode(cursor))

    def answer(self, items: list[dict[str, Any]], after: After | None) -> dict[str, Any]:
        """The body of the page."""
        return {"items": items, "next_cursor": None if after is None else self._encode(after)}

    def _encode(self, after: After) -> str:
        value, row_id = after
        stored: Mapping[str, Any] = {"time": iso(value)} if isinstance(value, datetime) else {"value": value}
        content = json.dumps([stored, row_id], separators=(",", ":")).encode()
        nonce = os.urandom(_NONCE_BYTES)
        padded = content.ljust(-(-len(content) // _BLOCK) * _BLOCK)
        return _as_text(nonce + _cipher(_keys()[0]).encrypt(nonce, padded, self._list))

    def _decode(self, cursor: str) -> After:
        sealed = _as_bytes(cursor)
        if sealed is not None:
            from cryptography.exceptions import InvalidTag

            for key in _keys():
                try:
                    content = _cipher(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._list)
                except InvalidTag:
                    continue
                stored, row_id = json.loads(content)
                return datetime.fromisoformat(stored["time"]) if "time" in stored else stored["value"], row_id
        raise InvalidField("cursor", "invalid_cursor")


def _keys() -> Sequence[str]:
    """The keys that open a cursor. The first seals."""
    return [current_app.config["SECRET_KEY"], *current_app.config["SECRET_KEY_FALLBACKS"]]


def _cipher(key: str) -> "AESGCM":
    # Imported late: it is large, and an idle worker should stay small.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    # A derived key: the key that signs tokens encrypts nothing.
    return AESGCM(hmac.digest(key.encode(), b"seckill cursor", "sha256"))


def is_cursor(text: str) -> bool:
    """Whether `text` has the form of a cursor. Whether a list made it, only that list can check."""
    return _as_bytes(text) is not None


def _as_text(sealed: bytes) -> str:
    return _VERSION + urlsafe_b64encode(sealed).decode().rstrip("=")


def _as_bytes(cursor: str) -> bytes | None:
    """What `_as_text` made `cursor` of; None for what it cannot have made."""
    encoded = cursor.removeprefix(_VERSION)
    try:
        sealed = b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    # Several texts stand for the same bytes, and a cipher takes no fewer than it adds.
    return sealed if len(sealed) > 2 * _NONCE_BYTES and _as_text(sealed) == cursor else None
