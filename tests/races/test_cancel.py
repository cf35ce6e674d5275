"""An order leaves `pending` once, and its units come back once."""

from collections.abc import Callable

import pytest
import requests

from harness.service import Service
from tests.races.buyers import assert_audit_clean, at_once, outcomes


def cancel_once(service: Service) -> None:
    item = service.create_goods(stock=10)
    service.buy(item, "bob", quantity=4)
    order_no = service.buy(item, "alice", quantity=3).json()["order_no"]

    def cancel() -> requests.Response:
        return requests.post(f"{service.url}/orders/{order_no}/cancel", headers=service.headers("alice"), timeout=60)

    counts = outcomes(at_once([cancel] * 20))
    assert counts["200"] <= 1, f"cancelled {counts['200']} times; {service.goods(item)['stock']} units left of 10"
    assert counts == {"200": 1, "order_not_pending": 19}
    goods = service.goods(item)
    assert (goods["stock"], goods["sold"]) == (6, 4)
    assert_audit_clean(service)


@pytest.mark.representative
@pytest.mark.every_run
def test_twenty_cancellations_at_once_give_the_units_back_once(four_workers: Callable[..., Service]) -> None:
    cancel_once(four_workers())


@pytest.mark.representative
@pytest.mark.every_run
def test_without_the_condition_on_the_status_they_give_them_back_again(four_workers: Callable[..., Service]) -> None:
    # Three units each time: more than the six that are not sold.
    with pytest.raises(AssertionError, match=r"cancelled \d+ times; ([7-9]|\d{2,}) units left"):
        cancel_once(four_workers("no_status_condition"))
