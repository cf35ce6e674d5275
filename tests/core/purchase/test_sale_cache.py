"""The sale cache: what is answered from memory, how old it is, and a reader that is slow, frozen or failing."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from core.catalogue.sale import SaleStatus
from core.purchase import sale_cache as sale_cache_module
from core.purchase.sale_cache import HOT_REQUESTS, MAX_AGE, QUIET_READS, READ_SECONDS, CachedSale, SaleCache
from core.refusals import Busy, Refusal, Unavailable

ITEM = 7
START = datetime(2030, 1, 1, tzinfo=timezone.utc)
OPEN: dict[str, Any] = {"stock": 5, "paused": False, "starts_at": None, "ends_at": None}
SOLD_OUT = OPEN | {"stock": 0}
# What the machine may add to a wait: others share its two cores.
SOON = 30.0
# In place of QUIET_READS: a test that stands still for long is not forgotten.
NEVER_QUIET = 10**6


def database_time() -> datetime:
    """The clock of a database that began with this process's own."""
    return START + timedelta(seconds=time.monotonic())


class Reader:
    """Stands for the database: items that are sold out unless told otherwise. Can be frozen, slow and failing."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = SOLD_OUT
        self.began: list[float] = []
        self.queried: list[Sequence[int]] = []
        self.rests: list[bool] = []  # whether the thread was still there
        self.error: Exception | None = None
        self.errors_once: list[Exception] = []
        self.goes = threading.Event()
        self.goes.set()
        self.frozen = threading.Event()  # set once a read waits to go on
        # Seconds that an answer takes before and after the database looks at its clock.
        self.there = self.back = 0.0

    def __call__(self, ids: Sequence[int]) -> list[Any]:
        self.began.append(time.monotonic())
        self.queried.append(ids)
        time.sleep(self.there)
        fields, now = self.fields, database_time()
        time.sleep(self.back)
        if not self.goes.wait(0):
            self.frozen.set()
            assert self.goes.wait(30)
        if self.errors_once:
            raise self.errors_once.pop()
        if self.error is not None:
            raise self.error
        return [SimpleNamespace(id=goods_id, now=now, **fields) for goods_id in ids if goods_id > 0]


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def sale_cache(reader: Reader) -> Iterator[SaleCache]:
    """A sale cache whose thread is gone after the test: what it leaves behind would disturb others."""
    made = SaleCache(reader, rest=lambda: reader.rests.append(made.watching), idle_seconds=0.05)
    yield made
    made.quiet_reads = 1  # not to wait for it long
    reader.goes.set()
    until(lambda: not is_watching(made))


def is_watching(sale_cache: SaleCache) -> bool:
    return sale_cache.watching


def until(question: Callable[[], Any], seconds: float = SOON) -> Any:
    """Ask a hundred times a second, as many clients would, until the answer is true; returns it."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not so within {seconds} seconds"
        time.sleep(0.01)
    return answer


def code(refusal: Refusal | None) -> str | None:
    return None if refusal is None else refusal.code


def gaps(moments: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(moments)]


def known(sale_cache: SaleCache, expected: str = "sold_out") -> None:
    """Ask until the sale cache refuses by itself."""
    until(lambda: code(sale_cache.refusal(ITEM)) == expected)


def test_few_askers_are_sent_to_the_database(sale_cache: SaleCache, reader: Reader) -> None:
    for _ in range(3):
        assert [sale_cache.refusal(ITEM) for _ in range(HOT_REQUESTS // 2 - 1)] == [None] * (HOT_REQUESTS // 2 - 1)
        time.sleep(MAX_AGE * 1.2)
    assert reader.began == []
    assert not is_watching(sale_cache)


def test_refusals_of_a_hot_item_need_no_database(sale_cache: SaleCache, reader: Reader) -> None:
    sale_cache.quiet_reads = NEVER_QUIET
    known(sale_cache)
    # A read that is late leaves a row that is too old.
    until(lambda: [code(sale_cache.refusal(ITEM)) for _ in range(1000)] == ["sold_out"] * 1000)
    # The second read, for which the item is hot, follows the first at once.
    assert all(gap >= READ_SECONDS for gap in gaps(reader.began[1:]))
    assert set(itertools.chain(*reader.queried)) == {ITEM}


def test_many_clients_at_an_open_sale_are_refused_nothing(sale_cache: SaleCache, reader: Reader) -> None:
    reader.fields = OPEN
    until(lambda: sale_cache.seen("buy", ITEM))
    assert sale_cache.refusal(ITEM) is None


def test_what_was_hot_is_so_no_more(sale_cache: SaleCache) -> None:
    known(sale_cache)
    time.sleep(2 * MAX_AGE + 0.05)
    assert sale_cache.refusal(ITEM) is None, "few ask now: they are to be told the very latest"


def test_many_clients_for_what_does_not_exist_are_sent_to_the_database(sale_cache: SaleCache, reader: Reader) -> None:
    until(lambda: sale_cache.seen("buy", -1) or len(reader.began) > 2)
    assert sale_cache.seen("buy", -1) is None


def no_answer_is_older(sale_cache: SaleCache, reader: Reader) -> None:
    """With the reader frozen, the last it has read serves for 250 ms from the moment at which that was asked for."""
    sale_cache.quiet_reads = NEVER_QUIET
    known(sale_cache)
    reader.goes.clear()
    until(reader.frozen.is_set)
    last = reader.began[-2]  # the one after it is not answered
    asked_late = 0
    while asked_late < 100:
        is_late = time.monotonic() - last > MAX_AGE
        assert sale_cache.refusal(ITEM) is None or not is_late, "told what is too old"
        asked_late += is_late
        time.sleep(0.005)
    reader.fields = OPEN
    reader.goes.set()
    until(lambda: (seen := sale_cache.seen("buy", ITEM)) and seen.row.stock == OPEN["stock"])


def test_with_a_frozen_database_nobody_is_told_what_is_older_than_250_ms(sale_cache: SaleCache, reader: Reader) -> None:
    no_answer_is_older(sale_cache, reader)


def test_with_a_longer_age_they_are(sale_cache: SaleCache, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sale_cache_module, "MAX_AGE", 60.0)
    with pytest.raises(AssertionError, match="too old"):
        no_answer_is_older(sale_cache, reader)


def test_an_answer_that_took_longer_than_250_ms_is_of_no_use(sale_cache: SaleCache, reader: Reader) -> None:
    reader.back = MAX_AGE + 0.1  # looked at first, and answered late

    def has_read_several() -> bool:
        assert sale_cache.refusal(ITEM) is None
        return len(reader.began) > 3

    until(has_read_several)


@pytest.mark.parametrize("error", [Unavailable(), Busy(), OSError("gone"), KeyError("a bug")], ids=repr)
def test_while_reading_fails_all_are_sent_to_the_database(
    sale_cache: SaleCache, reader: Reader, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    known(sale_cache)
    reader.error = error
    since, tried = time.monotonic(), len(reader.began)

    def tries_on() -> bool:
        is_late = time.monotonic() - since > MAX_AGE
        assert sale_cache.refusal(ITEM) is None or not is_late, "told what is too old"
        return is_late and len(reader.began) > tried + 4

    until(tries_on)
    # It does not storm a database that is down.
    assert all(gap >= READ_SECONDS for gap in gaps(reader.began[tried:]))
    assert "gone" not in caplog.text
    assert "a bug" not in caplog.text
    reader.error = None
    known(sale_cache)


@pytest.mark.parametrize("error", [None, Unavailable()], ids=repr)
def test_watching_ends_when_nobody_asks_and_begins_again(
    sale_cache: SaleCache, reader: Reader, error: Exception | None
) -> None:
    sale_cache.quiet_reads = NEVER_QUIET
    known(sale_cache)
    reader.error = error
    sale_cache.quiet_reads = QUIET_READS
    until(lambda: not is_watching(sale_cache))
    reads = len(reader.began)
    time.sleep(0.3)
    assert len(reader.began) == reads
    assert sale_cache.sizes["cached"] == 0
    # Another thread may begin as soon as this one counts as gone: by then it must have given up its connection.
    assert reader.rests == [True]
    reader.error = None
    known(sale_cache)


def readers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "sale cache"}


def test_one_thread_reads_all_items_that_are_asked_for_together(sale_cache: SaleCache, reader: Reader) -> None:
    sale_cache.hot_requests = 1
    sale_cache.quiet_reads = NEVER_QUIET
    others = readers()  # of services that other tests have left open
    until(lambda: None not in [sale_cache.refusal(item) for item in range(1, 21)])
    assert len(readers() - others) == 1
    # The first read may have begun before all had asked.
    until(lambda: [sale_cache.refusal(item) for item in range(1, 21)] and len(reader.queried[-1]) == 20)


def test_an_item_that_nobody_asks_for_is_dropped_while_others_are_watched(
    sale_cache: SaleCache, reader: Reader
) -> None:
    sale_cache.hot_requests = 1
    until(lambda: sale_cache.refusal(ITEM) and sale_cache.refusal(8))
    until(lambda: sale_cache.refusal(ITEM) and reader.queried[-1] == [ITEM] and is_watching(sale_cache))


def test_each_question_is_counted_by_itself(sale_cache: SaleCache) -> None:
    known(sale_cache)
    for question in ("seckill", "goods"):
        assert sale_cache.seen(question, ITEM) is None, "a reader or two are told the very latest"
    known(sale_cache)
    until(lambda: sale_cache.seen("goods", ITEM))
    assert sale_cache.seen("seckill", ITEM) is None


def test_no_more_items_are_watched_than_are_allowed(sale_cache: SaleCache, reader: Reader) -> None:
    sale_cache.hot_requests = 1
    most = sale_cache_module.ITEMS_MAX

    def most_read() -> int:
        return max(map(len, reader.queried), default=0)

    # Those that were asked for before this thread stood still may be forgotten: it asks again.
    until(lambda: [sale_cache.refusal(item) for item in range(1, most + 50)] and most_read() >= most)
    reads = len(reader.began)
    until(lambda: [sale_cache.refusal(item) for item in range(1, most + 50)] and len(reader.began) > reads + 5)
    assert most_read() == most
    # Room is made again once those items are no longer hot.
    until(lambda: sale_cache.refusal(most + 60))


def test_the_counts_of_questions_do_not_grow_without_bound(sale_cache: SaleCache) -> None:
    for item in range(sale_cache_module.COUNTED_MAX + 1000):
        sale_cache.refusal(item)
    assert sale_cache.sizes["counted"] <= sale_cache_module.COUNTED_MAX


def test_many_threads_may_ask_at_once(sale_cache: SaleCache, reader: Reader) -> None:
    def read_many() -> set[str | None]:
        return {code(sale_cache.refusal(number % 40)) for number in range(3000)}

    with ThreadPoolExecutor(8) as threads:
        assert set().union(*(future.result() for future in [threads.submit(read_many) for _ in range(8)])) <= {
            None,
            "sold_out",
        }


def seen_between(least: float, most: float, **fields: Any) -> CachedSale:
    """An item whose database's clock, at START when it was read, has gone on for `least` to `most` seconds by now."""
    now = time.monotonic()
    row = SimpleNamespace(id=ITEM, now=START, **(OPEN | fields))
    return CachedSale(row, now - most, now - least, 0)  # type: ignore[arg-type]


# The status before and after each edge of the window.
AROUND = {
    "starts_at": (SaleStatus.UPCOMING, SaleStatus.ON_SALE),
    "ends_at": (SaleStatus.ON_SALE, SaleStatus.ENDED),
}


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize("edge", ["starts_at", "ends_at"])
@pytest.mark.parametrize(("seconds", "is_over"), [(9, True), (11, None), (19, None), (22, False)])
def test_within_the_uncertainty_of_the_clock_nothing_is_certain(edge: str, seconds: int, is_over: bool | None) -> None:
    before, over = AROUND[edge]
    seen = seen_between(10, 20, **{edge: after(seconds)})
    assert seen.status() == {True: over, False: before, None: None}[is_over]


def test_what_does_not_change_is_certain_even_so() -> None:
    assert seen_between(10, 20, stock=0).status() == SaleStatus.SOLD_OUT
    assert seen_between(10, 20, paused=True, starts_at=after(15)).status() == SaleStatus.PAUSED
    assert seen_between(10, 20, ends_at=after(5), starts_at=after(15)).status() == SaleStatus.ENDED


def test_the_database_s_milliseconds_are_cut_off_and_may_be_over() -> None:
    # It answered at once, and its clock said START although 0.9 ms more had gone by.
    row = SimpleNamespace(id=ITEM, now=START, **(OPEN | {"starts_at": after(0.001)}))
    assert CachedSale(row, 100.0, 100.0, 0).status(100.0005) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("edge", ["starts_at", "ends_at"])
@pytest.mark.parametrize(("there", "back"), [(0.0, 0.06), (0.06, 0.0)], ids=["read at first", "read at last"])
def test_nobody_is_told_of_a_start_or_an_end_too_early_or_too_late(
    sale_cache: SaleCache, reader: Reader, edge: str, there: float, back: float
) -> None:
    reader.there, reader.back = there, back
    before, over = AROUND[edge]

    def status_now() -> tuple[str | None, datetime]:
        """The status, and the moment that stands in its row: this thread may stand still while it is changed."""
        seen = sale_cache.seen("buy", ITEM)
        return (None, START) if seen is None else (seen.status(), getattr(seen.row, edge))

    # The item is known first: it may take longer than the moment is away.
    sale_cache.quiet_reads = NEVER_QUIET
    reader.fields = OPEN | {edge: database_time() + timedelta(days=1)}
    statuses = {until(lambda: status_now()[0])}
    last = database_time() + timedelta(seconds=0.8)
    reader.fields = OPEN | {edge: last}
    while (earliest := database_time()) < last + timedelta(seconds=0.5 if over in statuses else SOON):
        status, moment = status_now()
        statuses.add(status)
        if status == before:
            assert earliest < moment, "too late"
        elif status == over:
            assert database_time() >= moment, "too early"
        time.sleep(0.001)
    assert statuses - {None} == {before, over}
