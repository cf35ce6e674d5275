"""Verifies that a call comes from the payment provider, by the signature of Standard Webhooks.

The library's `verify` compares a call's timestamp with the host's clock. Here the database's clock decides, as
everywhere, so only the library's `sign` is used.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from standardwebhooks import Webhook

from core.db.clock import database_now
from core.db.database import Database

TOLERANCE = timedelta(minutes=5)
_HOST_TOLERANCE = timedelta(hours=1)
_EVENT_ID = re.compile(r"[!-~]{1,255}")
# Seconds since 1970, from 2001 to 2286, written in the one way in which they are signed.
_SECONDS = re.compile(r"[1-9][0-9]{9}")


class InvalidSignature(Exception):
    """The call has no valid signature of the payment provider."""


@dataclass(frozen=True)
class SignatureHeaders:
    """The headers `webhook-id`, `webhook-timestamp` and `webhook-signature` of a call, unparsed."""

    event_id: str
    timestamp: str
    signatures: str


def check(database: Database, secrets: Sequence[str], headers: SignatureHeaders, body: bytes) -> None:
    """Check that one of `secrets` signed the call, with a timestamp at most TOLERANCE from the database's time.

    Raises InvalidSignature; Busy or Unavailable where the database's clock cannot be read.
    """
    sent_at = _signed_at(secrets, headers, body)
    # After the signature: a call without a valid one costs no database connection.
    with database.reading() as connection:
        now = database_now(connection)
    if abs(now - sent_at) > TOLERANCE:
        raise InvalidSignature


def is_signed(secrets: Sequence[str], headers: SignatureHeaders, body: bytes) -> bool:
    """Whether one of `secrets` signed the call within _HOST_TOLERANCE, by this host's clock.

    It reads no database. `check` judges the call's exact age.
    """
    try:
        sent_at = _signed_at(secrets, headers, body)
    except InvalidSignature:
        return False
    return abs(datetime.now(timezone.utc) - sent_at) <= _HOST_TOLERANCE


def _signed_at(secrets: Sequence[str], headers: SignatureHeaders, body: bytes) -> datetime:
    """The time that was signed together with the id and the body."""
    if not _EVENT_ID.fullmatch(headers.event_id) or not _SECONDS.fullmatch(headers.timestamp):
        raise InvalidSignature
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidSignature from None  # JSON is UTF-8: nothing else is ever signed
    sent_at = datetime.fromtimestamp(int(headers.timestamp), timezone.utc)
    given = [signature.encode() for signature in headers.signatures.split(" ")]
    held = False
    for secret in secrets:
        expected = Webhook(secret).sign(headers.event_id, sent_at, text).encode()
        for signature in given:
            # All are compared, each in constant time: the duration reveals nothing about the secrets.
            held |= hmac.compare_digest(expected, signature)
    if not held:
        raise InvalidSignature
    return sent_at
