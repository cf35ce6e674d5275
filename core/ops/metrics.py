"""The metrics that no other module owns. docs/operations.md explains each."""

import collections
import logging
import os
import threading
from collections.abc import Callable

from prometheus_client import Counter, Gauge

log = logging.getLogger("seckill.metrics")

PURCHASES = Counter(
    "seckill_purchases_total",
    "Purchase requests answered, by outcome: placed, replayed or the refusal's code.",
    ["outcome"],
)
POOL_IN_USE = Gauge(
    "seckill_database_connections_in_use",
    "Database connections in use now, by what they are for.",
    ["share"],
    multiprocess_mode="livesum",
)


_BUFFERED_MAX = 1000  # the maximum number of buffered counts of one counter


class BufferedCounter:
    """A counter for frequent events: incrementing a Counter each time would cost half as much as an answer.

    `settle` adds the buffered counts to the counter; it is called before metrics are read or saved.
    """

    _all: "list[BufferedCounter]" = []  # noqa: RUF012 (of the process, like the figures themselves)
    # Who reads the counters while another thread settles has to wait for it: what that has taken is not counted yet.
    _settling = threading.RLock()

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._counted: collections.deque[tuple[str, ...]] = collections.deque()
        self._all.append(self)

    def add(self, *labels: str) -> None:
        """Count one. Thread-safe."""
        self._counted.append(labels)
        if len(self._counted) >= _BUFFERED_MAX:
            self._settle()

    @classmethod
    def settle(cls) -> None:
        """Add the buffered counts of all counters of the process."""
        for counter in cls._all:
            counter._settle()  # noqa: SLF001 (of this class)

    def _settle(self) -> None:
        with self._settling:
            counts: collections.Counter[tuple[str, ...]] = collections.Counter()
            while self._counted:
                counts[self._counted.popleft()] += 1
            for labels, count in counts.items():
                record(lambda labels=labels, count=count: self._counter.labels(*labels).inc(count))  # type: ignore[misc]

    @classmethod
    def begin_anew(cls) -> None:
        """Forget that a thread was settling, which a fork has left behind."""
        cls._settling = threading.RLock()


os.register_at_fork(after_in_child=BufferedCounter.begin_anew)


def record(figure: Callable[[], object]) -> None:
    """Update a metric or a span. A failure is logged: the request must succeed all the same."""
    try:
        figure()
    except Exception as error:
        log.warning("a figure or a span was not recorded: %s", type(error).__name__)
