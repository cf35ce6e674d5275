"""Queues purchase requests, and counts them and their outcomes."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

from core.db import shares
from core.db.clock import Deadline, deadline_of_request
from core.db.database import Database
from core.db.shares import Share
from core.live.counter import PurchaseCounter
from core.live.tally import PLACED, REPLAYED
from core.ops.metrics import PURCHASES, record
from core.purchase import batch
from core.purchase.batcher import Batcher
from core.purchase.decide import Outcome, Placed, PurchaseRequest, Refused, Replayed
from core.purchase.in_progress import Counted, InProgress
from core.purchase.queue import JoinLate, PurchaseQueue
from core.purchase.replays import SaleOpen, look_up
from core.purchase.sale_cache import SaleCache
from core.purchase.slots import Caps
from core.refusals import GOODS_NOT_FOUND, INTERNAL_ERROR, Refusal

# A look-up only reads, and locks nothing: it takes all requests that are likely to come at once.
_LOOKED_UP_TOGETHER = 1000


class Checkout:
    """Sells. Shared by all threads of a process."""

    def __init__(
        self,
        database: Database,
        in_progress: InProgress,
        sale_cache: SaleCache,
        threads: int | None = None,
        counter: PurchaseCounter | None = None,
    ) -> None:
        """`counter` counts by item. `threads` is the number of threads that may wait for answers, if it is known: while
        an item is stuck or slow, each queue keeps at most three quarters of them waiting.
        """
        settings = database.settings
        self._database = database.of(Share.PURCHASES)
        self.caps = Caps(self._database, settings.API_ORDER_LIMIT)
        self.counter = counter or PurchaseCounter()
        self._wait_seconds = settings.PURCHASE_WAIT_SECONDS
        self._in_progress = in_progress
        self._sale_cache = sale_cache

        def queue() -> PurchaseQueue:
            threads_max = None if threads is None else max(1, threads * 3 // 4)
            return PurchaseQueue(settings.QUEUE_MAX, settings.PURCHASE_WAIT_SECONDS / 2, threads_max)

        self._purchases: Batcher[Outcome] = Batcher(
            self.settle,
            queue(),
            batch_max=settings.BATCH_MAX,
            workers=shares.batch_workers(settings),  # each has a connection
            grace_seconds=settings.batch_seconds,  # after them a batch has ended, unless all its time-outs failed
            name="purchase",
        )
        self._replays: Batcher[Outcome | SaleOpen] = Batcher(
            self.look_up,
            queue(),
            batch_max=_LOOKED_UP_TOGETHER,
            workers=1,
            grace_seconds=2 * settings.DATABASE_TIMEOUT_SECONDS,
            name="replay",
        )

    def buy(self, request: PurchaseRequest, holds_thread: bool = False) -> Future[Outcome]:
        """Queue `request`, and return the future of its outcome. `holds_thread` says that a thread waits for it.

        The future fails with Busy (nothing was bought), Unavailable (perhaps it was), or the error that this request
        alone caused. Its callbacks must not block.
        """
        counted = self._in_progress.counted(request.goods_id)
        deadline = deadline_of_request(self._wait_seconds)
        arrived = time.monotonic()
        submit = self._look_up_first if self._may_have_bought(request) else self._purchases.submit
        try:
            future = submit(request, deadline, holds_thread)
        except BaseException:
            counted.end()
            raise

        future.add_done_callback(partial(self._settled, request.goods_id, counted, arrived))
        return future

    def _settled(self, goods_id: int, counted: Counted, arrived: float, done: Future[Outcome]) -> None:
        counted.end()
        error = done.exception()
        order_no = None
        if error is None:
            outcome = done.result()
            label = _label(outcome)
            if isinstance(outcome, Placed):
                order_no = outcome.order.order_no
        elif isinstance(error, Refusal):
            label = error.code
            _count(label)
        else:
            label = INTERNAL_ERROR
        self.counter.settled(goods_id, label, time.monotonic() - arrived, arrived, order_no)

    @property
    def pending(self) -> int:
        """Requests without an outcome, queued or in a batch."""
        return self._replays.pending + self._purchases.pending

    def close(self, seconds: float) -> bool:
        """Refuse new requests and wait, `seconds` at most, until the pending ones are answered. False: not in time."""
        ends = time.monotonic() + seconds
        replays_ended = self._replays.close(seconds)
        return self._purchases.close(max(0.0, ends - time.monotonic())) and replays_ended

    def _may_have_bought(self, request: PurchaseRequest) -> bool:
        """Whether the item is refused, but the key may have bought. On the fast path, a request without a key never
        comes here: it is refused from the cache.
        """
        return request.idempotency_key is not None and self._sale_cache.is_closed(request.goods_id)

    def _look_up_first(self, request: PurchaseRequest, deadline: Deadline, holds_thread: bool) -> Future[Outcome]:
        """Queue `request` for the look-up of keys; where the sale is open after all, for a purchase."""
        outcome: Future[Outcome] = Future()

        def looked_up(done: Future[Outcome | SaleOpen]) -> None:
            error = done.exception()
            if error is not None:
                outcome.set_exception(error)
                return
            found = done.result()
            if not isinstance(found, SaleOpen):
                _count(_label(found))
                outcome.set_result(found)
                return
            try:
                purchase = self._purchases.submit(request, deadline, holds_thread)
            except Exception as error:
                outcome.set_exception(error)
            else:
                purchase.add_done_callback(_copied_to(outcome))

        self._replays.submit(request, deadline, holds_thread).add_done_callback(looked_up)
        return outcome

    def settle(
        self, requests: Sequence[PurchaseRequest], deadline: Deadline, patient: bool, join_late: JoinLate
    ) -> Sequence[Outcome | None]:
        """Settle a batch of purchases (`batcher.Settle`)."""
        all_requests = list(requests)  # and those that join
        outcomes = batch.serve(self._database, self.caps, all_requests, deadline, patient, join_late)
        # It is committed: an error from here on would have the batch run again.
        record(lambda: self._count_batch(all_requests, outcomes))
        return outcomes

    def _count_batch(self, requests: Sequence[PurchaseRequest], outcomes: Sequence[Outcome | None]) -> None:
        for label, count in Counter(_label(outcome) for outcome in outcomes if outcome is not None).items():
            _count(label, count)
        settled = Counter(
            request.goods_id
            for request, outcome in zip(requests, outcomes, strict=True)
            if outcome is not None and not (isinstance(outcome, Refused) and outcome.refusal.code == GOODS_NOT_FOUND)
        )
        if settled:
            self.counter.batch(settled)

    def look_up(
        self, requests: Sequence[PurchaseRequest], deadline: Deadline, patient: bool, join_late: JoinLate
    ) -> Sequence[Outcome | SaleOpen | None]:
        """Look up a batch of keys at closed sales (`batcher.Settle`)."""
        return look_up(self._database, requests, deadline)


def _copied_to(outcome: Future[Outcome]) -> Callable[[Future[Outcome]], None]:
    def copy(done: Future[Outcome]) -> None:
        error = done.exception()
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(done.result())

    return copy


def _count(label: str, count: int = 1) -> None:
    record(lambda: PURCHASES.labels(label).inc(count))


def _label(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        return outcome.refusal.code
    return REPLAYED if isinstance(outcome, Replayed) else PLACED
