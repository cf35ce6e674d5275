"""A batcher whose batches are settled by the test, on a clock that the test sets."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType

from core.db.clock import Deadline
from core.purchase.batcher import STALL_SECONDS, Batcher
from core.purchase.decide import Outcome, PurchaseRequest, Refused
from core.purchase.queue import JoinLate, PurchaseQueue
from core.refusals import SOLD_OUT, Refusal

PATIENCE = 30  # real seconds after which a test gives up
LATER = 60.0  # seconds of the batcher's clock, which a test lets pass on purpose only
FIRST_ITEM = 10**6  # its batch is under way while a test queues other requests
Outcomes = Sequence[Outcome | None]


def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, "it never came about"
        time.sleep(0.001)


class FakeClock:
    """A monotonic clock that stands still until it is told to go on, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class FakeSettler:
    """A batcher and the batches that it was given to settle.

    A batch with an item that is held waits until the item is released; a request for an item in `without_slot` is
    answered None. Once a batch is not held any more, requests for those of its items that are in `joined_items` join
    it. `answer` may be replaced. At the end no request may be left, and the threads must end.
    """

    def __init__(
        self,
        batch_max: int = 100,
        workers: int = 1,
        queue_max: int = 1000,
        slow: float = LATER,
        grace: float = LATER,
        threads_max: int | None = None,
        queue: type[PurchaseQueue] = PurchaseQueue,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.batches: list[str] = []  # the users of each
        self.patient: list[bool] = []
        self.settled: list[str] = []  # users who had an outcome, in that order
        self.busiest = 0  # batches that were under way at once
        self.without_slot: set[int] = set()
        self.joined_items: set[int] = set()
        self.answer: Callable[[Sequence[PurchaseRequest]], Outcomes] = self.outcomes
        self.clock = FakeClock()
        self._read_clock = clock or self.clock
        self._at_work = 0
        self._held: dict[int, threading.Event] = {}
        self._lock = threading.Lock()
        self.batcher: Batcher[Outcome] = Batcher(
            self._settle,
            queue(queue_max, slow, threads_max),
            batch_max=batch_max,
            workers=workers,
            grace_seconds=grace,
            name="test",
            clock=self._read_clock,
        )

    def __enter__(self) -> "FakeSettler":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for released in self._held.values():
            released.set()
        ended = self.batcher.close(PATIENCE if error is None else 1)
        if error is None:
            assert ended
            assert self.batcher.pending == 0

    def _settle(
        self, requests: Sequence[PurchaseRequest], deadline: Deadline, patient: bool, join_late: JoinLate
    ) -> Outcomes:
        with self._lock:
            self.patient.append(patient)
            self.batches.append(users(requests))
            self._at_work += 1
            self.busiest = max(self.busiest, self._at_work)
        try:
            for item in {request.goods_id for request in requests} & self._held.keys():
                assert self._held[item].wait(PATIENCE)
            requests = [*requests, *join_late(self.joined_items)]
            outcomes = self.answer(requests)
            with self._lock:
                self.settled += [
                    request.user_id for request, outcome in zip(requests, outcomes, strict=False) if outcome is not None
                ]
            return outcomes
        finally:
            with self._lock:
                self._at_work -= 1

    def outcomes(self, requests: Sequence[PurchaseRequest]) -> Outcomes:
        """An outcome for each request that tells whose it is."""
        return [None if request.goods_id in self.without_slot else outcome_of(request) for request in requests]

    def take_each(self, seconds: float) -> None:
        """From now on each batch takes so long, by the clock that the test sets."""

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            self.clock.advance(seconds)
            return self.outcomes(requests)

        self.answer = answer

    def fail_with(self, culprit: str, error: BaseException) -> None:
        """From now on each batch with this user in it fails."""

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if culprit in users(requests):
                raise error
            return self.outcomes(requests)

        self.answer = answer

    def hold(self, item: int) -> threading.Event:
        """Hold up the batches with this item until the event is set."""
        released = self._held[item] = threading.Event()
        return released

    def submit(self, user: str, item: int = 1, seconds: float = LATER, holds_thread: bool = False) -> Future[Outcome]:
        """A request that is queued now, or was refused; its deadline is in `seconds`."""
        deadline = Deadline.at(self._read_clock() + seconds)
        return self.batcher.submit(PurchaseRequest(item, user), deadline, holds_thread)

    def begin(self, user: str, item: int = 1, seconds: float = LATER) -> Future[Outcome]:
        """The same, and the batch with it has begun."""
        begun = "".join(self.batches).count(user)
        future = self.submit(user, item, seconds)
        until(lambda: "".join(self.batches).count(user) > begun)
        return future

    def stall(self) -> None:
        """Let the batches that are under way take too long."""
        self.clock.advance(STALL_SECONDS)

    def pass_until(self, condition: Callable[[], object], step: float = 0.001) -> None:
        """Let time pass until the condition holds."""

        def holds() -> object:
            self.clock.advance(step)
            return condition()

        until(holds)

    def queue_together(self, *wanted: tuple[str, int], seconds: float = LATER) -> list[Future[Outcome]]:
        """Requests of users for items that are all queued, in this order, before any of them is settled."""
        released = self.hold(FIRST_ITEM)
        first = self.begin("-", FIRST_ITEM)
        futures = [self.submit(user, item, seconds) for user, item in wanted]
        released.set()
        assert user_of(first) == "-"
        return futures


def outcome_of(request: PurchaseRequest) -> Refused:
    """An outcome that tells whose it is."""
    return Refused(Refusal(SOLD_OUT, user=request.user_id))


def user_of(future: Future[Outcome]) -> str:
    """Whose outcome this is."""
    outcome = future.result(PATIENCE)
    assert isinstance(outcome, Refused)
    user: str = outcome.refusal.details["user"]
    return user


def users_of(futures: Sequence[Future[Outcome]]) -> str:
    """Whose outcome each of these is."""
    return "".join(user_of(future) for future in futures)


def one_item(users: str, item: int = 1) -> list[tuple[str, int]]:
    return [(user, item) for user in users]


def users(requests: Sequence[PurchaseRequest]) -> str:
    return "".join(request.user_id for request in requests)
