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
import random
import time
from collections.abc import Callable, Sequence

from prometheus_client import Histogram

from core.clock import Deadline
from core.metrics import record
from core.purchase.decide import PurchaseRequest
from core.purchase.place import Answer, Item, Place
from core.purchase.waiting import LENGTH, Waiting, retry_after
from core.refusals import Busy, Unavailable

# Settles requests in one transaction. None for each that could not be served now: no slot was free. The last argument
# says whether to wait on for rows that others hold. Raises Busy where it is certain that nothing was done, Unavailable
# where it is not, and anything else only where the transaction was undone.
Serve = Callable[[Sequence[PurchaseRequest], Deadline, bool], Sequence[Answer | None]]

# Seconds between two tries for a slot that other processes hold.
_SLOT_PAUSE = 0.004
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

log = logging.getLogger("seckill.line")


class Line(Waiting[Answer]):
    """Brings buyers together. Shared by all threads of a process. Who waits is in waiting.py; here is who leads."""

    def __init__(
        self,
        serve: Serve[Answer],
        batch_max: int,
        inside_max: int,
        leaders_max: int,
        slow_seconds: float,
        grace_seconds: float,
        name: str = "purchase",
        threads_max: int | None = None,
    ) -> None:
        """`serve` settles a batch of at most `batch_max`. The rest says who waits, and for how long: see Waiting."""
        super().__init__(inside_max, leaders_max, slow_seconds, grace_seconds, name, threads_max)
        self._serve = serve
        self._batch_max = batch_max

    def buy(self, request: PurchaseRequest, deadline: Deadline) -> Answer:
        """Stand in line for `request` and return its outcome.

        Raises Busy (nothing was bought; at once where the line is too long to serve in time), Unavailable (perhaps it
        was), or the error that this request alone caused.
        """
        place, seconds = self.enter(request, deadline)
        try:
            self._follow(place, seconds)
            if place.called:
                self.lead(place)
        except Exception as error:
            if place.outcome is None:
                raise
            log.warning("after a purchase was settled: %s", type(error).__name__)  # its answer stands
        finally:
            place.pass_on()  # a leader too: another may have had it in hand
        return place.result()

    def lead(self, own: Place[Answer]) -> None:
        """Serve batches until `own`, which was called to lead, is settled; then, or if this fails, another leads."""
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
        passed_over: list[Place[Answer]] = []
        # Another leader, to whom it was a place like all others, may have it in hand.
        wake_at = now + (own.deadline.remaining() if own.taken_by is None else self._patience_in_hand(own))
        alone: Item | None = None
        while self._waiting and len(batch) < self._batch_max:
            place = self._waiting.popleft()
            item = place.item
            if item.retry_at > now:
                wake_at = min(wake_at, item.retry_at)
                passed_over.append(place)
            elif item.in_hand or (alone is not None and item is not alone) or (item.alone and batch and alone is None):
                passed_over.append(place)
            else:
                alone = item if item.alone else None
                place.taken_by = own
                batch.append(place)
        self._waiting.extendleft(reversed(passed_over))
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
                failure = Busy(retry_after(part[0].item)) if held_up and one_item else None
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
        error: Exception | None = None,
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
