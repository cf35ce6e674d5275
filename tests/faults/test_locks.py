"""Deadlocks and lock time-outs, provoked on a real server."""

import threading
import time
from collections.abc import Callable

import pytest
import requests

from harness.database_server import numbers
from harness.service import UNHURRIED, Service
from tests.races.buyers import assert_audit_clean
from tests.races.inside import Inside, until


def reruns(service: Service, errno: int) -> float:
    """How many transactions were run again because of this error."""
    figures = requests.get(f"{service.url}/metrics", timeout=20).text.splitlines()
    line = f'seckill_transaction_reruns_total{{errno="{errno}"}}'
    return sum(float(figure.rpartition(" ")[2]) for figure in figures if figure.startswith(line))


class Buying(threading.Thread):
    """A purchase under way; `answer` is there after join()."""

    def __init__(self, service: Service, item: int, key: str | None = None) -> None:
        super().__init__()
        self._buy = lambda: service.buy(item, "alice", key=key, timeout=120)
        self.start()

    def run(self) -> None:
        began = time.monotonic()
        self.answer = self._buy()
        self.seconds = time.monotonic() - began


def buy_through_a_deadlock(service: Service, inside: Inside) -> None:
    """The purchase holds the item's row and waits for a key; the test holds the key and waits for the row."""
    item = service.create_goods()
    assert service.buy(item, "alice").status_code == 201
    with inside.transaction() as execute:
        # InnoDB rolls the lighter one back: many changes make the test's the heavier.
        execute(f"INSERT INTO purchase_slots (goods_id, slot) SELECT 1000000 + seq, 0 FROM {numbers(500)}")
        columns = [row[0] for row in inside.query("SHOW COLUMNS FROM orders") if row[0] not in ("id", "order_no")]
        rest = ", ".join("'key'" if name == "idempotency_key" else name for name in columns)
        execute(f"INSERT INTO orders (order_no, {', '.join(columns)}) SELECT 'other', {rest} FROM orders LIMIT 1")
        buying = Buying(service, item, key="key")
        until(inside.waiting, 40)
        execute("SELECT id FROM goods WHERE id = %s FOR UPDATE", item)
    buying.join()
    assert buying.answer.status_code == 201, buying.answer.text
    assert reruns(service, 1213) >= 1
    assert inside.query("SELECT COUNT(*) FROM orders") == [(2,)]
    assert_audit_clean(service)


def test_a_purchase_rolled_back_by_a_deadlock_is_run_again(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    buy_through_a_deadlock(start_service(own_uri, **UNHURRIED), inside)


def test_with_a_single_attempt_a_deadlock_ends_it(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    with pytest.raises(AssertionError, match="busy"):
        buy_through_a_deadlock(start_service(own_uri, TRANSACTION_ATTEMPTS=1, **UNHURRIED), inside)


# The time-out of statements is for the database alone, which may stand still on a busy machine; that of lock waits ends
# a purchase long before. Without a deadline it would wait for the row a hundred times, a second each.
WAIT = {
    "PURCHASE_WAIT_SECONDS": 3,
    "LOCK_WAIT_SECONDS": 1,
    "DATABASE_TIMEOUT_SECONDS": 10,
    "TRANSACTION_ATTEMPTS": 100,
}
# What a purchase may take at most: its wait, and the time-outs of what it had begun by then.
ANSWERED_SECONDS = WAIT["PURCHASE_WAIT_SECONDS"] + 3 * WAIT["DATABASE_TIMEOUT_SECONDS"]


# A purchase that has much time left when its first statement gives up.
WITH_TIME_LEFT = WAIT | {"PURCHASE_WAIT_SECONDS": 60}


def buy_a_row_that_was_held(service: Service, inside: Inside) -> None:
    """The row comes free after a statement gave up waiting for it, and before the purchase does."""
    item = service.create_goods()
    with inside.row_held(item):
        buying = Buying(service, item)
        until(lambda: reruns(service, 1205) > 0 or not buying.is_alive(), 60)
    buying.join()
    assert buying.answer.status_code == 201, buying.answer.text
    assert service.goods(item)["sold"] == 1


def test_a_purchase_outlasts_a_lock_time_out(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    buy_a_row_that_was_held(start_service(own_uri, **WITH_TIME_LEFT), inside)


def test_with_a_single_attempt_a_lock_time_out_ends_it(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    with pytest.raises(AssertionError, match="busy"):
        buy_a_row_that_was_held(start_service(own_uri, **(WITH_TIME_LEFT | {"TRANSACTION_ATTEMPTS": 1})), inside)


def give_up_in_time(service: Service, inside: Inside) -> None:
    """The row stays held: the buyer is told so in time, and has not bought."""
    item = service.create_goods()
    with inside.row_held(item):
        buying = Buying(service, item)
        buying.join(ANSWERED_SECONDS)
        was_answered = not buying.is_alive()
    buying.join()
    assert was_answered, "not answered in time"
    assert (buying.answer.status_code, buying.answer.json()["code"]) == (503, "busy")
    assert int(buying.answer.headers["Retry-After"]) >= 1
    assert service.goods(item)["sold"] == 0
    assert inside.query("SELECT COUNT(*) FROM orders") == [(0,)]
    until(lambda: service.buy(item, "bob").status_code == 201, 60)


def test_a_row_that_stays_locked_ends_in_busy_within_the_deadline(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    give_up_in_time(start_service(own_uri, **WAIT), inside)


def test_without_a_lock_time_out_nobody_is_told_in_time(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    patient = {"LOCK_WAIT_SECONDS": 50, "DATABASE_TIMEOUT_SECONDS": 60}
    with pytest.raises(AssertionError, match="not answered in time"):
        give_up_in_time(start_service(own_uri, **(WAIT | patient)), inside)
