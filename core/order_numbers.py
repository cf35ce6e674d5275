"""Order numbers: the time first, so that they sort, then randomness that nobody can guess."""

import secrets
import time
from collections.abc import Iterator

from uuid6 import UUID

_RANDOM_BYTES = 10


def new_order_no() -> str:
    """32 hexadecimal digits: a UUIDv7 (RFC 9562), 48 bits of Unix milliseconds and 74 random bits, fresh each time.

    The library's own uuid7() never repeats a millisecond, so that under load its time would run ahead of the clock.
    """
    return next(new_order_numbers(1))


def new_order_numbers(count: int) -> Iterator[str]:
    """`count` numbers, each made when it is asked for."""
    # Drawn at once: each draw is a system call, before and after which other threads may take their turn.
    random = secrets.token_bytes(count * _RANDOM_BYTES)
    for at in range(0, len(random), _RANDOM_BYTES):
        milliseconds = time.time_ns() // 1_000_000
        yield UUID(int=milliseconds << 80 | int.from_bytes(random[at : at + _RANDOM_BYTES], "big"), version=7).hex
