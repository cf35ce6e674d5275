"""Counts purchases by item and outcome in a worker. What happens at each purchase is an append; the rest is later."""

import random
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping

from core.live.tally import FAILURES, SAMPLE, Tally, bucket_of
from core.refusals import GOODS_NOT_FOUND

# Events that wait to be added up, at most.
_EVENTS = 4096
# Items that are counted by themselves between two turns of the collector; further ones are counted as item 0.
_ITEMS = 2000
# Items that are remembered to exist, at most; all are forgotten beyond.
_KNOWN = 10_000

# Item, outcome, and of a queued purchase its wait in seconds, its arrival (monotonic), and the order that it became.
_Event = tuple[int, str, float | None, float, str | None]


class PurchaseCounter:
    """Safe to use from all threads."""

    def __init__(self) -> None:
        self._events: deque[_Event] = deque()
        self._batches: deque[Mapping[int, int]] = deque(maxlen=_EVENTS)
        self._items: dict[int, Tally] = {}
        self._arrived: dict[int, list[tuple[str, float]]] = {}
        self._known: set[int] = set()
        self._lock = threading.Lock()

    def settled(self, goods_id: int, outcome: str, seconds: float, arrived: float, order_no: str | None) -> None:
        """Count a purchase that was queued. `arrived` is on the monotonic clock."""
        self._events.append((goods_id, outcome, seconds, arrived, order_no))
        if len(self._events) >= _EVENTS:
            self._add_up()

    def refused(self, goods_id: int, code: str) -> None:
        """Count a purchase that was refused ahead of the queue."""
        self._events.append((goods_id, code, None, 0.0, None))
        if len(self._events) >= _EVENTS:
            self._add_up()

    def batch(self, sizes: Mapping[int, int]) -> None:
        """Count a batch that was settled: how many purchases of each item. All of them exist."""
        self._batches.append(sizes)

    @property
    def waiting(self) -> int:
        """The number of purchases that are not added up yet."""
        return len(self._events)

    def knows(self, goods_id: int) -> bool:
        """Whether the item was found to exist. Ids that somebody made up must neither make a row nor raise an alarm."""
        return goods_id in self._known

    def take(self) -> tuple[dict[int, Tally], dict[int, list[tuple[str, float]]]]:
        """What was counted since the last call, by item; and of a sample of orders, when their requests arrived."""
        self._add_up()
        with self._lock:
            items, self._items = self._items, {}
            arrived, self._arrived = self._arrived, {}
            batches = [self._batches.popleft() for _ in range(len(self._batches))]
        for sizes in batches:
            self._know(sizes)
            for goods_id, size in ((0, sum(sizes.values())), *sizes.items()):
                tally = items.setdefault(goods_id, Tally())
                tally.batches += 1
                tally.batched += size
        return items, arrived

    def _add_up(self) -> None:
        with self._lock:
            events = [self._events.popleft() for _ in range(len(self._events))]
            counts = Counter(
                (event[0], event[1], None if event[2] is None else bucket_of(event[2])) for event in events
            )
            self._know(item for item, outcome, _ in counts if outcome not in FAILURES and outcome != GOODS_NOT_FOUND)
            for (goods_id, outcome, bucket), count in counts.items():
                tally = self._of(goods_id)
                tally.outcomes[outcome] += count
                if bucket is not None:
                    tally.waits[bucket] += count
            orders: dict[int, list[tuple[str, float]]] = {}
            for goods_id, _, _, arrived, order_no in events:
                if order_no is not None:
                    orders.setdefault(goods_id, []).append((order_no, arrived))
            for goods_id, placed in orders.items():
                if goods_id in self._items:
                    kept = self._arrived.get(goods_id, []) + placed
                    self._arrived[goods_id] = kept if len(kept) <= SAMPLE else random.sample(kept, SAMPLE)

    def _know(self, items: Iterable[int]) -> None:
        if len(self._known) > _KNOWN:
            self._known.clear()
        self._known.update(items)

    def _of(self, goods_id: int) -> Tally:
        """The item's figures; those of no item for one that is not known to exist, or where there are too many."""
        if goods_id not in self._known or (goods_id not in self._items and len(self._items) >= _ITEMS):
            goods_id = 0
        tally = self._items.get(goods_id)
        if tally is None:
            tally = self._items[goods_id] = Tally()
        return tally
