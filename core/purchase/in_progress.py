"""How many purchases of an item are being handled, counted over all workers of a host.

Each purchase takes a cell in the memory that the workers share; the count goes over the cells of all of them. A worker
that dies leaves no wrong count behind: the cells of a dead process are not counted.
"""

from collections import Counter
from collections.abc import Mapping

from core.ops.host_memory import CELLS, HostMemory


class InProgress:
    """The purchases of one worker and, through the shared memory, of all others of the host."""

    def __init__(self, host: HostMemory, cells: int = CELLS) -> None:
        """Counts at most `cells` purchases of this worker at once."""
        self._host = host
        self._most = cells
        self._free = list(range(cells - 1, -1, -1))
        self._cells = host.mine.cells

    def counted(self, goods_id: int) -> "Counted":
        """Count one purchase of the item from now on: while a block runs with it, or until its `end`."""
        return Counted(self._cells, self._free, goods_id)

    @property
    def here(self) -> int:
        """Purchases being handled by this process now, of whatever item."""
        return self._most - len(self._free)

    def by_item(self) -> Mapping[int, int]:
        """Purchases being handled by this process now, by item."""
        items = Counter(self._cells.tolist())
        del items[0]  # free cells
        return items

    def count(self, goods_id: int) -> int:
        """Purchases of the item being handled on this host now."""
        mine = self._host.mine
        counted = (part.cells for part in self._host.parts if part is mine or part.alive)
        return sum(cells.tolist().count(goods_id) for cells in counted)


class Counted:
    """A purchase that is counted: a cell that is taken. A generator would cost three times as much."""

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
