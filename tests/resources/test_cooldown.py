"""Who gives up too many orders for an item waits before the next."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from core.orders import expiry
from core.payments import payments
from core.payments.payment_records import PaymentEvent, PaymentEventType
from tests.resources.calls import OPERATOR, Calls, problem


@pytest.fixture
def strict(make_app: Callable[..., Flask], database_uri: str) -> Callable[..., Calls]:
    """An application where the second order that is given up is one too many."""
    return lambda **settings: Calls(make_app(database_uri, **{"HOLD_STRIKES": 2, **settings}))


def give_up(call: Calls, item: int, by: str = "alice", buyer: str = "alice") -> None:
    order = call.bought(item, buyer)
    assert call.post(f"/orders/{order['order_no']}/cancel", by).status_code == 200


def let_lapse(call: Calls, item: int) -> None:
    """Buy, and let the time to pay be over a moment ago."""
    order = call.bought(item)
    call.set_order(order["order_no"], expires_at=call.now())


def pass_time(call: Calls, seconds: float) -> None:
    """Let all that alice gave up have been so for as much longer."""
    for order in call.get("/orders", "alice").json["items"]:
        # That an order expired is noted by a sweep, and there is none here.
        ended = "closed_at" if order["status"] == "cancelled" else "expires_at"
        call.set_order(order["order_no"], **{ended: datetime.fromisoformat(order[ended]) - timedelta(seconds=seconds)})


@pytest.mark.parametrize("end", [give_up, let_lapse])
def test_a_buyer_who_gave_up_too_much_waits_and_others_do_not(strict: Callable[..., Calls], end: Callable) -> None:
    call = strict(HOLD_COOLDOWN_SECONDS=600)
    item, other = call.create()["id"], call.create()["id"]
    end(call, item)
    end(call, item)
    refused = call.buy(item)
    problem(refused, 429, "hold_cooldown")
    assert 600 - 30 <= int(refused.headers["Retry-After"]) <= 600
    call.bought(other)
    call.bought(item, "bob")
    assert call.get("/orders?status=pending", "alice").json["items"][0]["goods_id"] == other


def test_after_the_wait_one_buys_again_and_the_next_strike_is_a_further_wait(strict: Callable[..., Calls]) -> None:
    call = strict(HOLD_COOLDOWN_SECONDS=600)
    item = call.create()["id"]
    give_up(call, item)
    give_up(call, item)
    refused = call.buy(item)
    problem(refused, 429, "hold_cooldown")
    pass_time(call, int(refused.headers["Retry-After"]))
    give_up(call, item)
    problem(call.buy(item), 429, "hold_cooldown")


@pytest.mark.parametrize("end", [give_up, let_lapse])
def test_each_further_strike_doubles_the_wait_and_old_ones_are_forgotten(
    strict: Callable[..., Calls], end: Callable
) -> None:
    call = strict(HOLD_COOLDOWN_SECONDS=600, HOLD_FORGET_SECONDS=86_400)
    item = call.create()["id"]

    end(call, item)
    for wait in (600, 1200, 2400):
        end(call, item)
        refused = call.buy(item)
        problem(refused, 429, "hold_cooldown")
        assert wait - 30 <= int(refused.headers["Retry-After"]) <= wait
        pass_time(call, wait - 60)
        problem(call.buy(item), 429, "hold_cooldown")
        pass_time(call, 61)
    # The four strikes are a day old, or a little less: the first is forgotten, the last is not.
    pass_time(call, 86_400 - 2400 - 61)
    end(call, item)
    refused = call.buy(item)
    assert 600 - 30 <= int(refused.headers["Retry-After"]) <= 600
    pass_time(call, 86_401)
    end(call, item)
    call.bought(item)


def test_what_an_administrator_cancelled_is_no_strike(strict: Callable[..., Calls]) -> None:
    call = strict(HOLD_COOLDOWN_SECONDS=600)
    item = call.create()["id"]
    for _ in range(3):
        give_up(call, item, by=OPERATOR)
    give_up(call, item)
    call.bought(item)


def money_for(call: Calls, order: dict[str, Any]) -> str:
    number = f"money-for-{order['order_no']}"
    money = PaymentEvent(
        number, PaymentEventType.SUCCEEDED, order["order_no"], order["total"], order["currency"], number
    )
    return payments.receive(call.services.database, money)


def test_money_that_is_to_be_given_back_takes_no_strike_away(strict: Callable[..., Calls]) -> None:
    call = strict(HOLD_COOLDOWN_SECONDS=600)
    item = call.create(stock=1)["id"]
    cancelled = call.bought(item)
    assert call.post(f"/orders/{cancelled['order_no']}/cancel", "alice").status_code == 200
    lapsed = call.bought(item)
    call.set_order(lapsed["order_no"], expires_at=call.now())
    expiry.sweep(call.services.database)
    bobs = call.bought(item, "bob")
    assert [money_for(call, order) for order in (cancelled, lapsed)] == ["refund_due"] * 2
    assert call.post(f"/orders/{bobs['order_no']}/cancel", "bob").status_code == 200
    problem(call.buy(item), 429, "hold_cooldown")


def test_an_administrator_who_gives_up_their_own_waits_too(strict: Callable[..., Calls]) -> None:
    call = strict(HOLD_COOLDOWN_SECONDS=600)
    item = call.create()["id"]
    for _ in range(2):
        give_up(call, item, by=OPERATOR, buyer=OPERATOR)
    problem(call.buy(item, OPERATOR), 429, "hold_cooldown")


def test_a_replay_is_answered_during_the_wait(strict: Callable[..., Calls]) -> None:
    call = strict(HOLD_COOLDOWN_SECONDS=600)
    item = call.create()["id"]
    first = call.bought(item, key="k")
    for _ in range(2):
        give_up(call, item)
    again = call.buy(item, key="k")
    assert (again.status_code, again.json["order_no"]) == (201, first["order_no"])
    problem(call.buy(item, key="other"), 429, "hold_cooldown")


def test_without_a_cooldown_nobody_waits(strict: Callable[..., Calls]) -> None:
    call = strict(HOLD_COOLDOWN_SECONDS=0)
    item = call.create()["id"]
    for _ in range(4):
        give_up(call, item)
    call.bought(item)
