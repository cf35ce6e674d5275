"""Spans of purchases: how long each waits in the queue, and the batch that settles it together with others."""

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from opentelemetry.trace import Span

from core.db.clock import Deadline
from core.ops.metrics import record
from core.purchase.checkout import Checkout
from core.purchase.decide import Outcome, PurchaseRequest
from core.purchase.queue import JoinLate
from core.purchase.replays import SaleOpen
from core.refusals import Busy
from core.tracing.tracer import Tracer, current, share

Answer = TypeVar("Answer")
_WAIT = "wait in queue"


@dataclass
class _Purchase:
    """A purchase that is traced, and its wait; None while it is in a batch."""

    request: Span
    wait: Span | None
    answered: bool = False

    def wait_again(self, tracer: Tracer) -> None:
        self.wait = tracer.part(_WAIT, self.request)
        if self.answered:  # meanwhile, by another thread
            self.end_wait()

    def end_wait(self) -> None:
        if self.wait is not None:
            self.wait.end()
            self.wait = None


class _Batch(ExitStack):
    """Has a span once a purchase in it is traced, which then begins with the batch; `span` is None before."""

    def __init__(self, tracer: Tracer, name: str) -> None:
        super().__init__()
        self._tracer = tracer
        self._name = name
        self._began: int | None = None  # when the first requests were added, in ns of Unix time
        self.span: Span | None = None

    def add(self, purchases: Sequence[_Purchase]) -> None:
        """Note that these purchases are in the batch, and wait no more."""
        for purchase in purchases:
            purchase.end_wait()
        of = [purchase.request for purchase in purchases]
        if self.span is not None:
            share(self.span, of)
        elif of:
            self.span = self.enter_context(self._tracer.shared(self._name, of, self._began))
        self._began = self._began or time.time_ns()

    def __exit__(self, *details: Any) -> bool:
        """End the span. A failure is only logged: the batch may be committed."""
        record(lambda: super(_Batch, self).__exit__(*details))
        return False

    def set_sizes(self, requests: Sequence[PurchaseRequest]) -> None:
        """Note how many purchases there are in the batch, and of how many items."""
        if self.span is not None:
            self.span.set_attribute("seckill.batch.size", len(requests))
            self.span.set_attribute("seckill.batch.items", len({request.goods_id for request in requests}))


class TracedCheckout(Checkout):
    """Sells, and traces the purchases of requests that are traced. Shared by all threads of a process."""

    def __init__(self, tracer: Tracer, *arguments: Any) -> None:
        """`arguments` are those of Checkout."""
        super().__init__(*arguments)
        self._tracer = tracer
        # By the id() of the purchase request, which lives as long as its entry here. Equal requests are not the same.
        self._traced: dict[int, _Purchase] = {}

    def buy(self, request: PurchaseRequest, holds_thread: bool = False) -> Future[Outcome]:
        """As Checkout's."""
        span = current()
        if span is None:
            return super().buy(request, holds_thread)
        purchase = self._traced[id(request)] = _Purchase(span, self._tracer.part(_WAIT, span))

        def end(done: Future[Outcome] | None = None) -> None:
            self._traced.pop(id(request), None)
            purchase.answered = True
            purchase.end_wait()

        try:
            future = super().buy(request, holds_thread)
        except BaseException:
            end()
            raise
        future.add_done_callback(end)
        return future

    def settle(
        self, requests: Sequence[PurchaseRequest], deadline: Deadline, patient: bool, join_late: JoinLate
    ) -> Sequence[Outcome | None]:
        """As Checkout's."""
        settle = partial(super().settle, requests, deadline, patient)
        return self._within("purchase batch", requests, join_late, settle)

    def look_up(
        self, requests: Sequence[PurchaseRequest], deadline: Deadline, patient: bool, join_late: JoinLate
    ) -> Sequence[Outcome | SaleOpen | None]:
        """As Checkout's."""
        look_up = partial(super().look_up, requests, deadline, patient)
        return self._within("key look-up", requests, join_late, look_up)

    def _within(
        self,
        name: str,
        requests: Sequence[PurchaseRequest],
        join_late: JoinLate,
        work: Callable[[JoinLate], Sequence[Answer | None]],
    ) -> Sequence[Answer | None]:
        """Do `work` within a span, if any of the requests is traced, or any that joins them."""
        batch = _Batch(self._tracer, name)
        all_requests = list(requests)

        def join(goods_ids: Collection[int]) -> Sequence[PurchaseRequest]:
            late = join_late(goods_ids)
            all_requests.extend(late)
            batch.add(self._traced_of(late))
            return late

        try:
            with batch:
                batch.add(self._traced_of(requests))
                try:
                    outcomes = work(join)
                finally:
                    record(lambda: batch.set_sizes(all_requests))
        except Busy:  # some are queued again
            self._wait_again(all_requests)
            raise
        if batch.span is not None:
            queued = zip(all_requests, outcomes, strict=True)
            record(
                lambda: self._wait_again(
                    [each for each, outcome in queued if outcome is None or isinstance(outcome, SaleOpen)]
                )
            )
        return outcomes

    def _traced_of(self, requests: Sequence[PurchaseRequest]) -> list[_Purchase]:
        if not self._traced:
            return []
        return [found for request in requests if (found := self._traced.get(id(request))) is not None]

    def _wait_again(self, requests: Sequence[PurchaseRequest]) -> None:
        for purchase in self._traced_of(requests):
            purchase.wait_again(self._tracer)
