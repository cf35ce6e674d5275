"""Order numbers: the time first, so that they sort, then random bits, so that they cannot be guessed."""

import secrets
import time
from collections.abc import Iterator

_RANDOM_BYTES = 10
# Where RFC 9562 has the version and the variant, of which the one is 7 and the other binary 10.
_FIXED = 0xF << 76 | 0x3 << 62
_VERSION_7 = 0x7 << 76 | 0x2 << 62


def new_order_no() -> str:
    """32 hexadecimal digits: a UUIDv7 (RFC 9562), 48 bits of Unix milliseconds and 74 random bits, fresh each time.

    Generators that never repeat a millisecond would run ahead of the clock under load.
    """
    return next(new_order_numbers(1))


def new_order_numbers(count: int) -> Iterator[str]:
    """`count` numbers, each with the time at which the iterator reaches it."""
    # One draw for all: every system call releases the GIL, and under load it takes milliseconds to get it back.
    drawn = secrets.token_bytes(count * _RANDOM_BYTES)
    for at in range(0, len(drawn), _RANDOM_BYTES):
        milliseconds = time.time_ns() // 1_000_000
        random = int.from_bytes(drawn[at : at + _RANDOM_BYTES], "big")
        yield f"{milliseconds << 80 | random & ~_FIXED | _VERSION_7:032x}"
