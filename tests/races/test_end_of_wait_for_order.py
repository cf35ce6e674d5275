"""An order's time can end while somebody waits for its row: the time after the wait decides."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from core.orders import order_life
from core.orders.orders import OrderView, Viewer
from core.payments import payments
from core.refusals import Refusal
from core.services import Services
from harness.service import UNHURRIED
from tests.core.selling import Selling
from tests.races.inside import Inside, until


@pytest.fixture
def services(make_app: Callable[..., Flask], own_uri: str) -> Services:
    return make_app(own_uri, **UNHURRIED).extensions["seckill"]


def cancel(services: Services, order: OrderView) -> None:
    order_life.cancel(services.database, Viewer("alice", False), order.order_no)


def pay(services: Services, order: OrderView) -> None:
    payments.pay(services.database, "alice", order.order_no)


def wait_past_the_end(services: Services, inside: Inside, act: Callable[[Services, OrderView], None]) -> None:
    selling = Selling(services)
    order = selling.bought(selling.item(), quantity=2)
    outcomes: list[str] = []

    def try_to() -> None:
        try:
            act(services, order)
            outcomes.append("done")
        except Refusal as refusal:
            outcomes.append(refusal.details["order_status"])

    with inside.transaction() as execute:
        execute("SELECT id FROM orders WHERE order_no = %s FOR UPDATE", order.order_no)
        waiter = threading.Thread(target=try_to)
        waiter.start()
        until(inside.waiting, 40)
        # Now it waits: its statement began in time, and the end comes while it does.
        end = selling.now() + timedelta(seconds=0.3)
        execute("UPDATE orders SET expires_at = %s WHERE order_no = %s", end.replace(tzinfo=None), order.order_no)
        while selling.now() <= end:
            time.sleep(0.05)
        execute("COMMIT")
    waiter.join()
    assert outcomes == ["expired"]
    assert selling.shown(order) == "expired"


@pytest.mark.parametrize("act", [cancel, pay])
def test_who_waits_past_the_end_is_too_late(
    services: Services, inside: Inside, act: Callable[[Services, OrderView], None]
) -> None:
    wait_past_the_end(services, inside, act)


@pytest.mark.parametrize("act", [cancel, pay])
def test_by_the_time_at_which_they_came_they_would_not_be(
    services: Services, inside: Inside, act: Callable[[Services, OrderView], None]
) -> None:
    def rewrite(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> tuple[str, Any]:
        return statement.replace("SYSDATE(3)", "UTC_TIMESTAMP(3)"), parameters

    event.listen(services.database.engine, "before_cursor_execute", rewrite, retval=True)
    with pytest.raises(AssertionError, match=r"\['done'\] == \['expired'\]"):
        wait_past_the_end(services, inside, act)
