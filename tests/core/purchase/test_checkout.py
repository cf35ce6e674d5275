"""What ends the two queues of a process: look-ups of keys, and purchases."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from core.catalogue import goods
from core.db.clock import Deadline
from core.purchase import checkout as module_of_checkout
from core.purchase.checkout import Checkout
from core.purchase.decide import PurchaseRequest, Refused
from core.refusals import Busy
from core.services import Services


class LateLookUps(Checkout):
    """Looks no key up before it is told to."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.database, services.in_progress, services.sale_cache)
        self.looks = threading.Event()
        self.go_on = threading.Event()

    def look_up(self, *given: Any) -> Any:
        self.looks.set()
        self.go_on.wait(30)
        return super().look_up(*given)


def test_purchases_are_closed_even_where_look_ups_are_not_in_time(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = goods.create(services.database, "t", {"name": "x", "currency": "CNY", "price": 100, "stock": 1})
    monkeypatch.setattr(services.sale_cache, "is_closed", lambda goods_id: True)
    checkout = LateLookUps(services)
    looked_up = checkout.buy(PurchaseRequest(row.id, "alice", idempotency_key="k"))

    assert not checkout.close(0.1)
    with pytest.raises(Busy):
        checkout.buy(PurchaseRequest(row.id, "bob")).result(30)
    checkout.go_on.set()
    with pytest.raises(Busy):  # the sale is open, and would sell
        looked_up.result(30)
    assert checkout.close(30)


def test_a_look_for_a_key_that_does_not_end_is_busy_at_the_deadline(
    make_app: Callable[..., Flask], sqlite_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    services: Services = make_app(sqlite_uri).extensions["seckill"]
    monkeypatch.setattr(services.sale_cache, "is_closed", lambda goods_id: True)
    checkout = LateLookUps(services)
    first = checkout.buy(PurchaseRequest(1, "alice", idempotency_key="k"))
    assert checkout.looks.wait(30)
    monkeypatch.setattr(module_of_checkout, "deadline_of_request", lambda seconds: Deadline(0.5))
    with pytest.raises(Busy):  # queued behind it
        checkout.buy(PurchaseRequest(1, "bob", idempotency_key="k")).result(30)
    checkout.go_on.set()
    assert isinstance(first.result(30), Refused)
