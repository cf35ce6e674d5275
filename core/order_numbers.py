"""Order numbers: the time first, so that they sort, then randomness that nobody can guess."""

from uuid6 import uuid7


def new_order_no() -> str:
    """32 hexadecimal digits: a UUIDv7 (RFC 9562), 48 bits of Unix milliseconds and 74 random bits.

    The library draws the random bits afresh from the system's source for each number.
    """
    return uuid7().hex
