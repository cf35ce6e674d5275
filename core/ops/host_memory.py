"""The shared memory of a host's workers. It is anonymous: there is no file that could be removed or truncated.

The supervisor makes it before it forks the workers. Each worker writes to its own part and reads all parts. A part
outlives its worker: the next worker that takes it continues from its metrics.
"""

import mmap
import os
import secrets
import weakref
from pathlib import Path

from core.identity import kept_keys
from core.identity.kept_keys import KeptKeys

CELLS = 4096  # purchases in progress that one worker can count; more are handled but not counted
_WORD = 8
_HEADER_BYTES = 64
_CELLS_END = _HEADER_BYTES + CELLS * _WORD
# Room for a few thousand values. Only pages that were written take memory.
_FIGURES_BYTES = 1 << 20
_FIGURES_END = _CELLS_END + _FIGURES_BYTES
_BOARD_BYTES = 1 << 18
_PART_BYTES = _FIGURES_END + _BOARD_BYTES


class Part:
    """The part of one worker."""

    def __init__(self, memory: memoryview) -> None:
        self._bytes = memory
        self._header = memory[:_HEADER_BYTES].cast("q")
        self.cells = memory[_HEADER_BYTES:_CELLS_END].cast("q")  # core/purchase/in_progress.py
        self.figures = memory[_CELLS_END:_FIGURES_END]  # core/ops/figures.py
        self.board = memory[_FIGURES_END:]  # core/live/board.py

    @property
    def alive(self) -> bool:
        """Whether a living process has this part."""
        return self._header[0] != 0 and Path(f"/proc/{self._header[0]}").exists()

    @property
    def started(self) -> bool:
        """Whether the part's present or last worker has started to accept requests."""
        return self._header[1] != 0

    def take(self) -> None:
        """Take this part for the calling process."""
        self.leave()
        self._header[1] = 0
        self._header[0] = os.getpid()

    def start(self) -> None:
        """Record that this worker accepts requests from now on."""
        self._header[1] = 1

    def leave(self) -> None:
        """Release this part. Its purchases in progress are forgotten, its metrics are kept."""
        self._header[0] = 0
        self._bytes[_HEADER_BYTES:_CELLS_END] = bytes(CELLS * _WORD)


class HostMemory:
    """The whole memory. `mine` is the part of this process.

    `id` distinguishes this host, since its start, from others. Who holds a lock on `audit_file` may audit the database.
    """

    def __init__(self, parts: int = 1) -> None:
        self.id = secrets.token_hex(4)
        # Belongs to no folder, like the memory; a lock on it ends with the process that holds it.
        self.audit_file = os.memfd_create("audit")
        weakref.finalize(self, os.close, self.audit_file)
        self._map = mmap.mmap(-1, mmap.PAGESIZE + parts * _PART_BYTES)  # shared with the processes forked from this one
        memory = memoryview(self._map)
        self._state = memory[: mmap.PAGESIZE].cast("q")
        begins = range(mmap.PAGESIZE, len(memory), _PART_BYTES)
        self.parts = [Part(memory[begin : begin + _PART_BYTES]) for begin in begins]
        self.mine = self.parts[0]
        self.identity_keys = KeptKeys(memoryview(mmap.mmap(-1, kept_keys.BYTES)))  # shared as well

    def take(self, number: int) -> Part:
        """Take a part for this process."""
        self.mine = self.parts[number]
        self.mine.take()
        return self.mine

    @property
    def draining(self) -> bool:
        """Whether this host is about to stop."""
        return self._state[0] != 0

    @draining.setter
    def draining(self, value: bool) -> None:
        self._state[0] = int(value)

    @property
    def restarts(self) -> int:
        """How many workers ended that another has replaced, or is to. Only the supervisor counts them."""
        return self._state[1]

    def count_restart(self) -> None:
        self._state[1] += 1
