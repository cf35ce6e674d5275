"""The cap: so many purchase transactions at work on one item and no more, seen from inside the database."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from tests.races.inside import Inside, until
from tests.servers.sabotage import SLOW_USER
from tests.servers.service import Service

# A row that a test holds for a moment is no reason to give up, and no statement is to end while samples are taken.
SETTINGS = {"PURCHASE_WAIT_SECONDS": 30, "LOCK_WAIT_SECONDS": 20, "DATABASE_TIMEOUT_SECONDS": 30}
SAMPLES = 6
# A change of `order_limit` takes effect within a second.
EFFECT_SECONDS = 1.0


@contextmanager
def crowd_of(service: Service, item: int, buyers: int = 24) -> Iterator[None]:
    """Buyers who buy again and again."""
    done = threading.Event()

    def keep_buying(user: str) -> None:
        while not done.is_set():
            service.buy(item, user, timeout=60)

    threads = [threading.Thread(target=keep_buying, args=(f"buyer-{n}",)) for n in range(buyers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def most_at_work(inside: Inside, item: int) -> int:
    """The most transactions at work on the item: while it sells, and while its row is held and all pile up there."""
    selling = [len(inside.at_work()) for _ in range(SAMPLES)]
    with inside.row_held(item):
        until(inside.waiting, 10)
        held = [len(inside.at_work()) for _ in range(SAMPLES)]
    return max(selling + held)


def keep_the_cap(service: Service, inside: Inside) -> None:
    item = service.create_goods(stock=10**6)
    with crowd_of(service, item):
        assert most_at_work(inside, item) == 2
        for cap in (3, 1):
            answer = requests.patch(
                f"{service.url}/goods/{item}",
                json={"order_limit": cap},
                headers=service.headers("operator", admin=True),
                timeout=60,
            )
            assert answer.ok, answer.text
            threading.Event().wait(EFFECT_SECONDS)
            assert most_at_work(inside, item) == cap


@pytest.mark.mariadb
def test_transactions_at_work_are_as_many_as_the_cap_and_never_more(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    keep_the_cap(start_service(own_uri, workers=3, **SETTINGS), inside)


@pytest.mark.mariadb
def test_without_locked_slots_there_are_more(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    service = start_service(own_uri, workers=3, sabotage=["no_slots"], **SETTINGS)
    with pytest.raises(AssertionError, match="== 2"):
        keep_the_cap(service, inside)


@pytest.mark.mariadb
def test_two_items_do_not_share_their_slots(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    service = start_service(own_uri, workers=2, **SETTINGS)
    held, free = service.create_goods(), service.create_goods()
    service.buy(held, "alice")
    stuck = [threading.Thread(target=service.buy, args=(held, f"buyer-{n}")) for n in range(2)]
    with inside.row_held(held):
        for thread in stuck:
            thread.start()
        until(lambda: len(inside.waiting()) == 2, 10)
        assert inside.free_slots(held) == 0
        assert service.buy(free, "bob").status_code == 201
    for thread in stuck:
        thread.join()


def slot_is_free_within_a_second(service: Service, inside: Inside) -> None:
    """A worker is killed in the middle of a transaction: its slot and its row are free at once."""
    item = service.create_goods(order_limit=1)
    assert service.buy(item, "alice").status_code == 201

    def be_slow() -> None:
        with pytest.raises(requests.RequestException):
            service.buy(item, SLOW_USER)

    thread = threading.Thread(target=be_slow)
    thread.start()
    holder = until(inside.at_work, 10)[0]
    assert inside.free_slots(item) == 0
    os.kill(inside.worker_of(holder, service.worker_pids()), signal.SIGKILL)
    try:
        until(lambda: inside.free_slots(item) == 1, 1)
        assert service.buy(item, "bob").status_code == 201
    finally:
        thread.join()
    assert service.goods(item)["sold"] == 2


# Long enough that it is not the server's time-out that frees the slot.
PATIENT_SERVER = {"IDLE_TRANSACTION_SECONDS": 20}


@pytest.mark.mariadb
def test_a_slot_is_free_within_a_second_after_its_holder_was_killed(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    service = start_service(own_uri, workers=2, sabotage=["hold_slow_user"], **PATIENT_SERVER)
    slot_is_free_within_a_second(service, inside)


@pytest.mark.mariadb
def test_when_the_connection_outlives_its_holder_the_slot_is_not_free(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    service = start_service(own_uri, workers=2, sabotage=["socket_outlives_worker", "hold_slow_user"], **PATIENT_SERVER)
    with pytest.raises(AssertionError, match="within 1 seconds"):
        slot_is_free_within_a_second(service, inside)
