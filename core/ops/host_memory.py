"""What the workers of a host share: memory that belongs to no file, so that nobody can clean it up, cut it or fill it.

The supervisor makes it before it forks the workers. Each worker writes to a part of its own; all read all parts. A part
outlives its worker: the next worker that takes it goes on from its figures.
"""

import mmap
import os
import secrets
import weakref
from pathlib import Path

CELLS = 4096  # purchases that one worker can have in hand; more are handled but not counted
_WORD = 8
_HEADER_BYTES = 64
_CELLS_END = _HEADER_BYTES + CELLS * _WORD
# A few thousand figures. Only pages that were written to take memory.
_FIGURES_BYTES = 1 << 20
_FIGURES_END = _CELLS_END + _FIGURES_BYTES
_BOARD_BYTES = 1 << 18
_PART_BYTES = _FIGURES_END + _BOARD_BYTES


class Part:
    """What one worker writes to."""

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
        """Whether the worker that has, or last had, this part got as far as taking requests."""
        return self._header[1] != 0

    def take(self) -> None:
        """Make this part the calling process's."""
        self.leave()
        self._header[1] = 0
        self._header[0] = os.getpid()

    def start(self) -> None:
        """Note that this worker takes requests from now on."""
        self._header[1] = 1

    def leave(self) -> None:
        """Make this part nobody's. Purchases in hand are forgotten, figures are not."""
        self._header[0] = 0
        self._bytes[_HEADER_BYTES:_CELLS_END] = bytes(CELLS * _WORD)


class HostMemory:
    """The whole of it. `mine` is the part of this process, `id` tells this host, since its start, from others, and
    who has a lock on `audit_file` may audit the database.
    """

    def __init__(self, parts: int = 1) -> None:
        self.id = secrets.token_hex(4)
        # Belongs to no folder, like the memory; a lock on it ends with the process that holds it.
        self.audit_file = os.memfd_create("audit")
        weakref.finalize(self, os.close, self.audit_file)
        self._map = mmap.mmap(-1, mmap.PAGESIZE + parts * _PART_BYTES)  # shared with the processes forked from this one
        memory = memoryview(self._map)
        self._state = memory[: mmap.PAGESIZE]
        begins = range(mmap.PAGESIZE, len(memory), _PART_BYTES)
        self.parts = [Part(memory[begin : begin + _PART_BYTES]) for begin in begins]
        self.mine = self.parts[0]

    def take(self, number: int) -> Part:
        """Make a part this process's."""
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
