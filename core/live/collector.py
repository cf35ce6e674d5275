"""Sorts what a worker counts by seconds, shows it to the other workers of the host, and keeps it to be stored."""

import secrets
import threading
from collections.abc import Callable, Mapping, Set

from core.live.board import Board, Row, encoded
from core.live.clock import KnownTime
from core.live.counter import PurchaseCounter
from core.live.tally import Tally

# Seconds between two turns. With those for which a picture is shown again (live.py) they are less than one: figures
# are to be at most a second old, and a turn takes its time.
SECONDS = 0.375
# Seconds that are shown to the other workers; readers keep what is older themselves.
SHOWN_SECONDS = 8
# Rows that wait for the database, at most: the oldest are given up.
_UNSTORED = 5000
# Seconds that the clock may be set back without the present second following.
_AHEAD_SECONDS = 2


class Collector:
    """The figures of one worker. Safe to use from all threads."""

    def __init__(
        self,
        counter: PurchaseCounter,
        time: KnownTime,
        board: Board,
        host_id: str,
        waiting: Callable[[], Mapping[int, int]],
        transactions: Callable[[], Mapping[int, int]],
    ) -> None:
        """`waiting` counts purchases without an outcome by item, `transactions` the open ones."""
        self._counter = counter
        self._time = time
        self._board = board
        self._waiting = waiting
        self._transactions = transactions
        self._host_id = host_id
        self.source = f"{host_id}-{secrets.token_hex(4)}"
        self._recent: dict[tuple[int, int], Tally] = {}  # by second and item
        self._unstored: dict[tuple[int, int], Tally] = {}
        self._busy: Set[int] = frozenset()
        self._second = 0
        self._shown = False
        self._encoded: dict[tuple[int, int], str] = {}  # the rows as they were shown last, the oldest first
        self._lock = threading.Lock()

    def turn(self) -> None:
        """Take up what was counted, and show it. Uses no database."""
        with self._lock:
            counted, arrived = self._counter.take()
            transactions = self._transactions()
            waiting = {item: count for item, count in self._waiting().items() if self._exists(item, transactions)}
            second = self._present()
            busy = waiting.keys() | transactions.keys()
            # Also those that were busy at the last turn: the last that is stored of them is that nobody waits any more.
            for goods_id in counted.keys() | busy | self._busy:
                later = counted.get(goods_id) or Tally()
                later.waiting, later.transactions = waiting.get(goods_id, 0), transactions.get(goods_id, 0)
                moments = arrived.get(goods_id, ())
                later.arrivals = [(order_no, int(self._time.at(moment) * 1000)) for order_no, moment in moments]
                self._of(second, goods_id).then(later)
            self._busy = busy
            for key in [key for key in self._recent if key[0] <= second - SHOWN_SECONDS]:
                del self._recent[key]
            while len(self._unstored) > _UNSTORED:
                del self._unstored[next(iter(self._unstored))]
            self._show()

    def _exists(self, goods_id: int, transactions: Mapping[int, int]) -> bool:
        return goods_id in transactions or self._counter.knows(goods_id)

    def _present(self) -> int:
        """The present second. It never falls back a little; where the clock was far ahead, it is set right.

        The clock is this host's until the database's was first read. Needs the lock.
        """
        now = int(self._time.now())
        if now < self._second - _AHEAD_SECONDS:
            for second, goods_id in [key for key in self._recent if key[0] > now]:
                tally = self._recent.pop((second, goods_id))
                if self._unstored.pop((second, goods_id), None) is not None:
                    self._of(now, goods_id).then(tally)
            self._second = now
        self._second = max(self._second, now)
        return self._second

    def _of(self, second: int, goods_id: int) -> Tally:
        key = second, goods_id
        tally = self._recent.get(key)
        if tally is None:
            tally = self._recent[key] = Tally()
        self._unstored[key] = tally
        return tally

    def _show(self) -> None:
        """What is newest and most in demand comes first, in case that not all fits. Needs the lock."""
        if self._recent or self._shown:
            for key in [key for key in self._encoded if key not in self._recent]:
                del self._encoded[key]
            present = {key: tally for key, tally in self._recent.items() if key[0] == self._second}
            by_demand = sorted(present.items(), key=lambda item: (-item[1].waiting, -item[1].outcomes.total()))
            older = [row for key, row in reversed(self._encoded.items()) if key not in present]
            newest = [(key, encoded(*key, tally)) for key, tally in by_demand]
            self._board.write(self.source, [*(row for _, row in newest), *older])
            self._encoded |= dict(reversed(newest))
        self._shown = bool(self._recent)

    def rows(self, first: int = 0) -> list[Row]:
        """What was counted in the last seconds, from the second `first` on."""
        with self._lock:
            items = [(key, tally.copy()) for key, tally in self._recent.items() if key[0] >= first]
        return [Row(second, self.source, goods_id, tally) for (second, goods_id), tally in items]

    def take_unstored(self, most: int) -> list[Row]:
        """The oldest rows of seconds that are over, to be stored; whoever cannot gives them back."""
        with self._lock:
            keys = [key for key in self._unstored if key[0] < self._second or key not in self._recent][:most]
            return [Row(second, self.source, item, self._unstored.pop((second, item))) for second, item in keys]

    def give_back(self, rows: list[Row]) -> None:
        with self._lock:
            self._unstored = {(row.second, row.goods_id): row.tally for row in rows} | self._unstored

    def note_stock(self, goods_id: int, stock: int, second: int) -> None:
        """Note what was left of an item."""
        with self._lock:
            key = max(second, self._second), goods_id
            tally = self._of(*key)
            tally.stock = stock
            self._encoded[key] = encoded(*key, tally)
