"""Somebody else keeps an item's row locked: its buyers are told so in time, and all others buy meanwhile."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from harness.service import Service
from tests.races.buyers import assert_audit_clean, at_once, fails_soon, outcomes
from tests.races.inside import Inside

# Patient, so that the buyers of other items outlast a machine that stands still for a while. Without a deadline those
# of the held one would wait a hundred times, a second each.
SETTINGS = {
    "PURCHASE_WAIT_SECONDS": 15,
    "LOCK_WAIT_SECONDS": 1,
    "DATABASE_TIMEOUT_SECONDS": 10,
    "TRANSACTION_ATTEMPTS": 100,
}
# What a purchase may take at most: its wait, and the time-outs of what it had begun by then; and what the machine adds.
ANSWERED_SECONDS = SETTINGS["PURCHASE_WAIT_SECONDS"] + 3 * SETTINGS["DATABASE_TIMEOUT_SECONDS"] + 1
IMPATIENT = SETTINGS | {"PURCHASE_WAIT_SECONDS": 3}
# So long buyers come one after another: twice as long as one of the held item waits.
SELLING_SECONDS = 2 * SETTINGS["PURCHASE_WAIT_SECONDS"]
HELD_BUYERS = 4
ROUNDS = 3


class Wanted:
    """An item whose row is held, and three that are free."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.held = service.create_goods()
        self.free = [service.create_goods() for _ in range(3)]
        assert outcomes(service.buy(item, "first") for item in [self.held, *self.free]) == {"201": 4}

    def buy_held(self, user: str) -> requests.Response:
        began = time.monotonic()
        answer = self.service.buy(self.held, user, timeout=90)
        assert time.monotonic() - began < ANSWERED_SECONDS, "not answered in time"
        return answer


def sell_all_others(wanted: Wanted, inside: Inside) -> None:
    """Buyers of all items come at once, and again while the row stays held."""
    service = wanted.service
    with inside.row_held(wanted.held):
        for number in range(ROUNDS):
            buyers = [
                *[lambda n=n: wanted.buy_held(f"held-{n}") for n in range(HELD_BUYERS)],
                *[lambda item=item, n=n: service.buy(item, f"free-{n}") for n in range(4) for item in wanted.free],
            ]
            # The place of the held item's buyers in the queue is another each time.
            order = buyers[number::ROUNDS] + [buyer for n, buyer in enumerate(buyers) if n % ROUNDS != number]
            answers = dict(zip(map(id, order), at_once(order), strict=True))
            held, free = ([answers[id(buyer)] for buyer in part] for part in (buyers[:4], buyers[4:]))
            assert outcomes(free) == {"201": len(free)}
            assert set(outcomes(held)) <= {"busy", "unavailable"}
            assert all(1 <= int(answer.headers["Retry-After"]) <= 30 for answer in held)
    assert service.goods(wanted.held)["sold"] == 1
    assert outcomes(wanted.buy_held(f"held-{n}") for n in range(HELD_BUYERS)) == {"201": HELD_BUYERS}
    assert_audit_clean(service)


def test_buyers_of_other_items_are_served_while_a_row_is_held(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    sell_all_others(Wanted(start_service(own_uri, workers=1, threads=32, **SETTINGS)), inside)


def test_with_one_batch_worker_they_are_not(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    service = start_service(own_uri, workers=1, threads=32, DATABASE_POOL_SIZE=2, **IMPATIENT)
    fails_soon(lambda: sell_all_others(Wanted(service), inside), match="busy")


def test_whoever_comes_one_after_another_is_served_while_a_row_is_held_and_wanted(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    wanted = Wanted(start_service(own_uri, workers=1, threads=32, **SETTINGS))
    done = threading.Event()

    def want_the_held_one(number: int) -> list[requests.Response]:
        answers = []
        while not done.is_set():
            answers.append(wanted.buy_held(f"held-{number}"))
        return answers

    with inside.row_held(wanted.held), ThreadPoolExecutor(HELD_BUYERS) as threads:
        buyers = [threads.submit(want_the_held_one, number) for number in range(HELD_BUYERS)]
        try:
            ends = time.monotonic() + SELLING_SECONDS
            count = 0
            while time.monotonic() < ends:
                count += 1
                answer = wanted.service.buy(wanted.free[count % 3], f"free-{count}")
                assert answer.status_code == 201 or answer.json()["code"] == "sold_out", answer.text
        finally:
            done.set()
        assert set(outcomes(answer for buyer in buyers for answer in buyer.result())) <= {"busy", "unavailable"}
    assert wanted.service.goods(wanted.held)["sold"] == 1
    assert outcomes([wanted.buy_held("later")]) == {"201": 1}
    assert_audit_clean(wanted.service)
