"""How many purchases of an item are being handled, counted over all workers of a host.

Each worker has a small file, mapped into memory, with a cell a purchase; whoever asks counts the cells of all files.
A worker that dies leaves no wrong count behind: the cells of a process that is gone are not counted.
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

_CELLS = 4096  # purchases that one worker can have in hand; more are handled but not counted
_SUFFIX = ".inprogress"


class InProgress:
    """The count of one worker, and through the shared directory that of its siblings."""

    def __init__(self, directory: Path | None) -> None:
        """`directory` is shared by the workers of a host; without one, this process counts for itself."""
        self._directory = directory
        self._free = list(range(_CELLS - 1, -1, -1))
        size = _CELLS * 8
        if directory is None:
            self._map = mmap.mmap(-1, size)
        else:
            with open(directory / f"{os.getpid()}{_SUFFIX}", "w+b") as file:
                file.truncate(size)
                self._map = mmap.mmap(file.fileno(), size)
        self._cells = memoryview(self._map).cast("q")

    def counted(self, goods_id: int) -> "_Counted":
        """Count one purchase of the item from now on: while a block runs with it, or until its `end`."""
        return _Counted(self._cells, self._free, goods_id)

    @property
    def here(self) -> int:
        """Purchases being handled by this process now, of whatever item."""
        return _CELLS - len(self._free)

    def count(self, goods_id: int) -> int:
        """Purchases of the item being handled on this host now."""
        own = self._cells.tolist().count(goods_id)
        return own + sum(_count_in(path, goods_id) for path in self._siblings())

    def _siblings(self) -> Iterator[Path]:
        for path in self._directory.glob(f"*{_SUFFIX}") if self._directory else ():
            pid = int(path.name.removesuffix(_SUFFIX))
            if pid != os.getpid() and Path(f"/proc/{pid}").exists():
                yield path


class _Counted:
    """A cell that is taken; a generator would cost three times as much."""

    __slots__ = ("_cell", "_cells", "_free")

    def __init__(self, cells: memoryview, free: list[int], goods_id: int) -> None:
        self._cells = cells
        self._free = free
        try:
            self._cell: int | None = free.pop()  # one step: no other thread comes between
        except IndexError:
            self._cell = None
            return
        cells[self._cell] = goods_id

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """Give the cell back, once."""
        cell, self._cell = self._cell, None
        if cell is not None:
            self._cells[cell] = 0
            self._free.append(cell)


def _count_in(path: Path, goods_id: int) -> int:
    try:
        return memoryview(path.read_bytes()).cast("q").tolist().count(goods_id)
    except FileNotFoundError:
        return 0


def forget_process(directory: Path, pid: int) -> None:
    """Remove the count of a worker that is gone."""
    (directory / f"{pid}{_SUFFIX}").unlink(missing_ok=True)
