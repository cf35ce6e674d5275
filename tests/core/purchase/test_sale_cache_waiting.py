"""Reads of a hot item while the sale cache has nothing young enough: they wait for one read, and make no other."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import datetime, timedelta

import pytest

from core.catalogue.sale import status as status_at
from core.purchase import sale_cache as module_of_sale_cache
from core.purchase.sale_cache import MAX_AGE, READ_SECONDS, CachedSale, SaleCache
from core.refusals import Busy, Refusal, Unavailable
from tests.core.purchase.test_sale_cache import (
    AROUND,
    ITEM,
    NEVER_QUIET,
    OPEN,
    SOON,
    Reader,
    database_time,
    gaps,
    is_watching,
    known,
    reader,
    until,
)

__all__ = ["reader"]


@pytest.fixture
def make_cache(reader: Reader) -> Iterator[Callable[..., SaleCache]]:
    """Makes a sale cache for which every item is hot, and whose thread is gone after the test."""
    made: list[SaleCache] = []

    def make(**bounds: int) -> SaleCache:
        made.append(SaleCache(reader, idle_seconds=0.05, **bounds))
        made[-1].hot_requests = 1
        return made[-1]

    yield make
    reader.goes.set()
    for one in made:
        one.quiet_reads = 1
        until(lambda one=one: not is_watching(one))


@pytest.fixture
def sale_cache(make_cache: Callable[..., SaleCache]) -> SaleCache:
    return make_cache()


def freeze(sale_cache: SaleCache, reader: Reader) -> None:
    """Let the sale cache know the item, and then wait for the database until all that it knows is too old."""
    sale_cache.quiet_reads = NEVER_QUIET
    known(sale_cache)
    reader.goes.clear()
    until(reader.frozen.is_set)
    until(lambda: sale_cache.refusal(ITEM) is None)


def waiting(sale_cache: SaleCache, count: int, item: int = ITEM) -> "list[Future[CachedSale | None]]":
    lookups = [sale_cache.look("seckill", item) for _ in range(count)]
    assert all(isinstance(one, Future) for one in lookups)
    return lookups  # type: ignore[return-value]


def test_all_who_ask_while_a_read_is_late_are_told_what_it_says(sale_cache: SaleCache, reader: Reader) -> None:
    freeze(sale_cache, reader)
    reads = len(reader.began)
    # Asked for long before: what it says is too old for them, so that the one after it serves all.
    time.sleep(MAX_AGE)
    waiters = waiting(sale_cache, 500)
    assert not any(one.done() for one in waiters)
    assert len(reader.began) == reads, "somebody else read"
    reader.fields = OPEN
    reader.goes.set()
    (found,) = {one.result(SOON) for one in waiters}
    assert found is not None
    assert found.row.stock == OPEN["stock"]
    assert reader.began[reads - 1] < found.sent_at <= reader.began[reads], "not by the next read"
    # Those of a hot item go on, and no sooner than ever.
    assert all(gap >= READ_SECONDS for gap in gaps(reader.began[reads + 1 :]))


def test_who_asks_right_after_a_read_began_is_told_what_that_one_says(
    make_cache: Callable[..., SaleCache], reader: Reader
) -> None:
    def are_told() -> bool:
        """False where a thread stood still, so that the read was too old for the others."""
        sale_cache, reads = make_cache(), len(reader.began)
        reader.goes.clear()
        (first,) = waiting(sale_cache, 1)
        until(lambda: len(reader.began) > reads)
        waiters = waiting(sale_cache, 50)
        asked_at = time.monotonic()
        reader.goes.set()
        found = first.result(SOON)
        assert found is not None
        is_young = found.sent_at >= asked_at - MAX_AGE
        assert not is_young or {one.result(SOON) for one in waiters} == {found}
        sale_cache.quiet_reads = 1
        until(lambda: not is_watching(sale_cache))
        return is_young

    until(are_told)


def no_answer_is_older(sale_cache: SaleCache, reader: Reader) -> None:
    """Every answer was asked for no more than 250 ms before the request."""
    reader.back = MAX_AGE + 0.1  # looked at first, and answered late
    lookups: list[tuple[float, Future[CachedSale | None], float]] = []

    def has_asked_enough() -> bool:
        lookups.append((time.monotonic(), waiting(sale_cache, 1)[0], time.monotonic()))
        return len(lookups) >= 100 and len(reader.began) > 5

    until(has_asked_enough)
    for at, one, asked_at in lookups:
        found = one.result(SOON)
        assert found is not None
        assert found.sent_at >= at - MAX_AGE - 0.001, "told what is too old"
        # All who wait have the next read; one that was sent just before they asked may be noted just after.
        assert sum(asked_at < began < found.sent_at for began in reader.began) <= 1


def test_nobody_who_waits_is_told_what_was_read_too_early(sale_cache: SaleCache, reader: Reader) -> None:
    no_answer_is_older(sale_cache, reader)


def test_with_whatever_comes_next_they_are(
    sale_cache: SaleCache, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module_of_sale_cache, "serves", lambda since, sent_at: True)
    with pytest.raises(AssertionError, match="too old"):
        no_answer_is_older(sale_cache, reader)


@pytest.mark.parametrize("error", [Unavailable(), Busy()], ids=repr)
def test_a_read_that_fails_is_told_to_all_who_wait(sale_cache: SaleCache, reader: Reader, error: Refusal) -> None:
    reader.goes.clear()
    reader.error = error
    waiters = waiting(sale_cache, 50)
    until(lambda: reader.began)
    waiters += waiting(sale_cache, 50)
    reader.goes.set()
    assert {one.exception(SOON) for one in waiters} == {error}
    assert len(reader.began) <= 4


def test_a_connection_that_was_closed_meanwhile_is_told_to_nobody(sale_cache: SaleCache, reader: Reader) -> None:
    def is_answered() -> bool:  # unless the machine stood still for so long that a second try is not worth it
        reader.errors_once.append(Unavailable())
        (one,) = waiting(sale_cache, 1)
        return one.exception(SOON) is None and one.result() is not None

    until(is_answered)


def test_after_a_bug_in_reading_they_are_sent_to_the_database(sale_cache: SaleCache, reader: Reader) -> None:
    reader.error = KeyError("a bug")
    assert [one.result(SOON) for one in waiting(sale_cache, 10)] == [None] * 10


def test_many_clients_for_what_does_not_exist_share_one_read(sale_cache: SaleCache, reader: Reader) -> None:
    (first,) = waiting(sale_cache, 1, item=-1)
    error = first.exception(SOON)
    assert isinstance(error, Refusal)
    assert error.code == "goods_not_found"
    reads = len(reader.began)
    for one in waiting(sale_cache, 500, item=-1):
        assert one.exception(SOON).code == "goods_not_found"  # type: ignore[union-attr]
    assert len(reader.began) <= reads + 10


@pytest.mark.parametrize("edge", AROUND)
@pytest.mark.parametrize("back", [0.05, 2 * MAX_AGE], ids=["in time", "late"])
def test_the_moment_of_a_start_or_an_end_sends_nobody_to_the_database(
    sale_cache: SaleCache, reader: Reader, edge: str, back: float
) -> None:
    """The row that is known leaves open whether it has passed: the next one tells."""
    before, over = AROUND[edge]
    reader.back = back
    asked = 0
    told: list[tuple[datetime, CachedSale | None, str | None, datetime]] = []

    def ask() -> None:
        nonlocal asked
        asked, came_at = asked + 1, database_time()

        def tell(seen: CachedSale | None) -> None:
            told.append((came_at, seen, seen and seen.status_after_wait(), database_time()))

        lookup = sale_cache.look("seckill", ITEM)
        if isinstance(lookup, Future):
            lookup.add_done_callback(lambda done: tell(done.result()))
        else:
            tell(lookup)
        time.sleep(0.002)

    # The item is known first: it may take longer than the moment is away.
    reader.fields = OPEN | {edge: database_time() + timedelta(days=1)}
    until(lambda: ask() or told)
    reader.fields = OPEN | {edge: database_time() + timedelta(seconds=0.6)}
    until(lambda: ask() or told[-1][2] == over)
    until(lambda: len(told) == asked)
    for came_at, seen, status, told_at in told:
        assert seen is not None, "sent to the database"
        # Each by the moment in its own row: this thread may have stood still while it was changed.
        moment = getattr(seen.row, edge)
        assert came_at < moment if status == before else told_at >= moment


def tell_of_an_edge_that_passes_meanwhile(
    sale_cache: SaleCache, reader: Reader, monkeypatch: pytest.MonkeyPatch, edge: str
) -> None:
    """The moment passes while an answer is on its way: requests that came since are answered by the next one."""
    monkeypatch.setattr(module_of_sale_cache, "MAX_AGE", 30.0)  # all may have what was read before they came
    before, over = AROUND[edge]
    fields = OPEN | {edge: database_time() + timedelta(days=1)}
    reader.fields = fields
    reader.goes.clear()
    told: list[tuple[str, str | None]] = []

    def note(which: str, one: "Future[CachedSale | None]") -> None:
        one.add_done_callback(lambda done: told.append((which, (seen := done.result()) and seen.status_after_wait())))

    note("early", *waiting(sale_cache, 1))
    until(reader.frozen.is_set)
    time.sleep(0.5)
    fields[edge] = database_time()
    for one in waiting(sale_cache, 20):
        note("late", one)
    reader.goes.set()
    until(lambda: len(told) == 21)
    assert {status for which, status in told if which == "early"} <= {before, over}
    assert {status for which, status in told if which == "late"} == {over}, "too late"


@pytest.mark.parametrize("edge", AROUND)
def test_a_request_after_a_start_or_an_end_is_not_told_what_was_read_before_it(
    sale_cache: SaleCache, reader: Reader, monkeypatch: pytest.MonkeyPatch, edge: str
) -> None:
    tell_of_an_edge_that_passes_meanwhile(sale_cache, reader, monkeypatch, edge)


def test_where_the_status_is_that_of_the_read_it_is(
    sale_cache: SaleCache, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CachedSale, "status", lambda self, moment=None: status_at(self.row, self.row.now))
    with pytest.raises(AssertionError, match="too late"):
        tell_of_an_edge_that_passes_meanwhile(sale_cache, reader, monkeypatch, "starts_at")


def test_no_more_wait_than_are_allowed(make_cache: Callable[..., SaleCache], reader: Reader) -> None:
    sale_cache = make_cache(waiting=10)
    reader.goes.clear()
    waiters = waiting(sale_cache, 10)
    with pytest.raises(Busy):
        sale_cache.look("seckill", ITEM)
    reader.goes.set()
    assert all(one.result(SOON) for one in waiters)
    assert sale_cache.sizes["waiting"] == 0


def test_a_hot_item_that_cannot_be_kept_as_well_is_read_as_one_that_is_not_hot(
    make_cache: Callable[..., SaleCache], reader: Reader
) -> None:
    sale_cache = make_cache(items=1)
    sale_cache.quiet_reads = NEVER_QUIET
    known(sale_cache)
    reader.goes.clear()
    until(reader.frozen.is_set)
    waiters = waiting(sale_cache, 200, item=ITEM + 1)
    reader.goes.set()
    assert {one.result(SOON).row.id for one in waiters} == {ITEM + 1}  # type: ignore[union-attr]
    assert sum(ITEM + 1 in ids for ids in reader.queried) == 1, "they do not share a read"
    assert sale_cache.sizes["cached"] == 1


def test_a_request_for_another_item_is_told_what_is_read_after_it_came_and_nothing_is_kept(
    sale_cache: SaleCache, reader: Reader
) -> None:
    sale_cache.hot_requests = 1000
    reader.goes.clear()
    first = waiting(sale_cache, 1)
    until(lambda: len(reader.began) == 1)
    later = waiting(sale_cache, 20)
    reader.goes.set()
    assert first[0].result(SOON).row.id == ITEM  # type: ignore[union-attr]
    rows = {one.result(SOON) for one in later}
    assert len(rows) == 1
    assert rows != {first[0].result(SOON)}, "told what was read before it came"
    until(lambda: not is_watching(sale_cache))
    assert len(reader.began) == 2
    assert sale_cache.sizes["cached"] == 0


def test_requests_for_many_other_items_share_statements_of_a_bounded_size(
    sale_cache: SaleCache, reader: Reader
) -> None:
    sale_cache.hot_requests = 1000
    reader.goes.clear()
    waiting(sale_cache, 1)
    until(lambda: len(reader.began) == 1)
    lookups = [sale_cache.look("goods", item) for item in range(1, 601)]
    reader.goes.set()
    assert [one.result(SOON).row.id for one in lookups if isinstance(one, Future)] == list(range(1, 601))  # type: ignore[union-attr]
    assert max(map(len, reader.queried)) <= 256
    assert len(reader.queried) <= 5


def test_reads_of_other_items_neither_hasten_those_of_a_hot_one_nor_make_it_forgotten(
    sale_cache: SaleCache, reader: Reader
) -> None:
    # By its own reads the hot item is forgotten after half a minute; if those of others counted, within moments.
    sale_cache.quiet_reads = int(30 / READ_SECONDS)
    known(sale_cache)
    sale_cache.hot_requests = 1000  # the others are not hot
    assert sale_cache.sizes["cached"] == 1
    for other in range(2 * sale_cache.quiet_reads):
        found = sale_cache.look("goods", 1000 + other)
        assert isinstance(found, Future)
        assert found.result(SOON) is not None
    hot_reads = [began for began, ids in zip(reader.began, reader.queried, strict=False) if ITEM in ids]
    # The second read, for which the item is hot, follows the first at once.
    assert all(gap >= READ_SECONDS for gap in gaps(hot_reads[1:]))
    assert sale_cache.sizes["cached"] == 1
