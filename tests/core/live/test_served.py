"""The live figures of a running service with several workers: they equal the orders, and tell when nothing moves."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from sqlalchemy import text

from harness.eventually import eventually
from harness.service import Service
from tests.tables import engine


def live(service: Service, **query: object) -> dict:
    headers = service.headers("operator", admin=True)
    answer = requests.get(f"{service.url}/live", params=query, headers=headers, timeout=20)
    assert answer.ok, answer.text
    return answer.json()


@pytest.fixture
def service(start_service: Callable[..., Service], app_uri: str) -> Service:
    return start_service(app_uri, workers=2)


def rush(service: Service, item: int, buyers: int) -> Counter[str]:
    """Each buyer asks three times; returns how often each outcome was answered."""

    def buy(number: int) -> str:
        answer = service.buy(item, f"buyer-{number % buyers}")
        return "placed" if answer.status_code == 201 else answer.json()["code"]

    with ThreadPoolExecutor(16) as pool:
        return Counter(pool.map(buy, range(3 * buyers)))


def counted(figures: dict) -> dict[str, int]:
    totals = figures["totals"]
    return {"placed": totals["purchases"], **totals["refusals"], **totals["failures"]}


def test_the_figures_of_all_workers_equal_the_orders(service: Service) -> None:
    item, other = service.create_goods(stock=30, per_user_limit=2), service.create_goods(stock=5)
    counts = rush(service, item, 40)
    others = rush(service, other, 4)
    assert counts["placed"] == 30
    assert eventually(lambda: counted(live(service, goods_id=item)) == counts)
    assert eventually(lambda: counted(live(service)) == counts + others)
    assert eventually(lambda: sum(live(service, goods_id=item)["series"]["purchases"]) == 30)
    assert eventually(lambda: live(service, goods_id=item)["now"]["unpaid"] == 30)
    figures = live(service, goods_id=item)
    assert figures["now"]["stock"] == 0
    assert figures["now"]["sold"] == 30
    assert figures["workers"] == 2
    assert eventually(lambda: live(service, goods_id=item)["complete"])
    assert eventually(lambda: not live(service, goods_id=item)["alarm"])
    assert [each["goods_id"] for each in figures["items"]] == [item]
    assert {each["goods_id"] for each in live(service)["items"]} == {item, other}
    audit = service.audit()
    assert audit.returncode == 0
    assert json.loads(audit.stdout)["orders"] == counts["placed"] + others["placed"]


def test_another_host_shows_the_same(start_service: Callable[..., Service], mysql_uri: str) -> None:
    one, two = start_service(mysql_uri), start_service(mysql_uri)
    item = one.create_goods(stock=10)
    counts = rush(one, item, 5) + rush(two, item, 3)
    for service in (one, two):
        assert eventually(lambda service=service: counted(live(service, goods_id=item)) == counts)
        assert eventually(lambda service=service: live(service)["hosts"] == 2)


def test_it_tells_that_buyers_come_and_nothing_moves(start_service: Callable[..., Service], server_uri: str) -> None:
    service = start_service(server_uri, workers=2)
    item, other = service.create_goods(), service.create_goods()
    assert not live(service)["alarm"]
    held = engine(server_uri)
    released = threading.Event()

    def keep_buying(buyer: str) -> None:
        while not released.is_set():
            service.buy(item, buyer)

    with held.connect() as connection, ThreadPoolExecutor(4) as buyers:
        connection.execute(text("SELECT id FROM goods WHERE id = :item FOR UPDATE"), {"item": item})
        coming = [buyers.submit(keep_buying, f"buyer-{number}") for number in range(4)]
        try:
            assert eventually(lambda: live(service)["alarm"])
            assert eventually(lambda: [each["goods_id"] for each in live(service)["items"] if each["alarm"]] == [item])
            assert eventually(lambda: live(service, goods_id=item)["alarm"])
            assert service.buy(other, "alice").status_code == 201
            assert not live(service, goods_id=other)["alarm"]
        finally:
            released.set()
            connection.rollback()
        for each in coming:
            each.result()
    assert eventually(lambda: not live(service)["alarm"])
