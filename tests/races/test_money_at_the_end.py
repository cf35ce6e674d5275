"""Money that is on its way while its order's time runs out counts for its buyer's limit."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Connection

from core.db.clock import Deadline
from core.orders import order_life
from core.payments import payment_records, payments
from core.payments.payment_records import PaymentEvent, PaymentEventType
from core.purchase import batch
from core.purchase.decide import Outcome, Placed, PurchaseRequest, Refused
from core.purchase.slots import Caps
from core.refusals import Refusal
from core.services import Services
from harness.service import UNHURRIED
from tests.core.selling import Selling
from tests.races.inside import Inside

# Longer than the payer may stand still on a busy machine.
ORDER_SECONDS = 10
# For so long the payment is held open, unless the purchase is settled before.
HELD_OPEN_SECONDS = 1.5


@pytest.fixture
def services(make_app: Callable[..., Flask], server_uri: str) -> Services:
    # A transaction that is held open is not to be ended, nor waited for in vain.
    app = make_app(server_uri, ORDER_PAYMENT_SECONDS=ORDER_SECONDS, HOLD_COOLDOWN_SECONDS=0, **UNHURRIED)
    return app.extensions["seckill"]


def buy_again_while_the_payment_is_under_way(
    services: Services, monkeypatch: pytest.MonkeyPatch, held_open: float = HELD_OPEN_SECONDS
) -> Placed | Refused:
    """A buyer who may have one unit pays in time, and buys another when the time is over and nothing is committed."""
    selling = Selling(services)
    order = selling.bought(selling.item(per_user_limit=1))
    is_paid, goes_on = threading.Event(), threading.Event()
    record = payment_records.record

    def record_late(connection: Connection, event: PaymentEvent, outcome: str, is_first: bool = True) -> None:
        is_paid.set()
        goes_on.wait(50)
        record(connection, event, outcome, is_first)

    monkeypatch.setattr(payment_records, "record", record_late)
    money = PaymentEvent("evt", PaymentEventType.SUCCEEDED, order.order_no, order.total, order.currency, "pay")
    came_to: list[str] = []
    payer = threading.Thread(target=lambda: came_to.append(payments.receive(services.database, money)))
    payer.start()
    assert is_paid.wait(60)
    while not selling.is_overdue(order):
        time.sleep(0.05)
    request = PurchaseRequest(order.goods_id, order.user_id)
    outcomes: list[Outcome | None] = []
    buyer = threading.Thread(
        target=lambda: outcomes.extend(
            batch.serve(services.database, Caps(services.database, 2), [request], Deadline(60))
        )
    )
    buyer.start()
    buyer.join(held_open)
    goes_on.set()
    buyer.join()
    payer.join()
    assert came_to == ["paid"]
    (outcome,) = outcomes
    assert isinstance(outcome, (Placed, Refused))
    return outcome


def test_who_has_paid_in_time_buys_no_more_than_their_limit(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = buy_again_while_the_payment_is_under_way(services, monkeypatch)
    assert isinstance(outcome, Refused)
    assert outcome.refusal.code == "limit_reached"


def test_without_the_item_s_lock_they_would(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_life, "longest_payment", lambda settings: timedelta(0))
    # As long as it takes: nobody is in the buyer's way.
    assert isinstance(buy_again_while_the_payment_is_under_way(services, monkeypatch, held_open=30), Placed)


@pytest.mark.parametrize(("idle", "outcome"), [(2, "paid"), (60, "busy")])
def test_the_longer_a_transaction_may_last_the_earlier_money_waits_for_the_item(
    make_app: Callable[..., Flask], own_uri: str, inside: Inside, idle: int, outcome: str
) -> None:
    # Ten statements, each with a time-out and a silence, are a transaction at its longest: 320 seconds, or 900.
    app = make_app(own_uri, IDLE_TRANSACTION_SECONDS=idle, DATABASE_TIMEOUT_SECONDS=30, PURCHASE_WAIT_SECONDS=10)
    services: Services = app.extensions["seckill"]
    selling = Selling(services)
    order = selling.bought(selling.item(per_user_limit=1))
    selling.set_end(selling.now() + timedelta(seconds=600), order)
    money = PaymentEvent("evt", PaymentEventType.SUCCEEDED, order.order_no, order.total, order.currency, "pay")
    with inside.row_held(order.goods_id):
        try:
            came_to = payments.receive(services.database, money)
        except Refusal as refusal:
            came_to = refusal.code
    assert came_to == outcome
