"""The line: buyers of one item who wait in this process are served together, in one transaction.

The first to come leads: it takes all who wait for the item, in the order they came, serves them as one batch, and wakes
each with their own outcome, only after COMMIT. Who comes meanwhile is the next batch. There is no timer: the load makes
the batches. A follower holds no connection, and an item that is stuck holds up no other.

Whatever happens to a leader, each follower gets an outcome or an exception, and the next leader starts. Whoever is told
`busy` was in no batch that could have bought.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from prometheus_client import Histogram

from core.clock import Deadline
from core.metrics import record
from core.purchase.decide import Outcome, PurchaseRequest
from core.refusals import Busy, Unavailable

# Settles requests for one item, in one transaction. None for each means that no slot was free. Raises Busy where it is
# certain that nothing was done, Unavailable where it is not, and anything else only where the transaction was undone.
Serve = Callable[[Sequence[PurchaseRequest], Deadline], list[Outcome | None]]

# A sale is stuck when nobody had an outcome for so long, in seconds; a long line that moves is not.
_STUCK_SECONDS = 1.0
# Seconds between two tries for a slot that other processes hold.
_SLOT_PAUSE = 0.004

BATCH_SIZE = Histogram(
    "seckill_batch_size", "Purchase requests settled in one transaction.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)

log = logging.getLogger("seckill.line")


class _Place:
    """A buyer's place in the line. `woken` is set when it is settled, or called to lead."""

    __slots__ = ("_guard", "called", "deadline", "error", "last", "outcome", "request", "taken", "woken")

    def __init__(self, request: PurchaseRequest, deadline: Deadline, grace_seconds: float) -> None:
        self.request = request
        self.deadline = deadline
        self.last = deadline.extended(grace_seconds)
        self.taken = False  # by a leader: its batch may buy from now on
        self.called = False  # to lead
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.woken = threading.Event()
        self._guard = threading.Lock()

    @property
    def settled(self) -> bool:
        return self.outcome is not None or self.error is not None

    def settle(self, outcome: Outcome | None = None, error: BaseException | None = None) -> None:
        """Give the buyer their answer; the first one stands."""
        with self._guard:
            if not self.settled:
                self.outcome, self.error = outcome, error
                self.woken.set()

    def result(self) -> Outcome:
        if self.outcome is None:
            raise self.error or Unavailable()
        return self.outcome


class _Queue:
    """Those who want one item."""

    __slots__ = ("leaders", "moved_at", "waiting")

    def __init__(self) -> None:
        self.leaders = 0
        self.moved_at = time.monotonic()
        self.waiting: deque[_Place] = deque()

    def patience(self) -> float:
        """Seconds until this queue counts as stuck."""
        return max(0.0, self.moved_at + _STUCK_SECONDS - time.monotonic())


class Line:
    """A queue for each item, gone when nobody stands in it. Shared by all threads of a process."""

    def __init__(
        self, serve: Serve, leaders_of: Callable[[int], int], batch_max: int, inside_max: int, grace_seconds: float
    ) -> None:
        """`leaders_of` tells how many may lead for an item at once, `batch_max` how many one of them serves together.

        `inside_max` is how many may be in line, all items together, when one of them is stuck; `grace_seconds` how long
        past its deadline a buyer waits whose batch has begun.
        """
        self._serve = serve
        self._leaders_of = leaders_of
        self._batch_max = batch_max
        self._inside_max = inside_max
        self._grace_seconds = grace_seconds
        self._inside = 0
        self._queues: dict[int, _Queue] = {}
        self._lock = threading.Lock()

    def buy(self, request: PurchaseRequest, deadline: Deadline) -> Outcome:
        """Stand in line for `request` and return its outcome.

        Raises Busy (nothing was bought; early where the sale is stuck and too many are in line), Unavailable (perhaps
        it was), or the error that this request alone caused.
        """
        place = _Place(request, deadline, self._grace_seconds)
        queue = self._enter(place)
        try:
            if self._follow(place, queue):
                self._lead(place, queue)
        except Exception as error:
            if place.outcome is None:
                raise
            log.warning("after a purchase was settled: %s", type(error).__name__)  # its answer stands
        finally:
            with self._lock:
                self._inside -= 1
        return place.result()

    def _enter(self, place: _Place) -> _Queue:
        with self._lock:
            queue = self._queues.setdefault(place.request.goods_id, _Queue())
            queue.waiting.append(place)
            self._inside += 1
            if queue.leaders < self._leaders_of(place.request.goods_id):
                queue.leaders += 1
                self._call(queue)  # the first in line, who may have come before
            return queue

    def _call(self, queue: _Queue) -> None:
        """Call the first in line to lead. Needs the lock, and somebody who waits."""
        first = queue.waiting.popleft()
        first.taken = first.called = True
        first.woken.set()

    def _follow(self, place: _Place, queue: _Queue) -> bool:
        """Wait for an outcome. Whether this thread has to lead instead, as the first to come does at once."""
        try:
            while True:
                with self._lock:
                    if place.called:
                        return True
                    if place.settled:
                        return False
                    seconds = self._patience(place, queue)
                place.woken.wait(seconds)
        except BaseException:
            self._withdraw(place, queue)
            raise

    def _patience(self, place: _Place, queue: _Queue) -> float:
        """Seconds to wait before looking around again. Settles a place that has waited enough. Needs the lock."""
        if place.taken:
            # A leader has it in hand, and may be buying: "busy" could be a lie. Past the deadline it comes no more back
            # into the line; past the grace nobody knows.
            if not place.deadline.passed:
                return place.deadline.remaining()
            if place.last.passed:
                place.settle(error=Unavailable())
            return place.last.remaining()
        seconds = place.deadline.remaining()
        if self._inside > self._inside_max:
            seconds = min(seconds, queue.patience())
        if seconds == 0:
            # Out of the line in the same breath: a moment later a leader could take it.
            queue.waiting.remove(place)
            place.settle(error=Busy())
        return seconds

    def _withdraw(self, place: _Place, queue: _Queue) -> None:
        """Leave the line because this thread is being ended."""
        with self._lock:
            if place in queue.waiting:
                queue.waiting.remove(place)
            called = place.called
        if called:
            self._hand_over(place.request.goods_id, queue)

    def _lead(self, own: _Place, queue: _Queue) -> None:
        batch = [own]
        try:
            while not own.settled:
                self._take(queue, batch)
                self._settle(queue, batch)
                batch = self._put_back(queue, batch, own)
                if not own.settled:
                    time.sleep(random.uniform(0.5, 1.5) * _SLOT_PAUSE)  # noqa: S311 (no secret)
        finally:
            for place in batch:
                place.settle(error=Unavailable())
            self._hand_over(own.request.goods_id, queue)

    def _take(self, queue: _Queue, batch: list[_Place]) -> None:
        """Take those who wait into the batch."""
        with self._lock:
            while queue.waiting and len(batch) < self._batch_max:
                place = queue.waiting.popleft()
                place.taken = True
                batch.append(place)

    def _put_back(self, queue: _Queue, batch: list[_Place], own: _Place) -> list[_Place]:
        """Settle those who are late, and let the others of an unsettled batch wait again. What is left of it."""
        with self._lock:
            for place in batch:
                if place.deadline.passed:
                    place.settle(error=Busy())  # the batch was undone, or it would have an outcome
            left = [place for place in batch if not place.settled]
            if not own.settled:
                return left
            for place in reversed(left):
                place.taken = False
                queue.waiting.appendleft(place)
            return []

    def _settle(self, queue: _Queue, batch: list[_Place]) -> None:
        """Serve `batch`. Those for whom nothing was done, but may be yet, are left unsettled."""
        # The leader came first: at its deadline those who came later still have time.
        deadline = batch[0].deadline
        try:
            outcomes = self._serve([place.request for place in batch], deadline)
        except Busy:
            if not deadline.passed:  # given up for another reason, such as too many reruns
                for place in batch:
                    place.settle(error=Busy())
        except Unavailable:
            for place in batch:
                place.settle(error=Unavailable())
        except Exception as error:
            if len(batch) == 1:
                batch[0].settle(error=error)
                return
            # One of them is to blame. Halves find it in few steps; the others are served.
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                if not half[0].deadline.passed:
                    self._settle(queue, half)
        else:
            for place, outcome in zip(batch, outcomes, strict=True):
                if outcome is not None:
                    place.settle(outcome)
            settled = len(batch) - outcomes.count(None)
            if settled:
                queue.moved_at = time.monotonic()
                record(lambda: BATCH_SIZE.observe(settled))

    def _hand_over(self, goods_id: int, queue: _Queue) -> None:
        with self._lock:
            while queue.waiting and queue.waiting[0].deadline.passed:
                queue.waiting.popleft().settle(error=Busy())
            if queue.waiting and queue.leaders <= self._leaders_of(goods_id):
                self._call(queue)
                return
            queue.leaders -= 1
            if not queue.leaders and not queue.waiting:
                self._queues.pop(goods_id, None)
