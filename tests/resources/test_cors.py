"""Browsers of other origins are served where the settings name them."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.resources.calls import Calls

SHOP = "https://shop.example"


@pytest.fixture
def shared(make_app: Callable[..., Flask], sqlite_uri: str) -> Calls:
    """An application that two origins may call."""
    return Calls(make_app(sqlite_uri, CORS_ORIGINS=f"{SHOP} http://localhost:3000"))


def words(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",")}


@pytest.mark.parametrize("origin", [SHOP, "http://localhost:3000"])
def test_a_named_origin_may_read_answers_and_their_headers(shared: Calls, origin: str) -> None:
    for path in ("/goods", "/nowhere", "/orders", "/healthz"):
        answer = shared.get(path, headers={"Origin": origin})
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert "origin" in words(", ".join(answer.headers.getlist("Vary")))
        exposed = words(answer.headers["Access-Control-Expose-Headers"])
        assert exposed >= {"etag", "location", "retry-after", "x-request-id", "idempotent-replayed"}


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://shop.example",
        "https://shop.example.evil.example",
        "https://shop.example:8443",
        "https://shopxexample",
        "https://a.shop.example",
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
