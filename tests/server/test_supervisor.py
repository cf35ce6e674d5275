"""Workers that die are replaced, however many at once, and those that fail at their start after a pause."""

import itertools

import pytest

from core.ops.host_memory import HostMemory
from server.supervisor import Supervisor

WORKERS = 4


class Process:
    """A worker's process as the supervisor sees it; it is dead once it is told so."""

    exitcode = -9

    def __init__(self, part: int) -> None:
        self.pid = part
        self.part = part
        self.alive = True

    def is_alive(self) -> bool:
        return self.alive

    def terminate(self) -> None:
        self.alive = False

    def kill(self) -> None:
        self.alive = False

    def join(self, timeout: float | None = None) -> None:
        pass


class Workers:
    """Those that the supervisor has started. They take requests at once, unless they are `slow`."""

    def __init__(self, host: HostMemory) -> None:
        self._host = host
        self.started: list[Process] = []
        self.fails: Exception | None = None
        self.slow = False

    def start(self, part: int) -> Process:
        if self.fails:
            raise self.fails
        self._host.parts[part].take()
        if not self.slow:
            self._host.parts[part].start()
        self.started.append(Process(part))
        return self.started[-1]

    @property
    def running(self) -> list[Process]:
        return [process for process in self.started if process.alive]


class Clock:
    """Seconds as the supervisor reads them."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def host() -> HostMemory:
    return HostMemory(parts=WORKERS)


@pytest.fixture
def workers(host: HostMemory) -> Workers:
    return Workers(host)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervisor(host: HostMemory, workers: Workers, clock: Clock) -> Supervisor:
    """A supervisor whose workers have been running for a minute."""
    made = Supervisor(host, workers.start, drain_seconds=0, stop_seconds=1, clock=clock)
    made.replace_dead()
    assert len(workers.running) == WORKERS
    clock.now += 60
    return made


def test_workers_that_die_together_are_all_replaced(supervisor: Supervisor, workers: Workers, host: HostMemory) -> None:
    for dead in workers.running:
        dead.alive = False
    supervisor.replace_dead()
    assert {process.part for process in workers.running} == set(range(WORKERS))
    assert host.restarts == WORKERS


def test_however_often_workers_die_each_has_memory_of_its_own(
    supervisor: Supervisor, workers: Workers, clock: Clock
) -> None:
    for turn in range(50):
        for part in {turn % WORKERS, (turn + 3) % WORKERS}:
            next(process for process in workers.running if process.part == part).alive = False
        supervisor.replace_dead()
        clock.now += 5
    assert {process.part for process in workers.running} == set(range(WORKERS))


def test_a_worker_that_fails_at_its_start_is_tried_again_after_growing_pauses(
    supervisor: Supervisor, workers: Workers, clock: Clock
) -> None:
    tried: list[float] = []
    began = clock.now
    while len(tried) < 9:
        first = next((process for process in workers.running if process.part == 0), None)
        if first is not None:
            first.alive = False
        before = len(workers.started)
        supervisor.replace_dead()
        if len(workers.started) > before:
            tried.append(clock.now - began)
        clock.now += 0.25
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert pauses == [0.5, 0.75, 1.25, 2.25, 4.25, 8.25, 16.25, 30.25], "each death is noticed 0.25 s after the start"
    assert {process.part for process in workers.running} >= {1, 2, 3}, "the others serve on"


def test_a_worker_that_ends_before_it_takes_requests_has_failed_however_late(
    supervisor: Supervisor, workers: Workers, clock: Clock
) -> None:
    workers.slow = True
    first = workers.running[0]
    first.alive = False
    supervisor.replace_dead()
    clock.now += 30
    workers.running[-1].alive = False
    supervisor.replace_dead()
    assert len(workers.running) == WORKERS - 1, "it is tried again after a pause"
    clock.now += 0.25
    supervisor.replace_dead()
    assert len(workers.running) == WORKERS


def test_a_good_run_makes_up_for_failed_starts(supervisor: Supervisor, workers: Workers, clock: Clock) -> None:
    for _ in range(6):  # the last pause was of 4 seconds
        workers.running[-1].alive = False
        supervisor.replace_dead()
        clock.now += 16
        supervisor.replace_dead()
        clock.now -= 15.5
    clock.now += 60
    workers.running[-1].alive = False
    supervisor.replace_dead()
    assert len(workers.running) == WORKERS, "it was replaced at once"


def test_a_host_that_can_have_no_process_for_now_gets_its_workers_later(
    supervisor: Supervisor, workers: Workers, clock: Clock
) -> None:
    for dead in workers.running:
        dead.alive = False
    workers.fails = BlockingIOError("no more processes")
    supervisor.replace_dead()
    workers.fails = None
    supervisor.replace_dead()
    assert workers.running == []
    clock.now += 0.25
    supervisor.replace_dead()
    assert len(workers.running) == WORKERS
