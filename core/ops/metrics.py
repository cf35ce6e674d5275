"""The process's figures for Prometheus that no single file owns. Each is explained in docs/operations.md."""

import collections
import logging
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


_TALLIED = 1000  # counts of one figure that wait to be added up, at most


class BufferedCounter:
    """A counter for what happens thousands of times a second: to count at once would cost as much as half an answer.

    What was counted is in the figure after `settle`, which whoever shows or saves figures calls.
    """

    _all: "list[BufferedCounter]" = []  # noqa: RUF012 (of the process, like the figures themselves)

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._counted: collections.deque[tuple[str, ...]] = collections.deque()
        self._all.append(self)

    def add(self, *labels: str) -> None:
        """Count one. Safe from all threads."""
        self._counted.append(labels)
        if len(self._counted) >= _TALLIED:
            self._settle()

    @classmethod
    def settle(cls) -> None:
        """Bring all figures of the process up to date."""
        for tally in cls._all:
            tally._settle()

    def _settle(self) -> None:
        counts: collections.Counter[tuple[str, ...]] = collections.Counter()
        while self._counted:
            try:
                counts[self._counted.popleft()] += 1
            except IndexError:  # another thread was at it
                break
        for labels, count in counts.items():
            record(lambda labels=labels, count=count: self._counter.labels(*labels).inc(count))  # type: ignore[misc]


def record(figure: Callable[[], object]) -> None:
    """Record a figure about something that has happened: should that fail, what happened is answered all the same."""
    try:
        figure()
    except Exception as error:
        log.warning("a figure was not recorded: %s", type(error).__name__)
