"""A payment provider's events have their effect once, though workers die and answers to a COMMIT are lost."""

import random
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from flask import Flask

from core.payments import payments
from core.payments.payment_records import PaymentEvent
from core.services import Services
from examples.payment_provider import Delivery, Event, Provider, new_secret
from examples.payment_provider.provider import FAILED, SUCCEEDED
from harness.service import Service
from resources.http.context import EXTENSION
from tests.core.selling import Selling
from tests.faults.proxy import Cut, Proxy
from tests.faults.test_killed_workers import kill
from tests.faults.test_lost_commit import cut_off_app, proxy
from tests.races.buyers import assert_audit_clean
from tests.races.inside import Inside

__all__ = ["cut_off_app", "proxy"]


def test_every_event_is_done_once_though_all_workers_are_killed_meanwhile(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    key = new_secret()
    service = start_service(own_uri, workers=2, PAYMENT_WEBHOOK_SECRETS=key)
    item = service.create_goods(stock=100)
    orders = [service.buy(item, f"buyer-{number}").json() for number in range(60)]
    events = [
        Event(kind, order["order_no"], order["total"], "CNY", f"pay_{number}")
        for number, order in enumerate(orders)
        for kind in (FAILED, SUCCEEDED)
    ]
    kills = 0

    def keep_killing() -> None:
        nonlocal kills
        for _ in range(3):
            time.sleep(0.3)
            kill(service.worker_pids())
            kills += 1

    lots = random.Random(20261123)
    sender = Provider(f"{service.url}/payments/webhook", key)
    sent: list[Delivery] = []
    # Once, as a rule; again where the machine kept the kills and the events apart.
    while not any(len(delivery.answers) > 1 for delivery in sent):
        assert kills < 3 * 5, "no event had to be sent again"
        killer = Thread(target=keep_killing)
        killer.start()
        sent += sender.send(events, duplicates=3, disorder=True, delay=1.0, retries=10, lots=lots)
        killer.join()
        assert kills % 3 == 0
    assert {(delivery.event.type, delivery.final.body.get("outcome")) for delivery in sent} == {
        (FAILED, "failed"),
        (SUCCEEDED, "paid"),
    }
    recorded = inside.query("SELECT outcome, COUNT(*) FROM payments GROUP BY outcome ORDER BY outcome")
    assert recorded == [("failed", 60), ("paid", 60)]
    assert inside.query("SELECT status, COUNT(*) FROM orders GROUP BY status") == [("paid", 60)]
    assert_audit_clean(service)


def receive_with_a_cut_commit(app: Flask, proxy: Proxy, inside: Inside, cut: Cut) -> None:
    services: Services = app.extensions[EXTENSION]
    selling = Selling(services)
    order = selling.bought(selling.item())
    event = PaymentEvent("evt_1", SUCCEEDED, order.order_no, order.total, order.currency, "pay_1")
    proxy.cut_next(cut)
    assert payments.receive(services.database, event) == "paid"
    assert proxy.cuts == 1
    assert inside.query("SELECT event_id, outcome FROM payments") == [("evt_1", "paid")]
    assert inside.query("SELECT status FROM orders") == [("paid",)]


@pytest.mark.parametrize("cut", Cut)
def test_a_lost_answer_to_a_commit_pays_once(cut_off_app: Flask, proxy: Proxy, inside: Inside, cut: Cut) -> None:
    receive_with_a_cut_commit(cut_off_app, proxy, inside, cut)


def test_without_the_look_for_the_payment_it_is_said_and_not_done(
    cut_off_app: Flask, proxy: Proxy, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = payments.run

    def trusting(database: Any, work: Any, deadline: Any, was_committed: Any) -> Any:
        return run(database, work, deadline, lambda connection, result: True)

    monkeypatch.setattr(payments, "run", trusting)
    with pytest.raises(AssertionError, match=r"^assert \[\] == \[\('evt_1', 'paid'\)\]"):
        receive_with_a_cut_commit(cut_off_app, proxy, inside, Cut.BEFORE)
    assert inside.query("SELECT COUNT(*) FROM payments") == [(0,)]
