"""The queue of purchase requests: what waits, what is taken next, and what has waited too long.

Rules alone: no threads, no lock, and no clock, since every method is passed the time, in seconds of a monotonic clock.
`batcher.py` runs it. First in, first out, within an item and over all items. A request is either queued, where it may
be refused as `busy`, or in a running batch, where it may be bought: never both.
"""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future

from core.db.clock import Deadline
from core.purchase.decide import PurchaseRequest
from core.refusals import Busy

# Called with the ids of the items whose rows a batch has: returns the requests for them that join the batch.
JoinLate = Callable[[Collection[int]], Sequence[PurchaseRequest]]

# An item is stuck when it had its turn, and no request for it has had an outcome for so long since. In seconds.
STUCK_SECONDS = 1.0
# How long an item that held a batch up is remembered when no request for it is pending, and how many are.
_HELD_SECONDS = 10.0
_HELD_ITEMS = 1000
_LONGEST_RETRY_AFTER = 30  # seconds


def nobody_joins(goods_ids: Collection[int]) -> Sequence[PurchaseRequest]:
    """The JoinLate of a batch that takes in no requests."""
    return ()


class Item:
    """What the queue knows of an item, for as long as a request for it is pending."""

    __slots__ = ("alone", "goods_id", "last_wait", "moved_at", "pending", "queued", "retry_at", "running", "tried_at")

    def __init__(self, goods_id: int, now: float, alone: bool) -> None:
        self.goods_id = goods_id
        self.pending = 0
        self.queued: deque[Entry] = deque()
        self.running = False  # in a batch that is under way
        self.alone = alone  # to be settled in batches of its own: it may be what held its last batch up
        self.retry_at = 0.0  # not before, for want of a slot
        self.moved_at = now  # when a request for it last had an outcome
        self.last_wait = 0.0  # how long that request had waited
        self.tried_at: float | None = None  # when it was first in a batch since then; None: it waits for its turn

    def busy(self, now: float) -> Busy:
        """`busy`, to be tried again after as long as the item keeps requests waiting now."""
        waited = max(self.last_wait, now - self.moved_at)
        return Busy(min(_LONGEST_RETRY_AFTER, max(1, math.ceil(waited))))


class Entry:
    """A request in the queue. `future` is completed once, by the batcher, after `settled` was set."""

    __slots__ = ("deadline", "entered_at", "future", "holds_thread", "item", "number", "queued", "request", "settled")

    def __init__(self, request: PurchaseRequest, deadline: Deadline, holds_thread: bool) -> None:
        self.request = request
        self.deadline = deadline
        self.holds_thread = holds_thread
        # Not typed by the answer: the queue never looks at it.
        self.future: Future = Future()  # type: ignore[type-arg]
        self.settled = False
        self.queued = False
        self.item: Item
        self.number = 0
        self.entered_at = 0.0


class PurchaseQueue:
    """What waits for a batch. Not safe to share between threads: the batcher holds its lock."""

    def __init__(self, queue_max: int, slow_seconds: float, threads_max: int | None = None) -> None:
        """While an item is stuck, or its last request waited over `slow_seconds`, requests for it are refused once
        `queue_max` are pending, or `threads_max` of those for which a thread waits.
        """
        self._queue_max = queue_max
        self._threads_max = queue_max if threads_max is None else threads_max
        self._slow_seconds = slow_seconds
        self._items: dict[int, Item] = {}
        self._numbers = itertools.count()
        # Of the queued requests; no deadline is earlier. It spares looking through them all.
        self._earliest = math.inf
        self._threads = 0  # pending requests for which a thread waits
        # Items that held a batch up, and until when they are settled alone should no request for them be pending.
        self._held: dict[int, float] = {}
        self.pending = 0  # requests without an outcome, queued or in a batch
        self._moved_at = 0.0  # when a request for any item last had an outcome, or the queue was empty

    def is_stuck(self, item: Item, now: float) -> bool:
        """Whether the item had its turn STUCK_SECONDS ago, and no request for it has had an outcome since.

        An item that waits for its turn behind others is stuck only where those do not move either.
        """
        since = max(item.moved_at, self._moved_at) if item.tried_at is None else item.tried_at
        return now - since >= STUCK_SECONDS

    def add(self, entry: Entry, now: float) -> None:
        """Queue a request. Raises Busy where its item is stuck or slow and the queue is full."""
        goods_id = entry.request.goods_id
        item = self._items.get(goods_id)
        if item is None:
            item = self._items[goods_id] = Item(goods_id, now, alone=self._held.get(goods_id, 0) > now)
        elif self._is_full(entry.holds_thread) and (item.last_wait > self._slow_seconds or self.is_stuck(item, now)):
            raise item.busy(now)
        if not self.pending:
            self._moved_at = now
        entry.item, entry.number, entry.entered_at, entry.queued = item, next(self._numbers), now, True
        item.queued.append(entry)
        item.pending += 1
        self.pending += 1
        self._threads += entry.holds_thread
        self._earliest = min(self._earliest, entry.deadline.end)

    def _is_full(self, holds_thread: bool) -> bool:
        return self.pending >= self._queue_max or (holds_thread and self._threads >= self._threads_max)

    def take(self, batch_max: int, now: float) -> list[Entry]:
        """Remove the requests of the next batch from the queue, in order of arrival; empty where none can be settled.

        Left out are items that are in a running batch, and those that wait for a slot. An item that is to be settled
        alone shares no batch.
        """
        ready = self._ready(now)
        if not ready:
            return []
        first = min(ready)
        return self._pop([first] if first[1].alone else [each for each in ready if not each[1].alone], batch_max, now)

    def take_late(self, items: Iterable[Item], count: int, now: float) -> list[Entry]:
        """Remove up to `count` more requests for items of a running batch, in order of arrival."""
        return self._pop([(item.queued[0].number, item) for item in items if item.queued], count, now)

    def _pop(self, ready: list[tuple[int, Item]], count: int, now: float) -> list[Entry]:
        """Remove up to `count` requests for the items that are `ready`, in order of arrival."""
        heapq.heapify(ready)
        batch: list[Entry] = []
        while ready and len(batch) < count:
            item = ready[0][1]
            entry = item.queued.popleft()
            entry.queued = False
            batch.append(entry)
            item.running = True
            if item.tried_at is None:
                item.tried_at = now
            if item.queued:
                heapq.heapreplace(ready, (item.queued[0].number, item))
            else:
                heapq.heappop(ready)
        return batch

    def _ready(self, now: float) -> list[tuple[int, Item]]:
        """The items that could be in a batch now, by the number of their first request."""
        return [
            (item.queued[0].number, item)
            for item in self._items.values()
            if item.queued and not item.running and item.retry_at <= now
        ]

    def is_ready(self, now: float) -> bool:
        """Whether there is a request that could be taken now."""
        return bool(self._ready(now))

    def retry_at(self) -> float | None:
        """When the next item may be tried for a slot; None where no request waits for that."""
        return min((item.retry_at for item in self._items.values() if item.queued and not item.running), default=None)

    def settle(self, entry: Entry) -> bool:
        """Note that a request, which is not queued, has its outcome. False where it had one before, which stands."""
        if entry.settled:
            return False
        entry.settled = True
        item = entry.item
        item.pending -= 1
        self.pending -= 1
        self._threads -= entry.holds_thread
        if not item.pending:
            del self._items[item.goods_id]
        return True

    def moved(self, entries: Iterable[Entry], now: float) -> None:
        """Note that these requests had an outcome of their own: their items are neither stuck nor to be kept alone."""
        for entry in entries:
            item = entry.item
            item.moved_at, item.last_wait, item.tried_at = now, now - entry.entered_at, None
            item.retry_at, item.alone = 0.0, False
            self._moved_at = now
            self._held.pop(item.goods_id, None)

    def held_up(self, entries: Iterable[Entry], now: float) -> None:
        """Note that one of these items kept a batch from being settled: each is settled alone until it moves."""
        for entry in entries:
            entry.item.alone = True
            self._held[entry.item.goods_id] = now + _HELD_SECONDS
        if len(self._held) > _HELD_ITEMS:
            self._held.clear()

    def put_back(self, entries: Sequence[Entry], now: float) -> list[Entry]:
        """Queue requests of a batch again, ahead of all that came later: nothing was bought for them.

        Returns those that are not queued any more, since their deadline has passed.
        """
        late = []
        disordered: set[Item] = set()
        for entry in reversed(entries):
            if entry.settled:
                continue
            if entry.deadline.end <= now:
                late.append(entry)
                continue
            queued = entry.item.queued
            if queued and queued[0].number < entry.number:  # of the part of a split batch that was put back before
                disordered.add(entry.item)
            queued.appendleft(entry)
            entry.queued = True
            self._earliest = min(self._earliest, entry.deadline.end)
        for item in disordered:
            item.queued = deque(sorted(item.queued, key=lambda entry: entry.number))
        return late

    def expire(self, now: float) -> list[Entry]:
        """Remove the queued requests whose deadline has passed."""
        if now < self._earliest:
            return []
        late = [entry for item in self._items.values() for entry in item.queued if entry.deadline.end <= now]
        self._remove(late)
        self._earliest = min(
            (entry.deadline.end for item in self._items.values() for entry in item.queued), default=math.inf
        )
        return late

    def shed(self, now: float) -> list[Entry]:
        """Remove the newest of the queued requests for stuck items, as many as are over the bounds."""
        shed = self._newest_stuck(self.pending - self._queue_max, now)
        over = self._threads - self._threads_max - sum(entry.holds_thread for entry in shed)
        return shed + self._newest_stuck(over, now, holding_threads=True)

    def _newest_stuck(self, count: int, now: float, holding_threads: bool = False) -> list[Entry]:
        if count <= 0:
            return []
        stuck = [item.queued for item in self._items.values() if self.is_stuck(item, now)]
        entries = (entry for queued in stuck for entry in queued if entry.holds_thread or not holding_threads)
        newest = heapq.nlargest(count, entries, key=lambda entry: entry.number)
        self._remove(newest)
        return newest

    def _remove(self, entries: Collection[Entry]) -> None:
        gone = set(map(id, entries))
        for entry in entries:
            entry.queued = False
        for item in {entry.item for entry in entries}:
            item.queued = deque(entry for entry in item.queued if id(entry) not in gone)
