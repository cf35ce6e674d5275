"""How old the figures of `/live` are at most, and how soon its alarm is on, on a clock that the test sets.

Two workers of one host count, while the database does not answer. Their jobs run at the periods that the service gives
them. Whoever looks does so at every tick.
"""

import copy
import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from core.db.clock import Deadline
from core.db.shares import Share
from core.live import collector, live
from core.live.clock import KnownTime
from core.live.counter import PurchaseCounter
from core.live.monitor import Monitor
from core.live.window import STALLED_SECONDS
from core.ops import background_jobs
from core.ops.host_memory import HostMemory
from core.refusals import Unavailable
from resources.live import live_json

# What docs/console.md promises, in seconds.
ALARM_WITHIN = 5.0
AGE_AT_MOST = 1.0
# Buyers come once a second. The first of them may be counted within the second of the last decision.
BUYERS_SECONDS = 2.0

TICK = 1 / 16  # exact in binary, as are all moments here
ITEM = 1
WAIT_SECONDS = 3.0  # for which a buyer waits, to be told `busy`


@dataclass
class Job:
    seconds: float
    work: Callable[[], object]
    due_at: float


class FakeTime:
    """A host's clocks, which show the same and stand still until a test moves them."""

    moment = 1000.0

    def monotonic(self) -> float:
        return self.moment

    def time(self) -> float:
        return self.moment


class Silence:
    """A database that does not answer before the test has ended."""

    is_sqlite = False
    settings = SimpleNamespace(API_ORDER_LIMIT=2, DATABASE_TIMEOUT_SECONDS=2)

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._waiting: list[threading.Thread] = []

    def of(self, share: Share) -> "Silence":
        return self

    def reading(self, deadline: Deadline) -> NoReturn:
        self._waiting.append(threading.current_thread())
        self._ended.wait()
        raise Unavailable

    def end(self) -> None:
        """Refuse all who ask, and wait for the end of their threads."""
        self._ended.set()
        for thread in self._waiting:
            thread.join()


class Worker:
    """A worker of the host, whose database never answers."""

    def __init__(self, host: HostMemory, number: int, time: FakeTime) -> None:
        memory = copy.copy(host)  # as after a fork: the same memory, another part of which is this process's
        memory.take(number)
        self.counter = PurchaseCounter()
        self.waiting: Counter[int] = Counter()
        self.database: Any = Silence()
        self.monitor = Monitor.of(
            self.database, memory, self.counter, lambda: self.waiting, dict, KnownTime(time.monotonic, time.time)
        )

    def settle(self, outcome: str) -> None:
        self.counter.settled(ITEM, outcome, 0.01, 0.0, None)

    def look(self) -> dict[str, Any]:
        return live_json(self.monitor.live.picture(None, 0))


class Host:
    """Two workers. The first one is asked; buyers come to the second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, phase: float) -> None:
        """The second worker's jobs are `phase` later than the first one's."""
        self.time = FakeTime()
        self._memory = HostMemory(parts=2)
        self.queried, self.selling = (Worker(self._memory, number, self.time) for number in range(2))
        self._jobs: list[Job] = []
        for worker, begins in ((self.queried, 0.0), (self.selling, phase)):

            def start(name: str, seconds: float, work: Callable[[], object], begins: float = begins) -> None:
                if name == "figures":  # the others store what was counted
                    self._jobs.append(Job(seconds, work, self.time.moment + begins))

            monkeypatch.setattr(background_jobs, "start", start)
            worker.monitor.start()
        assert len(self._jobs) == 2

    def tick(self) -> float:
        """Go on by a tick, and run the jobs that are due. Returns the moment."""
        self.time.moment += TICK
        for job in self._jobs:
            if self.time.moment >= job.due_at:
                job.work()
                job.due_at = self.time.moment + job.seconds
        return self.time.moment


@pytest.fixture
def host_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], Host]]:
    """Makes hosts, by the `phase` of each."""
    made: list[Host] = []

    def make(phase: float) -> Host:
        made.append(Host(monkeypatch, phase))
        return made[-1]

    yield make
    for host in made:
        host.time.moment += 3600  # nobody looks any more
    for host in made:
        for worker in (host.queried, host.selling):
            worker.database.end()


PHASES = [0.0, TICK, 0.25, collector.SECONDS - TICK]


class TestAge:
    def test_the_periods_of_the_code_keep_the_promise(self) -> None:
        # A worker shows its count at each turn, which takes its time; a picture made before it is shown for a while.
        assert collector.SECONDS + live.SHOWN_SECONDS < AGE_AT_MOST

    @pytest.mark.parametrize("phase", PHASES)
    @pytest.mark.parametrize("looks_from", [0.0, 0.25, 0.5 - TICK])
    def test_a_purchase_of_another_worker_is_in_the_figures_within_a_second(
        self, host_at: Callable[[float], Host], phase: float, looks_from: float
    ) -> None:
        host = host_at(phase)
        begins = host.time.moment + looks_from
        placed_at: list[float] = []
        while (now := host.tick()) < begins + 3:
            host.selling.settle("placed")
            host.selling.waiting[ITEM] += 1
            placed_at.append(now)
            if now >= begins:
                figures = host.queried.look()
                old = sum(moment <= now - AGE_AT_MOST for moment in placed_at)
                assert old <= figures["totals"]["purchases"] <= len(placed_at)
                assert old <= figures["now"]["waiting"] <= len(placed_at)

    @pytest.mark.parametrize("looks_from", [0.0, TICK, 0.25])
    def test_a_purchase_of_the_worker_that_is_asked_is_as_well(
        self, host_at: Callable[[float], Host], looks_from: float
    ) -> None:
        host = host_at(0.25)
        begins = host.time.moment + looks_from
        placed_at: list[float] = []
        while (now := host.tick()) < begins + 3:
            host.queried.settle("placed")
            placed_at.append(now)
            if now >= begins:
                old = sum(moment <= now - AGE_AT_MOST for moment in placed_at)
                assert old <= host.queried.look()["totals"]["purchases"] <= len(placed_at)


class TestAlarm:
    def test_the_periods_of_the_code_keep_the_promise(self) -> None:
        assert BUYERS_SECONDS + collector.SECONDS + STALLED_SECONDS + live.SHOWN_SECONDS < ALARM_WITHIN

    @pytest.mark.parametrize("turned_away", [False, True], ids=["they wait", "they are turned away at once"])
    @pytest.mark.parametrize("phase", PHASES)
    def test_it_is_on_within_five_seconds_after_the_last_decision_and_not_before_it(
        self, host_at: Callable[[float], Host], phase: float, turned_away: bool
    ) -> None:
        for fraction, looks_from in itertools.product((0.0, TICK, 0.4375, 0.5, 0.9375), (0.0, 0.25)):
            self._try(host_at(phase), fraction, looks_from, turned_away)

    def _try(self, host: Host, fraction: float, looks_from: float, turned_away: bool) -> None:
        begins = host.time.moment + looks_from
        held_at = host.time.moment + 2 + fraction
        waiting: deque[float] = deque()
        while (now := host.tick()) < held_at + ALARM_WITHIN + 3:
            if now <= held_at:
                host.selling.settle("placed")
            elif (now - held_at).is_integer():
                if turned_away:
                    host.selling.settle("busy")
                else:
                    waiting.append(now)
            while waiting and waiting[0] <= now - WAIT_SECONDS:
                waiting.popleft()
                host.selling.settle("busy")
            host.selling.waiting[ITEM] = len(waiting)
            if now >= begins:
                alarm = host.queried.look()["alarm"]
                if now < held_at + STALLED_SECONDS:
                    assert not alarm
                elif now >= held_at + ALARM_WITHIN:
                    assert alarm, f"{now - held_at} s after the last decision"

    @pytest.mark.parametrize("phase", PHASES)
    def test_it_stays_off_while_one_buyer_a_second_is_served_and_others_wait(
        self, host_at: Callable[[float], Host], phase: float
    ) -> None:
        host = host_at(phase)
        ends = host.time.moment + 8
        host.selling.waiting[ITEM] = 5
        while (now := host.tick()) < ends:
            if now.is_integer():
                host.selling.settle("placed")
            elif not (now * 4) % 1:
                host.selling.settle("busy")
            assert not host.queried.look()["alarm"]

    def test_it_stays_off_where_the_last_buyer_was_served(self, host_at: Callable[[float], Host]) -> None:
        host = host_at(0.25)
        host.selling.waiting[ITEM] = 1
        begins = host.time.moment
        while (now := host.tick()) < begins + 9:
            if now == begins + 0.875:
                host.selling.settle("placed")
            if now == begins + 1.8125:  # the next turn, in another second, counts that nobody waits any more
                host.selling.waiting.clear()
            assert not host.queried.look()["alarm"]
