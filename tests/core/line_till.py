"""A till for the tests of the line: it serves batches, remembers them, and at the end nothing may be left behind."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace, TracebackType

import pytest

from core.clock import Deadline
from core.purchase import line
from core.purchase.callbacks import Callbacks
from core.purchase.decide import Outcome, PurchaseRequest, Refused
from core.purchase.line import Line
from core.refusals import SOLD_OUT, Refusal

PATIENCE = 30  # seconds after which a test gives up
THREADS = 64
FIRST = "-"  # holds the till up while others gather, for an item of its own
FIRST_ITEM = 10**6
Outcomes = list[Outcome | None]


def until(condition: Callable[[], object]) -> None:
    deadline = Deadline(PATIENCE)
    while not condition():
        assert not deadline.passed, "it never came about"
        time.sleep(0.001)


def _settle(told: "Future[Outcome]", answer: Outcome | Exception) -> None:
    if isinstance(answer, Exception):
        told.set_exception(answer)
    else:
        told.set_result(answer)


@pytest.fixture(autouse=True, params=["waiting", "called back"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever imports this tests the line with buyers who wait in their threads, and with buyers who hold none."""
    monkeypatch.setattr(Till, "calls_back", request.param == "called back")


class Till:
    """Serves a line of its own.

    With `close(item)` a batch with that item is held up until the event is set; an item in `without_slot` gets None.
    `answer` may be replaced.
    """

    calls_back = False

    def __init__(
        self,
        batch_max: int = 100,
        inside_max: int = 1000,
        leaders_max: int = 1,
        slow: float = PATIENCE,
        grace: float = PATIENCE,
        rule: type[Line] = Line,
        threads_max: int | None = None,
    ) -> None:
        self.batches: list[str] = []
        self.items: list[set[int]] = []
        self.patient: list[bool] = []
        # Who had an outcome, in that order.
        self.served: list[str] = []
        self.busiest = 0
        self.without_slot: set[int] = set()
        self.answer: Callable[[Sequence[PurchaseRequest]], Outcomes] = self.tell
        self._leaders_max = leaders_max
        self._entered = 0
        self._at_work = 0
        self._closed: dict[int, threading.Event] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS)

        class Counted(rule):  # type: ignore[misc, valid-type]
            def enter(counted, *arguments):
                try:
                    return super().enter(*arguments)
                finally:
                    with self._lock:
                        self._entered += 1

        self.line: Line = Counted(self._serve, batch_max, inside_max, leaders_max, slow, grace, threads_max=threads_max)
        self.desk: Callbacks = Callbacks(self.line, leaders_max, "till")

    def __enter__(self) -> "Till":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in self._closed.values():
            opened.set()
        self._threads.shutdown()
        if error is None:
            self.assert_nothing_left()

    def assert_nothing_left(self) -> None:
        assert not self.line._waiting
        assert not self.line._leaders
        assert self.line._inside == 0
        assert not self.line._items

    def _serve(self, requests: Sequence[PurchaseRequest], deadline: Deadline, patient: bool) -> Outcomes:
        with self._lock:
            self.batches.append("".join(request.user_id for request in requests))
            self.items.append({request.goods_id for request in requests})
            self.patient.append(patient)
            self._at_work += 1
            self.busiest = max(self.busiest, self._at_work)
        try:
            for item in {request.goods_id for request in requests} & self._closed.keys():
                assert self._closed[item].wait(PATIENCE)
            outcomes = self.answer(requests)
            with self._lock:
                self.served += [
                    request.user_id for request, outcome in zip(requests, outcomes, strict=False) if outcome is not None
                ]
            return outcomes
        finally:
            with self._lock:
                self._at_work -= 1

    def tell(self, requests: Sequence[PurchaseRequest]) -> Outcomes:
        return [None if request.goods_id in self.without_slot else told(request) for request in requests]

    def close(self, item: int) -> threading.Event:
        """Hold up the batches with this item until the event is set."""
        opened = self._closed[item] = threading.Event()
        return opened

    def open(self, item: int) -> None:
        self._closed[item].set()

    def buy(self, user: str, item: int = 1, seconds: float = PATIENCE) -> Outcome:
        request, deadline = PurchaseRequest(item, user), Deadline(seconds)
        if not self.calls_back:
            return self.line.buy(request, deadline)
        told: Future[Outcome] = Future()
        self.desk.buy(request, deadline, lambda answer: _settle(told, answer))
        return told.result(3 * PATIENCE)

    def start(self, user: str, item: int = 1, seconds: float = PATIENCE) -> Future[Outcome]:
        """A buyer who comes at some moment from now on."""
        return self._threads.submit(self.buy, user, item, seconds)

    def come(self, user: str, item: int = 1, seconds: float = PATIENCE) -> Future[Outcome]:
        """A buyer who is in line now, or was turned away."""
        entered, begun = self._entered, len(self.batches)
        alone = self.calls_back and not self.line._leaders
        buyer = self.start(user, item, seconds)
        until(lambda: self._entered > entered)
        # Another thread leads for who is called back: until it has begun, it would take along who comes next.
        begin_by = time.monotonic() + 0.3
        while alone and len(self.batches) == begun and time.monotonic() < begin_by:
            time.sleep(0.001)
        return buyer

    def gather(self, *wanted: tuple[str, int], seconds: float = PATIENCE) -> list[Future[Outcome]]:
        """Buyers, each for an item, who are all in line in this order before any of them can be served."""
        opened = self.close(FIRST_ITEM)
        self.line._leaders_max = 1
        before = len(self.batches)
        buyers = [self.come(FIRST, FIRST_ITEM)]
        until(lambda: self._at_work or len(self.batches) > before)  # or its leader would take some of the others along
        buyers += [self.come(user, item, seconds) for user, item in wanted]
        self.line._leaders_max = self._leaders_max
        opened.set()
        assert whose(buyers[0]) == FIRST
        return buyers[1:]

    def was_begun(self, batch: str) -> None:
        """Wait until it was."""
        until(lambda: batch in self.batches)


def let_rest(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let a leader rest for so long before it tries again for a slot."""
    monkeypatch.setattr(line, "random", SimpleNamespace(uniform=lambda low, high: seconds / line._SLOT_PAUSE))


def told(request: PurchaseRequest) -> Refused:
    """An outcome that tells whose it is."""
    return Refused(Refusal(SOLD_OUT, user=request.user_id))


def whose(buyer: Future[Outcome]) -> str:
    outcome = buyer.result(PATIENCE)
    assert isinstance(outcome, Refused)
    return outcome.refusal.details["user"]


def all_of(buyers: Sequence[Future[Outcome]]) -> str:
    """Whose outcome each of them has."""
    return "".join(whose(buyer) for buyer in buyers)


def one_item(users: str, item: int = 1) -> list[tuple[str, int]]:
    return [(user, item) for user in users]


def users(requests: Sequence[PurchaseRequest]) -> str:
    return "".join(request.user_id for request in requests)


def fails(till: Till, culprit: str, error: BaseException) -> None:
    """From now on each batch with `culprit` in it fails."""

    def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
        if culprit in users(requests):
            raise error
        return till.tell(requests)

    till.answer = answer
