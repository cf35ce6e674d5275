"""The database's time as far as this process knows it, without reading it each time."""

import time
from collections.abc import Callable
from datetime import datetime, timezone


class KnownTime:
    """Seconds since 1970 by the database's clock; by this host's until the database's was read."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        """`monotonic` and `wall` are this host's clocks, in seconds. All moments are of `monotonic`."""
        self.monotonic = monotonic
        self._ahead = wall() - monotonic()  # of the monotonic clock
        self.is_known = False  # whether the database's clock was read

    def update(self, moment: datetime, sent_at: float, answered_at: float) -> None:
        """Set the clock: the database's time was `moment` between two moments of the monotonic clock."""
        self._ahead = moment.timestamp() - (sent_at + answered_at) / 2
        self.is_known = True

    def now(self) -> float:
        return self.at(self.monotonic())

    def at(self, moment: float) -> float:
        """The time at a moment of the monotonic clock."""
        return self._ahead + moment


def as_datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
