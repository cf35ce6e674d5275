"""Turns: how many threads of this process try for one item at once. The rest wait here, first come first served.

Correctness never depends on it: it keeps threads that could not get a slot anyway from asking for one. And it keeps
threads free: while a sale is stuck, only so many may wait for it, and others are told `busy` at once.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.clock import Deadline
from core.refusals import Busy

# A sale is stuck when nobody has finished for so long, in seconds; a long line that moves is not.
_STUCK_SECONDS = 1.5


class _Queue:
    __slots__ = ("inside", "moved_at", "waiting")

    def __init__(self) -> None:
        self.inside = 0
        self.moved_at = time.monotonic()
        self.waiting: deque[threading.Event] = deque()

    def patience(self) -> float:
        """Seconds until this queue counts as stuck."""
        return max(0.0, self.moved_at + _STUCK_SECONDS - time.monotonic())


class Turns:
    """A queue for each item, gone when nobody stands in it."""

    def __init__(self, width_of: Callable[[int], int], waiting_max: int) -> None:
        """`width_of` tells how many may try for an item at once, `waiting_max` how many may wait for a stuck sale."""
        self._width_of = width_of
        self._waiting_max = waiting_max
        self._waiting = 0
        self._queues: dict[int, _Queue] = {}
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, goods_id: int, deadline: Deadline) -> Iterator[None]:
        """Wait for a turn on the item and hold it. Raises Busy at the deadline, or at once where too many wait."""
        self._enter(goods_id, deadline)
        try:
            yield
        finally:
            self._leave(goods_id)

    def _enter(self, goods_id: int, deadline: Deadline) -> None:
        with self._lock:
            queue = self._queues.setdefault(goods_id, _Queue())
            if queue.inside < self._width_of(goods_id) and not queue.waiting:
                queue.inside += 1
                return
            patience = deadline.remaining()
            if self._waiting >= self._waiting_max:
                patience = min(patience, queue.patience())
            called = threading.Event()
            queue.waiting.append(called)
            self._waiting += 1
        called.wait(patience)
        with self._lock:
            self._waiting -= 1
            if called.is_set():
                return  # even if it was called just after the wait had ended: the turn is taken
            queue.waiting.remove(called)
            self._forget_if_empty(goods_id, queue)
        raise Busy()

    def _leave(self, goods_id: int) -> None:
        with self._lock:
            queue = self._queues[goods_id]
            queue.inside -= 1
            queue.moved_at = time.monotonic()
            while queue.waiting and queue.inside < self._width_of(goods_id):
                queue.inside += 1
                queue.waiting.popleft().set()
            self._forget_if_empty(goods_id, queue)

    def _forget_if_empty(self, goods_id: int, queue: _Queue) -> None:
        if not queue.inside and not queue.waiting:
            self._queues.pop(goods_id, None)
