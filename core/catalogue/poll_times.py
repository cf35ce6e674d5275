"""When open pages are to poll a sale again, so that they cost no more however many are open."""

import threading
import time
from collections.abc import Callable

LONGEST = 60.0  # seconds: who watches a sale is to see within about a minute what has become of it


class PollTimes:
    """Gives each page that polls a turn of its own: `per_second` turns a second, until each page waits LONGEST.

    While fewer pages poll, each has its turn at once, and polls as often as it likes. It is shared by all threads of a
    process, and knows of no other process: each bounds what it answers itself.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._between = 1 / per_second
        self._clock = clock
        self._last = float("-inf")  # the last turn that was given
        self._lock = threading.Lock()

    def next(self) -> float:
        """Seconds, at most LONGEST, that the page which has its answer now is to wait at least."""
        with self._lock:
            now = self._clock()
            self._last = min(max(self._last + self._between, now), now + LONGEST)
            return self._last - now
