"""Any number of sweepers at once: each order expires once."""

import itertools
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from core.ops import audit
from core.orders import expiry
from core.services import Services
from tests.core.selling import ENDED_TWICE, Selling
from tests.races.buyers import at_once

SWEEPERS = 4
ORDERS = 60


@pytest.fixture
def shops(make_app: Callable[..., Flask], server_uri: str) -> list[Services]:
    """As many processes' worth of pools as there are sweepers."""
    patient = {"LOCK_WAIT_SECONDS": 20, "DATABASE_TIMEOUT_SECONDS": 30, "PURCHASE_WAIT_SECONDS": 60}
    return [make_app(server_uri, **patient).extensions["seckill"] for _ in range(SWEEPERS)]


def sweep_together(shops: list[Services]) -> None:
    selling = Selling(shops[0])
    items, code = [selling.item(stock=ORDERS), selling.item(stock=ORDERS)], selling.coupon()
    orders = [selling.bought(items[n % 2], f"buyer-{n}", 1, code if n % 3 else None) for n in range(ORDERS)]
    stays = selling.bought(items[0], "late", 1, code)
    selling.make_overdue(*orders)
    noted = at_once([lambda services=services: expiry.sweep(services.database) for services in shops])
    noted.append(expiry.sweep(shops[0].database))
    assert sum(noted) == ORDERS
    assert {selling.status(order) for order in orders} == {"expired"}
    assert selling.status(stays) == "pending"
    expired = [number for kind, number in selling.happened() if kind == "order.expired"]
    assert sorted(expired) == sorted(order.order_no for order in orders)
    selling.assert_exact(items, ORDERS, code)
    assert audit.run(shops[0].settings).clean


def look_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All see the same orders as overdue: nobody notes one before everybody has looked for the first time."""
    look, looks, together = expiry.overdue, itertools.count(), threading.Barrier(SWEEPERS)

    def look_and_wait(database: Any, left: set[int]) -> Any:
        due = look(database, left)
        if next(looks) < SWEEPERS:
            together.wait(30)
        return due

    monkeypatch.setattr(expiry, "overdue", look_and_wait)


def test_four_sweepers_at_once_give_everything_back_once(shops: list[Services]) -> None:
    sweep_together(shops)


def test_four_who_have_all_seen_the_same_orders_do_so_too(
    shops: list[Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    look_at_the_same_time(monkeypatch)
    sweep_together(shops)


def test_without_a_second_look_under_the_lock_an_order_expires_again(
    shops: list[Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rewrite(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> tuple[str, Any]:
        if statement.startswith("UPDATE orders") or "orders_order_no" in statement:
            condition = r"(orders\.status (?:IN|=) (?:\((?:[^()]|%\(\w+\)s)*\)|%\(\w+\)s))"
            return re.sub(condition, r"(orders.id > 0 OR \1)", statement), parameters
        return statement, parameters

    for services in shops:
        event.listen(services.database.engine, "before_cursor_execute", rewrite, retval=True)
    look_at_the_same_time(monkeypatch)
    with pytest.raises((AssertionError, RuntimeError), match=ENDED_TWICE):
        sweep_together(shops)
