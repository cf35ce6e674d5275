"""Stock is sold to the last unit and not beyond, over several processes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from harness.service import Service
from tests.races.buyers import BATCHES, assert_audit_clean, at_once, fails_soon, order_numbers, outcomes
from tests.races.inside import Inside


def sell_exactly(service: Service, buyers: int, units: int, **fields: object) -> None:
    """More buyers than units: each unit is sold once, and everybody else is told so."""
    item = service.create_goods(stock=units, **fields)
    answers = at_once([lambda user=f"buyer-{n}": service.buy(item, user) for n in range(buyers)])
    counts = outcomes(answers)
    assert counts["201"] <= units, f"{counts['201']} orders for {units} units"
    assert counts == {"201": units, "sold_out": buyers - units}
    assert len(order_numbers(answers)) == units
    goods = service.goods(item)
    assert (goods["stock"], goods["sold"]) == (0, units)
    assert_audit_clean(service)


@pytest.mark.representative
@pytest.mark.every_run
@BATCHES
def test_two_hundred_buyers_get_exactly_fifty_units(
    four_workers: Callable[..., Service], batches: dict[str, int]
) -> None:
    sell_exactly(four_workers(**batches), buyers=200, units=50)


@pytest.mark.representative
@pytest.mark.every_run
def test_without_the_row_lock_they_do_not(four_workers: Callable[..., Service], inside: Inside) -> None:
    service = four_workers("no_row_lock", "slow_to_order")
    # The last line of defence; with it the buyers would get a 500 in place of a unit that is not there.
    inside.drop_stock_check()
    fails_soon(lambda: sell_exactly(service, buyers=200, units=50, order_limit=8), match="orders for 50 units")
    assert inside.query("SELECT MIN(stock) FROM goods")[0][0] < 0


def test_two_processes_on_sqlite_sell_exactly_the_stock(sqlite_uri: str, start_service: Callable[..., Service]) -> None:
    sell_exactly(start_service(sqlite_uri, workers=2, PURCHASE_WAIT_SECONDS=40), buyers=80, units=20)


def test_without_transactions_on_sqlite_they_do_not(sqlite_uri: str, start_service: Callable[..., Service]) -> None:
    service = start_service(sqlite_uri, workers=2, without_guard=["no_sqlite_transaction"], PURCHASE_WAIT_SECONDS=40)
    fails_soon(lambda: sell_exactly(service, buyers=80, units=20), match="orders for 20 units")


@contextmanager
def watched(inside: Inside, item: int, units: int) -> Iterator[list[tuple[int, int, int]]]:
    """Look at the item again and again; yields the snapshots in which its figures did not add up."""
    wrong: list[tuple[int, int, int]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            # One statement sees one committed state.
            stock, sold, held = inside.query(
                "SELECT stock, sold, (SELECT COALESCE(SUM(quantity), 0) FROM orders"
                " WHERE goods_id = goods.id AND status IN ('pending', 'paid')) FROM goods WHERE id = %s",
                item,
            )[0]
            if stock < 0 or stock + sold != units or sold != held:
                wrong.append((stock, sold, held))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield wrong
    finally:
        done.set()
        thread.join()


def figures_always_add_up(service: Service, inside: Inside) -> None:
    """While buyers take one to three units each and some cancel, no snapshot shows units made or lost."""
    item = service.create_goods(stock=60)

    def buy_and_perhaps_cancel(number: int) -> int:
        user = f"buyer-{number}"
        answer = service.buy(item, user, quantity=number % 3 + 1)
        if answer.status_code != 201 or number % 2:
            return answer.status_code
        order_no = answer.json()["order_no"]
        return requests.post(
            f"{service.url}/orders/{order_no}/cancel", headers=service.headers(user), timeout=60
        ).status_code

    with watched(inside, item, units=60) as wrong:
        statuses = at_once([lambda n=n: buy_and_perhaps_cancel(n) for n in range(80)])
    assert wrong == [], "a snapshot shows units made or lost"
    assert set(statuses) <= {200, 201, 409}
    assert_audit_clean(service)


@BATCHES
def test_no_snapshot_ever_shows_units_made_or_lost(
    four_workers: Callable[..., Service], inside: Inside, batches: dict[str, int]
) -> None:
    figures_always_add_up(four_workers(**batches), inside)


def test_with_a_commit_halfway_a_snapshot_shows_it(four_workers: Callable[..., Service], inside: Inside) -> None:
    service = four_workers("commit_halfway")
    fails_soon(lambda: figures_always_add_up(service, inside), match="a snapshot shows")
