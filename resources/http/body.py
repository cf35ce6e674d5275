"""Reading a body: its size and type first, then its JSON, read more strictly than the standard library does."""

import json
from functools import lru_cache
from typing import Any
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.http import parse_options_header

from core.refusals import MALFORMED_JSON, Refusal

MAX_BYTES = 64 * 1024
READ_AT_MOST = MAX_BYTES + 1  # for Flask's MAX_CONTENT_LENGTH
_LONGEST_LENGTH = 18  # digits of a Content-Length; one of more is too large in any case
_LONGEST_TYPE = 200  # characters of a Content-Type that are looked at


def check(data: bytes, length: int | None, environ: WSGIEnvironment, expected: bool) -> None:
    """Check the size of a request's body, and the type of one that is `expected`.

    `data` is the body, or its first READ_AT_MOST bytes, and `length` what the request states. Raises
    RequestEntityTooLarge, UnsupportedMediaType, or Refusal malformed_json for a body that was cut off. A body of no
    bytes has no type to be wrong.
    """
    # A chunked body states no length: it is read up to one byte more than allowed, and no further.
    if len(data) > MAX_BYTES or (length or 0) > MAX_BYTES:
        raise RequestEntityTooLarge
    if not expected:
        return
    # A body that was cut off must not pass for a shorter one, nor for none: an empty body buys a unit. The server
    # hands on no byte of a chunked body that broke; where one ended well and has none, it removes the header.
    if len(data) < (length or 0) or (not data and "HTTP_TRANSFER_ENCODING" in environ):
        raise Refusal(MALFORMED_JSON)
    if data:
        encoding = environ.get("HTTP_CONTENT_ENCODING", "identity").lower()
        if not is_json(environ.get("CONTENT_TYPE", "")) or encoding != "identity":
            raise UnsupportedMediaType


def stated_length(environ: WSGIEnvironment) -> int | None:
    """The length of a body in bytes, as its request states it; 0 without one.

    None where it is sent in chunks, or the header is no plain number: then nobody knows it ahead.
    """
    length = environ.get("CONTENT_LENGTH") or "0"
    if "HTTP_TRANSFER_ENCODING" in environ or not (length.isascii() and length.isdigit()):
        return None
    # Python refuses to read numbers of thousands of digits.
    return int(length) if len(length) <= _LONGEST_LENGTH else 10**_LONGEST_LENGTH


def is_json(content_type: str) -> bool:
    """Whether a header `Content-Type` says that the body is JSON in UTF-8."""
    return _is_json(content_type[:_LONGEST_TYPE])


@lru_cache(maxsize=100)  # nearly all callers send one of two
def _is_json(content_type: str) -> bool:
    mime_type, parameters = parse_options_header(content_type)
    return mime_type.lower() == "application/json" and parameters.get("charset", "utf-8").lower() in ("utf-8", "utf8")


def parse_object(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`. Raises Refusal malformed_json.

    Refused beside broken JSON: NaN and the infinities, a name that stands twice, lone surrogates (no UTF-8 can carry
    them on), and nesting or numbers beyond the parser's bounds.
    """
    try:
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise Refusal(MALFORMED_JSON) from None
    if not isinstance(value, dict):
        raise Refusal(MALFORMED_JSON)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
