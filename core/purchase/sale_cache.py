"""The sale cache: the rows of hot items, as the database had them at most MAX_AGE seconds ago.

Hot items are those for which HOT_REQUESTS equal requests came within MAX_AGE. One thread reads their rows again and
again, all of them in one statement, over a connection of its own. When that read is late, requests wait for its result
instead of reading the database themselves. Purchases do not wait here, since they are settled in batches anyway.

Other items are not kept: a request for one waits for the thread's next statement, which reads it too. So it takes no
thread and no connection of its own, and it is answered with all that was committed before it came.
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from core import threads
from core.catalogue import sale
from core.db.clock import iso
from core.db.database import AnyRow
from core.purchase.decide import refusal_of
from core.refusals import GOODS_NOT_FOUND, Busy, Refusal, Unavailable

MAX_AGE = 0.25  # seconds
READ_SECONDS = 0.08  # between two reads, so that one may be late before a row is too old
# So many equal requests within MAX_AGE make an item hot. Fewer are no load, and get the latest row.
HOT_REQUESTS = 10
# Reads after which an item for which no request came is dropped.
QUIET_READS = 6
ITEMS_MAX = 256  # hot items at most; others are read as if they were not hot
COUNTED_MAX = 20_000  # pairs of question and item whose requests are counted
# Requests that wait for the next read, at most: as many as a worker keeps connections open.
WAITING_MAX = 4096
# Items that are read for them in one statement, at most.
_READ_ONCE = 256
# Seconds without anything to read until the thread that reads ends.
IDLE_SECONDS = 0.5

Read = Callable[[Sequence[int]], Sequence[AnyRow]]
Count = Callable[[int, str], object]
Rest = Callable[[], object]

log = logging.getLogger("seckill.sale_cache")


class CachedSale:
    """An item's row as it was read. `memo` keeps what was computed from it for as long as the row is in use."""

    __slots__ = ("_always", "_answered_at", "_last_iso", "_sent_at", "memo", "quiet", "requests", "row")

    def __init__(self, row: AnyRow, sent_at: float, answered_at: float, quiet: int) -> None:
        self.row = row
        self.memo: dict[tuple[str, str], Any] = {}
        self.requests = 0
        self.quiet = quiet
        self._sent_at = sent_at
        self._answered_at = answered_at
        self._last_iso = -1, ""  # milliseconds since the answer, and the time then
        # Without a window the status does not depend on the time.
        self._always = None if row.starts_at or row.ends_at else sale.status(row, row.now)

    @property
    def sent_at(self) -> float:
        """When the read of the row was sent (`time.monotonic`)."""
        return self._sent_at

    def is_fresh(self) -> bool:
        return time.monotonic() - self._sent_at <= MAX_AGE

    def now(self, moment: float | None = None) -> datetime:
        """The database's time at a `moment` of `time.monotonic`, by default at this one.

        It is extrapolated from when the row was read, and late by at most the time of that read.
        """
        now: datetime = self.row.now
        return now + timedelta(seconds=(time.monotonic() if moment is None else moment) - self._answered_at)

    def now_iso(self) -> str:
        """`now` as text, in the contract's form. Computed once a millisecond."""
        since = int((time.monotonic() - self._answered_at) * 1000)
        last = self._last_iso
        if last[0] != since:
            last = self._last_iso = since, iso(self.row.now + timedelta(milliseconds=since))
        return last[1]

    def status(self, moment: float | None = None) -> str | None:
        """The status of the sale at a `moment` of `time.monotonic`, by default at this one.

        None in the moment in which its start or its end may or may not have passed.
        """
        if self._always is not None:
            return self._always
        earliest = self.now(moment)
        status = sale.status(self.row, earliest)
        # The database cuts off what is less than a millisecond.
        latest = earliest + timedelta(seconds=self._answered_at - self._sent_at, milliseconds=1)
        return status if status == sale.status(self.row, latest) else None

    def status_after_wait(self) -> str:
        """`status`, and where that is open, what it is by `now`: no earlier than when the database read the row.

        For requests that waited for the row: a read of their own would have told them no more.
        """
        return self.status() or sale.status(self.row, self.now())


class _Waiting(NamedTuple):
    """A request that waits for an item's row: of a read sent at `since` or later.

    Where that row leaves open whether the sale has begun or ended, of a read sent after the request `came_at`.
    """

    since: float
    came_at: float
    found: "Future[CachedSale | None]"


def serves(since: float, sent_at: float) -> bool:
    """Whether a row, whose read was sent at `sent_at`, is new enough for a request that allows rows from `since` on."""
    return sent_at >= since


class SaleCache:
    """Reads the rows of items, and keeps those of the hot ones. Shared by all threads of a process."""

    def __init__(
        self,
        read: Read,
        count: Count = lambda goods_id, code: None,
        rest: Rest = lambda: None,
        idle_seconds: float = IDLE_SECONDS,
        items: int = ITEMS_MAX,
        waiting: int = WAITING_MAX,
    ) -> None:
        """`read` returns the rows of items, with the database's time as `now`; it may raise.

        `count` is called for each purchase that is refused from here. `rest` is called, in the thread that reads, when
        there is nothing more to read for now. At most `items` are read again and again, and at most `waiting` requests
        wait for the next read. `hot_requests` and `quiet_reads` may be changed at any time.
        """
        self._idle_seconds = idle_seconds
        self._most_items = items
        self._most_waiting = waiting
        self._count = count
        self.hot_requests = HOT_REQUESTS
        self.quiet_reads = QUIET_READS
        self._read = read
        self._rest = rest
        self._seen: dict[int, CachedSale] = {}
        self._wanted: set[int] = set()
        # For each question and item: when the count began, the count, and the count of the interval before.
        self._request_counts: dict[tuple[str, int], tuple[float, int, int]] = {}
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None
        # The wanted items that do not exist, and when the read was sent that found none: of the last MAX_AGE.
        self._absent: dict[int, float] = {}
        self._due = float("-inf")  # when the hot items are read again
        self._awaited: dict[int, list[_Waiting]] = {}
        self._awaited_count = 0
        self._wake = threading.Event()

    @property
    def watching(self) -> bool:
        """Whether the thread that reads is running."""
        watcher = self._watcher
        return watcher is not None and watcher.is_alive()

    @property
    def sizes(self) -> dict[str, int]:
        """The number of entries: `cached` rows, `counted` questions, `waiting` futures."""
        return {"cached": len(self._seen), "counted": len(self._request_counts), "waiting": self._awaited_count}

    def look(self, question: str, goods_id: int) -> "CachedSale | Future[CachedSale | None] | None":
        """The row of a hot item, at most MAX_AGE old, or a future of a row; None where the caller is to read.

        `question` names what is wanted of the item: equal questions are counted together. For an item that is not hot,
        and where no row is young enough, or the sale may just have started or ended, returns a future of the next row,
        which has a `status_after_wait`. That future is None where the caller is to read the database after all, and
        fails with a Refusal: goods_not_found, or that of the read. None is returned where no thread can read now.
        Raises Busy where too many requests wait.
        """
        now = time.monotonic()
        if not self._is_hot(question, goods_id):
            return self._next(goods_id, now, now, keep=False)
        since = now - MAX_AGE
        seen = self._seen.get(goods_id)
        if seen is not None:
            seen.requests += 1
            if seen.is_fresh():
                if seen.status() is not None:
                    return seen
                since = now  # an older row would leave it open as well
        elif self._absent.get(goods_id, float("-inf")) >= since:
            return _raises(Refusal(GOODS_NOT_FOUND))
        return self._next(goods_id, since, now)

    def _next(self, goods_id: int, since: float, now: float, keep: bool = True) -> "Future[CachedSale | None] | None":
        """A future of the item's next row that is read at `since` or later, which is read on to `keep` it young.

        Where too many items are kept, it is not. None where no thread can read now.
        """
        found: Future[CachedSale | None] = Future()
        with self._lock:
            if self._awaited_count >= self._most_waiting:
                raise Busy()
            if not self._begin():
                return None
            if keep and not self._add(goods_id):
                since = now
            self._awaited.setdefault(goods_id, []).append(_Waiting(since, now, found))
            self._awaited_count += 1
        self._wake.set()
        return found

    def seen(self, question: str, goods_id: int) -> CachedSale | None:
        """The row of a hot item, at most MAX_AGE old; None where the caller is to read the database. Does not wait."""
        if not self._is_hot(question, goods_id):
            return None
        seen = self._seen.get(goods_id)
        if seen is not None:
            seen.requests += 1
            if seen.is_fresh():
                return seen
        self._want(goods_id)
        return None

    def refusal(self, goods_id: int) -> Refusal | None:
        """The refusal of every purchase of the item now; None where that is not certain. The caller answers with it."""
        refusal = self._refusal(goods_id)
        if refusal is not None:
            self._count(goods_id, refusal.code)
        return refusal

    def is_closed(self, goods_id: int) -> bool:
        """Whether every purchase of the item is refused now; False where that is not certain."""
        return self._refusal(goods_id) is not None

    def _refusal(self, goods_id: int) -> Refusal | None:
        seen = self.seen("buy", goods_id)
        status = None if seen is None else seen.status()
        if seen is None or status is None:
            return None
        known = ("refusal", status)
        if known not in seen.memo:
            seen.memo[known] = refusal_of(status, seen.row.starts_at)
        refusal: Refusal | None = seen.memo[known]
        return refusal

    def _is_hot(self, question: str, goods_id: int) -> bool:
        now = time.monotonic()
        since, requests, before = self._request_counts.get((question, goods_id), (now, 0, 0))
        if now - since > MAX_AGE:
            since, requests, before = now, 0, requests if now - since <= 2 * MAX_AGE else 0
        if len(self._request_counts) >= COUNTED_MAX:
            self._request_counts.clear()
        self._request_counts[question, goods_id] = since, requests + 1, before
        return requests + 1 >= self.hot_requests or before >= self.hot_requests

    def _want(self, goods_id: int) -> None:
        with self._lock:
            known = len(self._wanted)
            self._add(goods_id)
            added = len(self._wanted) > known
            self._begin()
        if added:
            self._wake.set()

    def _add(self, goods_id: int) -> bool:
        """Have the item read from now on; False where too many are. Needs the lock."""
        if goods_id in self._seen or goods_id in self._wanted:
            return True
        if len(self._wanted) + len(self._seen) >= self._most_items:
            return False
        self._wanted.add(goods_id)
        return True

    def _begin(self) -> bool:
        """Start the thread that reads, unless it runs. False where no thread can be started now. Needs the lock."""
        self._watcher = threads.keep(self._watcher, "sale cache", self._watch)
        return self._watcher is not None

    def _watch(self) -> None:
        while True:
            self._wake.clear()
            with self._lock:
                self._forget_quiet()
                now = time.monotonic()
                # Reads of other items do not hasten those of the hot ones.
                due = set(self._seen) if now >= self._due else set()
                kept = self._seen.keys() | self._wanted
                ids = sorted(due | self._wanted | set(itertools.islice(self._awaited, _READ_ONCE)))
            if not ids:
                # Cut short when a request waits for the next read.
                if not self._wake.wait(self._due - now if kept else self._idle_seconds) and not kept:
                    self._rest()  # ahead of this thread's end: another may begin at once
                    with self._lock:
                        if not (self._wanted or self._awaited):
                            self._watcher = None
                            return
                continue
            try:
                self._look(ids, kept)
                if due:
                    self._due = time.monotonic() + READ_SECONDS
            except Exception as error:
                self._go_quiet()
                if not isinstance(error, Refusal):  # those are logged where they are raised
                    log.warning("items could not be read: %s", type(error).__name__)
                self._fail_awaiting(ids, error)
                time.sleep(READ_SECONDS)

    def _forget_quiet(self) -> None:
        """Drop the rows that no request has used lately. Needs the lock."""
        for goods_id in [key for key, seen in self._seen.items() if seen.quiet >= self.quiet_reads]:
            del self._seen[goods_id]

    def _look(self, ids: Sequence[int], kept: Collection[int]) -> None:
        sent_at = time.monotonic()
        try:
            rows = self._read(ids)
        except Unavailable:
            # The connection may have been closed while the database is well. Worth one more try if requests wait.
            if not self._awaited or time.monotonic() - sent_at > MAX_AGE:
                raise
            sent_at = time.monotonic()
            rows = self._read(ids)
        answered_at = time.monotonic()
        found = {}
        with self._lock:
            for row in rows:
                last = self._seen.get(row.id)
                quiet = 0 if last is None or last.requests else last.quiet + 1
                found[row.id] = CachedSale(row, sent_at, answered_at, quiet)
                if row.id in kept:
                    self._seen[row.id] = found[row.id]
            self._wanted.difference_update(kept)
            self._absent = {key: at for key, at in self._absent.items() if at >= sent_at - MAX_AGE}
            for goods_id in set(ids) & set(kept) - found.keys():
                self._seen.pop(goods_id, None)
                self._absent[goods_id] = sent_at
            unsettled = {goods_id for goods_id, seen in found.items() if seen.status() is None}
            taken = self._take_awaiting(ids, sent_at, unsettled)
        for goods_id, awaiting in taken:
            if goods_id in found:
                awaiting.set_result(found[goods_id])
            else:
                awaiting.set_exception(Refusal(GOODS_NOT_FOUND))

    def _take_awaiting(
        self, ids: Sequence[int], sent_at: float, unsettled: Collection[int] = ()
    ) -> "list[tuple[int, Future[CachedSale | None]]]":
        """Remove and return the futures for these items that may have a row read at `sent_at`. Needs the lock.

        The rows of the `unsettled` items leave open whether the sale has begun or ended.
        """
        taken = []
        for goods_id in ids:
            later = []
            for waiting in self._awaited.pop(goods_id, []):
                if serves(waiting.came_at if goods_id in unsettled else waiting.since, sent_at):
                    taken.append((goods_id, waiting.found))
                else:
                    later.append(waiting)
            if later:
                self._awaited[goods_id] = later
        self._awaited_count -= len(taken)
        return taken

    def _fail_awaiting(self, ids: Sequence[int], error: Exception) -> None:
        """End all futures for these items: with the read's Refusal, or with None, so that their callers read."""
        with self._lock:
            taken = self._take_awaiting(ids, float("inf"))
        for _, awaiting in taken:
            if isinstance(error, Refusal):
                awaiting.set_exception(error)
            else:
                awaiting.set_result(None)

    def _go_quiet(self) -> None:
        with self._lock:
            self._wanted.clear()  # the next requests for them add them again
            for seen in self._seen.values():
                seen.quiet = 0 if seen.requests else seen.quiet + 1
                seen.requests = 0


def _raises(refusal: Refusal) -> "Future[CachedSale | None]":
    failed: Future[CachedSale | None] = Future()
    failed.set_exception(refusal)
    return failed
