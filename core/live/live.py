"""What `/live` shows: the figures of all workers of all hosts, put together at most twice a second in a worker.

The workers of this host are read from memory, those of others from the database, by a thread that runs only while
somebody looks. Where the database does not answer, this host's figures are shown all the same: then above all an
operator looks at them.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core import threads
from core.catalogue import goods, sale
from core.db.clock import Deadline, database_now
from core.db.database import AnyRow, Database
from core.db.shares import Share
from core.live import store
from core.live.board import Row
from core.live.clock import KnownTime, as_datetime
from core.live.tally import Tally
from core.live.unpaid import Unpaid, UnpaidOrders
from core.live.window import SECONDS, Point, Window
from core.purchase.slots import MAX_SLOTS
from core.refusals import GOODS_NOT_FOUND, Busy, Refusal

READ_SECONDS = 1.0  # between two looks into the database
SHOWN_SECONDS = 0.5  # for which a picture is shown again
_FRESH_SECONDS = 3  # that are taken from memory for each picture; the reader takes all that is there
_PRESENT_SECONDS = 60  # in which a worker that sells has figures to report
_LEFT_SECONDS = 15.0  # after which nobody is taken to look any more
_LATE_SECONDS = 4.0  # after which the database is taken not to answer
_WINDOWS = 16  # items that are looked at at once, at most, all of them together counted as one
_ITEMS = 50  # items that are listed

log = logging.getLogger("seckill.live")


@dataclass(frozen=True)
class Picture:
    """Everything that is shown of one item, or of all."""

    at: datetime
    goods_id: int | None
    points: list[Point]
    present: Tally
    lately: Tally
    newest: Mapping[int, Tally]
    waits: Tally
    by_item: Mapping[int, Tally]
    alarms: Mapping[int, int]
    items: Mapping[int, AnyRow]
    unpaid: Mapping[int, Unpaid]
    complete: bool
    hosts: int
    workers: int
    default_cap: int

    def cap(self, row: AnyRow) -> int:
        return min(row.order_limit or self.default_cap, MAX_SLOTS)

    def status(self, row: AnyRow) -> str:
        return sale.status(row, self.at)


@dataclass
class _Watched:
    """An item that somebody looks at, or all of them."""

    window: Window
    requested_at: float
    read_at: float = float("-inf")  # when the database last answered
    items: Mapping[int, AnyRow] = field(default_factory=dict)
    picture: Picture | None = None
    shown_at: float = float("-inf")
    found: bool = True
    read: threading.Event = field(default_factory=threading.Event)


class Live:
    """Shared by all threads of a process."""

    def __init__(
        self,
        database: Database,
        clock: KnownTime,
        host_id: str,
        collect: Callable[[], None],
        rows: Callable[[int], Iterable[Row]],
    ) -> None:
        """`collect` takes up what this process has counted; `rows` returns those of all workers of the host
        from a second on.
        """
        self._database = database.of(Share.WATCH)
        self._clock = clock
        self._host_id = host_id
        self._collect = collect
        self._rows = rows
        self._unpaid = UnpaidOrders()
        self._watched: dict[int | None, _Watched] = {}
        self._reader: threading.Thread | None = None
        self._lock = threading.Lock()

    def picture(self, goods_id: int | None, wait_seconds: float) -> Picture:
        """What is so now of the item, or of all. Raises Refusal goods_not_found, or Busy where too many are looked at.

        The first call waits for the database, up to `wait_seconds`.
        """
        with self._lock:
            watched = self._watch(goods_id)
        watched.read.wait(wait_seconds)
        if not watched.found:
            with self._lock:
                self._watched.pop(goods_id, None)
            raise Refusal(GOODS_NOT_FOUND)
        with self._lock:
            now = self._clock.monotonic()
            if watched.picture is None or now - watched.shown_at >= SHOWN_SECONDS:
                watched.picture, watched.shown_at = self._draw(watched), now
            return watched.picture

    def _watch(self, goods_id: int | None) -> _Watched:
        """Needs the lock."""
        # Ahead of the entry, which only the reader removes. It waits for the lock.
        self._reader = threads.keep(self._reader, "live", self._read_on)
        if self._reader is None:
            raise Busy()
        now = self._clock.monotonic()
        watched = self._watched.get(goods_id)
        if watched is None:
            if len(self._watched) >= _WINDOWS:
                raise Busy()
            watched = self._watched[goods_id] = _Watched(Window(goods_id), now)
        watched.requested_at = now
        return watched

    def _read_on(self) -> None:
        """Read the database for all that are looked at, until nobody looks any more."""
        while True:
            with self._lock:
                now = self._clock.monotonic()
                for key in [key for key, each in self._watched.items() if now - each.requested_at > _LEFT_SECONDS]:
                    del self._watched[key]
                if not self._watched:
                    self._reader = None
                    return
                watched = list(self._watched.values())
            for each in watched:
                try:
                    self._read(each)
                except Exception as error:
                    if not isinstance(error, Refusal):  # those are logged where they are raised
                        log.warning("the live figures could not be read: %s", type(error).__name__)
                    self._take_in(each, [])
                finally:
                    each.read.set()
            self._pause(now)

    def _pause(self, began: float) -> None:
        """Wait for the next look, cut short where somebody has come to look at what was not read yet."""
        ends = began + READ_SECONDS
        while (left := ends - self._clock.monotonic()) > 0:
            time.sleep(min(0.05, left))
            with self._lock:
                if any(not each.read.is_set() for each in self._watched.values()):
                    return

    def _read(self, watched: _Watched) -> None:
        window = watched.window
        sent_at = self._clock.monotonic()
        is_first = watched.read_at < 0
        since = self._clock.now() - SECONDS if is_first else window.read_from
        with self._database.reading(Deadline(self._database.settings.DATABASE_TIMEOUT_SECONDS)) as connection:
            now = database_now(connection)
            self._clock.update(now, sent_at, self._clock.monotonic())
            # This host's own are in memory; but those from before somebody looked are not, and all hosts' are read.
            but_of = None if is_first else self._host_id
            rows = store.recent(connection, as_datetime(since), window.goods_id, but_of)
            self._unpaid.look(connection, now)
            wanted = {window.goods_id} if window.goods_id else self._in_demand(rows)
            items = {row.id: row for row in goods.read_all(connection, sorted(wanted))}
        watched.found = window.goods_id is None or window.goods_id in items
        if is_first:  # whatever was shown until now knew nothing of what was before
            watched.window = Window(window.goods_id)
        self._take_in(watched, rows)
        watched.items, watched.read_at = items, self._clock.monotonic()

    def _in_demand(self, rows: Iterable[Row]) -> set[int]:
        """The items with the most requests."""
        demand: dict[int, int] = {}
        for row in [*rows, *self._rows(0)]:
            if row.goods_id:
                count = sum(row.tally.outcomes.values()) + row.tally.waiting
                demand[row.goods_id] = demand.get(row.goods_id, 0) + count
        with self._lock:
            known = self._watched.get(None)
            for goods_id in known.items if known else ():
                demand.setdefault(goods_id, 0)
        return set(sorted(demand, key=lambda key: (-demand[key], key))[:_ITEMS])

    def _take_in(self, watched: _Watched, rows: Iterable[Row]) -> None:
        """Add the rows of the database, and those of this host's memory, which are newer."""
        ours = list(self._rows(0))
        with self._lock:
            watched.window.add([*rows, *ours], self._clock.now())

    def _draw(self, watched: _Watched) -> Picture:
        """Needs the lock."""
        self._collect()
        window = watched.window
        now = self._clock.now()
        window.add(self._rows(int(now) - _FRESH_SECONDS), now)
        hosts = {source.partition("-")[0] for source in window.sources(now)} | {self._host_id}
        return Picture(
            at=as_datetime(now),
            goods_id=window.goods_id,
            points=window.points(now),
            present=window.since(int(now)),
            lately=window.lately(now, 3),
            waits=window.lately(now, 10),
            newest=window.newest(),
            by_item=window.by_item(now, 3),
            alarms=window.alarms(now),
            items=watched.items,
            unpaid=self._unpaid.counts,
            complete=self._clock.monotonic() - watched.read_at < _LATE_SECONDS,
            hosts=len(hosts),
            workers=max(1, len(window.sources(now, _PRESENT_SECONDS))),
            default_cap=self._database.settings.API_ORDER_LIMIT,
        )
