"""A worker's newest figures, where the other workers of its host can read them, whatever the database does."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from core.json_text import to_json
from core.live.tally import Tally

_HEADER_WORDS = 2  # the version, odd while it is being written, and the length in bytes
_HEADER_BYTES = _HEADER_WORDS * 8
_TRIES = 5


class Row(NamedTuple):
    """What one worker counted of an item within a second."""

    second: int  # since 1970, by the database's clock
    source: str  # the process that counted
    goods_id: int
    tally: Tally


class Board:
    """A piece of memory with one writer, which may be killed at any moment, and readers that do not wait for it."""

    def __init__(self, memory: memoryview) -> None:
        self._header = memory[:_HEADER_BYTES].cast("q")
        self._text = memory[_HEADER_BYTES:]

    def write(self, source: str, rows: Sequence[str]) -> None:
        """Show rows, each as `encoded`, in place of what was shown. Those that come first are kept if not all fit."""
        data = _joined(source, rows)
        while len(data) > len(self._text):
            rows = rows[: len(rows) // 2]
            data = _joined(source, rows)
        self._header[0] += 1 if self._header[0] % 2 == 0 else 2  # odd, also after a writer that was killed
        self._header[1] = len(data)
        self._text[: len(data)] = data
        self._header[0] += 1

    def read(self, first: int = 0) -> list[Row]:
        """The rows that are shown, from the second `first` on; none where they cannot be read."""
        for _ in range(_TRIES):
            before, length = self._header[0], self._header[1]
            data = bytes(self._text[:length])
            if before and before % 2 == 0 and self._header[0] == before:
                source, packed = json.loads(data)
                return [
                    Row(second, source, goods_id, Tally.unpacked(parts))
                    for second, goods_id, parts in packed
                    if second >= first
                ]
        return []


def encoded(second: int, goods_id: int, tally: Tally) -> str:
    """A row as a board shows it."""
    return to_json([second, goods_id, tally.packed(arrivals=False)])


def _joined(source: str, rows: Sequence[str]) -> bytes:
    return f'["{source}",[{",".join(rows)}]]'.encode()
