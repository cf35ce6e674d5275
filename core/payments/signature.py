"""The proof that a call comes from the payment provider: Standard Webhooks, signed by its own library.

The library's `verify` judges the age of a call by the host's clock. Here the database's clock judges it, as it does
everything else, so only the library's `sign` is used.
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
    """A call that nothing shows to be the payment provider's."""


@dataclass(frozen=True)
class SignatureHeaders:
    """What came with a call as its proof: the headers `webhook-id`, `-timestamp` and `-signature`, as they are."""

    event_id: str
    timestamp: str
    signatures: str


def check(database: Database, secrets: Sequence[str], proof: SignatureHeaders, body: bytes) -> None:
    """Check that one of `secrets` signed the call, at most TOLERANCE ago or ahead.

    Raises Unproven; Busy or Unavailable where the database's clock cannot be read.
    """
    sent_at = _signed_at(secrets, proof, body)
    # Only now: whoever holds no secret does not get as far as the database.
    with database.reading() as connection:
        now = database_now(connection)
    if abs(now - sent_at) > TOLERANCE:
        raise InvalidSignature


def is_signed(secrets: Sequence[str], proof: SignatureHeaders, body: bytes) -> bool:
    """Whether one of `secrets` signed the call lately, by this host's clock, which may be wrong by a while.

    Asks no database, so it proves nothing of the call's exact age: `check` does.
    """
    try:
        sent_at = _signed_at(secrets, proof, body)
    except InvalidSignature:
        return False
    return abs(datetime.now(timezone.utc) - sent_at) <= _HOST_TOLERANCE


def _signed_at(secrets: Sequence[str], proof: SignatureHeaders, body: bytes) -> datetime:
    """The time that was signed together with the id and the body."""
    if not _EVENT_ID.fullmatch(proof.event_id) or not _SECONDS.fullmatch(proof.timestamp):
        raise InvalidSignature
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidSignature from None  # JSON is UTF-8: nothing else is ever signed
    sent_at = datetime.fromtimestamp(int(proof.timestamp), timezone.utc)
    given = [signature.encode() for signature in proof.signatures.split(" ")]
    held = False
    for secret in secrets:
        expected = Webhook(secret).sign(proof.event_id, sent_at, text).encode()
        for signature in given:
            # All are compared, each in constant time: how long it takes tells nothing.
            held |= hmac.compare_digest(expected, signature)
    if not held:
        raise InvalidSignature
    return sent_at
