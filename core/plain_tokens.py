"""Reads the tokens of a sale's buyers: JSON Web Tokens, HS256, of the one form that most of them have.

A library reads all others. For this form it takes five times as long, and at the start of a sale nearly every request
bears a token that was not seen before.
"""

import base64
import hmac
import json
import time
from typing import Any

# {"alg":"HS256","typ":"JWT"}, as nearly all libraries write it.
_HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
# The claims that the contract names, and one that is not judged. A token with others is the library's to read.
_CLAIMS = frozenset({"sub", "exp", "scope", "iat"})


def claims(token: str, key: bytes) -> dict[str, Any] | None:
    """The claims of a token that `key` has signed and that has not expired; `exp` is whole seconds of Unix time.

    None for all others, those of another form among them: they may be valid all the same.
    """
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    if header != _HEADER or not token.isascii():
        return None
    expected = base64.urlsafe_b64encode(hmac.digest(key, signed.encode(), "sha256")).rstrip(b"=")
    if not hmac.compare_digest(expected, signature.encode()):
        return None
    try:
        data = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != payload.encode():  # what it does not know, decoding leaves out
        return None
    if not isinstance(found, dict) or not _CLAIMS.issuperset(found):
        return None
    expires = found.get("exp")
    # bool is an int.
    return found if type(expires) is int and expires > time.time() and isinstance(found.get("sub"), str) else None
