"""Pages that are kept for a second: who makes them, who waits, and what is never kept."""

import runpy
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from flask import Flask

from core.db.clock import Deadline, begin_request
from core.refusals import Busy
from tests.resources.calls import Calls
from tests.web.browsing import Browser, keep_pages
from web.storefront import page_cache, pages
from web.storefront.page_cache import MadePage, PageCache, gap

WAIT = 60  # seconds; of what comes at once unless it is broken
KEPT = {"seconds": 3600, "stale_seconds": 3600}


class Slow:
    """Makes pages when told to."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.error: Exception | None = None
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        self.begun.set()
        assert self.go_on.wait(WAIT)
        if self.error is not None:
            raise self.error
        return "slow"


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def kept() -> PageCache:
    """What is kept is kept for the whole test."""
    return PageCache(WAIT, **KEPT)


def never() -> str:
    raise AssertionError


def waiting(cache: PageCache, threads: ThreadPoolExecutor, many: int) -> list[Future[MadePage]]:
    """Requests that wait for the page which another thread makes."""
    arrived = threading.Barrier(many + 1)

    def get_page() -> MadePage:
        arrived.wait(WAIT)
        return cache.get("page", never)

    waiters = [threads.submit(get_page) for _ in range(many)]
    arrived.wait(WAIT)
    return waiters


def test_while_a_page_is_made_the_others_get_the_last_one(threads: ThreadPoolExecutor) -> None:
    cache, slow = PageCache(WAIT, seconds=0, stale_seconds=3600), Slow()
    assert cache.get("page", lambda: "first").whole == b"first"
    made = threads.submit(cache.get, "page", slow)
    assert slow.begun.wait(WAIT)
    assert cache.get("page", never).whole == b"first"
    slow.go_on.set()
    assert made.result(WAIT).whole == b"slow"


def test_all_who_wait_get_the_page_that_one_makes(kept: PageCache, threads: ThreadPoolExecutor) -> None:
    slow = Slow()
    made = threads.submit(kept.get, "page", slow)
    assert slow.begun.wait(WAIT)
    waiters = waiting(kept, threads, 5)
    slow.go_on.set()
    assert {one.result(WAIT).whole for one in [made, *waiters]} == {b"slow"}
    assert slow.times == 1


def test_all_who_wait_get_the_failure_and_who_comes_within_a_second_too(
    kept: PageCache, threads: ThreadPoolExecutor
) -> None:
    slow = Slow()
    slow.error = ConnectionError("gone")
    made = threads.submit(kept.get, "page", slow)
    assert slow.begun.wait(WAIT)
    waiters = waiting(kept, threads, 5)
    slow.go_on.set()
    assert all(isinstance(one.exception(WAIT), ConnectionError) for one in [made, *waiters])
    with pytest.raises(ConnectionError):
        kept.get("page", never)
    assert kept.get("another", lambda: "page").whole == b"page"


def test_a_failure_is_forgotten_after_that() -> None:
    cache = PageCache(WAIT, seconds=0)
    with pytest.raises(AssertionError):
        cache.get("page", never)
    assert cache.get("page", lambda: "page").whole == b"page"


def test_a_failure_of_one_request_is_not_the_others(threads: ThreadPoolExecutor) -> None:
    cache, slow = PageCache(WAIT, lambda error: False, **KEPT), Slow()
    slow.error = ConnectionError("gone")
    made = threads.submit(cache.get, "page", slow)
    assert slow.begun.wait(WAIT)
    other = threads.submit(cache.get, "page", lambda: "mine")
    slow.go_on.set()
    assert isinstance(made.exception(WAIT), ConnectionError)
    assert other.result(WAIT).whole == b"mine"


def test_a_request_waits_no_longer_than_its_deadline(threads: ThreadPoolExecutor) -> None:
    cache, slow = PageCache(WAIT), Slow()
    made = threads.submit(cache.get, "page", slow)
    assert slow.begun.wait(WAIT)

    def get_page() -> MadePage:
        begin_request(Deadline(0.01))
        try:
            return cache.get("page", never)
        finally:
            begin_request(None)

    try:
        assert isinstance(threads.submit(get_page).exception(WAIT), Busy)
    finally:
        slow.go_on.set()
    assert made.result(WAIT).whole == b"slow"


def test_without_a_deadline_of_its_own_it_waits_as_long_as_a_purchase(threads: ThreadPoolExecutor) -> None:
    cache, slow = PageCache(0.01), Slow()
    made = threads.submit(cache.get, "page", slow)
    assert slow.begun.wait(WAIT)
    try:
        assert isinstance(threads.submit(cache.get, "page", never).exception(WAIT), Busy)
    finally:
        slow.go_on.set()
    assert made.result(WAIT).whole == b"slow"


def test_only_so_many_pages_are_kept() -> None:
    cache = PageCache(WAIT, pages=10, **KEPT)
    for number in range(20):
        cache.get(number, lambda: "page")
    for number in range(10):
        with pytest.raises(AssertionError):
            cache.get(number, never)
    for number in range(10, 20):
        assert cache.get(number, never).whole == b"page"


def test_what_leads_to_no_page_pushes_none_out() -> None:
    cache, made = PageCache(WAIT, pages=10, failures=10, **KEPT), list[int]()
    cache.get("hot", lambda: "page")

    def fail(number: int) -> None:
        """Ask for a page that cannot be made; that it was tried is noted."""

        def make() -> str:
            made.append(number)
            raise ConnectionError

        with pytest.raises(ConnectionError):
            cache.get(number, make)

    numbers = range(20)
    for number in numbers:
        fail(number)
    assert cache.get("hot", never).whole == b"page"
    assert made == [*numbers]
    # Of the failures the last ten are known; nothing is left of those before.
    for number in (*numbers[10:], *numbers[:10]):
        fail(number)
    assert made == [*numbers, *numbers[:10]]


@pytest.mark.parametrize("path", ["/?cursor={}", "/shop/{}", "/shop/x{}", "/shop/0{}"])
def test_nobody_pushes_pages_out_by_addresses_of_their_own(
    make_app: Callable[..., Flask], sqlite_uri: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    keep_pages(monkeypatch, pages=2, **KEPT)
    app = make_app(sqlite_uri)
    visitor, call = Browser(app), Calls(app)
    hot = call.create(name="first name")
    call.create()
    for address in ("/", f"/shop/{hot['id']}"):
        visitor.get(address)
    call.patch(f"/goods/{hot['id']}", json={"name": "next name"})
    # Of a cursor that is good no page is kept either.
    cursor = call.get("/goods?limit=1&sort=-id").json["next_cursor"]
    for number in [cursor] if "cursor" in path else range(1000, 1005):
        visitor.get(path.format(number))
        assert visitor.answer.status_code == (200 if "cursor" in path else 404)
    assert visitor.get(f"/shop/{hot['id']}").one("h1").text == "first name"
    assert "first name" in visitor.get("/").text


def test_a_page_that_does_not_come_in_time_is_told_as_busy(sqlite_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(cache: PageCache, key: object, make: Callable[[], str]) -> MadePage:
        raise Busy()

    monkeypatch.setattr(pages.PageCache, "get", get)
    visitor = Browser(sqlite_app)
    visitor.get("/")
    assert (visitor.answer.status_code, visitor.outcome_code()) == (503, "busy")
    assert visitor.answer.headers["Retry-After"] == "1"
    assert visitor.client.get("/").json["code"] == "busy"


def test_the_limit_on_one_address_is_not_told_to_others(
    make_app: Callable[..., Flask], sqlite_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_pages(monkeypatch, **KEPT)
    app = make_app(sqlite_uri, RATE_LIMITS=True, RATE_LIMIT_PER_ADDRESS="3/hour", PROXIES=1)
    one, other = Browser(app), Browser(app)
    # A page and the call of the API that it makes are two requests.
    for _ in range(2):
        one.client.get("/goods", headers={"X-Forwarded-For": "192.0.2.1"})
    one.get("/", **{"X-Forwarded-For": "192.0.2.1"})
    assert one.answer.status_code == 429
    other.get("/", **{"X-Forwarded-For": "192.0.2.2"})
    assert other.answer.status_code == 200


def test_nothing_typed_is_taken_for_a_gap(alice: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create(stock=0)
    for name in ("visitor", "form_token", "no_such_gap"):
        assert alice.buy(item["id"], coupon_code=f"\0{name}\0").status_code in (409, 422)
        assert alice.page.one("input", name="coupon_code")["value"] == name
        assert "\0" not in alice.answer.text


def test_a_gap_cannot_be_guessed() -> None:
    page = MadePage(f"\0visitor\0 {gap('visitor')}")
    assert page.filled({"visitor": "<alice>"}) == b"\0visitor\0 &lt;alice&gt;"
    another_process = runpy.run_path(page_cache.__file__)
    assert another_process["gap"]("visitor") != gap("visitor")
