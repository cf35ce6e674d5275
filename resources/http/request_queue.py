"""Requests that wait for a thread: in three lanes, so that none fills the threads of another, and bounded in number.

A request waits until its deadline, which began when it arrived; then it is answered `busy` and never run.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from queue import SimpleQueue

from core import threads
from core.db.clock import Deadline, begin_request
from core.db.deadlines import Deadlines, Pending
from core.refusals import Busy

# Requests of one lane that wait, at most.
WAITING_MAX = 1024

log = logging.getLogger("seckill.requests")


class Lane(StrEnum):
    """What a request is, as far as threads go."""

    WATCH = "watch"  # figures and health: one thread of its own
    CHANGES = "changes"
    READS = "reads"


def lane_threads(threads: int) -> dict[Lane, int]:
    """How many threads requests of each lane may take, where `threads` run at once.

    Reads leave a quarter of them to others, and changes an eighth. The lane of those who watch has one besides.
    """
    return {
        Lane.WATCH: 1,
        Lane.CHANGES: max(1, threads - max(1, threads // 8)),
        Lane.READS: max(1, threads * 3 // 4),
    }


class _Waiting:
    __slots__ = ("most", "requests", "running")

    def __init__(self, most: int) -> None:
        self.most = most  # threads
        self.running = 0
        self.requests: deque[tuple[Pending, Callable[[], None]]] = deque()


class RequestQueue:
    """Shared by all I/O threads of a process. Its threads begin when they are first needed."""

    def __init__(self, threads: int, deadlines: Deadlines) -> None:
        """At most `threads` run at once, and one more for those who watch the service."""
        self._deadlines = deadlines
        self._most = threads
        self._lanes = {lane: _Waiting(most) for lane, most in lane_threads(threads).items()}
        self._lock = threading.Lock()
        self._calls: SimpleQueue[None] = SimpleQueue()  # one for each idle thread that is to look around
        self._idle = 0
        self._threads = 0

    def put(self, lane: Lane, deadline: Deadline, run: Callable[[], None], expire: Callable[[], None]) -> None:
        """Have a thread call `run`; or, if none has begun by `deadline`, call `expire`, which must not block.

        Raises Busy, and calls neither, where too many of the lane wait already.
        """
        waiting = self._lanes[lane]
        with self._lock:
            if len(waiting.requests) >= WAITING_MAX:
                raise Busy()
            pending = Pending(deadline, lambda: self._expire(waiting, entry, expire))
            entry = pending, run
            waiting.requests.append(entry)
            self._deadlines.watch(pending)
            call = self._may_run(lane) and self._idle > 0
            if call:
                self._idle -= 1
            start = self._may_run(lane) and not call and self._threads <= self._most
            if start:
                self._threads += 1
        if call:
            self._calls.put(None)
        elif start:
            self._start()

    @property
    def in_hand(self) -> int:
        """Requests that wait, or run."""
        with self._lock:
            return sum(len(waiting.requests) + waiting.running for waiting in self._lanes.values())

    def running(self, lane: Lane) -> int:
        """Requests of the lane that run."""
        return self._lanes[lane].running

    @property
    def threads(self) -> int:
        """The threads that were begun."""
        return self._threads

    def _start(self) -> None:
        if threads.start("request", self._work) is None:  # those that there are go on
            with self._lock:
                self._threads -= 1

    def _expire(self, waiting: _Waiting, entry: tuple[Pending, Callable[[], None]], expire: Callable[[], None]) -> None:
        try:
            expire()
        finally:
            with self._lock:
                if entry in waiting.requests:
                    waiting.requests.remove(entry)  # among the first: all wait for the same time

    def _may_run(self, lane: Lane) -> bool:
        """Whether a thread may take a request of the lane now. Needs the lock."""
        if self._lanes[lane].running >= self._lanes[lane].most:
            return False
        others = self._lanes[Lane.CHANGES].running + self._lanes[Lane.READS].running
        return lane is Lane.WATCH or others < self._most

    def _work(self) -> None:
        while True:
            while (taken := self._take()) is not None:
                waiting, (pending, run) = taken
                try:
                    if pending.claim():
                        begin_request(pending.deadline)
                        run()
                except BaseException as error:
                    # The thread is the next request's.
                    log.error("a request ended with %s", type(error).__name__)
                finally:
                    begin_request(None)
                    with self._lock:
                        waiting.running -= 1
            self._calls.get()

    def _take(self) -> tuple[_Waiting, tuple[Pending, Callable[[], None]]] | None:
        """The next request, which counts as running from now on. None, and the thread counts as idle: there is none."""
        with self._lock:
            for lane, waiting in self._lanes.items():
                if waiting.requests and self._may_run(lane):
                    waiting.running += 1
                    return waiting, waiting.requests.popleft()
            self._idle += 1
            return None
