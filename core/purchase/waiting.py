"""Those who wait in the line: who is let in, how long each waits, and who is called to lead.

What a leader does with those whom it takes is in line.py. All that waiting needs to know of it is who leads, since when
their batch is under way, and in whose hand a place is.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic

from prometheus_client import Gauge

from core.clock import Deadline
from core.metrics import record
from core.purchase.decide import PurchaseRequest
from core.purchase.place import Answer, Item, Place
from core.refusals import Busy, Unavailable

# An item is stuck when nobody who wants it had an outcome for so long, in seconds; a long line that moves is not.
_STUCK_SECONDS = 1.0
# Seconds that a batch is under way before another may be served beside it.
_STALL_SECONDS = 0.1
# Seconds after which a buyer whose batch is under way looks by themselves whether it is over.
_LOOK_SECONDS = 0.5
_LONGEST_RETRY_AFTER = 30  # seconds

LENGTH = Gauge(
    "seckill_line_length",
    "Purchase requests in line, when last a batch ended or somebody was turned away.",
    ["line"],
    multiprocess_mode="livesum",
)


class Waiting(Generic[Answer]):
    """Who waits, for what. Shared by all threads of a process; its lock is the line's."""

    def __init__(
        self,
        inside_max: int,
        leaders_max: int,
        slow_seconds: float,
        grace_seconds: float,
        name: str,
        threads_max: int | None = None,
    ) -> None:
        """While an item is stuck, or its last buyers waited over `slow_seconds`, newcomers past `inside_max` are told
        `busy` at once, and past `threads_max` those who would wait in a thread. `leaders_max` batches are under way at
        most, and more than one only while the others stall. `grace_seconds` is how long past its deadline a buyer waits
        whose batch has begun. `name` tells its figures from those of other lines.
        """
        self._inside_max = inside_max
        self._leaders_max = leaders_max
        self._slow_seconds = slow_seconds
        self._grace_seconds = grace_seconds
        self._name = name
        self._threads_max = inside_max if threads_max is None else threads_max
        self._inside = 0
        self._in_threads = 0  # of those inside, who keep a thread
        self._waiting: deque[Place[Answer]] = deque()
        self._items: dict[int, Item] = {}
        # Items that held a batch up, and until when they are served alone, should all who want them leave.
        self._held: dict[int, float] = {}
        # Who leads, and since when their batch is under way; None between two.
        self._leaders: dict[Place[Answer], float | None] = {}
        self._lock = threading.Lock()

    def enter(
        self, request: PurchaseRequest, deadline: Deadline, hear: Callable[[Place[Answer]], None] | None = None
    ) -> tuple[Place[Answer], float]:
        """Take a place: it, and the seconds until it is to be looked after. `hear` is called whenever its bell rings.

        Raises Busy at once where the line is too long to serve in time.
        """
        with self._lock:
            item = self._items.get(request.goods_id)
            if item is None:
                item = self._items[request.goods_id] = Item(request.goods_id)
                item.alone = self._held.get(request.goods_id, 0) > item.moved_at
            elif self._is_full(hear is None, 1) and self._is_slow(item):
                inside = self._inside
                record(lambda: LENGTH.labels(self._name).set(inside))
                raise Busy(retry_after(item))
            place: Place[Answer] = Place(request, deadline, item, hear)
            self._inside += 1
            self._in_threads += hear is None
            item.inside += 1
            self._waiting.append(place)
            return place, self._patience(place)

    def _is_full(self, in_thread: bool, more: int) -> bool:
        """Whether the line is over its bound with so many `more`. Who keeps a thread keeps it from everybody else."""
        return self._inside + more > self._inside_max or (in_thread and self._in_threads + more > self._threads_max)

    def _is_slow(self, item: Item) -> bool:
        return item.last_wait > self._slow_seconds or time.monotonic() - item.moved_at >= _STUCK_SECONDS

    def _follow(self, place: Place[Answer], seconds: float) -> None:
        """Wait for an outcome, or for the call to lead."""
        try:
            while not place.settled and not place.called:
                place.bell.acquire(timeout=seconds)
                if not place.settled and not place.called:
                    with self._lock:
                        seconds = self._patience(place)
        except BaseException:  # this thread is being ended
            with self._lock:
                self._withdraw(place)
            raise

    def look(self, place: Place[Answer]) -> float:
        """Look after a place where nobody waits: the seconds until that is to be done again."""
        with self._lock:
            return self._patience(place)

    def _patience(self, place: Place[Answer]) -> float:
        """Seconds to wait before looking around again. Settles a place that has waited enough. Needs the lock."""
        if place.settled:
            return 0
        if place.taken_by is not None:
            return self._patience_in_hand(place)
        now = time.monotonic()
        seconds = place.deadline.remaining()
        if self._is_full(place.in_thread, 0):
            seconds = min(seconds, max(0.0, place.item.moved_at + _STUCK_SECONDS - now))
        if seconds == 0:
            # Out of the line in the same breath: a moment later a leader could take it.
            self._waiting.remove(place)
            self._settle(place, error=Busy(retry_after(place.item)))
            return 0
        self._call(now)
        return min(seconds, _STALL_SECONDS)

    def _patience_in_hand(self, place: Place[Answer]) -> float:
        """The same for a place that a leader has in hand, and may be buying for: "busy" could be a lie.

        Past the deadline it comes no more back into the line; past the grace nobody knows.
        """
        if not place.deadline.passed:
            return min(place.deadline.remaining(), _LOOK_SECONDS)
        last = place.last = place.last or place.deadline.extended(self._grace_seconds)
        if last.passed:
            self._settle(place, error=Unavailable())
        return last.remaining()

    def _call(self, now: float) -> None:
        """Call the first in line who could be served now to lead, where a leader is needed. Needs the lock."""
        if not self._waiting:
            return
        for leader, began in self._leaders.items():
            if began is None:
                leader.ring()  # between two batches: it may be resting for want of a slot
                return
            if now - began < _STALL_SECONDS:
                return
        if len(self._leaders) >= self._leaders_max:
            return
        # Asked again and again while a batch stalls: not to look at thousands in line for the item that does.
        if self._leaders and all(item.in_hand or item.retry_at > now for item in self._items.values()):
            return
        # A leader may itself be in line, for want of a slot.
        ready = (
            place
            for place in self._waiting
            if not place.called and not place.item.in_hand and place.item.retry_at <= now
        )
        first = next(ready, None if self._leaders else self._waiting[0])
        if first is not None:
            first.called = True
            self._leaders[first] = None
            first.ring()

    def _put_back(self, places: list[Place[Answer]], ring: bool) -> None:
        """Let `places` wait again, ahead of all others; those who are late have waited enough. Needs the lock.

        With `ring` they look around at once: their leader may wait on for one of them, and they need another.
        """
        for place in reversed(places):
            place.taken_by = None
            if place.settled:
                continue
            if place.deadline.passed:
                # The batch was undone, or it would have an outcome.
                self._settle(place, error=Busy(retry_after(place.item)))
            else:
                self._waiting.appendleft(place)
                if ring:
                    place.ring()

    def _settle(
        self,
        place: Place[Answer],
        outcome: Answer | None = None,
        error: Exception | None = None,
        ring: bool = True,
    ) -> None:
        """Give the buyer their answer; the first one stands. Needs the lock."""
        if place.settled:
            return
        place.outcome, place.error = outcome, error
        self._inside -= 1
        self._in_threads -= place.in_thread
        item = place.item
        item.inside -= 1
        if not item.inside:
            self._items.pop(item.goods_id, None)
        if ring:
            place.ring()

    def _withdraw(self, place: Place[Answer]) -> None:
        """Leave the line, whatever the reason. Needs the lock."""
        if not place.settled:
            if place.taken_by is None:
                self._waiting.remove(place)
            self._settle(place, error=Unavailable())
        if place in self._leaders:
            del self._leaders[place]
            self._call(time.monotonic())


def retry_after(item: Item) -> int:
    """Whole seconds after which to try again: as long as the item has kept its buyers waiting until now."""
    waited = max(item.last_wait, time.monotonic() - item.moved_at)
    return min(_LONGEST_RETRY_AFTER, max(1, math.ceil(waited)))
