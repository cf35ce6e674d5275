"""Requests that wait for a thread: bounded, each until its deadline, and no lane fills the threads of another."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from core.db.clock import Deadline, deadline_of_request
from core.db.deadlines import Deadlines
from core.refusals import Busy
from resources.http import request_queue
from resources.http.request_queue import Lane, RequestQueue, lane_threads

SOON = 60.0


def until(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Work:
    """Requests that run until they are told to end, and what became of each."""

    def __init__(self, threads: int) -> None:
        self.queue = RequestQueue(threads, Deadlines())
        self.goes = threading.Event()
        self.began: list[str] = []
        self.expired: list[str] = []
        self.deadlines: dict[str, float] = {}

    def put(self, lane: Lane, name: str, seconds: float = 60) -> Deadline:
        def run() -> None:
            self.began.append(name)
            self.deadlines[name] = deadline_of_request(1000).end
            assert self.goes.wait(60)

        deadline = Deadline(seconds)
        self.queue.put(lane, deadline, run, lambda: self.expired.append(name))
        return deadline

    def running(self) -> int:
        return sum(map(self.queue.running, Lane))


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work(8)
    yield made
    made.goes.set()
    until(lambda: made.running() == 0)


def fill(work: Work, lane: Lane, count: int = 20) -> None:
    for number in range(count):
        work.put(lane, f"{lane.value}-{number}")


@pytest.mark.parametrize(("full", "other"), [(Lane.READS, Lane.CHANGES), (Lane.CHANGES, Lane.READS)])
def test_a_full_lane_leaves_threads_to_the_other(work: Work, full: Lane, other: Lane) -> None:
    fill(work, full)
    until(lambda: work.queue.running(full) == lane_threads(8)[full])
    work.put(other, "other")
    until(lambda: "other" in work.began)


@pytest.fixture
def reads_take_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_queue, "lane_threads", lambda threads: lane_threads(threads) | {Lane.READS: 100})


@pytest.mark.usefixtures("reads_take_all")
def test_without_lanes_it_does_not(work: Work) -> None:
    fill(work, Lane.READS)
    until(lambda: work.running() == 8)
    work.put(Lane.CHANGES, "other", seconds=0.3)
    until(lambda: work.expired == ["other"])
    assert "other" not in work.began


def test_who_watches_is_served_while_all_others_wait(work: Work) -> None:
    fill(work, Lane.READS)
    fill(work, Lane.CHANGES)
    until(lambda: work.running() == 8)
    work.put(Lane.WATCH, "figures")
    until(lambda: "figures" in work.began)
    assert work.queue.threads == 9


def test_a_request_is_not_run_after_its_deadline(work: Work) -> None:
    fill(work, Lane.READS, 6)
    until(lambda: work.running() == 6)
    for number in range(50):
        work.put(Lane.READS, f"late-{number}", seconds=0.3)
    until(lambda: len(work.expired) == 50)
    work.put(Lane.READS, "in time")
    work.goes.set()
    until(lambda: "in time" in work.began)
    assert not [name for name in work.began if name.startswith("late")]


def test_a_deadline_begins_at_the_arrival(work: Work) -> None:
    fill(work, Lane.READS, 6)
    until(lambda: work.running() == 6)
    work.put(Lane.READS, "waits", seconds=30)
    end = time.monotonic() + 30
    time.sleep(0.3)
    work.goes.set()
    until(lambda: "waits" in work.deadlines)
    assert work.deadlines["waits"] < end + 0.1, "it began when a thread took it"


def test_no_more_wait_than_are_allowed(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_queue, "WAITING_MAX", 10)
    fill(work, Lane.READS, 6)
    until(lambda: work.running() == 6)
    waiting = [work.put(Lane.READS, f"waits-{number}") for number in range(10)]
    with pytest.raises(Busy):
        work.put(Lane.READS, "one too many")
    # Whoever has waited too long makes room. Their time ends only now, however late they were put.
    for deadline in waiting:
        deadline.end = time.monotonic()
    until(lambda: len(work.expired) == 10)
    work.put(Lane.READS, "another")


def test_one_that_fails_takes_no_thread_along(work: Work) -> None:
    work.goes.set()
    ended = threading.Event()

    def fail() -> None:
        raise SystemExit

    for _ in range(30):
        work.queue.put(Lane.READS, Deadline(60), fail, lambda: None)
    work.queue.put(Lane.READS, Deadline(60), ended.set, lambda: None)
    assert ended.wait(SOON)


def test_many_are_each_run_once(work: Work) -> None:
    work.goes.set()
    names = [f"{number}" for number in range(2000)]

    def put(part: int) -> None:
        for name in names[part::4]:
            while True:
                try:
                    work.put(Lane.READS if int(name) % 3 else Lane.CHANGES, name)
                    break
                except Busy:
                    time.sleep(0.001)

    threads = [threading.Thread(target=put, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len(work.began) == 2000)
    assert sorted(work.began) == sorted(names)
    assert work.expired == []
