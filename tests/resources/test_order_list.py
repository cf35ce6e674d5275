"""The list of orders: in the order of their times, each filter by its index, and followed without missing one."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import Connection, create_engine, text

from bench import list_rows
from bench.list_rows import HEAVY_USER, HOT_ITEM
from core.db.clock import iso
from core.db.database import patient_engine
from core.orders import order_list
from core.orders.order_list import Filters, Place
from core.purchase import statements
from models import OrderStatus
from tests.resources.calls import OPERATOR, Calls, problem, wrong_fields
from tests.resources.test_lists import walk
from tests.resources.test_metrics import figures, rise
from tests.rows_read import rows_read, sent_by

COUNT = 5000
PAGE = 5


def numbers(orders: list[dict]) -> list[str]:
    return [order["order_no"] for order in orders]


def some_orders(call: Calls, count: int) -> list[str]:
    item = call.create(stock=1000)["id"]
    return [
        call.bought(item, user)["order_no"] for _, user in zip(range(count), ("alice", "bob") * count, strict=False)
    ]


def test_orders_are_sorted_by_their_times_and_those_of_one_moment_by_their_ids(call: Calls) -> None:
    bought = some_orders(call, 8)
    began = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    seconds = (5, 3, 3, 9, 1, 3, 5, 0)
    for order_no, second in zip(bought, seconds, strict=True):
        call.set_order(order_no, purchased_at=began + timedelta(seconds=second))
    expected = [bought[place] for place in (7, 4, 1, 2, 5, 0, 6, 3)]
    for limit in (1, 3, 100):
        assert numbers(walk(call, "/orders?sort=purchased_at", limit, OPERATOR)) == expected
        assert numbers(walk(call, "/orders?sort=-purchased_at", limit, OPERATOR)) == expected[::-1]
    alices = [order_no for order_no in expected if bought.index(order_no) % 2 == 0]
    assert numbers(walk(call, "/orders?sort=purchased_at", 2, "alice")) == alices
    narrowed = f"purchased_from={iso(began + timedelta(seconds=3))}&purchased_to={iso(began + timedelta(seconds=9))}"
    for limit in (1, 100):
        assert numbers(walk(call, f"/orders?sort=purchased_at&{narrowed}", limit, OPERATOR)) == expected[2:7]


def test_every_filter_has_the_orders_that_it_names(call: Calls) -> None:
    bought = some_orders(call, 12)
    other = call.bought(call.create()["id"], "alice")["order_no"]
    call.post(f"/orders/{bought[0]}/cancel", "alice")
    call.make_overdue(bought[1])  # nobody has swept it
    for number, status in ((2, "paid"), (3, "refund_due"), (4, "expired")):
        call.set_order(bought[number], status=status)
    everything = walk(call, "/orders?sort=purchased_at", 100, OPERATOR)
    assert sorted(numbers(everything)) == sorted([*bought, other])
    for status in ("", *OrderStatus):
        for user in ("", "alice", "bob", "nobody"):
            for item in (0, 1, 2, 3):
                filters = {"status": status, "user_id": user, "goods_id": item}
                query = "".join(f"&{name}={value}" for name, value in filters.items() if value)
                expected = [
                    order["order_no"]
                    for order in everything
                    if all(order[name] == value for name, value in filters.items() if value)
                ]
                assert numbers(walk(call, f"/orders?sort=purchased_at{query}", 100, OPERATOR)) == expected, query
                if expected:
                    assert numbers(walk(call, f"/orders?{query[1:]}", 2, OPERATOR)) == expected[::-1], query


def test_the_time_of_purchase_is_an_administrator_s_filter(sqlite_call: Calls) -> None:
    for name in ("purchased_from", "purchased_to"):
        answer = sqlite_call.get(f"/orders?{name}=2026-01-01T00:00:00Z", "alice")
        assert wrong_fields(answer) == {name: "unknown_field"}
        assert wrong_fields(sqlite_call.get(f"/orders?{name}=yesterday", OPERATOR)) == {name: "invalid_time"}


# Followed while a COMMIT is late.


@pytest.fixture
def call_of_server(make_app: Callable[..., Flask], server_uri: str) -> Calls:
    return Calls(make_app(server_uri, PURCHASE_WAIT_SECONDS=60))


@contextmanager
def late(call: Calls, like: str, order_no: str) -> Iterator[Connection]:
    """A transaction that has placed the order `order_no`, like another but a moment before it, and is still open."""
    columns = "goods_id, goods_name, user_id, quantity, currency, unit_price, subtotal, discount, shipping_fee, total"
    statement = (
        f"INSERT INTO orders ({columns}, status, expires_at, order_no, purchased_at) SELECT {columns}, status,"
        " expires_at, :order_no, purchased_at - INTERVAL 1000 MICROSECOND FROM orders WHERE order_no = :old"
    )
    engine = create_engine(call.services.database.engine.url, connect_args={"use_pure": True})
    with engine.connect() as connection:
        connection.execute(text(statement), {"order_no": order_no, "old": like})
        yield connection
    engine.dispose()


def followed(call: Calls, limit: int) -> list[str]:
    return numbers(walk(call, "/orders?sort=purchased_at", limit, OPERATOR))


def test_who_follows_along_waits_for_an_earlier_order_whose_commit_is_late(
    call_of_server: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = call_of_server
    bought = some_orders(call, 4)
    looks = threading.Semaphore(0)

    look = order_list.find_missing

    def counted(*arguments: Any) -> Any:
        missing = look(*arguments)
        looks.release()
        return missing

    monkeypatch.setattr(order_list, "find_missing", counted)
    found: list[str] = []
    follower = threading.Thread(target=lambda: found.extend(followed(call, 3)))
    with late(call, bought[1], "late") as connection:
        follower.start()
        for _ in range(3):
            assert looks.acquire(timeout=60)  # it looks again and again
        assert not found
        connection.commit()
    follower.join(timeout=60)
    assert found == [bought[0], "late", *bought[1:]]


def test_without_the_wait_the_late_order_is_missed(call_of_server: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_list, "find_missing", lambda *arguments: None)
    call = call_of_server
    bought = some_orders(call, 4)
    with late(call, bought[1], "late") as connection:
        first = call.get("/orders?sort=purchased_at&limit=3", OPERATOR).json
        connection.commit()
    rest = call.get(f"/orders?sort=purchased_at&limit=3&cursor={quote(first['next_cursor'])}", OPERATOR).json
    assert numbers(first["items"] + rest["items"]) == bought


def test_a_transaction_that_rolls_back_is_no_longer_waited_for(call_of_server: Calls) -> None:
    call = call_of_server
    bought = some_orders(call, 4)
    with late(call, bought[1], "late") as connection:
        ended = threading.Timer(0.3, connection.rollback)
        ended.start()
        assert followed(call, 3) == bought
        ended.join()


def test_a_page_ends_before_an_order_that_stays_open_too_long(make_app: Callable[..., Flask], server_uri: str) -> None:
    bought = some_orders(Calls(make_app(server_uri)), 5)  # these have the time that they need
    call = Calls(make_app(server_uri, PURCHASE_WAIT_SECONDS=1.5))
    with late(call, bought[1], "late") as connection:
        first = call.get("/orders?sort=purchased_at&limit=4", OPERATOR).json
        assert numbers(first["items"]) == bought[:1]
        # Newest first, and on a last page, nothing is waited for.
        assert numbers(call.get("/orders?limit=4", OPERATOR).json["items"]) == bought[:0:-1]
        assert numbers(call.get("/orders?sort=purchased_at", OPERATOR).json["items"]) == bought
        connection.commit()
    rest = call.get(f"/orders?sort=purchased_at&cursor={quote(first['next_cursor'])}", OPERATOR).json
    assert numbers(rest["items"]) == ["late", *bought[1:]]


def test_a_page_of_which_nothing_can_be_shown_yet_is_refused_and_ends_no_list(
    make_app: Callable[..., Flask], server_uri: str
) -> None:
    call = Calls(make_app(server_uri))
    impatient = Calls(make_app(server_uri, PURCHASE_WAIT_SECONDS=1.5))
    bought = some_orders(call, 3)
    with late(call, bought[0], "late") as connection:
        problem(impatient.get("/orders?sort=purchased_at&limit=2", OPERATOR), 503, "busy")
        connection.commit()
    assert followed(call, 2) == ["late", *bought]


def test_an_order_that_is_written_too_late_is_not_written_at_all(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    item = call.create(stock=3)["id"]
    before = figures(call)
    with monkeypatch.context() as patch:
        patch.setattr(statements, "INSERTED_WITHIN", timedelta(seconds=-5))
        problem(call.buy(item), 503, "busy")
    assert rise(before, figures(call), "seckill_transaction_reruns_total", errno="late") > 0
    assert (call.goods(item)["stock"], call.get("/orders", OPERATOR).json["items"]) == (3, [])
    call.bought(item)


# Read by indexes.


INDEXES = {
    (False, False): "orders_status_time",
    (True, False): "orders_goods_time",
    (False, True): "orders_user_time",
    (True, True): "orders_goods_user",
}


def combinations(moment: datetime) -> Iterator[Filters]:
    for status, item, user in product((None, *OrderStatus), (None, HOT_ITEM, 777), (None, HEAVY_USER, "user-48271")):
        yield Filters(status, item, user)
    times = ((moment, None), (None, moment), (moment, moment + timedelta(days=1)))
    for status, item, user, (start, end) in product((None, "paid"), (None, HOT_ITEM), (None, HEAVY_USER), times):
        yield Filters(status, item, user, start, end)


def test_each_filter_reads_little_more_than_its_page(app: Flask) -> None:
    call = Calls(app)
    engine = patient_engine(call.services.settings)
    list_rows.fill(engine, COUNT)
    with engine.connect() as connection:
        middle = connection.execute(text("SELECT purchased_at, id FROM orders WHERE id = 2500")).one()
        moment = middle.purchased_at
        if isinstance(moment, str):
            moment = datetime.fromisoformat(moment)
        after = Place(moment.replace(tzinfo=datetime.fromisoformat("2026-01-01T00:00:00+00:00").tzinfo), middle.id)
        for filters in combinations(after.purchased_at - timedelta(days=1)):
            for descending in (False, True):
                for place in (None, after):
                    query = order_list.page_query(filters, place, descending, PAGE + 1)
                    # With parameters, as it is sent: of equal literals SQLite sees that they are equal.
                    with sent_by(call.services.database) as sent, call.services.database.reading() as reading:
                        reading.execute(query).all()
                    ((statement, parameters),) = [each for each in sent if "FROM orders" in each[0]]
                    what = (filters, descending, place)
                    if call.services.database.is_sqlite:
                        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                        searched = [row.detail for row in plan if " orders" in row.detail]
                        index = INDEXES[filters.goods_id is not None, filters.user_id is not None]
                        assert f"INDEX {index} (" in searched[0], (what, plan)
                        assert all(detail.startswith("SEARCH orders USING") for detail in searched), (what, plan)
                        if place is not None:  # it begins where the page does, not at the start of the list
                            bound = "purchased_at<?" if descending else "purchased_at>?"
                            assert all(bound in detail for detail in by_time(searched)), (what, plan)
                    else:
                        assert rows_read(connection, statement, parameters) < 150, what


def by_time(searched: list[str]) -> list[str]:
    """The searches of indexes that are in the order of the list, without those of single rows and of overdue orders."""
    return [detail for detail in searched if any(f"INDEX {index} (" in detail for index in INDEXES.values())]
