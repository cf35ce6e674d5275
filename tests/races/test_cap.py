"""The cap: so many purchase transactions at work on one item and no more, seen from inside the database."""

import os
import signal
import threading
from collections.abc import Callable

import pytest
import requests

from harness.service import UNHURRIED, Service
from harness.without_guard import SLOW_USER
from tests.races.buyers import BATCHES, buyers_of, fails_soon
from tests.races.inside import NO_BACKGROUND_JOBS, Inside, until

# A row that a test holds for a moment is no reason to give up, and no statement is to end while samples are taken.
SETTINGS = {**UNHURRIED, **NO_BACKGROUND_JOBS}
# The statement by which a batch locks the rows of its items.
LOCKS_ITEM = "%FROM goods%FOR UPDATE"
PILES = 4
SAMPLES = 2
# It takes no time; less than a connection that outlives its holder, however busy the machine.
FREE_SECONDS = 15


def pile_up(inside: Inside, item: int, cap: int, add_buyer: Callable[[], None]) -> int:
    """The most transactions that wait for the item's row while it is held: all that have a slot come to it.

    InnoDB lists its transactions one by one, so that a sample of those that move can count a slot twice. Buyers are
    added until `cap` transactions wait, and one more ahead of each sample: connections fall to workers at random, and a
    worker has one transaction on an item at a time, so that those before may be at fewer workers than there are slots.
    Fails where there are never as many as `cap`.
    """

    def waiting() -> int:
        add_buyer()
        return len(inside.waiting(LOCKS_ITEM))

    with inside.row_held(item):
        until(lambda: waiting() >= cap, 30)
        return max(waiting() for _ in range(SAMPLES))


def keep_the_cap(service: Service, inside: Inside) -> None:
    item = service.create_goods(stock=10**6)
    # The first purchase makes the item's slots. Workers that make them at the same time wait for each other, and their
    # transactions are no purchases.
    assert service.buy(item, "first").status_code == 201
    with buyers_of(service, item) as add_buyer:

        def most_waiting(cap: int) -> int:
            """The most of several pile-ups, between which the item sells."""
            return max(pile_up(inside, item, cap, add_buyer) for _ in range(PILES))

        most = most_waiting(2)
        assert most == 2, f"{most} at a cap of 2"
        for cap in (3, 1):
            answer = requests.patch(
                f"{service.url}/goods/{item}",
                json={"order_limit": cap},
                headers=service.headers("operator", admin=True),
                timeout=60,
            )
            assert answer.ok, answer.text
            # A change takes effect within a second, and those who have a slot by then still end.
            until(lambda cap=cap: pile_up(inside, item, cap, add_buyer) == cap, 30)
            assert most_waiting(cap) == cap


@pytest.mark.representative
@pytest.mark.every_run
@BATCHES
def test_transactions_at_work_are_as_many_as_the_cap_and_never_more(
    own_uri: str, start_service: Callable[..., Service], inside: Inside, batches: dict[str, int]
) -> None:
    keep_the_cap(start_service(own_uri, workers=3, **SETTINGS, **batches), inside)


@pytest.mark.representative
@pytest.mark.every_run
def test_without_locked_slots_there_are_more(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    service = start_service(own_uri, workers=3, without_guard=["no_slots"], **SETTINGS)
    fails_soon(lambda: keep_the_cap(service, inside), match=r"^([3-9]|\d\d+) at a cap of 2")


def test_two_items_do_not_share_their_slots(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    service = start_service(own_uri, workers=2, **SETTINGS)
    held, free = service.create_goods(stock=10_000), service.create_goods()
    service.buy(held, "alice")
    stuck: list[threading.Thread] = []

    def both_wait() -> bool:
        # A worker has one transaction on an item at a time: some buyers go where another waits already.
        stuck.append(threading.Thread(target=service.buy, args=(held, f"buyer-{len(stuck)}"), kwargs={"timeout": 120}))
        stuck[-1].start()
        return len(inside.waiting()) == 2

    with inside.row_held(held):
        until(both_wait, 30)
        assert inside.free_slots(held) == 0
        for number in range(8):  # at either worker
            assert service.buy(free, f"bob-{number}").status_code == 201
    for thread in stuck:
        thread.join()
    assert service.goods(held)["sold"] == len(stuck) + 1


def slot_is_free_soon(service: Service, inside: Inside) -> None:
    """A worker is killed in the middle of a transaction: its slot and its row are free at once."""
    item = service.create_goods(order_limit=1)
    assert service.buy(item, "alice").status_code == 201

    def be_slow() -> None:
        with pytest.raises(requests.RequestException):
            service.buy(item, SLOW_USER)

    thread = threading.Thread(target=be_slow)
    thread.start()
    until(lambda: inside.free_slots(item) == 0, 25)
    holder = inside.slot_holder(item)
    assert inside.free_slots(item) == 0
    os.kill(inside.worker_of(holder, service.worker_pids()), signal.SIGKILL)
    try:
        until(lambda: inside.free_slots(item) == 1, FREE_SECONDS)
        assert service.buy(item, "bob").status_code == 201
    finally:
        thread.join()
    assert service.goods(item)["sold"] == 2


# Long enough that it is not the server's time-out that frees the slot.
PATIENT_SERVER = {"IDLE_TRANSACTION_SECONDS": 60} | NO_BACKGROUND_JOBS


def test_a_slot_is_free_soon_after_its_holder_was_killed(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    service = start_service(own_uri, workers=2, without_guard=["hold_slow_user"], **PATIENT_SERVER)
    slot_is_free_soon(service, inside)


def test_when_the_connection_outlives_its_holder_the_slot_is_not_free(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    service = start_service(
        own_uri, workers=2, without_guard=["socket_outlives_worker", "hold_slow_user"], **PATIENT_SERVER
    )
    with pytest.raises(AssertionError, match=f"within {FREE_SECONDS} seconds"):
        slot_is_free_soon(service, inside)
