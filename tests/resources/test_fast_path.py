"""The layer ahead of Flask: what it answers from memory for hot items is what Flask would have answered."""

import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.purchase import batch
from core.purchase import sale_cache as sale_cache_module
from core.purchase.decide import Outcome, PurchaseRequest
from core.purchase.sale_cache import HOT_REQUESTS
from core.refusals import Unavailable
from harness.service import SECRET
from resources import seckill
from resources.http.body import MAX_BYTES
from tests.core.forged_tokens import signed
from tests.core.purchase.test_sale_cache import NEVER_QUIET
from tests.resources.calls import FAR_AHEAD, OPERATOR, Calls, problem, without_fast_path, wrong_fields
from tests.resources.test_fast_path_and_flask_agree import ByDispatcher
from tests.resources.test_metrics import figures, rise

PAST = "2001-01-01T00:00:00.000Z"
CLOSED: dict[str, dict[str, Any]] = {
    "sold_out": {"stock": 0},
    "sale_ended": {"ends_at": PAST},
    "sale_paused": {},
    "sale_not_started": {"starts_at": FAR_AHEAD},
}
SHOP_ORIGIN = "https://shop.example"


class HotItems:
    """An application to which every item is hot; what it remembers is never too old for a slow machine."""

    def __init__(self, app: Flask) -> None:
        self.call = Calls(app)
        self.sale_cache = self.call.services.sale_cache
        # Else an item is forgotten while the test stands still for half a second.
        self.sale_cache.quiet_reads = NEVER_QUIET
        self.flask_calls = 0
        self._pipeline: Any = app.wsgi_app
        self._flask = self._pipeline.application
        self._pipeline.application = self._count

    def _count(self, environ: Any, start_response: Any) -> Any:
        self.flask_calls += 1
        return self._flask(environ, start_response)

    def knows(self, goods_id: int) -> None:
        """Let the sale cache see the item as it now is."""
        began, self.sale_cache.hot_requests = time.monotonic(), 0
        while not (seen := self.sale_cache.seen("buy", goods_id)) or seen.sent_at < began:
            assert time.monotonic() < began + 60
            time.sleep(0.01)

    def ahead(self, method: str, path: str, by: str | None = None, **options: Any) -> TestResponse:
        """A request that Flask must not see."""
        before = self.flask_calls
        answer = self.call.send(method, path, by, **options)
        assert self.flask_calls == before, "left to Flask"
        return answer

    def of_flask(self, method: str, path: str, by: str | None = None, **options: Any) -> TestResponse:
        """The same request as Flask answers it, asked past the layer and the sale cache."""
        self.call.app.wsgi_app, hot_requests = without_fast_path(self._pipeline), self.sale_cache.hot_requests  # type: ignore[method-assign]
        self.sale_cache.hot_requests = 10**9
        try:
            return self.call.send(method, path, by, **options)
        finally:
            self.call.app.wsgi_app, self.sale_cache.hot_requests = self._pipeline, hot_requests  # type: ignore[method-assign]

    def put_up(self, code: str) -> int:
        """An item that refuses all with `code`, known to the sale cache."""
        item = self.call.create(**CLOSED[code])["id"]
        if code == "sale_paused":
            assert self.call.post(f"/goods/{item}/pause", OPERATOR).status_code == 200
        self.knows(item)
        return item


@pytest.fixture
def hot_items_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Flask], HotItems]]:
    made: list[HotItems] = []

    def make(app: Flask) -> HotItems:
        made.append(HotItems(app))
        return made[-1]

    monkeypatch.setattr(sale_cache_module, "MAX_AGE", 30.0)
    yield make
    # The database goes, so the sale cache must have ended its looking by then.
    for one in made:
        one.sale_cache.quiet_reads = 1
        while one.sale_cache.watching:
            time.sleep(0.01)


@pytest.fixture
def hot_items(app: Flask, hot_items_of: Callable[[Flask], HotItems]) -> HotItems:
    return hot_items_of(app)


@pytest.fixture
def sqlite_hot_items(
    make_app: Callable[..., Flask], sqlite_uri: str, hot_items_of: Callable[[Flask], HotItems]
) -> HotItems:
    """One that pages of another origin may call."""
    # When the next turn of an open page is depends on how fast it asks.
    return hot_items_of(make_app(sqlite_uri, CORS_ORIGINS=SHOP_ORIGIN, POLLS_PER_SECOND=10_000))


def headers_of(answer: TestResponse) -> set[tuple[str, str]]:
    """Names and values, those of `Vary` word by word."""
    split = {(name.lower(), value) for name, value in answer.headers if name != "Vary"}
    return split | {("vary", word.strip()) for value in answer.headers.getlist("Vary") for word in value.split(",")}


def assert_same(one: TestResponse, other: TestResponse) -> None:
    assert (one.status_code, one.data) == (other.status_code, other.data)
    assert headers_of(one) == headers_of(other)


@pytest.mark.parametrize("code", CLOSED)
def test_a_hot_item_s_refusal_is_flask_s_to_the_letter(sqlite_hot_items: HotItems, code: str) -> None:
    path = f"/seckill/{sqlite_hot_items.put_up(code)}"
    languages = ("", "en", "zh-CN, en;q=0.5", "de", "zh;q=0")
    for spoken, origin in itertools.product(languages, (None, SHOP_ORIGIN, "https://evil.example")):
        headers = {"X-Request-ID": "mine-1", "Accept-Language": spoken, **({"Origin": origin} if origin else {})}
        answer = sqlite_hot_items.ahead("POST", path, "alice", headers=headers)
        body = problem(answer, 409, code)
        assert body["request_id"] == answer.headers["X-Request-ID"] == "mine-1"
        assert body.get("starts_at") == (FAR_AHEAD if code == "sale_not_started" else None)
        assert_same(answer, sqlite_hot_items.of_flask("POST", path, "alice", headers=headers))


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é"])
def test_a_request_without_a_plain_id_gets_a_new_one(hot_items: HotItems, given: str) -> None:
    path = f"/seckill/{hot_items.put_up('sold_out')}"
    answers = [hot_items.ahead("POST", path, environ_overrides={"HTTP_X_REQUEST_ID": given}) for _ in range(2)]
    ids = {answer.headers["X-Request-ID"] for answer in answers}
    assert len(ids - {given}) == 2
    assert ids == {answer.json["request_id"] for answer in answers}


def test_only_a_certain_refusal_comes_ahead_of_token_and_body(hot_items: HotItems) -> None:
    closed, open_item = hot_items.put_up("sold_out"), hot_items.call.create()["id"]
    hot_items.knows(open_item)
    for options in ({}, {"data": b"{", "content_type": "application/json"}, {"headers": {"Authorization": "Bearer x"}}):
        problem(hot_items.ahead("POST", f"/seckill/{closed}", **options), 409, "sold_out")
        problem(hot_items.call.post(f"/seckill/{open_item}", **options), 401, "unauthenticated")
        problem(hot_items.call.post(f"/seckill/{10**6}", **options), 401, "unauthenticated")


def test_what_is_not_plain_gets_flask_s_answer_at_a_sold_out_item(hot_items: HotItems) -> None:
    path = f"/seckill/{hot_items.put_up('sold_out')}"
    for key in ("", "a b", "x" * 256, "é"):
        environ = {"HTTP_IDEMPOTENCY_KEY": key}
        assert set(wrong_fields(hot_items.call.post(path, "alice", environ_overrides=environ))) == {"Idempotency-Key"}
        problem(hot_items.call.post(path, environ_overrides=environ), 401, "unauthenticated")
    key_headers = {"Idempotency-Key": "k"}
    problem(hot_items.call.post(path, headers=key_headers), 401, "unauthenticated")
    expired = {**key_headers, "Authorization": f"Bearer {signed(SECRET, exp=int(time.time()) - 1)}"}
    problem(hot_items.call.post(path, headers=expired), 401, "unauthenticated")
    for data, status, code in [(b"{", 400, "malformed_json"), (b"x" * 70_000, 413, "body_too_large")]:
        options = {"headers": key_headers, "data": data, "content_type": "application/json"}
        problem(hot_items.call.post(path, "alice", **options), status, code)
    problem(hot_items.call.post(path, "alice", headers=key_headers, data=b"{}"), 415, "unsupported_media_type")
    assert wrong_fields(hot_items.call.post(path, "alice", headers=key_headers, json={"price": 1}))
    assert wrong_fields(hot_items.call.post(f"{path}?quantity=2", "alice")) == {"quantity": "unknown_field"}
    problem(hot_items.call.send("PUT", path, "alice"), 405, "method_not_allowed")
    for other in ("/seckill/0", "/seckill/01", "/seckill/-1", f"/seckill/{2**63 - 1}", f"/seckill/{10**30}"):
        problem(hot_items.call.post(other, "alice"), 404, "goods_not_found")


def test_the_winner_s_key_is_never_told_sold_out(hot_items: HotItems) -> None:
    item = hot_items.call.create(stock=1)["id"]
    order = hot_items.call.bought(item, key="k")
    hot_items.knows(item)
    problem(hot_items.ahead("POST", f"/seckill/{item}", "bob"), 409, "sold_out")
    problem(hot_items.ahead("POST", f"/seckill/{item}", "bob", headers={"Idempotency-Key": "k"}), 409, "sold_out")
    again = hot_items.ahead("POST", f"/seckill/{item}", "alice", headers={"Idempotency-Key": "k"}, json={})
    assert again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == order
    other = hot_items.ahead("POST", f"/seckill/{item}", "alice", headers={"Idempotency-Key": "k"}, json={"quantity": 2})
    problem(other, 422, "idempotency_key_reused")
    cancelled = hot_items.call.post(f"/orders/{order['order_no']}/cancel", "alice").json
    # The sale cache has not seen it; a key is never answered by the sale cache alone.
    assert hot_items.call.bought(item, "carol", key="k")["order_no"] != order["order_no"]
    assert hot_items.call.bought(item, key="k") == cancelled


@pytest.mark.parametrize("noun", ["goods", "seckill"])
@pytest.mark.parametrize("code", [*CLOSED, None])
def test_a_hot_item_s_read_is_flask_s_to_the_letter(sqlite_hot_items: HotItems, code: str | None, noun: str) -> None:
    item = sqlite_hot_items.put_up(code) if code else sqlite_hot_items.call.create(name="键盘", order_limit=3)["id"]
    sqlite_hot_items.knows(item)
    path, headers = f"/{noun}/{item}", {"X-Request-ID": "mine-1", "Origin": SHOP_ORIGIN}
    answer, expected = (
        send("GET", path, headers=headers) for send in (sqlite_hot_items.ahead, sqlite_hot_items.of_flask)
    )
    assert list(answer.json) == list(expected.json)
    assert answer.json | {"server_time": 0} == expected.json | {"server_time": 0}
    assert headers_of(answer) == headers_of(expected)


@pytest.mark.parametrize("noun", ["goods", "seckill"])
def test_a_hot_item_s_304_is_flask_s_to_the_letter(sqlite_hot_items: HotItems, noun: str) -> None:
    path = f"/{noun}/{sqlite_hot_items.put_up('sold_out')}"
    etag = sqlite_hot_items.ahead("GET", path).headers["ETag"]
    for tags in (etag, f"W/{etag}", f'"other", {etag}', "*", '"other"', etag.strip('"')):
        headers = {"X-Request-ID": "mine-1", "If-None-Match": tags}
        answer, expected = (
            send("GET", path, headers=headers) for send in (sqlite_hot_items.ahead, sqlite_hot_items.of_flask)
        )
        assert (answer.status_code, answer.data == b"") == (expected.status_code, expected.data == b"")
        assert ("Server-Time" in answer.headers) == ("Server-Time" in expected.headers) == (noun == "seckill")
        for each in (answer, expected):
            each.headers.pop("Server-Time", None)
        assert headers_of(answer) == headers_of(expected), tags


def test_the_time_of_the_answer_moves_while_the_etag_stays(hot_items: HotItems) -> None:
    path = f"/seckill/{hot_items.put_up('sold_out')}"
    reads: list[TestResponse] = []
    while len(reads) < 4:
        reads.append(hot_items.ahead("GET", path))
        time.sleep(0.01)
    assert len({read.json["server_time"] for read in reads}) == 4
    assert len({read.headers["ETag"] for read in reads}) == 1


@pytest.mark.parametrize("noun", ["goods", "seckill"])
def test_a_read_s_body_is_checked_as_every_body_is(hot_items: HotItems, noun: str) -> None:
    item = hot_items.call.create()["id"]
    hot_items.knows(item)
    assert hot_items.ahead("GET", f"/{noun}/{item}", data=b"{}").status_code == 200
    problem(hot_items.ahead("GET", f"/{noun}/{item}", data=b" " * (MAX_BYTES + 1)), 413, "body_too_large")


def test_one_who_reads_after_a_rush_of_buyers_sees_the_very_latest(hot_items: HotItems) -> None:
    item = hot_items.put_up("sold_out")
    hot_items.sale_cache.hot_requests = HOT_REQUESTS
    for _ in range(3 * HOT_REQUESTS):
        problem(hot_items.ahead("POST", f"/seckill/{item}", "alice"), 409, "sold_out")
    hot_items.call.patch(f"/goods/{item}", json={"stock_delta": 3})
    assert [hot_items.call.get(f"/{noun}/{item}").json["stock"] for noun in ("goods", "seckill")] == [3, 3]


def test_each_purchase_counts_once_towards_a_hot_item(hot_items: HotItems) -> None:
    item = hot_items.call.create()["id"]
    hot_items.sale_cache.hot_requests = HOT_REQUESTS
    for _ in range(HOT_REQUESTS - 1):
        hot_items.call.bought(item)
    assert not hot_items.sale_cache.watching, "fewer requests than make it hot"


def test_refusals_from_memory_are_counted_and_written_down(hot_items: HotItems) -> None:
    items = {code: hot_items.put_up(code) for code in CLOSED}
    before = figures(hot_items.call)
    for code, item in items.items():
        hot_items.knows(item)
        hot_items.ahead("POST", f"/seckill/{item}", "alice")
        hot_items.ahead("GET", f"/seckill/{item}")
        assert rise(before, figures(hot_items.call), "seckill_cached_refusals_total", code=code) == 1
    name, route = "seckill_http_requests_total", "/seckill/<goods_id>"
    for method, status in [("POST", "409"), ("GET", "200")]:
        assert rise(before, figures(hot_items.call), name, route=route, method=method, status=status) == 4


def test_each_purchase_is_counted_by_its_outcome_whoever_answers(hot_items: HotItems) -> None:
    item = hot_items.put_up("sold_out")
    before = figures(hot_items.call)
    hot_items.ahead("POST", f"/seckill/{item}", "alice")
    hot_items.ahead("POST", f"/seckill/{item}", "alice", headers={"Idempotency-Key": "k"})
    hot_items.of_flask("POST", f"/seckill/{item}", "alice")
    after = figures(hot_items.call)
    assert rise(before, after, "seckill_cached_refusals_total", code="sold_out") == 1
    assert rise(before, after, "seckill_purchases_total", outcome="sold_out") == 2


def test_a_bug_in_the_layer_is_a_500_that_tells_nothing(
    sqlite_hot_items: HotItems, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    item = sqlite_hot_items.put_up("sold_out")

    def broken(*arguments: object) -> None:
        words = " ".join(["what", "went", "wrong"])  # not so in the source, which the trace shows
        raise KeyError(words)

    monkeypatch.setattr(seckill, "sale_json", broken)
    answer = sqlite_hot_items.ahead(
        "GET", f"/seckill/{item}", headers={"X-Request-ID": "mine-1", "Accept-Language": "zh"}
    )
    assert problem(answer, 500, "internal_error")["title"] == "内部错误"
    assert "unexpected KeyError" in caplog.text
    assert "what went wrong" not in caplog.text + answer.text


def test_a_database_that_fails_is_told_as_flask_tells_it(
    sqlite_hot_items: HotItems, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = sqlite_hot_items.call.create()["id"]

    def fail(*arguments: object) -> None:
        raise Unavailable()

    monkeypatch.setattr(batch, "serve", fail)
    headers = {"X-Request-ID": "mine-1"}
    answer = sqlite_hot_items.ahead("POST", f"/seckill/{item}", "alice", headers=headers)
    assert int(answer.headers["Retry-After"]) >= 1
    assert_same(answer, sqlite_hot_items.of_flask("POST", f"/seckill/{item}", "alice", headers=headers))


@pytest.mark.parametrize(
    ("by", "body", "status", "code"),
    [
        (None, {"json": {}}, 401, "unauthenticated"),
        ("alice", {"data": b" " * 65_537, "content_type": "application/json"}, 413, "body_too_large"),
        ("alice", {"data": b"{}", "content_type": "text/plain"}, 415, "unsupported_media_type"),
        ("alice", {"data": b"[", "content_type": "application/json"}, 400, "malformed_json"),
        ("alice", {"json": {"quantity": 0, "colour": "red"}}, 422, "validation_failed"),
        ("alice", {"json": {}, "headers": {"Idempotency-Key": "a b"}}, 422, "validation_failed"),
    ],
)
def test_a_client_s_fault_is_told_ahead_and_in_flask_s_words(
    sqlite_hot_items: HotItems, by: str | None, body: dict[str, Any], status: int, code: str
) -> None:
    path = f"/seckill/{sqlite_hot_items.call.create()['id']}"
    headers = body.pop("headers", {}) | {"X-Request-ID": "mine-1"}
    answer = sqlite_hot_items.ahead("POST", path, by, headers=headers, **body)
    problem(answer, status, code)
    assert_same(answer, sqlite_hot_items.of_flask("POST", path, by, headers=headers, **body))


def test_a_body_that_takes_long_to_parse_is_left_to_a_thread(sqlite_hot_items: HotItems) -> None:
    path = f"/seckill/{sqlite_hot_items.call.create()['id']}"
    body = {"data": b'{"quantity": 0}' + b" " * 5000, "content_type": "application/json"}
    before = sqlite_hot_items.flask_calls
    assert sqlite_hot_items.call.post(path, "alice", **body).status_code == 422
    assert sqlite_hot_items.flask_calls == before + 1


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON;charset=UTF8"])
def test_a_purchase_is_answered_ahead_however_its_client_writes_json_s_type(
    sqlite_hot_items: HotItems, content_type: str
) -> None:
    item = sqlite_hot_items.call.create()["id"]
    body = {"data": b'{"quantity": 2}', "content_type": content_type}
    answer = sqlite_hot_items.ahead("POST", f"/seckill/{item}", "alice", **body)
    assert (answer.status_code, answer.json["quantity"]) == (201, 2)


def test_a_body_that_the_layer_has_read_is_there_for_flask(hot_items: HotItems) -> None:
    item = hot_items.call.create()["id"]
    for body in (b'{"quantity": 0}', b'{"quantity": 1, "more": 2}', b"[1]", b"", b" " * 20 + b'{"quantity": true}'):
        options = {"input_stream": io.BytesIO(body), "content_type": "application/json", "content_length": len(body)}
        answer = hot_items.call.post(f"/seckill/{item}", "alice", **options)
        assert answer.status_code == (201 if not body else 400 if body == b"[1]" else 422), answer.text
    assert json.loads(answer.data)["errors"] == [
        {
            "field": "quantity",
            "code": "wrong_type",
            "expected": "integer",
            "detail": "The value is of the wrong type.",
        }
    ]


@pytest.mark.parametrize("length", ["9" * 19, "9" * 5000])
def test_a_body_of_whatever_length_stated_is_too_large_and_no_error_of_ours(
    sqlite_hot_items: HotItems, length: str
) -> None:
    item = sqlite_hot_items.call.create()["id"]
    answer = sqlite_hot_items.call.post(f"/seckill/{item}", "alice", environ_overrides={"CONTENT_LENGTH": length})
    problem(answer, 413, "body_too_large")


@pytest.mark.parametrize("by_dispatcher", [False, True])
def test_a_purchase_says_whether_a_thread_waits_for_it(
    sqlite_hot_items: HotItems, by_dispatcher: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, held = sqlite_hot_items.call, []
    buy = call.services.checkout.buy

    def noted(request: PurchaseRequest, holds_thread: bool = False) -> "Future[Outcome]":
        held.append(holds_thread)
        return buy(request, holds_thread)

    monkeypatch.setattr(call.services.checkout, "buy", noted)
    item = call.create()["id"]
    if by_dispatcher:
        call.app.wsgi_app = ByDispatcher(call.app.wsgi_app)  # type: ignore[arg-type, method-assign]
    assert call.post(f"/seckill/{item}", "alice").status_code == 201
    assert held == [not by_dispatcher]
