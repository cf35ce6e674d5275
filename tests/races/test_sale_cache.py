"""What the sale cache remembers in four workers never costs a winner their order, and never outlasts 250 ms."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from harness.service import Service
from tests.races.buyers import assert_audit_clean, at_once, fails_soon, order_numbers, outcomes
from tests.races.inside import until

MAX_AGE = 0.25  # seconds, of what the sale cache remembers
CLIENTS = 12
Received = list[tuple[float, str]]


def refused_from_memory(service: Service) -> float:
    """How many requests were refused from memory, in all workers."""
    families = text_string_to_metric_families(requests.get(f"{service.url}/metrics", timeout=20).text)
    samples = (sample for family in families for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == "seckill_cached_refusals_total")


@contextmanager
def many_clients(service: Service, item: int, method: str = "POST") -> Iterator[Received]:
    """Many clients that keep sending, on fresh connections; yields the answers, with when each request was sent.

    Buyers among them have no token: from memory they are refused, and by the database they are `unauthenticated`. So
    they take no unit. Whoever only reads gets the sale's status.
    """
    received: Received = []
    done = threading.Event()

    def keep_sending() -> None:
        while not done.is_set():
            sent_at = time.monotonic()
            answer = requests.request(method, f"{service.url}/seckill/{item}", timeout=60).json()
            received.append((sent_at, answer["code"] if "code" in answer else answer["status"]))

    before = refused_from_memory(service)
    threads = [threading.Thread(target=keep_sending) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        if method == "POST" and service.goods(item)["stock"] == 0:
            until(lambda: refused_from_memory(service) > before + 20 * CLIENTS, seconds=60)
        else:
            until(lambda: len(received) > 20 * CLIENTS, seconds=60)
        yield received
    finally:
        done.set()
        for thread in threads:
            thread.join()


def change(service: Service, item: int, **fields: object) -> float:
    """Change the item; returns when the answer was there."""
    answer = requests.patch(
        f"{service.url}/goods/{item}", json=fields, headers=service.headers("operator", admin=True), timeout=60
    )
    assert answer.status_code == 200, answer.text
    return time.monotonic()


def post(service: Service, path: str, user: str = "operator") -> float:
    headers = service.headers(user, admin=user == "operator")
    answer = requests.post(f"{service.url}{path}", headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return time.monotonic()


def received_later(received: Received, since: float, least: int = 100) -> set[str]:
    """The answers to requests sent when the sale cache's memory of before `since` was too old; at least so many."""
    late = since + MAX_AGE
    until(lambda: len(received) > least and received[-least][0] > late, seconds=60)
    return {word for sent_at, word in received[:] if sent_at > late}


def show_again(service: Service, item: int, won: dict[str, str], times: int) -> None:
    """Every winner asks again with their key, on connections that reach all workers: it is their order, each time."""
    with ThreadPoolExecutor(8) as threads:
        users = list(won) * times
        answers = list(threads.map(lambda user: service.buy(item, user, key="the-key"), users))
    assert outcomes(answers) == {"201": len(users)}, "a winner is refused"
    assert [answer.json()["order_no"] for answer in answers] == [won[user] for user in users]
    assert {answer.headers.get("Idempotent-Replayed") for answer in answers} == {"true"}


def winners_keep_their_orders(service: Service) -> None:
    """In front of many clients who are refused as sold_out; twice, the second time while a restock is won."""
    item = service.create_goods(stock=10)
    answers = at_once([lambda user=f"winner-{n}": service.buy(item, user, key="the-key") for n in range(20)])
    assert outcomes(answers) == {"201": 10, "sold_out": 10}
    won = {answer.json()["user_id"]: answer.json()["order_no"] for answer in answers if answer.status_code == 201}
    with many_clients(service, item):
        show_again(service, item, won, times=8)
        for number in range(6):
            change(service, item, stock_delta=3)
            # Whoever has it shows it again at once, through workers that may not have seen the restock.
            answers = at_once([lambda user=f"late-{number}-{n}": win(service, item, user) for n in range(5)])
            assert outcomes(answers)["201"] == 3
            late = {one.json()["user_id"]: one.json()["order_no"] for one in answers if one.status_code == 201}
            show_again(service, item, late, times=6)
            won |= late
        show_again(service, item, won, times=2)
    assert service.goods(item)["sold"] == len(won) == 28
    assert_audit_clean(service)


def win(service: Service, item: int, user: str) -> requests.Response:
    return service.buy(item, user, key="the-key")


def test_winners_keep_their_orders_in_front_of_many_clients(four_workers: Callable[..., Service]) -> None:
    winners_keep_their_orders(four_workers())


def test_with_the_sale_cache_believed_they_do_not(four_workers: Callable[..., Service]) -> None:
    with pytest.raises(AssertionError, match="a winner is refused"):
        winners_keep_their_orders(four_workers("keys_believed"))


def restock_is_seen(service: Service) -> None:
    item = service.create_goods(stock=0)
    with many_clients(service, item) as received:
        for _ in range(2):
            until(lambda: {word for _, word in received[-100:]} == {"sold_out"}, seconds=60)
            # No longer refused by the sale cache, they are asked for their tokens.
            assert received_later(received, change(service, item, stock_delta=1)) == {"unauthenticated"}, (
                "told what is old"
            )
            change(service, item, stock_delta=-1)
    assert_audit_clean(service)


def test_a_restock_is_seen_by_every_worker_within_250_ms(four_workers: Callable[..., Service]) -> None:
    restock_is_seen(four_workers())


def test_with_a_longer_memory_it_is_not(four_workers: Callable[..., Service]) -> None:
    service = four_workers("long_memory")
    fails_soon(lambda: restock_is_seen(service), match="told what is old")


def test_a_pause_and_a_resume_are_seen_by_every_worker_within_250_ms(four_workers: Callable[..., Service]) -> None:
    service = four_workers()
    item = service.create_goods(stock=5)
    with many_clients(service, item) as received:
        for _ in range(2):
            post(service, f"/goods/{item}/pause")
            until(lambda: {word for _, word in received[-100:]} == {"sale_paused"}, seconds=60)
            assert received_later(received, post(service, f"/goods/{item}/resume")) == {"unauthenticated"}


def test_a_cancel_is_seen_by_every_reader_and_buyer_within_250_ms(four_workers: Callable[..., Service]) -> None:
    service = four_workers()
    item = service.create_goods(stock=1)
    order_no = service.buy(item, "winner").json()["order_no"]
    with many_clients(service, item, "GET") as received, many_clients(service, item) as received_by_buyers:
        until(lambda: {word for _, word in received[-50:]} == {"sold_out"}, seconds=60)
        cancelled_at = post(service, f"/orders/{order_no}/cancel", user="winner")
        assert received_later(received, cancelled_at) == {"on_sale"}
        assert received_later(received_by_buyers, cancelled_at) == {"unauthenticated"}
    assert service.goods(item)["stock"] == 1
    assert_audit_clean(service)


def test_fifty_identical_keyed_requests_share_the_last_unit_of_a_restock(four_workers: Callable[..., Service]) -> None:
    service = four_workers()
    item = service.create_goods(stock=0)
    with many_clients(service, item):
        for number in range(3):
            change(service, item, stock_delta=1)
            answers = at_once([lambda number=number: service.buy(item, f"alice-{number}", key="the-key")] * 50)
            assert outcomes(answers) == {"201": 50}
            assert len(order_numbers(answers)) == 1
            assert len({answer.text for answer in answers}) == 1
            assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 49
    assert service.goods(item)["sold"] == 3
    assert_audit_clean(service)
