"""Turns: how many threads of this process try for one item at once. The rest wait here, first come first served.

Correctness never depends on it: it keeps threads that could not get a slot anyway from asking for one.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.clock import Deadline
from core.refusals import Busy


class _Queue:
    __slots__ = ("inside", "waiting")

    def __init__(self) -> None:
        self.inside = 0
        self.waiting: deque[threading.Event] = deque()


class Turns:
    """A queue for each item, gone when nobody stands in it."""

    def __init__(self, width_of: Callable[[int], int]) -> None:
        """`width_of` tells how many may try for an item at once."""
        self._width_of = width_of
        self._queues: dict[int, _Queue] = {}
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, goods_id: int, deadline: Deadline) -> Iterator[None]:
        """Wait for a turn on the item and hold it. Raises Busy at the deadline."""
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
            called = threading.Event()
            queue.waiting.append(called)
        if called.wait(deadline.remaining()):
            return
        with self._lock:
            # Called between the end of the wait and here: the turn is ours and has to be passed on.
            was_called = called.is_set()
            if not was_called:
                queue.waiting.remove(called)
                self._forget_if_empty(goods_id, queue)
        if was_called:
            self._leave(goods_id)
        raise Busy()

    def _leave(self, goods_id: int) -> None:
        with self._lock:
            queue = self._queues[goods_id]
            queue.inside -= 1
            while queue.waiting and queue.inside < self._width_of(goods_id):
                queue.inside += 1
                queue.waiting.popleft().set()
            self._forget_if_empty(goods_id, queue)

    def _forget_if_empty(self, goods_id: int, queue: _Queue) -> None:
        if not queue.inside and not queue.waiting:
            self._queues.pop(goods_id, None)
