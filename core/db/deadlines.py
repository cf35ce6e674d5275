"""Answers that must be given by a deadline.

Each is given once: by the first thread that claims it or, at the deadline, by the thread that watches.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

from core import threads
from core.db.clock import Deadline

# Seconds between two looks at what is pending. So late a deadline may be noticed.
_LOOK_SECONDS = 0.05

log = logging.getLogger("seckill.deadlines")


class Pending:
    """An answer that is to come by `deadline`; else `expire` is called, which must not block."""

    __slots__ = ("_expire", "deadline")

    def __init__(self, deadline: Deadline, expire: Callable[[], None]) -> None:
        self.deadline = deadline
        self._expire = [expire]

    @property
    def open(self) -> bool:
        """Whether nobody has claimed it yet."""
        return bool(self._expire)

    def claim(self) -> bool:
        """Whether the caller is the one to answer: true once, for the first caller."""
        return self.take() is not None

    def take(self) -> Callable[[], None] | None:
        """Claim it, for what to do at the deadline; None where somebody else has."""
        try:
            return self._expire.pop()  # one step: no other thread comes between
        except IndexError:
            return None


class Deadlines:
    """Watches over what is pending. Shared by all threads of a process; its own begins with the first to wait."""

    def __init__(self) -> None:
        self._pending: list[tuple[float, int, Pending]] = []  # a heap
        self._numbers = itertools.count()
        self._some = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, pending: Pending) -> None:
        """Watch over an answer: unless it is claimed by its deadline, its `expire` is called, from another thread."""
        with self._lock:
            heapq.heappush(self._pending, (pending.deadline.end, next(self._numbers), pending))
            self._some.set()
            self._thread = threads.keep(self._thread, "deadlines", self._watch)  # None: the next answer tries again

    def _watch(self) -> None:
        while self._some.wait():
            due, seconds = self._due()
            for pending in due:
                expire = pending.take()
                if expire is not None:
                    try:
                        expire()
                    except Exception as error:
                        log.error("a request whose time is over could not be answered: %s", type(error).__name__)
            time.sleep(seconds)

    def _due(self) -> tuple[list[Pending], float]:
        """What is over, and the seconds until the next look."""
        due: list[Pending] = []
        with self._lock:
            while self._pending:
                first = self._pending[0][2]
                if first.open and not first.deadline.passed:
                    return due, min(first.deadline.remaining(), _LOOK_SECONDS)
                heapq.heappop(self._pending)
                due.append(first)
            self._some.clear()
        return due, 0.0
