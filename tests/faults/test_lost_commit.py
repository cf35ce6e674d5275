"""The answer to a COMMIT is lost: the order is there once, or not at all and bought again; never twice."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import event

from core.purchase import batch
from core.services import Services
from harness.database_server import DatabaseServer
from harness.rewriting import locks, without_locks
from resources.http.context import EXTENSION
from tests.faults.proxy import Cut, Proxy
from tests.races.inside import Inside

STOCK = 10


@pytest.fixture
def proxy(server: DatabaseServer) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def cut_off_app(make_app: Callable[..., Flask], proxy: Proxy, own_uri: str) -> Iterator[Flask]:
    """An application whose database is at the other end of the proxy."""
    app = make_app(proxy.address(own_uri))
    yield app
    # Ahead of the proxy's end, so that no connection is closed at a cut cable.
    app.extensions[EXTENSION].database.engine.dispose()


def buy_with_a_cut_commit(app: Flask, proxy: Proxy, inside: Inside, cut: Cut) -> None:
    """Buy without a key, so that nothing but the look for the order keeps a second one away."""
    services: Services = app.extensions[EXTENSION]
    client = app.test_client()
    admin = {"Authorization": f"Bearer {services.tokens.issue('operator', is_admin=True)}"}
    body = {"name": "item", "currency": "CNY", "price": 5, "stock": STOCK}
    item = client.post("/goods", json=body, headers=admin).get_json()["id"]
    buyer = {"Authorization": f"Bearer {services.tokens.issue('alice')}"}
    # The first purchase makes the slots; from now on the next COMMIT is a purchase's.
    assert client.post(f"/seckill/{item}", headers=buyer).status_code == 201

    proxy.cut_next(cut)
    answer = client.post(f"/seckill/{item}", headers=buyer)
    assert proxy.cuts == 1
    assert answer.status_code == 201, answer.get_json()
    orders = inside.query("SELECT order_no FROM orders ORDER BY id")
    assert len(orders) == 2
    assert orders[1][0] == answer.get_json()["order_no"]
    assert inside.query("SELECT stock, sold FROM goods") == [(STOCK - 2, 2)]


@pytest.mark.representative
@pytest.mark.every_run
@pytest.mark.parametrize("cut", Cut)
def test_a_lost_answer_to_a_commit_makes_one_order(cut_off_app: Flask, proxy: Proxy, inside: Inside, cut: Cut) -> None:
    buy_with_a_cut_commit(cut_off_app, proxy, inside, cut)


@pytest.mark.representative
@pytest.mark.every_run
@pytest.mark.parametrize(
    ("cut", "found"),
    [pytest.param(Cut.AFTER, False, id="rerun-blindly"), pytest.param(Cut.BEFORE, True, id="trust-blindly")],
)
def test_without_the_look_for_the_order_it_is_there_twice_or_not_at_all(
    cut_off_app: Flask,
    proxy: Proxy,
    inside: Inside,
    monkeypatch: pytest.MonkeyPatch,
    cut: Cut,
    found: bool,
) -> None:
    monkeypatch.setattr(batch, "was_committed", lambda connection, outcomes: found)
    with pytest.raises(AssertionError, match=rf"^assert {1 if found else 3} == 2"):
        buy_with_a_cut_commit(cut_off_app, proxy, inside, cut)
    assert inside.query("SELECT COUNT(*) FROM orders") == [(1 if found else 3,)]


def test_a_look_that_does_not_lock_misses_a_commit_under_way(cut_off_app: Flask, proxy: Proxy, inside: Inside) -> None:
    def unlock(connection, cursor, statement, parameters, context, executemany):  # type: ignore[no-untyped-def]
        is_look = "FROM orders" in statement and locks(statement)
        return without_locks(statement) if is_look else statement, parameters

    event.listen(cut_off_app.extensions[EXTENSION].database.engine, "before_cursor_execute", unlock, retval=True)
    proxy.late_seconds = 30  # whatever holds the look up, it comes before the commit
    with pytest.raises(AssertionError, match=r"^assert 3 == 2"):
        buy_with_a_cut_commit(cut_off_app, proxy, inside, Cut.LATE)
    assert inside.query("SELECT COUNT(*) FROM orders") == [(3,)]
