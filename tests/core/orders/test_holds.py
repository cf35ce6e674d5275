"""The last guards of what orders hold: counts that do not fit undo the whole."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, text

from core.db.transaction import run_with_default_deadline
from core.orders import expiry, holds, order_life
from core.orders.holds import Locked
from core.orders.orders import OrderView, Viewer
from core.services import Services
from tests.core.selling import Selling

ALICE = Viewer("alice", False)


@pytest.fixture
def selling(services: Services) -> Selling:
    return Selling(services)


def state(selling: Selling, item: int, order: OrderView) -> tuple[Any, ...]:
    return selling.status(order), selling.stock(item), selling.used(), selling.happened()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("UPDATE goods SET sold = 1", "not among those sold"),
        ("UPDATE coupons SET used = 0", "not among those counted"),
        ("UPDATE coupon_uses SET returned_at = '2026-01-01 00:00:00.000'", "come back already"),
        ("DELETE FROM coupon_uses", "come back already"),
    ],
)
def test_what_is_not_held_is_not_given_back(services: Services, selling: Selling, wrong: str, message: str) -> None:
    item, code = selling.item(), selling.coupon()
    order = selling.bought(item, quantity=2, coupon=code)
    with services.database.engine.begin() as connection:
        connection.execute(text(wrong))
    before = state(selling, item, order)
    with pytest.raises(RuntimeError, match=message):
        order_life.cancel(services.database, ALICE, order.order_no)
    assert state(selling, item, order) == before
    selling.make_overdue(order)
    with pytest.raises(RuntimeError, match=message):
        expiry.sweep(services.database)
    assert state(selling, item, order) == before


def lost_stock(locked: Locked, code: str) -> None:
    locked.stock += 10


def lost_coupon(locked: Locked, code: str) -> None:
    locked.coupons[code] = replace(locked.coupons[code], used=0)


@pytest.mark.parametrize("lost", [lost_stock, lost_coupon])
def test_what_is_taken_again_is_there_even_if_a_lock_was_lost(
    services: Services, selling: Selling, lost: Callable[[Locked, str], None]
) -> None:
    item, code = selling.item(stock=2), selling.coupon(total_limit=1)
    order = selling.bought(item, quantity=2, coupon=code)
    order_life.cancel(services.database, ALICE, order.order_no)
    if lost is lost_stock:
        selling.bought(item, "bob")
    else:
        selling.bought(selling.item(), "bob", coupon=code)
    before = state(selling, item, order)

    def take(connection: Connection, with_loss: bool) -> object:
        locked = holds.lock(connection, item, [code])
        if with_loss:
            lost(locked, code)
        return holds.take_again(connection, locked, order)

    assert run_with_default_deadline(services.database, lambda connection: take(connection, False)) is None
    with pytest.raises(RuntimeError, match="under its lock"):
        run_with_default_deadline(services.database, lambda connection: take(connection, True))
    assert state(selling, item, order) == before
