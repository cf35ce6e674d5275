"""The text of the last key set that was read, in memory that the workers of a host share.

A worker that starts while the provider cannot be reached begins with it.
"""

import hashlib
import struct

from core.identity.key_set import MAX_BYTES

_HEAD = struct.Struct("<dI")  # when it was read, by the host's monotonic clock; the length of the text
_DIGEST_BYTES = hashlib.sha256().digest_size
_BEGIN = _HEAD.size + _DIGEST_BYTES
BYTES = _BEGIN + MAX_BYTES


class KeptKeys:
    """Any worker may write at any time: a text that two wrote at once has another digest, and counts as none."""

    def __init__(self, memory: memoryview) -> None:
        """`memory` has at least BYTES, all zero at first."""
        self._memory = memory

    def put(self, text: bytes, read_at: float) -> None:
        """Keep the text of a key set, of at most MAX_BYTES."""
        head = _HEAD.pack(read_at, len(text))
        kept = head + hashlib.sha256(head + text).digest() + text
        self._memory[: len(kept)] = kept

    def take(self) -> tuple[bytes, float] | None:
        """The text that was kept last, and when it was read; None where there is none, or it is being written."""
        kept = bytes(self._memory)
        head, digest = kept[: _HEAD.size], kept[_HEAD.size : _BEGIN]
        read_at, length = _HEAD.unpack(head)
        text = kept[_BEGIN : _BEGIN + length]
        return (text, read_at) if hashlib.sha256(head + text).digest() == digest else None
