"""The last ten minutes of one item, or of all of them, put together from what all workers counted."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from core.live.board import Row
from core.live.tally import Tally, added_up, longest, quantile

SECONDS = 600
# Figures of so many seconds are kept by worker: those that come late replace what was there.
OPEN_SECONDS = 12
# Buyers come and nothing is decided for so long: something is wrong.
STALLED_SECONDS = 2.0
# Buyers who came so long ago have gone.
_GONE_SECONDS = 4.0

Key = tuple[int, str, int]  # second, source, item


class Point(NamedTuple):
    """A second of the series."""

    outcomes: Mapping[str, int]
    waiting: int
    stock: int | None
    p50_ms: float | None
    p99_ms: float | None
    longest_ms: float | None
    batch_size: float | None
    transactions: int


NOTHING = Point({}, 0, None, None, None, None, None, 0)


def point(tally: Tally) -> Point:
    return Point(
        tally.outcomes,
        tally.waiting,
        tally.stock,
        quantile(tally.waits, 0.5),
        quantile(tally.waits, 0.99),
        longest(tally.waits),
        round(tally.batched / tally.batches, 1) if tally.batches else None,
        tally.transactions,
    )


class Window:
    """Not safe to share between threads: its owner holds a lock."""

    def __init__(self, goods_id: int | None) -> None:
        self.goods_id = goods_id
        self._points: dict[int, Point] = {}  # of seconds that are settled
        self._open: dict[Key, Tally] = {}
        self._settled_until = 0
        self._last_seconds: dict[str, int] = {}  # by process, its last second

    @property
    def read_from(self) -> int:
        """The first second that has to be read again; 0 for all that there is."""
        return self._settled_until

    def add(self, rows: Iterable[Row], now: float) -> None:
        """Take rows in, and settle the seconds that are over long enough. Rows for settled seconds are too late."""
        first = max(self._settled_until, int(now) - SECONDS)
        for row in rows:
            if row.second >= first and self.goods_id in (None, row.goods_id):
                if self.goods_id is None and row.goods_id:  # of many items, the batches are those of item 0
                    row.tally.batches = row.tally.batched = 0
                self._open[row.second, row.source, row.goods_id] = row.tally
                self._last_seconds[row.source] = max(row.second, self._last_seconds.get(row.source, 0))
        until = int(now) - OPEN_SECONDS
        late = sorted({second for second, _, _ in self._open if second < until})
        by_second = self._by_second(until)
        for second in late:
            self._points[second] = point(self._without_stock(added_up(by_second[second])))
        self._open = {key: tally for key, tally in self._open.items() if key[0] >= until}
        self._settled_until = max(self._settled_until, until)
        for second in [second for second in self._points if second < int(now) - SECONDS]:
            del self._points[second]
        for source in [source for source, second in self._last_seconds.items() if second < int(now) - SECONDS]:
            del self._last_seconds[source]

    def _by_second(self, until: int) -> dict[int, list[Tally]]:
        seconds: dict[int, list[Tally]] = {}
        for (second, _, _), tally in self._open.items():
            if second < until:
                seconds.setdefault(second, []).append(tally)
        return seconds

    def points(self, now: float) -> list[Point]:
        """A point for each of the last SECONDS whole seconds, the oldest first."""
        last = int(now)
        open_points = {
            second: point(self._without_stock(added_up(tallies))) for second, tallies in self._by_second(last).items()
        }
        seconds = range(last - SECONDS, last)
        return [open_points.get(second) or self._points.get(second, NOTHING) for second in seconds]

    def _without_stock(self, total: Tally) -> Tally:
        if self.goods_id is None:
            total.stock = None  # of different things
        return total

    def sources(self, now: float, seconds: int = SECONDS) -> set[str]:
        """The processes that reported in the last seconds."""
        return {source for source, second in self._last_seconds.items() if second >= now - seconds}

    def lately(self, now: float, seconds: int) -> Tally:
        """The last whole seconds added up."""
        first, last = int(now) - seconds, int(now)
        return added_up(tally for (second, _, _), tally in self._open.items() if first <= second < last)

    def since(self, second: int) -> Tally:
        """What was counted from this second on, added up."""
        return added_up(tally for key, tally in self._open.items() if key[0] >= second)

    def newest(self) -> dict[int, Tally]:
        """By item, the figures of each worker's last second added up: what is so now."""
        last: dict[tuple[str, int], tuple[int, Tally]] = {}
        for (second, source, goods_id), tally in self._open.items():
            if second >= last.get((source, goods_id), (0, tally))[0]:
                last[source, goods_id] = second, tally
        items: dict[int, Tally] = {}
        for (_, goods_id), (_, tally) in last.items():
            items.setdefault(goods_id, Tally()).beside(tally)
        return items

    def by_item(self, now: float, seconds: int) -> dict[int, Tally]:
        """The last whole seconds added up, by item."""
        first, last = int(now) - seconds, int(now)
        items: dict[int, Tally] = {}
        for (second, _, goods_id), tally in self._open.items():
            if first <= second < last:
                items.setdefault(goods_id, Tally()).beside(tally)
        return items

    def alarms(self, now: float) -> dict[int, int]:
        """The items for which buyers come while nothing moves, each with the second since when."""
        items: dict[int, dict[int, list[Tally]]] = {}
        for (second, _, goods_id), tally in self._open.items():
            if goods_id:
                items.setdefault(goods_id, {}).setdefault(second, []).append(tally)
        found = {item: stalled_since(seconds, now) for item, seconds in items.items()}
        return {item: since for item, since in found.items() if since is not None}


def stalled_since(seconds: Mapping[int, Iterable[Tally]], now: float) -> int | None:
    """The second since when buyers come and nothing is decided about them; None where that is not so."""
    since: int | None = None
    wanted_at = 0
    for second in sorted(seconds):
        tallies = list(seconds[second])
        if any(tally.moved for tally in tallies):
            since = None
        elif any(tally.wanted for tally in tallies):
            since = second if since is None else since
            wanted_at = second
    if since is None or now - since < STALLED_SECONDS or now - wanted_at > _GONE_SECONDS:
        return None
    return since
