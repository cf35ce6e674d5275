"""The service itself: alive, ready, described."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from core.ops.host_memory import HostMemory
from tests.resources.calls import Calls, problem


def test_health_needs_no_database(unreachable_call: Calls) -> None:
    answer = unreachable_call.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"


def test_who_has_a_database_with_the_right_tables_is_ready(call: Calls) -> None:
    answer = call.get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"status": "ready"})


def test_who_cannot_reach_the_database_is_not_ready(unreachable_call: Calls) -> None:
    problem(unreachable_call.get("/readyz"), 503, "unavailable")


@pytest.mark.parametrize("damage", ["UPDATE alembic_version SET version_num = '9999'", "DROP TABLE alembic_version"])
def test_who_has_other_tables_is_not_ready(call: Calls, damage: str) -> None:
    with call.services.database.engine.begin() as connection:
        connection.execute(text(damage))
    problem(call.get("/readyz"), 503, "unavailable")
    assert call.get("/healthz").status_code == 200


def test_who_is_about_to_stop_is_not_ready_but_serves(make_app: Callable[..., Flask], sqlite_uri: str) -> None:
    host = HostMemory()
    call = Calls(make_app(sqlite_uri, host=host))
    assert call.get("/readyz").status_code == 200
    host.draining = True
    problem(call.get("/readyz"), 503, "unavailable")
    call.bought(call.create()["id"])


def test_every_route_that_needs_the_database_says_when_it_is_not_there(unreachable_call: Calls) -> None:
    for method, path, by in [
        ("GET", "/goods", None),
        ("GET", "/goods/1", None),
        ("GET", "/seckill/1", None),
        ("POST", "/seckill/1", "alice"),
        ("GET", "/orders", "alice"),
        ("GET", f"/orders/{'0' * 32}", "alice"),
        ("POST", f"/orders/{'0' * 32}/cancel", "alice"),
        ("DELETE", "/goods/1", "operator"),
        ("POST", "/goods/1/pause", "operator"),
        ("GET", "/goods/1/changes", "operator"),
    ]:
        answer = unreachable_call.send(method, path, by)
        problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    for path in ("/metrics", "/openapi.json", "/docs", "/problems/busy"):
        assert unreachable_call.get(path).status_code == 200


def test_the_documentation_needs_nothing_from_elsewhere(sqlite_call: Calls) -> None:
    page = sqlite_call.get("/docs")
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert parts
    for part in parts:
        assert not re.match(r"(https?:)?//", part), part
        path = part if part.startswith("/") else f"/docs/{part.removeprefix('./')}"
        with sqlite_call.get(path) as answer:
            assert answer.status_code == 200, path


def test_the_start_page_leads_on(sqlite_call: Calls) -> None:
    answer = sqlite_call.get("/", follow_redirects=True)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/goods", "/goods/1", "/healthz", "/nowhere", "/docs", "/openapi.json"])
def test_every_answer_has_an_id_and_is_not_to_be_guessed_at(sqlite_call: Calls, path: str) -> None:
    headers = sqlite_call.get(path).headers
    assert headers["X-Request-ID"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"]


def test_a_read_of_the_sale_is_not_kept(sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    assert "max-age" not in sqlite_call.get(f"/seckill/{item['id']}").headers["Cache-Control"]
