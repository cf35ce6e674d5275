"""The metrics that are looked up when they are scraped: of items, orders, money and events.

Those of present requests are in memory, and are there whatever the database does. The rest is read from the database
by a thread of its own, at most once in SECONDS: a scrape waits for it only a moment.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from core import threads
from core.db.clock import Deadline
from core.db.database import Database
from core.db.shares import Share
from core.live.board import Row
from core.live.clock import KnownTime
from core.live.collector import SHOWN_SECONDS
from core.live.window import Window
from core.ops.shop_look import ITEMS_MAX, look
from core.refusals import Refusal

SECONDS = 2.0  # between two looks into the database
WAIT_SECONDS = 0.5  # that a scrape waits for a look
_OLD_SECONDS = 30.0  # after which figures are shown no more: the last look still waits for its answer

log = logging.getLogger("seckill.metrics")


class ShopMetrics(Collector):
    """Those of one process. Safe to share between threads."""

    def __init__(
        self,
        database: Database,
        clock: KnownTime,
        collect: Callable[[], None],
        rows: Callable[[int], Iterable[Row]],
        seconds: float = SECONDS,
        wait_seconds: float = WAIT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`collect` takes up what this process has counted; `rows` returns what all workers of the host have, from a
        second on. Between two looks into the database there are `seconds` of the clock `monotonic`; a scrape waits for
        one for `wait_seconds`.
        """
        self._database = database.of(Share.READS)
        self._clock = clock
        self._collect = collect
        self._rows = rows
        self._seconds = seconds
        self._wait_seconds = wait_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._look: Future[None] | None = None
        self._began_at = float("-inf")
        self._read: list[Metric] = []
        self._read_at = float("-inf")
        self._is_up = False

    def collect(self) -> Iterable[Metric]:
        """All of them. Waits for the database a moment, and does without it where it does not answer."""
        window, now = self._window()
        newest = window.newest()
        waiting = {goods_id: tally.waiting for goods_id, tally in newest.items() if goods_id}
        requests = {goods_id: tally.outcomes.total() for goods_id, tally in window.by_item(now, SHOWN_SECONDS).items()}
        stalled = {goods_id: max(0.0, now - since) for goods_id, since in window.alarms(now).items()}
        wanted = sorted(waiting, key=lambda id: (-stalled.get(id, 0), -waiting[id], -requests.get(id, 0), -id))[
            :ITEMS_MAX
        ]
        yield _by_item("seckill_item_waiting", "Purchases of an item without an outcome.", wanted, waiting)
        yield _by_item(
            "seckill_item_stalled_seconds",
            "Time since buyers of an item come and nothing is decided, up to 8; 0 where all is well.",
            wanted,
            stalled,
        )
        yield from self._of_database(wanted)

    def _window(self) -> tuple[Window, float]:
        self._collect()
        window, now = Window(None), self._clock.now()
        window.add(self._rows(int(now) - SHOWN_SECONDS), now)
        return window, now

    def _of_database(self, wanted: list[int]) -> Iterator[Metric]:
        """The figures of a look that is done in time, or of the last one."""
        with self._lock:
            if (self._look is None or self._look.done()) and self._monotonic() - self._began_at >= self._seconds:
                self._begin(wanted)
            current = self._look
        if current is not None:
            wait([current], self._wait_seconds)
        with self._lock:
            now = self._monotonic()
            # Scrapes may be further apart than that: only a look that does not end says that the database is away.
            is_stuck = self._look is not None and not self._look.done() and now - self._began_at > _OLD_SECONDS
            is_up = self._is_up and not is_stuck
            read = [] if now - self._read_at > _OLD_SECONDS else self._read
        yield GaugeMetricFamily(
            "seckill_database_up", "Whether the last look into the database for these figures succeeded.", float(is_up)
        )
        yield from read

    def _begin(self, wanted: list[int]) -> None:
        """Needs the lock."""
        done: Future[None] = Future()
        if threads.start("metrics", self._read_all, wanted, done) is not None:
            self._look, self._began_at = done, self._monotonic()

    def _read_all(self, wanted: list[int], done: "Future[None]") -> None:
        """What was read ahead of a failure is shown: the rest is left out, and no figure is older than it seems."""
        read: list[Metric] = []
        is_up = False
        try:
            with self._database.reading(Deadline(self._database.settings.DATABASE_TIMEOUT_SECONDS)) as connection:
                read.extend(look(connection, wanted))  # which has what came ahead of a failure
            is_up = True
        except Refusal:
            pass  # the database has logged the cause
        except Exception as error:
            log.warning("the figures could not be read: %s", type(error).__name__)
        finally:
            with self._lock:
                self._read, self._read_at, self._is_up = read, self._monotonic(), is_up
            done.set_result(None)


def _by_item(name: str, text: str, items: Iterable[int], values: dict[int, float] | dict[int, int]) -> Metric:
    metric = GaugeMetricFamily(name, text, labels=["goods_id"])
    for goods_id in items:
        metric.add_metric([str(goods_id)], values.get(goods_id, 0))
    return metric
