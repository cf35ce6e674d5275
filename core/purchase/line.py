"""The line: buyers of one item who wait in this process are served together, in one transaction.

The first to come leads: it takes all who wait for the item, in the order they came, serves them as one batch, and wakes
each with their own outcome, only after COMMIT. Who comes meanwhile is the next batch. There is no timer: the load makes
the batches. A follower holds no connection, and an item that is stuck holds up no other.

Whatever happens to a leader, each follower gets an outcome or an exception, and the next leader starts. Whoever is told
`busy` was in no batch that could have bought.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from prometheus_client import Histogram

from core.clock import Deadline
from core.purchase.decide import Outcome, PurchaseRequest
from core.refusals import Busy, Refusal, Unavailable

# Settles requests for one item; None for each means that no slot was free.
Serve = Callable[[Sequence[PurchaseRequest], Deadline], list[Outcome | None]]

# A sale is stuck when no batch has ended for so long, in seconds; a long line that moves is not.
_STUCK_SECONDS = 1.5
# Seconds between two tries for a slot that other processes hold.
_SLOT_PAUSE = 0.004

BATCH_SIZE = Histogram(
    "seckill_batch_size", "Purchase requests settled in one transaction.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)


class _Place:
    """A buyer's place in the line. `woken` is set when it is settled, or has to lead."""

    __slots__ = ("deadline", "error", "outcome", "request", "taken", "woken")

    def __init__(self, request: PurchaseRequest, deadline: Deadline) -> None:
        self.request = request
        self.deadline = deadline
        self.taken = False  # by a leader: its batch may buy from now on
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.woken = threading.Event()

    @property
    def settled(self) -> bool:
        return self.outcome is not None or self.error is not None

    def settle(self, outcome: Outcome | None = None, error: BaseException | None = None) -> None:
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
        self, serve: Serve, leaders_of: Callable[[int], int], batch_max: int, waiting_max: int, grace_seconds: float
    ) -> None:
        """`leaders_of` tells how many may lead for an item at once, `batch_max` how many one of them serves together.

        `waiting_max` is how many may wait for sales that are stuck; `grace_seconds` how long past its deadline a buyer
        waits whose batch has begun.
        """
        self._serve = serve
        self._leaders_of = leaders_of
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._grace_seconds = grace_seconds
        self._waiting = 0
        self._queues: dict[int, _Queue] = {}
        self._lock = threading.Lock()

    def buy(self, request: PurchaseRequest, deadline: Deadline) -> Outcome:
        """Stand in line for `request` and return its outcome.

        Raises Busy (nothing was bought; at once where a sale is stuck and too many wait), Unavailable (perhaps it was),
        or the error that this request alone caused.
        """
        place = _Place(request, deadline)
        with self._lock:
            queue = self._queues.setdefault(request.goods_id, _Queue())
            leads = queue.leaders < self._leaders_of(request.goods_id)
            if leads:
                queue.leaders += 1
                place.taken = True
            else:
                patience = place.deadline.remaining()
                if self._waiting >= self._waiting_max:
                    patience = min(patience, queue.patience())
                queue.waiting.append(place)
                self._waiting += 1
        if leads or self._follow(place, queue, patience):
            self._lead(place, queue)
        return place.result()

    def _follow(self, place: _Place, queue: _Queue, patience: float) -> bool:
        """Wait for an outcome. Whether this thread has to lead instead."""
        if not place.woken.wait(patience):
            with self._lock:
                if not place.taken:
                    queue.waiting.remove(place)
                    self._waiting -= 1
                    raise Busy()
            # A leader has it in hand, and may be buying: "busy" could be a lie.
            if not place.woken.wait(place.deadline.remaining() + self._grace_seconds):
                with self._lock:
                    # Nobody stands here any more: it must not be asked to lead.
                    place.settle(error=Unavailable())
        return not place.settled

    def _lead(self, own: _Place, queue: _Queue) -> None:
        batch = [own]
        try:
            while not own.settled:
                self._take(queue, batch)
                self._settle(batch)
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
                self._waiting -= 1
                batch.append(place)

    def _put_back(self, queue: _Queue, batch: list[_Place], own: _Place) -> list[_Place]:
        """Settle those who are late, and let the others of an unsettled batch wait again. What is left of it."""
        with self._lock:
            left = [place for place in batch if not place.settled]
            for place in left:
                if place.deadline.passed:
                    place.settle(error=Busy())
            left = [place for place in left if not place.settled]
            if not own.settled:
                return left
            for place in reversed(left):
                place.taken = False
                queue.waiting.appendleft(place)
                self._waiting += 1
            return []

    def _settle(self, batch: list[_Place]) -> None:
        """Serve `batch`. Those for whom nothing was done, but may be yet, are left unsettled."""
        try:
            # The leader came first: at its deadline those who came later still have time.
            outcomes = self._serve([place.request for place in batch], batch[0].deadline)
        except Busy as busy:
            if not batch[0].deadline.passed:  # given up for another reason, such as too many reruns
                for place in batch:
                    place.settle(error=busy)
        except Refusal as refusal:
            for place in batch:
                place.settle(error=refusal)
        except Exception as error:
            if len(batch) == 1:
                batch[0].settle(error=error)
                return
            # One of them is to blame. Halves find it in few steps; the others are served.
            middle = len(batch) // 2
            self._settle(batch[:middle])
            self._settle(batch[middle:])
        else:
            settled = [place for place, outcome in zip(batch, outcomes, strict=True) if outcome is not None]
            for place, outcome in zip(batch, outcomes, strict=True):
                if outcome is not None:
                    place.settle(outcome)
            if settled:
                BATCH_SIZE.observe(len(settled))

    def _hand_over(self, goods_id: int, queue: _Queue) -> None:
        with self._lock:
            queue.moved_at = time.monotonic()
            if queue.waiting and queue.leaders <= self._leaders_of(goods_id):
                following = queue.waiting.popleft()
                self._waiting -= 1
                following.taken = True
                following.woken.set()
                return
            queue.leaders -= 1
            if not queue.leaders and not queue.waiting:
                self._queues.pop(goods_id, None)
