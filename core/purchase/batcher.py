"""Settles purchase requests in batches, each in one transaction. (Known as group commit.)

Requests wait in one queue for all items. A small pool of worker threads takes them in batches and settles them. Those
that arrive meanwhile join the batch if it has not got their item's row yet, and are the next batch otherwise: the load
makes the batches, and there is no timer. One batch is under way at a time; another one beside it, for other items, only
while all that are under way have taken over STALL_SECONDS. One more thread completes the futures, and one enforces the
deadlines.

Every request is answered, whatever happens to the thread that settles it: by its outcome, by the error that it alone
caused, by Busy where certainly nothing was done for it, or by Unavailable where that is not known.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

from prometheus_client import Gauge, Histogram

from core import threads
from core.db.clock import Deadline
from core.ops.metrics import record
from core.purchase.decide import PurchaseRequest
from core.purchase.queue import Entry, JoinLate, PurchaseQueue, nobody_joins
from core.refusals import Busy, Unavailable

Answer = TypeVar("Answer")

# Settles requests in one transaction. None for each that could not be settled now, for want of a slot. The third
# argument says whether to keep waiting for rows that others hold. The last one may be called, once and again: what it
# returns belongs to the batch from then on, behind the others. Raises Busy where it is certain that nothing was
# done, Unavailable where it is not, and anything else only where the transaction was rolled back.
Settle = Callable[[Sequence[PurchaseRequest], Deadline, bool, JoinLate], Sequence[Answer | None]]

# Seconds that a batch is under way before another may be settled beside it.
STALL_SECONDS = 0.1
# Seconds, on average, between two tries for a slot that other processes hold: while the item moves, and when stuck.
SLOT_RETRY_SECONDS = 0.004
STUCK_SLOT_RETRY_SECONDS = 0.05
# Seconds between two looks at deadlines and stalled batches, and how many of them find nothing before they pause.
_TICK_SECONDS = 0.02
_IDLE_TICKS = 50
_KINDS_OF_THREADS = 3

LENGTH = Gauge(
    "seckill_queue_length",
    "Purchase requests without an outcome, when last a batch ended or a request was refused.",
    ["queue"],
    multiprocess_mode="livesum",
)
BATCH_SIZE = Histogram(
    "seckill_batch_size",
    "Purchase requests settled together.",
    ["queue"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
WAIT_SECONDS = Histogram(
    "seckill_queue_wait_seconds",
    "Time from a request's arrival in the queue to the answer of COMMIT, of the oldest one in each batch.",
    ["queue"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)

log = logging.getLogger("seckill.batcher")


@dataclass(eq=False)
class _Running:
    """A batch that is under way."""

    began: float
    entries: list[Entry]


class Batcher(Generic[Answer]):
    """One queue of a process and the threads that serve it, which start with the first request."""

    def __init__(
        self,
        settle: Settle[Answer],
        queue: PurchaseQueue,
        *,
        batch_max: int,
        workers: int,
        grace_seconds: float,
        name: str = "purchase",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`settle` settles batches of at most `batch_max` requests, on at most `workers` threads at once.

        A request in a running batch is answered Unavailable `grace_seconds` after its deadline. `name` labels the
        metrics of this queue. `clock` is the one that deadlines are on, in seconds.
        """
        self._settle = settle
        self._queue = queue
        self._batch_max = batch_max
        self._workers = workers
        self._grace_seconds = grace_seconds
        self._name = name
        self._clock = clock
        self._running: set[_Running] = set()
        self._answers: SimpleQueue[list[tuple[Entry, Answer | BaseException]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._watching = False
        self._called = False  # a worker was notified, and does not run yet
        self._rest_until = math.inf  # when a worker that waits for a slot tries again
        lock = threading.Lock()
        self._lock = lock
        self._changed = threading.Condition(lock)  # for workers: there may be a batch to take
        self._needed = threading.Condition(lock)  # for the watch: requests are pending again
        self._empty = threading.Condition(lock)  # for `close`: no request is pending

    @property
    def pending(self) -> int:
        """Requests without an outcome, queued or in a batch."""
        return self._queue.pending

    def submit(self, request: PurchaseRequest, deadline: Deadline, holds_thread: bool = False) -> Future[Answer]:
        """Queue a request, and return the future of its outcome. `holds_thread` says that a thread waits for it.

        The future fails with Busy (nothing was done; at once where the queue is too long to be served in time),
        Unavailable (perhaps it was), or the error that this request alone caused. Its callbacks are called by one
        thread for all requests, or here where it has failed already: they must not block.
        """
        entry = Entry(request, deadline, holds_thread)
        refused = None
        with self._lock:
            now = self._clock()
            try:
                if self._closed or not self._has_threads():
                    raise Busy
                self._queue.add(entry, now)
            except Busy as busy:
                refused = busy
                self._report_length()
            else:
                if not self._watching:
                    self._watching = True
                    self._needed.notify()
                item = entry.item
                if not item.running and item.retry_at <= now and self._may_take(now):
                    self._call()
        if refused is not None:
            entry.future.set_exception(refused)
        return entry.future

    def close(self, seconds: float) -> bool:
        """Refuse new requests, wait until all pending ones are answered, and end the threads. False: not in time."""
        ends = time.monotonic() + seconds
        with self._lock:
            self._closed = True
            ended = self._empty.wait_for(lambda: not self._queue.pending, seconds)
            self._changed.notify_all()
            self._needed.notify_all()
        if ended:
            self._answers.put(None)
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        return ended and not any(thread.is_alive() for thread in self._threads)

    def _has_threads(self) -> bool:
        """Start the threads that do not run yet. False where one of a kind is missing. Needs the lock."""
        loops = [("answers", self._complete), ("watch", self._watch), *[("worker", self._work)] * self._workers]
        for what, loop in loops[len(self._threads) :]:
            thread = threads.start(f"{self._name}-{what}", loop)
            if thread is None:
                log.warning("a thread of the batcher could not be started; the next request tries again")
                break
            self._threads.append(thread)
        return len(self._threads) >= _KINDS_OF_THREADS

    def _may_take(self, now: float) -> bool:
        """Whether a worker may start a batch: none is under way that has not stalled. Needs the lock."""
        return len(self._running) < self._workers and all(now - run.began >= STALL_SECONDS for run in self._running)

    def _call(self) -> None:
        """Have a worker look for a batch, unless one is about to. Needs the lock."""
        if not self._called:
            self._called = True
            self._changed.notify()

    def _work(self) -> None:
        """Settle batches until the batcher is closed."""
        running = None
        while True:
            try:
                running = self._next_batch(running)
            except Exception as error:  # the next requests need this worker
                log.error("no batch could be taken: %s", type(error).__name__)
                running = None
                time.sleep(_TICK_SECONDS)
                continue
            if running is None:
                return
            try:
                self._run(running.entries, partial(self._join_late, running))
            except BaseException as error:
                # It is unknown how far the transaction came. Those that are queued again were in another one.
                log.warning("a batch failed: %s", type(error).__name__)
                self._answer([(entry, Unavailable()) for entry in running.entries if not entry.queued])

    def _next_batch(self, ended: _Running | None) -> _Running | None:
        """End a batch, wait for the next one and take it. None: the batcher is closed, and nothing is pending."""
        with self._lock:
            if ended is not None:
                self._running.remove(ended)
                for entry in ended.entries:
                    entry.item.running = False
            while not (self._closed and not self._queue.pending):
                self._called = False
                now = self._clock()
                batch = self._queue.take(self._batch_max, now) if self._may_take(now) else []
                if batch:
                    running = _Running(now, batch)
                    self._running.add(running)
                    return running
                self._rest(now)
        return None

    def _rest(self, now: float) -> None:
        """Wait until there may be a batch to take. Needs the lock."""
        # While a batch is under way, its worker takes the next one, or the watch calls a worker if it stalls.
        retry_at = None if self._running else self._queue.retry_at()
        if retry_at is None or retry_at >= self._rest_until:
            self._changed.wait()
            return
        self._rest_until = retry_at
        self._changed.wait(max(0.0005, retry_at - now))
        self._rest_until = math.inf

    def _join_late(self, running: _Running, goods_ids: Collection[int]) -> Sequence[PurchaseRequest]:
        """Add to a batch the requests that are queued for these of its items (`JoinLate`)."""
        with self._lock:
            # By the batch's own items: one all of whose outcomes were set meanwhile is another item to the queue.
            items = {entry.item for entry in running.entries if entry.request.goods_id in goods_ids}
            late = self._queue.take_late(items, self._batch_max - len(running.entries), self._clock())
            running.entries += late
        return [entry.request for entry in late]

    def _run(self, batch: list[Entry], join_late: JoinLate) -> None:
        """Settle a batch, or halves of it until the request that fails it stands alone."""
        one_item = all(entry.item is batch[0].item for entry in batch)
        # As a rule the first request has the earliest deadline: the others still have time then.
        deadline = batch[0].deadline
        if self._clock() >= deadline.end:
            self._put_back(batch)
            return
        try:
            outcomes = self._settle([entry.request for entry in batch], deadline, one_item, join_late)
        except Busy:
            now = self._clock()
            if now < deadline.end:  # another reason than time, such as a row that somebody keeps, or too many reruns
                if one_item:
                    self._answer([(entry, entry.item.busy(now)) for entry in batch])
                    return
                with self._lock:
                    self._queue.held_up(batch, now)
            self._put_back(batch)
        except Unavailable as error:
            self._answer([(entry, error) for entry in batch])
        except Exception as error:
            if len(batch) == 1:
                self._answer([(batch[0], error)])
            else:  # at the deadline the halves are put back
                middle = len(batch) // 2
                for half in (batch[:middle], batch[middle:]):
                    self._run(half, nobody_joins)
        else:
            self._finish(list(zip(batch, outcomes, strict=True)))

    def _finish(self, settled: list[tuple[Entry, Answer | None]]) -> None:
        """Answer the requests that have an outcome; the others wait for a slot."""
        now = self._clock()
        answers = [(entry, outcome) for entry, outcome in settled if outcome is not None]
        left = [entry for entry, outcome in settled if outcome is None]
        with self._lock:
            self._queue.moved((entry for entry, _ in answers), now)
            for entry in left:
                pause = STUCK_SLOT_RETRY_SECONDS if self._queue.is_stuck(entry.item, now) else SLOT_RETRY_SECONDS
                entry.item.retry_at = now + random.uniform(0.5, 1.5) * pause  # noqa: S311 (no secret)
        if left:
            self._put_back(left)
        self._answer(answers)
        if answers:
            longest = now - answers[0][0].entered_at
            record(lambda: BATCH_SIZE.labels(self._name).observe(len(answers)))
            record(lambda: WAIT_SECONDS.labels(self._name).observe(longest))

    def _put_back(self, entries: list[Entry]) -> None:
        with self._lock:
            now = self._clock()
            late = self._queue.put_back(entries, now)
        self._answer([(entry, entry.item.busy(now)) for entry in late])

    def _answer(self, answers: Sequence[tuple[Entry, Answer | BaseException]]) -> None:
        """Have the futures completed, of those requests that were not answered before."""
        if not answers:
            return
        with self._lock:
            first = [(entry, answer) for entry, answer in answers if self._queue.settle(entry)]
            self._answers.put(first)  # ahead of what `close` puts, once nothing is pending
            if not self._queue.pending:
                self._empty.notify_all()
            self._report_length()

    def _report_length(self) -> None:
        """Set the gauge. Needs the lock: without it an older length could be set last, and stay."""
        record(lambda: LENGTH.labels(self._name).set(self._queue.pending))

    def _complete(self) -> None:
        """Complete futures, in one thread: many would compete with the next batch for the GIL."""
        while (answers := self._answers.get()) is not None:
            for entry, answer in answers:
                try:
                    if isinstance(answer, BaseException):
                        entry.future.set_exception(answer)
                    else:
                        entry.future.set_result(answer)
                except InvalidStateError:
                    if not entry.future.cancelled():
                        log.error("a request had two outcomes")
                except BaseException as error:  # others wait for their outcome
                    log.error("an outcome could not be passed on: %s", type(error).__name__)

    def _watch(self) -> None:
        """Look for deadlines, for a queue that is too long behind a stuck item, and for batches that stall."""
        idle = 0
        while True:
            with self._lock:
                idle = 0 if self._queue.pending else idle + 1
                if idle > _IDLE_TICKS:
                    self._watching = False
                if self._closed and not self._queue.pending:
                    return
                if not self._watching:
                    self._needed.wait()
            time.sleep(_TICK_SECONDS)
            try:
                self._look_around()
            except Exception as error:
                log.error("deadlines could not be looked at: %s", type(error).__name__)

    def _look_around(self) -> None:
        with self._lock:
            now = self._clock()
            late = self._queue.expire(now)
        self._answer([(entry, entry.item.busy(now)) for entry in late])
        with self._lock:
            shed = self._queue.shed(now)
            unknown = [
                entry
                for run in self._running
                for entry in run.entries
                if now >= entry.deadline.end + self._grace_seconds and not entry.settled
            ]
            if self._running and self._may_take(now) and self._queue.is_ready(now):
                self._call()
        self._answer([(entry, entry.item.busy(now)) for entry in shed])
        self._answer([(entry, Unavailable()) for entry in unknown])
