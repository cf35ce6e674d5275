"""Limits on callers: the same count for what Flask answers and for what is answered ahead of it."""

import io
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.purchase import sale_cache as sale_cache_module
from harness.database_server import free_port
from resources.http import request_log
from resources.http.limits import FREE
from tests.core.purchase.test_sale_cache import NEVER_QUIET
from tests.resources.calls import OPERATOR, Calls, authorization, problem
from tests.resources.test_metrics import figures, rise

USERS = 4
TURNS = 20  # tries of what a machine that stands still for a moment may miss
ADDRESSES = 7
ELSEWHERE = "10.9.9.9"  # where the item is put up from, so that it counts for nobody here
Limited = Callable[..., Calls]


class AheadOrNot:
    """Tells whether Flask was asked."""

    def __init__(self, app: Flask) -> None:
        self.flask_calls = 0
        fast_path: Any = app.wsgi_app
        self._flask = fast_path.application
        fast_path.application = self._count

    def _count(self, environ: Any, start_response: Any) -> Any:
        self.flask_calls += 1
        return self._flask(environ, start_response)


@pytest.fixture
def limited(make_app: Callable[..., Flask], sqlite_uri: str) -> Limited:
    """Makes an application that takes USERS requests an hour from a user and ADDRESSES from an address."""

    def make(**settings: Any) -> Calls:
        limits = {
            "RATE_LIMITS": True,
            "RATE_LIMIT_PER_USER": f"{USERS}/hour",
            "RATE_LIMIT_PER_ADDRESS": f"{ADDRESSES}/hour",
        }
        return Calls(make_app(sqlite_uri, **limits | settings))

    return make


def put_up(call: Calls, **fields: Any) -> int:
    body = {"name": "item", "currency": "CNY", "price": 100, "stock": 100, **fields}
    answer = call.post("/goods", OPERATOR, json=body, **came_from(ELSEWHERE))
    assert answer.status_code == 201
    return answer.json["id"]


def came_from(address: str, forwarded: str | None = None) -> dict[str, Any]:
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return {"environ_overrides": {"REMOTE_ADDR": address, **headers}}


def ahead(call: Calls, item: int, by: str, **options: Any) -> TestResponse:
    """A purchase that Flask does not see."""
    return call.post(f"/seckill/{item}", by, **options)


def of_flask(call: Calls, item: int, by: str, **options: Any) -> TestResponse:
    return call.get("/orders", by, **options)


def left_to_flask(call: Calls, item: int, by: str, **options: Any) -> TestResponse:
    """A read that is looked at ahead of Flask, and left to it since the sale cache is full."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call.services.sale_cache, "look", lambda question, goods_id: None)
        return call.get(f"/goods/{item}", by, **options)


WAYS = {"ahead of Flask": ahead, "Flask": of_flask, "left to Flask": left_to_flask}


def is_limited(answer: TestResponse) -> bool:
    if answer.status_code != 429:
        assert answer.status_code in (200, 201, 404), answer.text
        return False
    problem(answer, 429, "rate_limited")
    return True


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("last", WAYS)
def test_a_user_s_requests_count_together_whoever_answers_them(limited: Limited, first: str, last: str) -> None:
    call = limited(RATE_LIMIT_PER_ADDRESS="1000/minute")
    item = put_up(call)
    counted = AheadOrNot(call.app)
    for number in range(USERS):
        assert not is_limited(WAYS[first](call, item, "alice", **came_from(f"10.0.0.{number}")))
    assert counted.flask_calls == (0 if first == "ahead of Flask" else USERS)
    assert is_limited(WAYS[last](call, item, "alice", **came_from("10.0.1.1")))
    assert not is_limited(WAYS[last](call, item, "bob"))


@pytest.mark.parametrize("way", WAYS)
def test_an_address_s_requests_count_together_whoever_sends_them(limited: Limited, way: str) -> None:
    call = limited()
    item = put_up(call)
    for number in range(ADDRESSES):
        assert not is_limited(WAYS[way](call, item, f"user {number}"))
    assert is_limited(WAYS[way](call, item, "one more"))
    assert is_limited(call.get("/goods"))  # without a token
    assert not is_limited(WAYS[way](call, item, "one more", **came_from("10.0.0.2")))


def test_what_is_limited_buys_nothing(limited: Limited) -> None:
    call = limited()
    item = put_up(call)
    answers = [ahead(call, item, "alice") for _ in range(2 * USERS)]
    assert [answer.status_code for answer in answers] == [201] * USERS + [429] * USERS
    assert call.get(f"/goods/{item}", **came_from(ELSEWHERE)).json["sold"] == USERS


def test_who_is_over_their_own_limit_uses_up_nothing_of_their_address(limited: Limited) -> None:
    call = limited()
    item = put_up(call)
    for _ in range(5):
        ahead(call, item, "alice")
        of_flask(call, item, "alice")
    answers = [of_flask(call, item, "bob") for _ in range(ADDRESSES - USERS + 1)]
    assert [is_limited(answer) for answer in answers] == [False] * (ADDRESSES - USERS) + [True]


def test_a_token_that_does_not_hold_counts_for_nobody_but_the_address(limited: Limited) -> None:
    call = limited()
    for _ in range(ADDRESSES):
        answer = call.get("/orders", headers={"Authorization": authorization("alice")["Authorization"] + "x"})
        assert answer.status_code == 401
    assert is_limited(call.get("/goods"))
    assert not is_limited(call.get("/orders", "alice", **came_from("10.0.0.2")))


def test_paths_and_methods_that_do_not_exist_count_too(limited: Limited) -> None:
    call = limited()
    answers = [call.get(f"/guess/{number}") for number in range(ADDRESSES - 1)] + [call.send("PUT", "/goods")]
    assert [answer.status_code for answer in answers] == [404] * (ADDRESSES - 1) + [405]
    assert is_limited(call.get("/guess"))
    assert is_limited(call.send("PUT", "/goods"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("proxies", "forwarded", "is_one_caller"),
    [
        (0, "{}", True),  # nobody stands in front: the caller wrote it
        (1, "{}", False),
        (1, "{}, 10.0.0.1", True),  # the proxy added the right one to what the caller wrote
        (2, "{}, 10.0.0.1, 10.1.1.1", True),
        (2, "10.0.0.1, {}, 10.1.1.1", False),
        (1, "2001:db8:0:1::{}", True),
        (1, "2001:db8:0:{}::1", False),
    ],
)
def test_nobody_makes_themselves_somebody_else_by_a_header(
    limited: Limited, way: str, proxies: int, forwarded: str, is_one_caller: bool
) -> None:
    call = limited(PROXIES=proxies)
    item = put_up(call)
    answers = []
    for number in range(ADDRESSES + 1):
        lied = forwarded.format(number if ":" in forwarded else f"6.6.6.{number}")
        answers.append(WAYS[way](call, item, f"user {number}", **came_from("127.0.0.1", lied)))
    assert [is_limited(answer) for answer in answers] == [False] * ADDRESSES + [is_one_caller]


def test_what_a_host_is_watched_by_is_free(limited: Limited) -> None:
    call = limited()
    for path in sorted(FREE):
        for _ in range(2 * ADDRESSES):
            assert call.get(path).status_code == 200
    for _ in range(ADDRESSES + 1):
        last = call.get("/nowhere")
    assert is_limited(last)
    assert {call.get(path).status_code for path in FREE} == {200}


def test_what_the_sale_cache_refuses_is_free_and_never_limited(
    limited: Limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sale_cache_module, "MAX_AGE", 30.0)
    call = limited()
    item = put_up(call, stock=0)
    sale_cache, until = call.services.sale_cache, time.monotonic() + 60
    # Else the item is forgotten while the test stands still for half a second.
    sale_cache.hot_requests, sale_cache.quiet_reads = 0, NEVER_QUIET
    while sale_cache.seen("buy", item) is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    for _ in range(3 * ADDRESSES):
        problem(ahead(call, item, "alice"), 409, "sold_out")
    # A key is looked up in the database, and reads are answered: these count.
    answers = [ahead(call, item, "alice", headers={"Idempotency-Key": f"k{number}"}) for number in range(USERS + 1)]
    assert [answer.status_code for answer in answers] == [409] * USERS + [429]
    answers = [call.get(f"/seckill/{item}") for _ in range(ADDRESSES - USERS + 1)]
    assert [answer.status_code for answer in answers] == [200] * (ADDRESSES - USERS) + [429]
    problem(ahead(call, item, "alice"), 409, "sold_out")
    sale_cache.quiet_reads = 1
    while sale_cache.watching:
        time.sleep(0.01)


@pytest.mark.parametrize("way", WAYS)
def test_who_comes_back_after_the_time_told_is_served(limited: Limited, way: str) -> None:
    call = limited(RATE_LIMIT_PER_USER="1/2seconds", RATE_LIMIT_PER_ADDRESS="1000/minute")
    item = put_up(call)
    for turn in range(TURNS):
        user = f"alice-{turn}"
        assert not is_limited(WAYS[way](call, item, user))
        answer = WAYS[way](call, item, user)
        if is_limited(answer):  # else two seconds had passed between the two
            break
    assert is_limited(answer)
    assert answer.headers["Retry-After"] in ("1", "2")
    time.sleep(int(answer.headers["Retry-After"]))
    assert not is_limited(WAYS[way](call, item, user))


def test_a_day_s_limit_tells_of_a_day(limited: Limited) -> None:
    call = limited(RATE_LIMIT_PER_ADDRESS="1/day")
    call.get("/goods")
    assert 86_300 <= int(call.get("/goods").headers["Retry-After"]) <= 86_400


@pytest.mark.parametrize("way", WAYS)
def test_of_several_limits_each_holds(limited: Limited, way: str) -> None:
    call = limited(RATE_LIMIT_PER_USER="2/2seconds;3/day", RATE_LIMIT_PER_ADDRESS="1000/minute")
    item = put_up(call)
    for turn in range(TURNS):
        user = f"alice-{turn}"
        limited_ones = [is_limited(WAYS[way](call, item, user)) for _ in range(3)]
        if any(limited_ones):  # else two seconds had passed before the third
            break
    assert limited_ones == [False, False, True]
    time.sleep(2)
    assert [is_limited(WAYS[way](call, item, user)) for _ in range(2)] == [False, True]


def test_both_ways_say_it_alike_in_the_caller_s_language(limited: Limited) -> None:
    call = limited(RATE_LIMIT_PER_USER="1/hour", CORS_ORIGINS="https://shop.example")
    item = put_up(call)
    of_flask(call, item, "alice")
    headers = {"Accept-Language": "zh", "X-Request-ID": "mine", "Origin": "https://shop.example"}
    counted, began = AheadOrNot(call.app), time.monotonic()
    one = ahead(call, item, "alice", headers=headers)
    assert counted.flask_calls == 0
    other = of_flask(call, item, "alice", headers=headers)
    assert one.json == other.json
    assert one.json["title"] == "请求过于频繁"
    # `Vary` may be several lines; the rest of the headers are the same.
    names = [name for name, _ in other.headers if name not in ("Vary", "Retry-After")]
    assert {name: one.headers.get(name) for name in names} == {name: other.headers[name] for name in names}
    passed = int(one.headers["Retry-After"]) - int(other.headers["Retry-After"])
    assert -1 <= passed <= time.monotonic() - began + 1


@pytest.mark.parametrize("way", WAYS)
def test_it_is_in_the_log_and_in_the_figures_and_no_address_is(limited: Limited, way: str) -> None:
    call = limited(RATE_LIMIT_PER_USER="1/hour")
    item = put_up(call)
    WAYS[way](call, item, "alice")
    before, written = figures(call), io.StringIO()
    loggers = [logging.getLogger(), request_log.log]
    kept = [logger.handlers[:] for logger in loggers], loggers[0].level
    try:
        request_log.configure(call.services.settings, written)
        WAYS[way](call, item, "alice", **came_from("10.0.0.77"))
        request_log.flush(seconds=20)
    finally:
        loggers[0].handlers[:], loggers[1].handlers[:] = kept[0]
        loggers[0].setLevel(kept[1])
    # Threads of earlier tests may have something to say as well, but of no request.
    (line,) = [line for line in map(json.loads, written.getvalue().splitlines()) if "route" in line]
    assert (line["status"], line["code"], line["user_id"]) == (429, "rate_limited", "alice")
    assert "10.0.0.77" not in written.getvalue()
    route, method = (line["route"], line["method"])
    assert rise(before, figures(call), "seckill_http_requests_total", route=route, method=method, status="429") == 1


def test_switched_off_nobody_is_limited(limited: Limited) -> None:
    call = limited(RATE_LIMITS=False)
    item = put_up(call)
    for _ in range(ADDRESSES + 1):
        assert not is_limited(ahead(call, item, "alice"))
        assert not is_limited(of_flask(call, item, "alice"))


@pytest.mark.parametrize("way", WAYS)
def test_without_its_storage_all_is_served_and_each_worker_counts_alone(
    limited: Limited, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    call = limited(RATE_LIMIT_STORAGE=f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    item = put_up(call)
    answers = [WAYS[way](call, item, "alice") for _ in range(USERS + 1)]
    assert [is_limited(answer) for answer in answers] == [False] * USERS + [True]
    warned = [record for record in caplog.records if record.name == "seckill.limits"]
    assert len(warned) == 1
    assert "hunter2" not in caplog.text


def test_preflights_are_free_only_where_pages_of_other_origins_may_call(
    make_app: Callable[..., Flask], sqlite_uri: str
) -> None:
    preflight = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    statuses = {}
    for origins in ("", "https://shop.example"):
        call = Calls(make_app(sqlite_uri, RATE_LIMITS=True, RATE_LIMIT_PER_ADDRESS="2/hour", CORS_ORIGINS=origins))
        statuses[origins] = [call.send("OPTIONS", "/orders", headers=preflight).status_code for _ in range(3)]
    assert statuses == {"": [200, 200, 429], "https://shop.example": [200, 200, 200]}


def test_a_read_beyond_the_limit_is_not_read(limited: Limited, monkeypatch: pytest.MonkeyPatch) -> None:
    call = limited()
    item = put_up(call)
    cache = call.services.sale_cache
    looked: list[int] = []
    look = cache.look
    monkeypatch.setattr(cache, "look", lambda noun, goods_id: looked.append(goods_id) or look(noun, goods_id))
    statuses = [call.get(f"/goods/{item}", **came_from("10.1.1.1")).status_code for _ in range(ADDRESSES + 3)]
    assert statuses == [200] * ADDRESSES + [429] * 3
    assert looked == [item] * ADDRESSES
