"""The line: the buyers who wait in this process, for whatever item, are served together, in one transaction.

The first to come leads: it takes all who wait, in the order they came, serves them as one batch, and wakes each with
their own outcome, only after COMMIT. Who comes meanwhile is the next batch. There is no timer: the load makes the
batches. A follower holds no connection. An item without a free slot stays in line and holds up nobody else; one whose
row others keep locked holds up those of its own batch for one lock wait, and then nobody.

Whatever happens to a leader, each follower gets an outcome or an exception, and the next leader starts. Whoever is told
`busy` was in no batch that could have bought.
"""

import itertools
import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic

from prometheus_client import Gauge, Histogram

from core.clock import Deadline
from core.metrics import record
from core.purchase.decide import PurchaseRequest
from core.purchase.place import Answer, Item, Place
from core.refusals import Busy, Unavailable

# Settles requests in one transaction. None for each that could not be served now: no slot was free. The last argument
# says whether to wait on for rows that others hold. Raises Busy where it is certain that nothing was done, Unavailable
# where it is not, and anything else only where the transaction was undone.
Serve = Callable[[Sequence[PurchaseRequest], Deadline, bool], Sequence[Answer | None]]

# An item is stuck when nobody who wants it had an outcome for so long, in seconds; a long line that moves is not.
_STUCK_SECONDS = 1.0
# Seconds that a batch is under way before another may be served beside it.
_STALL_SECONDS = 0.1
# Seconds between two tries for a slot that other processes hold.
_SLOT_PAUSE = 0.004
# Seconds after which a buyer whose batch is under way looks by themselves whether it is over.
_LOOK_SECONDS = 0.5
_LONGEST_RETRY_AFTER = 30  # seconds
# For how long an item that held a batch up is remembered when nobody wants it any more, and how many are.
_HELD_SECONDS = 10.0
_HELD_ITEMS = 1000

BATCH_SIZE = Histogram(
    "seckill_batch_size",
    "Purchase requests settled together.",
    ["line"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
WAIT_SECONDS = Histogram(
    "seckill_line_wait_seconds",
    "Time from a buyer's entry into the line to the answer of COMMIT, of the one in each batch who waited longest.",
    ["line"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
LENGTH = Gauge(
    "seckill_line_length",
    "Purchase requests in line, when last a batch ended or somebody was turned away.",
    ["line"],
    multiprocess_mode="livesum",
)

log = logging.getLogger("seckill.line")


class Line(Generic[Answer]):
    """Brings buyers together. Shared by all threads of a process."""

    def __init__(
        self,
        serve: Serve[Answer],
        batch_max: int,
        inside_max: int,
        leaders_max: int,
        slow_seconds: float,
        grace_seconds: float,
        name: str = "purchase",
    ) -> None:
        """`serve` settles a batch of at most `batch_max`.

        While an item is stuck, or its last buyers waited over `slow_seconds`, newcomers past `inside_max` in the line
        are told `busy` at once. `leaders_max` batches are under way at most, and more than one only while the others
        stall. `grace_seconds` is how long past its deadline a buyer waits whose batch has begun. `name` tells its
        figures from those of other lines.
        """
        self._serve = serve
        self._batch_max = batch_max
        self._inside_max = inside_max
        self._leaders_max = leaders_max
        self._slow_seconds = slow_seconds
        self._grace_seconds = grace_seconds
        self._name = name
        self._inside = 0
        self._waiting: deque[Place[Answer]] = deque()
        self._items: dict[int, Item] = {}
        # Items that held a batch up, and until when they are served alone, should all who want them leave.
        self._held: dict[int, float] = {}
        # Who leads, and since when their batch is under way; None between two.
        self._leaders: dict[Place[Answer], float | None] = {}
        self._lock = threading.Lock()

    def buy(self, request: PurchaseRequest, deadline: Deadline) -> Answer:
        """Stand in line for `request` and return its outcome.

        Raises Busy (nothing was bought; at once where the line is too long to serve in time), Unavailable (perhaps it
        was), or the error that this request alone caused.
        """
        place, seconds = self._enter(request, deadline)
        try:
            self._follow(place, seconds)
            if place.called:
                self._lead(place)
        except Exception as error:
            if place.outcome is None:
                raise
            log.warning("after a purchase was settled: %s", type(error).__name__)  # its answer stands
        finally:
            place.pass_on()  # a leader too: another may have had it in hand
        return place.result()

    def _enter(self, request: PurchaseRequest, deadline: Deadline) -> tuple[Place[Answer], float]:
        with self._lock:
            item = self._items.get(request.goods_id)
            if item is None:
                item = self._items[request.goods_id] = Item(request.goods_id)
                item.alone = self._held.get(request.goods_id, 0) > item.moved_at
            elif self._inside >= self._inside_max and self._is_slow(item):
                inside = self._inside
                record(lambda: LENGTH.labels(self._name).set(inside))
                raise Busy(_retry_after(item))
            place: Place[Answer] = Place(request, deadline, item)
            self._inside += 1
            item.inside += 1
            self._waiting.append(place)
            return place, self._patience(place)

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

    def _patience(self, place: Place[Answer]) -> float:
        """Seconds to wait before looking around again. Settles a place that has waited enough. Needs the lock."""
        if place.settled:
            return 0
        if place.taken_by is not None:
            return self._patience_in_hand(place)
        now = time.monotonic()
        seconds = place.deadline.remaining()
        if self._inside > self._inside_max:
            seconds = min(seconds, max(0.0, place.item.moved_at + _STUCK_SECONDS - now))
        if seconds == 0:
            # Out of the line in the same breath: a moment later a leader could take it.
            self._waiting.remove(place)
            self._settle(place, error=Busy(_retry_after(place.item)))
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

    def _lead(self, own: Place[Answer]) -> None:
        batch: list[Place[Answer]] = []
        try:
            while not own.settled:
                with self._lock:
                    batch, pause = self._take(own)
                if batch:
                    self._serve_batch(own, batch)
                    batch = []
                else:
                    own.bell.acquire(timeout=pause)
                if own.deadline.passed:
                    with self._lock:
                        self._patience(own)
        finally:
            with self._lock:
                for place in batch:
                    place.item.in_hand = False
                    if place.taken_by is own:
                        self._settle(place, error=Unavailable())
                self._withdraw(own)

    def _take(self, own: Place[Answer]) -> tuple[list[Place[Answer]], float]:
        """Take those who can be served now into a batch; without any, the seconds to rest. Needs the lock."""
        now = time.monotonic()
        batch: list[Place[Answer]] = []
        rest: deque[Place[Answer]] = deque()
        # Another leader, to whom it was a place like all others, may have it in hand.
        wake_at = now + (own.deadline.remaining() if own.taken_by is None else self._patience_in_hand(own))
        alone: Item | None = None
        for place in self._waiting:
            item = place.item
            if item.retry_at > now:
                wake_at = min(wake_at, item.retry_at)
                rest.append(place)
            elif (
                item.in_hand
                or len(batch) >= self._batch_max
                or (alone is not None and item is not alone)
                or (item.alone and batch and alone is None)
            ):
                rest.append(place)
            else:
                alone = item if item.alone else None
                place.taken_by = own
                batch.append(place)
        self._waiting = rest
        for place in batch:
            place.item.in_hand = True
        self._leaders[own] = now if batch else None
        return batch, max(_SLOT_PAUSE, wake_at - now)

    def _serve_batch(self, own: Place[Answer], batch: list[Place[Answer]]) -> None:
        """Serve `batch` and settle it. Those for whom nothing was done, but may be yet, are back in line after it."""
        parts = [batch]
        while parts:
            part = parts.pop()
            # The first in line came first: at its deadline those who came later still have time.
            deadline = part[0].deadline
            one_item = all(place.item is part[0].item for place in part)
            outcomes: Sequence[Answer | None] = ()
            failure: Exception | None = None
            held_up = False
            try:
                outcomes = self._serve([place.request for place in part], deadline, one_item)
            except Busy:
                # Given up for another reason than time, such as a row that somebody keeps, or too many reruns.
                held_up = not deadline.passed
                failure = Busy(_retry_after(part[0].item)) if held_up and one_item else None
            except Unavailable as error:
                failure = error
            except Exception as error:
                if len(part) > 1 and not deadline.passed:
                    # One of them is to blame. Halves find it in few steps; the others are served.
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
                    continue
                failure = error if len(part) == 1 else None
            # The items stay in hand, and the leader the leader, until all parts are done.
            self._finish(own, part, outcomes, failure, held_up, done=[] if parts else batch)

    def _finish(
        self,
        own: Place[Answer],
        batch: list[Place[Answer]],
        outcomes: Sequence[Answer | None] = (),
        error: BaseException | None = None,
        held_up: bool = False,
        done: Sequence[Place[Answer]] = (),
    ) -> None:
        """Settle those of `batch` who have an outcome, or all with `error`; the others wait again.

        `held_up` says that one of their items kept the batch from being served, `done` whose items are in hand no more.
        """
        answers = list(zip(batch, outcomes or [None] * len(batch), strict=True))
        with self._lock:
            now = time.monotonic()
            for place in done:
                place.item.in_hand = False
            for place, outcome in answers:
                if outcome is not None:
                    place.item.moved(now, now - place.entered_at)
                    self._held.pop(place.item.goods_id, None)
                elif outcomes:
                    place.item.retry_at = now + random.uniform(0.5, 1.5) * _SLOT_PAUSE  # noqa: S311 (no secret)
                elif held_up:
                    place.item.alone = True
                    self._held[place.item.goods_id] = now + _HELD_SECONDS
            if len(self._held) > _HELD_ITEMS:
                self._held.clear()
            if error is None:
                self._put_back([place for place, outcome in answers if outcome is None], ring=not outcomes)
            settled = [(place, outcome) for place, outcome in answers if place.taken_by is not None]
            if done and own in self._leaders:
                self._leaders[own] = None
                if own.settled or any(place is own for place, _ in settled):
                    # The next leader first: it works while the others are on their way out.
                    del self._leaders[own]
                    self._call(now)
            # A leader whom this one took along is not waiting, and would keep those behind it waiting.
            followers = [place for place, _ in settled if place is not own and not place.settled and not place.called]
            for place, following in itertools.pairwise(followers):
                place.next = following  # ahead of the outcome: whoever has that leaves, and looks here first
            for place, outcome in settled:
                self._settle(place, outcome, error, ring=place.called)
            inside = self._inside
        if followers:
            followers[0].ring()
        record(lambda: LENGTH.labels(self._name).set(inside))
        if outcomes and settled:
            longest = now - settled[0][0].entered_at
            record(lambda: BATCH_SIZE.labels(self._name).observe(len(settled)))
            record(lambda: WAIT_SECONDS.labels(self._name).observe(longest))

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
                self._settle(place, error=Busy(_retry_after(place.item)))
            else:
                self._waiting.appendleft(place)
                if ring:
                    place.ring()

    def _settle(
        self,
        place: Place[Answer],
        outcome: Answer | None = None,
        error: BaseException | None = None,
        ring: bool = True,
    ) -> None:
        """Give the buyer their answer; the first one stands. Needs the lock."""
        if place.settled:
            return
        place.outcome, place.error = outcome, error
        self._inside -= 1
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


def _retry_after(item: Item) -> int:
    """Whole seconds after which to try again: as long as the item has kept its buyers waiting until now."""
    waited = max(item.last_wait, time.monotonic() - item.moved_at)
    return min(_LONGEST_RETRY_AFTER, max(1, math.ceil(waited)))
