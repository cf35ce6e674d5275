"""The sale cache: what is certain about a sale without asking the database, seen there at most MAX_AGE seconds ago.

Only a crowd that asks the same of one item is answered from here; the item's row is then read again and again by one
thread, for all such items at once, over a connection of its own. When that is late, the crowd's reads wait for its
answer: they never go to the database all at once. Purchases do not wait here, since they are settled in batches anyway.
Whoever else asks goes to the database.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

from core.catalogue import sale
from core.db.clock import iso
from core.db.database import AnyRow
from core.purchase.decide import refusal_of
from core.refusals import GOODS_NOT_FOUND, Busy, Refusal, Unavailable

MAX_AGE = 0.25  # seconds
_READ_SECONDS = 0.08  # between two reads, so that a late one does not leave everybody to the database
# So many ask the same within MAX_AGE: fewer are no load, and are told the very latest.
CROWD = 10
# Reads after which an item that nobody asked for is watched no longer.
_QUIET_READS = 6
_WATCHED = 256  # items; a larger crowd's go to the database
_COUNTED = 20_000  # questions
# Requests that wait for the next read, at most. As many as a worker keeps connections open.
_AWAITED = 4096

Read = Callable[[Sequence[int]], Sequence[AnyRow]]

log = logging.getLogger("seckill.sale_cache")


class CachedSale:
    """An item's row as it was read. `memo` keeps what was made of it for as long as it is in use."""

    __slots__ = ("_always", "_answered_at", "_asked_at", "_told", "asks", "memo", "quiet", "row")

    def __init__(self, row: AnyRow, asked_at: float, answered_at: float, quiet: int) -> None:
        self.row = row
        self.memo: dict[tuple[str, str], Any] = {}
        self.asks = 0
        self.quiet = quiet
        self._asked_at = asked_at
        self._answered_at = answered_at
        self._told = -1, ""  # milliseconds since the answer, and the time then
        # Without a window the status does not depend on the time.
        self._always = None if row.starts_at or row.ends_at else sale.status(row, row.now)

    def is_fresh(self) -> bool:
        return time.monotonic() - self._asked_at <= MAX_AGE

    def now(self) -> datetime:
        """The database's time, reckoned from when it was read; late by the time of one answer at most."""
        now: datetime = self.row.now
        return now + timedelta(seconds=time.monotonic() - self._answered_at)

    def now_iso(self) -> str:
        """`now` as the contract has it, which is the same for a millisecond and all who ask in it."""
        since = int((time.monotonic() - self._answered_at) * 1000)
        told = self._told
        if told[0] != since:
            told = self._told = since, iso(self.row.now + timedelta(milliseconds=since))
        return told[1]

    def status(self) -> str | None:
        """The status of the sale now; None within the moment in which its start or its end may have come."""
        if self._always is not None:
            return self._always
        earliest = self.now()
        status = sale.status(self.row, earliest)
        # The database cuts off what is less than a millisecond.
        latest = earliest + timedelta(seconds=self._answered_at - self._asked_at, milliseconds=1)
        return status if status == sale.status(self.row, latest) else None


class SaleCache:
    """Watches the items that crowds ask for. Shared by all threads of a process."""

    def __init__(self, read: Read) -> None:
        """`read` returns the rows of items, with the database's time as `now`; it may raise."""
        self.crowd = CROWD
        self._read = read
        self._seen: dict[int, CachedSale] = {}
        self._wanted: set[int] = set()
        # Of each question: when the count began, the count, and that of the time before.
        self._asks: dict[tuple[str, int], tuple[float, int, int]] = {}
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None
        # Those of the last read's items that do not exist, and when it was asked for.
        self._absent: frozenset[int] = frozenset()
        self._absent_at = float("-inf")
        # Of each item, who waits for its row, and since when it must have been asked for.
        self._awaited: dict[int, list[tuple[float, Future[CachedSale | None]]]] = {}
        self._awaited_count = 0
        self._wake = threading.Event()

    def look(self, question: str, goods_id: int) -> "CachedSale | Future[CachedSale | None] | None":
        """The item as it was at most MAX_AGE ago, for a crowd with this question; None: ask the database.

        Where nothing is known that is young enough, or the moment of the sale's start or end may just have come, the
        next read that is young enough is the future's result. It is None where the database is to be asked after all;
        it raises Refusal: goods_not_found, or what the read failed with. Raises Busy where too many wait.
        """
        if not self._is_crowd(question, goods_id):
            return None
        now = time.monotonic()
        since = now - MAX_AGE
        seen = self._seen.get(goods_id)
        if seen is not None:
            seen.asks += 1
            if seen.is_fresh():
                if seen.status() is not None:
                    return seen
                since = now  # an older row would be as uncertain
        elif goods_id in self._absent and self._absent_at >= since:
            return _raises(Refusal(GOODS_NOT_FOUND))
        return self._next(goods_id, since)

    def _next(self, goods_id: int, since: float) -> "Future[CachedSale | None] | None":
        """The item's next row that is asked for at `since` or later. None where the item cannot be watched as well."""
        found: Future[CachedSale | None] = Future()
        with self._lock:
            if self._awaited_count >= _AWAITED:
                raise Busy()
            if not self._add(goods_id):
                return None
            self._awaited.setdefault(goods_id, []).append((since, found))
            self._awaited_count += 1
            self._begin()
        self._wake.set()
        return found

    def seen(self, question: str, goods_id: int) -> CachedSale | None:
        """The item as it was at most MAX_AGE ago, for a crowd with this question; None: ask the database."""
        if not self._is_crowd(question, goods_id):
            return None
        seen = self._seen.get(goods_id)
        if seen is not None:
            seen.asks += 1
            if seen.is_fresh():
                return seen
        self._want(goods_id)
        return None

    def refusal(self, goods_id: int) -> Refusal | None:
        """What every purchase of the item is refused with now, where that is certain."""
        seen = self.seen("buy", goods_id)
        status = None if seen is None else seen.status()
        if seen is None or status is None:
            return None
        known = ("refusal", status)
        if known not in seen.memo:
            seen.memo[known] = refusal_of(status, seen.row.starts_at)
        refusal: Refusal | None = seen.memo[known]
        return refusal

    def _is_crowd(self, question: str, goods_id: int) -> bool:
        now = time.monotonic()
        since, asks, before = self._asks.get((question, goods_id), (now, 0, 0))
        if now - since > MAX_AGE:
            since, asks, before = now, 0, asks if now - since <= 2 * MAX_AGE else 0
        if len(self._asks) >= _COUNTED:
            self._asks.clear()
        self._asks[question, goods_id] = since, asks + 1, before
        return asks + 1 >= self.crowd or before >= self.crowd

    def _want(self, goods_id: int) -> None:
        with self._lock:
            self._add(goods_id)
            self._begin()

    def _add(self, goods_id: int) -> bool:
        """Have the item read from now on; false where there are too many. Needs the lock."""
        if goods_id in self._seen or goods_id in self._wanted:
            return True
        if len(self._wanted) + len(self._seen) >= _WATCHED:
            return False
        self._wanted.add(goods_id)
        return True

    def _begin(self) -> None:
        """Have the watcher at work. Needs the lock."""
        # Not alive: not begun, out of work, or left behind by a fork.
        if self._watcher is None or not self._watcher.is_alive():
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()

    def _watch(self) -> None:
        while True:
            self._wake.clear()
            with self._lock:
                active = {key for key, seen in self._seen.items() if seen.quiet < _QUIET_READS}
                ids = sorted(self._wanted | active | self._awaited.keys())
                if not ids:
                    self._seen.clear()
                    self._watcher = None
                    return
            try:
                self._look(ids)
                self._wake.wait(_READ_SECONDS)  # whoever waits for the next read need not wait for the pause as well
            except Exception as error:
                self._go_quiet()
                if not isinstance(error, Refusal):  # of which the database has told the log
                    log.warning("the sale cache could not look: %s", type(error).__name__)
                self._tell_failure(ids, error)
                time.sleep(_READ_SECONDS)

    def _look(self, ids: Sequence[int]) -> None:
        asked_at = time.monotonic()
        try:
            rows = self._read(ids)
        except Unavailable:
            # Its connection may have been closed, and the database be well: only those who wait make it worth a try.
            if not self._awaited or time.monotonic() - asked_at > MAX_AGE:
                raise
            asked_at = time.monotonic()
            rows = self._read(ids)
        answered_at = time.monotonic()
        found = {row.id for row in rows}
        with self._lock:
            before, self._seen = self._seen, {}
            for row in rows:
                last = before.get(row.id)
                quiet = 0 if last is None or last.asks else last.quiet + 1
                self._seen[row.id] = CachedSale(row, asked_at, answered_at, quiet)
            self._wanted.difference_update(ids)
            self._absent, self._absent_at = frozenset(ids) - found, asked_at
            seen_now = self._seen
            told = self._take_awaiting(ids, asked_at)
        for goods_id, awaiting in told:
            if goods_id in found:
                awaiting.set_result(seen_now[goods_id])
            else:
                awaiting.set_exception(Refusal(GOODS_NOT_FOUND))

    def _take_awaiting(self, ids: Sequence[int], asked_at: float) -> "list[tuple[int, Future[CachedSale | None]]]":
        """Take those who wait for one of these items and may have a row that was asked for then. Needs the lock."""
        taken = []
        for goods_id in ids:
            waiting = self._awaited.pop(goods_id, [])
            later = [(since, future) for since, future in waiting if since > asked_at]
            if later:
                self._awaited[goods_id] = later
            taken += [(goods_id, future) for since, future in waiting if since <= asked_at]
        self._awaited_count -= len(taken)
        return taken

    def _tell_failure(self, ids: Sequence[int], error: Exception) -> None:
        """Tell all who wait for these items: what the database refuses, it refuses them; else it has to be asked."""
        with self._lock:
            told = self._take_awaiting(ids, float("inf"))
        for _, awaiting in told:
            if isinstance(error, Refusal):
                awaiting.set_exception(error)
            else:
                awaiting.set_result(None)

    def _go_quiet(self) -> None:
        with self._lock:
            self._wanted.clear()  # who still asks for them will be heard again
            for seen in self._seen.values():
                seen.quiet = 0 if seen.asks else seen.quiet + 1
                seen.asks = 0


def _raises(refusal: Refusal) -> "Future[CachedSale | None]":
    failed: Future[CachedSale | None] = Future()
    failed.set_exception(refusal)
    return failed
