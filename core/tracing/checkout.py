"""Spans of purchases: how long each waits in the queue, and the batch that settles it together with others."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from opentelemetry.trace import Span

from core.db.clock import Deadline
from core.purchase.checkout import Checkout
from core.purchase.decide import Outcome, PurchaseRequest
from core.purchase.replays import SaleOpen
from core.refusals import Busy
from core.tracing.tracer import Tracer, current

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
        self, requests: Sequence[PurchaseRequest], deadline: Deadline, patient: bool
    ) -> Sequence[Outcome | None]:
        """As Checkout's."""
        return self._within(
            "purchase batch", requests, lambda: super(TracedCheckout, self).settle(requests, deadline, patient)
        )

    def look_up(
        self, requests: Sequence[PurchaseRequest], deadline: Deadline, patient: bool
    ) -> Sequence[Outcome | SaleOpen | None]:
        """As Checkout's."""
        return self._within(
            "key look-up", requests, lambda: super(TracedCheckout, self).look_up(requests, deadline, patient)
        )

    def _within(
        self, name: str, requests: Sequence[PurchaseRequest], work: Callable[[], Sequence[Answer | None]]
    ) -> Sequence[Answer | None]:
        """Do `work` within a span, if any of the requests is traced."""
        if not self._traced:
            return work()
        traced = [found for request in requests if (found := self._traced.get(id(request))) is not None]
        if not traced:
            return work()
        for purchase in traced:
            purchase.end_wait()
        sizes = {
            "seckill.batch.size": len(requests),
            "seckill.batch.items": len({request.goods_id for request in requests}),
        }
        try:
            with self._tracer.shared(name, [purchase.request for purchase in traced], sizes):
                outcomes = work()
        except Busy:  # some are queued again
            self._wait_again(requests)
            raise
        queued = zip(requests, outcomes, strict=True)
        self._wait_again([request for request, outcome in queued if outcome is None or isinstance(outcome, SaleOpen)])
        return outcomes

    def _wait_again(self, requests: Sequence[PurchaseRequest]) -> None:
        for request in requests:
            purchase = self._traced.get(id(request))
            if purchase is not None:
                purchase.wait_again(self._tracer)
