"""An item that everybody wants takes no turn from one that few want."""

from collections.abc import Callable

import pytest

from harness.service import Service
from tests.races.buyers import assert_audit_clean, buyers_of
from tests.races.inside import until

FLOOD = 40
QUIET = 20
# All clients find a thread; and a buyer who is passed over for ever is told so while the test waits.
SETTINGS = {"threads": 64, "QUEUE_MAX": 60, "PURCHASE_WAIT_SECONDS": 30}


def quiet_buyers_are_served(service: Service) -> None:
    flooded, quiet = service.create_goods(stock=10**6), service.create_goods(stock=QUIET)
    assert service.buy(flooded, "first").status_code == 201
    with buyers_of(service, flooded, buyers=FLOOD):
        until(lambda: service.goods(flooded)["sold"] > FLOOD, 60)  # all of them have come
        answers = [service.buy(quiet, f"quiet-{number}").status_code for number in range(QUIET)]
    assert answers == [201] * QUIET
    assert service.goods(flooded)["sold"] > FLOOD
    assert_audit_clean(service)


def test_the_buyers_of_a_quiet_item_are_served_beside_a_flooded_one(
    own_uri: str, start_service: Callable[..., Service]
) -> None:
    quiet_buyers_are_served(start_service(own_uri, workers=2, **SETTINGS))


def test_one_by_one_they_are_too(own_uri: str, start_service: Callable[..., Service]) -> None:
    quiet_buyers_are_served(start_service(own_uri, workers=1, BATCH_MAX=1, **SETTINGS))


def test_when_one_item_always_comes_first_they_are_not(own_uri: str, start_service: Callable[..., Service]) -> None:
    service = start_service(
        own_uri, workers=1, without_guard=["one_item_first"], BATCH_MAX=1, **(SETTINGS | {"PURCHASE_WAIT_SECONDS": 1})
    )
    with pytest.raises(AssertionError, match="503"):
        quiet_buyers_are_served(service)
