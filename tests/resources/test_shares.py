"""Each kind of work has database connections of its own: while those of one are all in use, the others go on."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.db import shares
from core.db.clock import Deadline, begin_request
from core.db.database import Database
from core.db.shares import Share
from core.db.transaction import run_with_default_deadline
from core.events import deliveries
from core.refusals import Busy
from tests.resources.calls import OPERATOR, Calls, problem

SHORT = 1.0  # seconds
READS = (
    ("GET", "/goods", None),
    ("GET", "/goods/1/changes", OPERATOR),
    ("POST", "/seckill/1/quote", "alice"),
    ("GET", "/orders", "alice"),
    ("GET", f"/orders/{'0' * 32}", "alice"),
    ("GET", "/orders/export", OPERATOR),
    ("GET", "/coupons", OPERATOR),
    ("GET", "/shipping-methods", None),
    ("GET", "/payments", OPERATOR),
    ("GET", "/webhooks", OPERATOR),
)


@pytest.fixture
def shop(make_app: Callable[..., Flask], database_uri: str) -> Calls:
    return Calls(make_app(database_uri, PAYMENT_PROVIDER="test"))


@contextlib.contextmanager
def impatience(database: Database) -> Iterator[None]:
    """Within it nobody waits long for a connection that does not come free.

    What is to succeed is asked outside of it, and has the time that a busy machine may take.
    """
    patient = database.settings
    database.settings = patient.model_copy(update={"PURCHASE_WAIT_SECONDS": SHORT})
    begin_request(Deadline(SHORT))
    try:
        yield
    finally:
        begin_request(None)
        database.settings = patient


@contextlib.contextmanager
def all_in_use(database: Database, share: Share) -> Iterator[None]:
    """Hold every connection of a share."""
    with contextlib.ExitStack() as held:
        for _ in range(shares.sizes(database.settings)[share]):
            held.enter_context(database.of(share).reading())
        yield


def send_impatiently(call: Calls, read: tuple[str, str, str | None]) -> TestResponse:
    """Send a request from a thread of its own; its time is set for the thread."""
    begin_request(Deadline(SHORT))
    return Calls(call.app).send(*read)


def sells(call: Calls, item: int) -> None:
    """A purchase, its payment, another's cancellation, and an administrator's change."""
    paid, cancelled = call.bought(item, "alice"), call.bought(item, "bob")
    assert call.post(f"/orders/{paid['order_no']}/pay", "alice").status_code == 200
    assert call.post(f"/orders/{cancelled['order_no']}/cancel", "bob").status_code == 200
    assert call.patch(f"/goods/{item}", json={"stock_delta": 1}).status_code == 200


def test_while_reads_use_all_of_theirs_the_shop_sells_and_is_ready(shop: Calls) -> None:
    item = shop.create()["id"]
    with all_in_use(shop.services.database, Share.READS):
        with impatience(shop.services.database), ThreadPoolExecutor(len(READS)) as threads:
            for answer in threads.map(lambda read: send_impatiently(shop, read), READS):
                problem(answer, 503, "busy")
        # These are read with the hot items (core/purchase/sale_cache.py).
        assert [shop.get(f"/{noun}/{item}").status_code for noun in ("goods", "seckill")] == [200, 200]
        sells(shop, item)
        assert shop.get("/readyz").status_code == 200
        with shares.using(Share.JOBS):
            deliveries.waiting(shop.services.database)


def test_with_one_share_for_all_it_sells_nothing(shop: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    item = shop.create()["id"]
    connected = Database.connect_share
    monkeypatch.setattr(Database, "connect_share", lambda self, share, deadline: connected(self, Share.READS, deadline))
    database = shop.services.database
    with all_in_use(database, Share.READS), impatience(database), pytest.raises(AssertionError, match="busy"):
        sells(shop, item)


@pytest.mark.parametrize("share", [Share.CHANGES, Share.JOBS, Share.WATCH])
def test_while_others_use_all_of_theirs_purchases_and_reads_go_on(shop: Calls, share: Share) -> None:
    item = shop.create()["id"]
    with all_in_use(shop.services.database, share):
        shop.bought(item)
        for method, path, by in READS:
            assert shop.send(method, path, by).status_code in (200, 404)


def test_while_purchases_stall_payments_and_changes_go_on(shop: Calls) -> None:
    item = shop.create()["id"]
    order_no = shop.bought(item)["order_no"]
    with all_in_use(shop.services.database, Share.PURCHASES):
        with impatience(shop.services.database):
            problem(shop.buy(item), 503, "busy")
        assert shop.post(f"/orders/{order_no}/pay", "alice").status_code == 200
        assert shop.patch(f"/goods/{item}", json={"stock_delta": 1}).status_code == 200
        assert shop.get("/goods").status_code == 200


def test_what_changes_something_never_uses_a_connection_that_the_server_may_cut(shop: Calls) -> None:
    database = shop.services.database
    with shares.using(Share.READS), all_in_use(database, Share.CHANGES), impatience(database), pytest.raises(Busy):
        run_with_default_deadline(database, lambda connection: None)


def test_a_worker_opens_no_more_connections_than_the_doctor_counts(shop: Calls) -> None:
    database, total = shop.services.database, 0
    with contextlib.ExitStack() as held:
        for share in Share:
            held.enter_context(all_in_use(database, share))
        total = sum(engine.pool.checkedout() for engine in (database.engine, database.read_engine))  # type: ignore[attr-defined]
    assert total == shares.connections(database.settings)
