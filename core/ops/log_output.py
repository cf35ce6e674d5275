"""Writes a process's log lines from a thread of its own, warnings first, and bounds and counts what it cannot write."""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from multiprocessing import util
from typing import Any, TextIO

from prometheus_client import Counter

from core import threads
from core.ops.metrics import BufferedCounter, record
from core.ops.text_output import LineWriter

# Seconds that a line may wait to be written together with others.
GATHER_SECONDS = 0.1
# Lines that may wait, since the reader of the log may have stopped. Beyond these the oldest are lost.
ORDINARY_MAX = 100_000
URGENT_MAX = 10_000
# Ordinary lines that are written before the next look for urgent ones.
AT_ONCE = 2000
# Seconds that the end of a process waits for its last lines.
_END_SECONDS = 1.0
_POLL_SECONDS = 0.005

LOST = Counter(
    "seckill_log_lines_lost_total",
    "Log lines that were not written: `full`, since too many waited, `unwritten`, since the log took no more, or"
    " `unmade`, since they could not be put together.",
    ["why"],
)
# A function that makes a line, and its arguments: plain values, which are cheaper than a closure over them.
Made = tuple[Callable[..., str], tuple[Any, ...]]

log = logging.getLogger("seckill.log")


class GatheredLines:
    """Writes lines to `stream` some at a time: a system call for each line would stop all threads.

    Urgent lines have a queue of their own and are written first. Adding a line never blocks.
    """

    def __init__(
        self,
        stream: TextIO | None,
        ordinary_max: int = ORDINARY_MAX,
        urgent_max: int = URGENT_MAX,
        at_once: int = AT_ONCE,
    ) -> None:
        """At most `ordinary_max` and `urgent_max` lines wait; `at_once` ordinary ones are written between two looks for
        urgent ones.
        """
        self._writer = LineWriter(stream)
        self._ordinary_max = ordinary_max
        self._urgent_max = urgent_max
        self._at_once = at_once
        self._begin()
        util.register_after_fork(self, GatheredLines._begin)  # threads and their locks do not come along

    def _begin(self) -> None:
        self._lines: deque[str | Made] = deque()
        self._urgent: deque[str | Made] = deque()
        self._asleep = True
        self._awake = threading.Event()
        self._hurry = threading.Event()
        self._writing = threading.Lock()
        self._small = threading.Lock()  # for the two fields below
        self._lost = 0
        self._thread: threading.Thread | None = None
        util.Finalize(None, self.drain, args=(_END_SECONDS,), exitpriority=0)

    @property
    def waiting(self) -> int:
        """The number of lines that wait, without those that are just being written."""
        return len(self._lines) + len(self._urgent)

    def write(self, line: str | Made) -> None:
        """Have `line` written. One that is still to be made is made by the thread that writes, not by the request's."""
        lines = self._lines
        lines.append(line)
        if len(lines) > self._ordinary_max:
            self._lose(lines)
        if self._asleep:
            self._wake()

    def write_first(self, line: str) -> None:
        """Have `line` written now, ahead of the ordinary lines that wait."""
        self._urgent.append(line)
        if len(self._urgent) > self._urgent_max:
            self._lose(self._urgent)
        self._wake()
        self._hurry.set()

    def _lose(self, lines: "deque[str | Made]") -> None:
        with contextlib.suppress(IndexError):  # the writer has just taken them
            lines.popleft()
            self._count_lost("full", 1)

    def _count_lost(self, why: str, count: int) -> None:
        record(lambda: LOST.labels(why).inc(count))
        with self._small:
            self._lost += count

    def _wake(self) -> None:
        self._awake.set()
        if self._thread is None:
            with self._small:
                if self._thread is None:
                    self._thread = threads.start("log", self._run)  # None: the next line tries again

    def _run(self) -> None:
        while True:
            self._asleep = True
            # Looked at after the flag is set: a thread that adds a line from here on sees the flag and ends the wait.
            if not self._lines and not self._urgent:
                self._awake.wait()
            self._asleep = False
            self._awake.clear()
            self._hurry.wait(GATHER_SECONDS)
            self._hurry.clear()
            self.flush()

    def flush(self) -> None:
        """Write all lines that wait. Blocks while the reader of the log does."""
        BufferedCounter.settle()  # figures are no later than lines; a failure to count is a line itself
        with self._writing:
            # Those that are added meanwhile wait for the next time, but for urgent ones.
            left = len(self._lines)
            while left > 0 or self._urgent:
                unwritten = self._writer.write(self._next(min(left, self._at_once)))
                left -= self._at_once
                if unwritten:
                    self._count_lost("unwritten", unwritten)
                elif (
                    self._lost
                ):  # after a write that succeeded: a disk that is full takes this line no more than others
                    with self._small:
                        lost, self._lost = self._lost, 0
                    log.warning("%d lines of the log were lost", lost)

    def _next(self, most: int) -> list[str]:
        """The urgent lines, and so many of the ordinary ones."""
        taken: list[str | Made] = []
        for queue, count in ((self._urgent, len(self._urgent)), (self._lines, most)):
            with contextlib.suppress(IndexError):  # other threads have dropped the oldest
                taken.extend(queue.popleft() for _ in range(count))
        lines = []
        for line in taken:
            try:
                lines.append(line if isinstance(line, str) else line[0](*line[1]))
            except Exception:  # the others are written all the same
                self._count_lost("unmade", 1)
        return lines

    def drain(self, seconds: float) -> None:
        """Wait until all lines are written, but no longer than `seconds`: the reader of the log may have stopped."""
        BufferedCounter.settle()
        end = time.monotonic() + seconds
        while (self._urgent or self._lines or self._writing.locked()) and time.monotonic() < end:
            self._wake()
            self._hurry.set()
            time.sleep(_POLL_SECONDS)
