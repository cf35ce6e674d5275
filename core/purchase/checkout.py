"""A buyer's way through: counted, a place in the line, an outcome."""

from collections import Counter
from collections.abc import Sequence

from core import shares
from core.clock import Deadline, deadline_of_request
from core.database import Database
from core.metrics import PURCHASES, record
from core.purchase import batch
from core.purchase.callbacks import Callbacks, Tell
from core.purchase.decide import Outcome, PurchaseRequest, Refused, Replayed
from core.purchase.gate import Gate
from core.purchase.in_progress import InProgress
from core.purchase.line import Line
from core.purchase.look import Open, look
from core.purchase.slots import Caps
from core.refusals import Refusal
from core.shares import Share

# Reads lock nothing: as many as there are.
_LOOKED_UP_TOGETHER = 1000


class Checkout:
    """Sells. Shared by all threads of a process."""

    def __init__(self, database: Database, in_progress: InProgress, gate: Gate, threads: int | None = None) -> None:
        """`threads` answer all that waits, where their number is known: a quarter is left while a sale is stuck."""
        settings = database.settings
        database = database.of(Share.PURCHASES)
        caps = Caps(database, settings.API_ORDER_LIMIT)
        self._wait_seconds = settings.PURCHASE_WAIT_SECONDS
        self._in_progress = in_progress
        self._gate = gate
        leaders_max = shares.leaders_max(settings)  # each has a connection
        threads_max = None if threads is None else max(1, threads * 3 // 4)
        self._line: Line[Outcome] = Line(
            lambda requests, deadline, patient: _settle(database, caps, requests, deadline, patient),
            batch_max=settings.BATCH_MAX,
            leaders_max=leaders_max,
            grace_seconds=settings.batch_seconds,  # it ends by itself
            inside_max=settings.LINE_MAX,
            slow_seconds=settings.PURCHASE_WAIT_SECONDS / 2,
            threads_max=threads_max,
        )
        self._looks: Line[Outcome | Open] = Line(
            lambda requests, deadline, patient: look(database, requests, deadline),
            batch_max=_LOOKED_UP_TOGETHER,
            leaders_max=1,
            grace_seconds=2 * settings.DATABASE_TIMEOUT_SECONDS,
            inside_max=settings.LINE_MAX,
            slow_seconds=settings.PURCHASE_WAIT_SECONDS / 2,
            name="look",
            threads_max=threads_max,
        )
        self._line_desk = Callbacks(self._line, leaders_max, "purchase")
        self._looks_desk = Callbacks(self._looks, 1, "look")

    def buy(self, request: PurchaseRequest) -> Outcome:
        """Settle `request`. Raises Busy (nothing was bought) or Unavailable (perhaps it was)."""
        with self._in_progress.counted(request.goods_id):
            try:
                return self._answer(request, deadline_of_request(self._wait_seconds))
            except Refusal as refusal:
                _count(refusal.code)
                raise

    def call_back(self, request: PurchaseRequest, tell: Tell[Outcome]) -> None:
        """Settle `request` without waiting for it: `tell` gets the outcome, or what `buy` would raise, once.

        It may be called before this returns, and from any thread; it must not block.
        """
        counted = self._in_progress.counted(request.goods_id)

        def told(answer: Outcome | Exception) -> None:
            counted.end()
            if isinstance(answer, Refusal):
                _count(answer.code)
            tell(answer)

        try:
            deadline = deadline_of_request(self._wait_seconds)
            if self._has_to_look(request):
                self._looks_desk.buy(request, deadline, lambda answer: self._looked(request, deadline, answer, told))
            else:
                self._line_desk.buy(request, deadline, told)
        except Exception as error:
            told(error)  # whoever was not let in hears nothing from the desk

    def _looked(
        self, request: PurchaseRequest, deadline: Deadline, answer: Outcome | Open | Exception, tell: Tell[Outcome]
    ) -> None:
        if not isinstance(answer, Open):
            if not isinstance(answer, Exception):
                _count(_label(answer))
            tell(answer)
            return
        try:
            self._line_desk.buy(request, deadline, tell)
        except Exception as error:
            tell(error)

    def _has_to_look(self, request: PurchaseRequest) -> bool:
        """Whether the item is refused, but the key may have bought. Who has none is refused ahead of here."""
        return request.idempotency_key is not None and self._gate.refusal(request.goods_id) is not None

    def _answer(self, request: PurchaseRequest, deadline: Deadline) -> Outcome:
        if not self._has_to_look(request):
            return self._line.buy(request, deadline)
        outcome = self._looks.buy(request, deadline)
        if isinstance(outcome, Open):
            return self._line.buy(request, deadline)
        _count(_label(outcome))
        return outcome


def _settle(
    database: Database, caps: Caps, requests: Sequence[PurchaseRequest], deadline: Deadline, patient: bool
) -> list[Outcome | None]:
    outcomes = batch.serve(database, caps, requests, deadline, patient)
    for label, count in Counter(_label(outcome) for outcome in outcomes if outcome is not None).items():
        _count(label, count)
    return outcomes


def _count(label: str, count: int = 1) -> None:
    record(lambda: PURCHASES.labels(label).inc(count))


def _label(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        return outcome.refusal.code
    return "replayed" if isinstance(outcome, Replayed) else "placed"
