"""What ends the two queues of a process: look-ups of keys, and purchases."""

import threading
from typing import Any

import pytest

from core.catalogue import goods
from core.purchase.checkout import Checkout
from core.purchase.decide import PurchaseRequest
from core.refusals import Busy
from core.services import Services


class LateLookUps(Checkout):
    """Looks no key up before it is told to."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.database, services.in_progress, services.sale_cache)
        self.go_on = threading.Event()

    def look_up(self, *given: Any) -> Any:
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
