"""The gate: what is certain about a sale without asking the database, seen there at most MAX_AGE seconds ago.

Only a crowd that asks the same of one item is answered from here; the item's row is then read again and again by one
thread, for all such items at once. Whoever else asks goes to the database, as does everybody when the reading fails.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from core import sale
from core.clock import iso
from core.database import AnyRow
from core.purchase.decide import refusal_of
from core.refusals import Refusal

MAX_AGE = 0.25  # seconds
_READ_SECONDS = 0.08  # between two reads, so that a late one does not leave everybody to the database
# So many ask the same within MAX_AGE: fewer are no load, and are told the very latest.
CROWD = 10
# Reads after which an item that nobody asked for is watched no longer.
_QUIET_READS = 6
_WATCHED = 256  # items; a larger crowd's go to the database
_COUNTED = 20_000  # questions

Read = Callable[[Sequence[int]], Sequence[AnyRow]]

log = logging.getLogger("seckill.gate")


class Seen:
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


class Gate:
    """Watches the items that crowds ask for. Shared by all threads of a process."""

    def __init__(self, read: Read) -> None:
        """`read` returns the rows of items, with the database's time as `now`; it may raise."""
        self.crowd = CROWD
        self._read = read
        self._seen: dict[int, Seen] = {}
        self._wanted: set[int] = set()
        # Of each question: when the count began, the count, and that of the time before.
        self._asks: dict[tuple[str, int], tuple[float, int, int]] = {}
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None

    def seen(self, question: str, goods_id: int) -> Seen | None:
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
            if goods_id not in self._seen and len(self._wanted) + len(self._seen) < _WATCHED:
                self._wanted.add(goods_id)
            # Not alive: not begun, out of work, or left behind by a fork.
            if self._watcher is None or not self._watcher.is_alive():
                self._watcher = threading.Thread(target=self._watch, daemon=True)
                self._watcher.start()

    def _watch(self) -> None:
        while True:
            with self._lock:
                ids = sorted(self._wanted | {key for key, seen in self._seen.items() if seen.quiet < _QUIET_READS})
                if not ids:
                    self._seen.clear()
                    self._watcher = None
                    return
            try:
                self._look(ids)
            except Refusal:
                self._go_quiet()  # the database has told the log why
            except Exception as error:
                self._go_quiet()
                log.warning("the gate could not look: %s", type(error).__name__)
            time.sleep(_READ_SECONDS)

    def _look(self, ids: Sequence[int]) -> None:
        asked_at = time.monotonic()
        rows = self._read(ids)
        answered_at = time.monotonic()
        with self._lock:
            before, self._seen = self._seen, {}
            for row in rows:
                last = before.get(row.id)
                quiet = 0 if last is None or last.asks else last.quiet + 1
                self._seen[row.id] = Seen(row, asked_at, answered_at, quiet)
            self._wanted.difference_update(ids)

    def _go_quiet(self) -> None:
        with self._lock:
            self._wanted.clear()  # who still asks for them will be heard again
            for seen in self._seen.values():
                seen.quiet = 0 if seen.asks else seen.quiet + 1
                seen.asks = 0
