"""Browsers of other origins are served where the settings name them."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.resources.calls import Calls

SHOP = "https://shop.example"
APPS = ["capacitor://localhost", "chrome-extension://abcdefghijklmnopabcdefghijklmnop", "tauri://localhost", "app://-"]


@pytest.fixture
def shared(make_app: Callable[..., Flask], sqlite_uri: str) -> Calls:
    """An application that some origins may call."""
    return Calls(make_app(sqlite_uri, CORS_ORIGINS=" ".join([SHOP, "http://localhost:3000", *APPS])))


@pytest.fixture
def limited(make_app: Callable[..., Flask], sqlite_uri: str) -> Calls:
    """An application that one origin may call, and that takes three requests a minute from an address."""
    return Calls(make_app(sqlite_uri, CORS_ORIGINS=SHOP, RATE_LIMITS=True, RATE_LIMIT_PER_ADDRESS="3/minute"))


READABLE = {"etag", "location", "poll-after", "retry-after", "server-time", "x-request-id", "idempotent-replayed"}


def words(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",")}


@pytest.mark.parametrize("origin", [SHOP, "http://localhost:3000", *APPS])
def test_a_named_origin_may_read_answers_and_their_headers(shared: Calls, origin: str) -> None:
    for path in ("/goods", "/nowhere", "/orders", "/healthz"):
        answer = shared.get(path, headers={"Origin": origin})
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert "origin" in words(", ".join(answer.headers.getlist("Vary")))
        exposed = words(answer.headers["Access-Control-Expose-Headers"])
        assert exposed >= READABLE


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://shop.example",
        "https://shop.example.evil.example",
        "https://shop.example:8443",
        "https://shopxexample",
        "https://a.shop.example",
        "capacitor://localhost.evil.example",
        "tauri://localhos",
        "app://",
        "null",
    ],
)
def test_another_origin_is_not_let_in(shared: Calls, origin: str) -> None:
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for answer in (
        shared.get("/goods", headers={"Origin": origin}),
        shared.send("OPTIONS", "/goods", headers=preflight),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/seckill/1"), ("PATCH", "/goods/1"), ("DELETE", "/goods/1"), ("POST", "/orders/1/cancel")],
)
def test_a_preflight_allows_the_methods_and_headers_that_the_api_takes(shared: Calls, method: str, path: str) -> None:
    answer = shared.send(
        "OPTIONS",
        path,
        headers={
            "Origin": SHOP,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization, content-type, idempotency-key, if-match, x-request-id",
        },
    )
    assert answer.status_code in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    assert method.lower() in words(answer.headers["Access-Control-Allow-Methods"])
    allowed = words(answer.headers["Access-Control-Allow-Headers"])
    assert allowed >= {"authorization", "content-type", "idempotency-key", "if-match", "x-request-id"}
    assert answer.headers["Access-Control-Max-Age"] == "600"


def test_preflights_are_not_counted_and_never_refused(limited: Calls) -> None:
    preflight = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }

    def send_preflights() -> None:
        for path in ("/goods", "/orders", "/seckill/1", "/goods/1"):
            answer = limited.send("OPTIONS", path, headers=preflight)
            assert answer.status_code == 200
            assert answer.headers["Access-Control-Allow-Origin"] == SHOP
            assert "get" in words(answer.headers["Access-Control-Allow-Methods"])

    send_preflights()
    statuses = [limited.get("/goods", headers={"Origin": SHOP}).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]  # no preflight was counted
    send_preflights()
    # What is no preflight counts.
    assert limited.send("OPTIONS", "/goods").status_code == 429
    refused = limited.get("/goods", headers={"Origin": SHOP})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (429, SHOP)


@pytest.mark.parametrize("origins", [SHOP, f"{SHOP} {APPS[0]}"])
def test_a_request_that_names_no_origin_is_told_none(
    make_app: Callable[..., Flask], sqlite_uri: str, origins: str
) -> None:
    call = Calls(make_app(sqlite_uri, CORS_ORIGINS=origins))
    answers = [call.get("/goods"), call.get("/nowhere"), call.send("OPTIONS", "/goods"), call.get("/healthz")]
    for answer in answers + ahead_of_flask(call, None):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]
        assert "origin" in words(", ".join(answer.headers.getlist("Vary")))


def test_credentials_never_go_with_a_star(shared: Calls) -> None:
    answer = shared.get("/goods", headers={"Origin": SHOP})
    assert answer.headers["Access-Control-Allow-Origin"] != "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_no_origin_is_let_in_by_default(sqlite_call: Calls) -> None:
    preflight = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    answers = [
        sqlite_call.get("/goods", headers={"Origin": SHOP}),
        sqlite_call.send("OPTIONS", "/goods", headers=preflight),
    ]
    for answer in answers:
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]


def test_a_cache_keeps_the_answers_for_each_origin_apart(shared: Calls) -> None:
    item = shared.create()
    assert "Origin" in shared.get(f"/goods/{item['id']}").headers["Vary"]


def ahead_of_flask(shared: Calls, origin: str | None) -> list[TestResponse]:
    """A purchase, a replay and two refusals that the layer ahead of Flask answers."""
    user = f"user-{origin}"
    item, closed = shared.create(stock=2)["id"], shared.create(stock=0)["id"]
    fast_path: Any = shared.app.wsgi_app
    flask, fast_path.application = fast_path.application, lambda environ, start_response: pytest.fail("left to Flask")
    headers = {"Idempotency-Key": "k", **({} if origin is None else {"Origin": origin})}
    answers = [shared.post(f"/seckill/{item}", user, headers=headers, json={}) for _ in range(2)]
    answers.append(shared.post(f"/seckill/{item}", user, headers=headers, json={"quantity": 2}))
    answers.append(shared.post(f"/seckill/{closed}", user, headers=headers | {"Idempotency-Key": "other"}))
    fast_path.application = flask
    assert [answer.status_code for answer in answers] == [201, 201, 422, 409]
    return answers


@pytest.mark.parametrize("origin", [SHOP, "http://localhost:3000", APPS[0]])
def test_answers_ahead_of_flask_may_be_read_by_a_named_origin(shared: Calls, origin: str) -> None:
    for answer in ahead_of_flask(shared, origin):
        assert answer.headers.getlist("Access-Control-Allow-Origin") == [origin]
        assert "Access-Control-Allow-Credentials" not in answer.headers
        exposed = words(answer.headers["Access-Control-Expose-Headers"])
        assert exposed >= READABLE


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://shop.example", "https://shop.example.evil.example", "null"]
)
def test_answers_ahead_of_flask_may_be_read_by_no_other(shared: Calls, origin: str) -> None:
    for answer in ahead_of_flask(shared, origin):
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_cache_keeps_the_answers_ahead_of_flask_apart(shared: Calls) -> None:
    for origin in (SHOP, "https://evil.example", None):
        *bought, reused, refused = ahead_of_flask(shared, origin)
        for answer in bought:
            assert words(", ".join(answer.headers.getlist("Vary"))) == {"origin"}
        for answer in (reused, refused):
            assert words(", ".join(answer.headers.getlist("Vary"))) == {"accept-language", "origin"}


def test_without_origins_the_answers_ahead_of_flask_have_no_such_headers(sqlite_call: Calls) -> None:
    for answer in ahead_of_flask(sqlite_call, SHOP):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]
        assert "origin" not in words(", ".join(answer.headers.getlist("Vary")))


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "CORS_ORIGINS" in record.getMessage()]


def test_where_no_origin_is_named_the_first_page_of_another_that_asks_is_in_the_log(
    sqlite_call: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        sqlite_call.get("/goods", headers={"Origin": SHOP})
    (line,) = lines_of(caplog)
    assert SHOP in line


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "https://shop.example", "Host": "shop.example"},
        {"Origin": SHOP, "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_a_page_of_this_service_leaves_no_such_line(
    sqlite_call: Calls, caplog: pytest.LogCaptureFixture, headers: dict[str, str]
) -> None:
    sqlite_call.get("/goods", headers=headers)
    assert lines_of(caplog) == []


def test_an_origin_that_is_none_is_not_in_the_log(sqlite_call: Calls, caplog: pytest.LogCaptureFixture) -> None:
    sqlite_call.get("/goods", headers={"Origin": "https://x.example marker"})
    (line,) = lines_of(caplog)
    assert "marker" not in line
