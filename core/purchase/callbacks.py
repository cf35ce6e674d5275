"""Buyers who hold no thread while they stand in line: each is called back with what came of it.

They stand in the same line as those who wait in a thread, and by the same rules. What such a thread would do is shared
out: threads of a few lead when a buyer is called to, and one thread, the desk, calls back those who are settled, and
looks after those who wait. However many buyers there are, so few threads compete for the interpreter.
"""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic

from core.clock import Deadline
from core.purchase.decide import PurchaseRequest
from core.purchase.line import Line
from core.purchase.place import Answer, Place

# What a buyer is told: an outcome, or the exception that Line.buy would raise. Must not block.
Tell = Callable[[Answer | Exception], None]

# Seconds between two looks at those who wait. So late they may learn that their time is over.
_LOOK_SECONDS = 0.02

log = logging.getLogger("seckill.line")


class _Visit(Generic[Answer]):
    """A buyer who is not there: what to tell them, once, and when to look after their place."""

    __slots__ = ("led", "look_at", "place", "tell")

    def __init__(self, tell: Tell[Answer]) -> None:
        self.tell: Tell[Answer] | None = tell
        self.led = False
        self.look_at = math.inf  # until the place is known
        self.place: Place[Answer]


class Callbacks(Generic[Answer]):
    """The desk of one line. Shared by all threads of a process; its own threads begin with the first buyer."""

    def __init__(self, line: Line[Answer], leaders_max: int, name: str) -> None:
        """`leaders_max` is the line's own: so many threads are enough to lead."""
        self._line = line
        self._name = name
        self._leaders_max = leaders_max
        self._to_lead: SimpleQueue[Place[Answer]] = SimpleQueue()
        self._rung: SimpleQueue[tuple[_Visit[Answer], Place[Answer]] | None] = SimpleQueue()
        self._visits: set[_Visit[Answer]] = set()
        self._lock = threading.Lock()
        self._clerk: threading.Thread | None = None
        self._leaders = 0

    def buy(self, request: PurchaseRequest, deadline: Deadline, tell: Tell[Answer]) -> None:
        """Stand in line for `request`; `tell` gets what comes of it, once, from the desk's thread.

        Raises Busy at once where the line is too long to serve in time.
        """
        visit: _Visit[Answer] = _Visit(tell)
        with self._lock:
            if self._clerk is None or not self._clerk.is_alive():
                self._begin()
            if not self._visits:
                self._rung.put(None)  # from now on there is somebody to look after
            self._visits.add(visit)
        try:
            visit.place, seconds = self._line.enter(request, deadline, lambda place: self._hear(visit, place))
        except BaseException:
            with self._lock:
                self._visits.discard(visit)
            raise
        visit.look_at = time.monotonic() + seconds

    def _begin(self) -> None:
        """Start the threads, all of them: whoever is called to lead is called under the line's lock."""
        while self._leaders_max > self._leaders:
            threading.Thread(target=self._lead_on, name=f"{self._name}-leader", daemon=True).start()
            self._leaders += 1
        clerk = threading.Thread(target=self._attend, name=f"{self._name}-desk", daemon=True)
        clerk.start()
        self._clerk = clerk

    def _hear(self, visit: _Visit[Answer], place: Place[Answer]) -> None:
        """The bell rang: by the line, which may have its lock, or by whoever was called back before."""
        if place.called and not visit.led:
            visit.led = True
            self._to_lead.put(place)
        elif place.settled or not place.called:
            self._rung.put((visit, place))

    def _lead_on(self) -> None:
        while True:
            place = self._to_lead.get()
            try:
                self._line.lead(place)
            except BaseException as error:
                # Everybody has been given an answer, and another leads.
                log.warning("a leader failed: %s", type(error).__name__)

    def _attend(self) -> None:
        look_at = 0.0
        while True:
            rung = None
            with contextlib.suppress(Empty):
                rung = self._rung.get(timeout=_LOOK_SECONDS if self._visits else None)
            try:
                if rung is not None and rung[1].settled:
                    self._call_back(*rung)
                elif rung is not None:
                    self._look_after(*rung)
                if time.monotonic() >= look_at:
                    self._look_around()
                    look_at = time.monotonic() + _LOOK_SECONDS
            except Exception as error:
                # The others are attended to in the next round.
                log.error("one buyer could not be attended to: %s", type(error).__name__)

    def _look_around(self) -> None:
        now = time.monotonic()
        with self._lock:
            waiting = [visit for visit in self._visits if visit.look_at <= now]
        for visit in waiting:
            if visit.place.settled:  # whoever was to ring did not come to it
                self._call_back(visit, visit.place)
            else:
                self._look_after(visit, visit.place)

    def _look_after(self, visit: _Visit[Answer], place: Place[Answer]) -> None:
        """What a thread that waits would do when its patience ends. A leader looks after itself."""
        if not place.settled and not place.called:
            visit.look_at = time.monotonic() + self._line.look(place)

    def _call_back(self, visit: _Visit[Answer], place: Place[Answer]) -> None:
        place.pass_on()
        tell, visit.tell = visit.tell, None
        if tell is None:
            return
        with self._lock:
            self._visits.discard(visit)
        tell(place.answer())
