"""Order numbers: the time first, so that they sort, then randomness that nobody can guess."""

import secrets
import time

from uuid6 import UUID


def new_order_no() -> str:
    """32 hexadecimal digits: a UUIDv7 (RFC 9562), 48 bits of Unix milliseconds and 74 random bits, fresh each time.

    The library's own uuid7() never repeats a millisecond, so that under load its time would run ahead of the clock.
    """
    milliseconds = time.time_ns() // 1_000_000
    return UUID(int=milliseconds << 80 | secrets.randbits(80), version=7).hex
