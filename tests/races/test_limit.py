"""A buyer's limit holds, however many requests the buyer sends at once."""

from collections.abc import Callable

import pytest

from harness.service import Service
from tests.races.buyers import BATCHES, assert_audit_clean, at_once, fails_soon, outcomes


def sell_up_to_the_limit(service: Service) -> None:
    item = service.create_goods(stock=1000, per_user_limit=3, order_limit=8)
    answers = at_once([lambda: service.buy(item, "greedy")] * 40 + [lambda: service.buy(item, "modest")])
    counts = outcomes(answers[:-1])
    assert counts["201"] <= 3, f"{counts['201']} orders within a limit of 3"
    assert counts == {"201": 3, "limit_reached": 37}
    assert outcomes(answers[-1:]) == {"201": 1}
    assert service.goods(item)["sold"] == 4
    assert_audit_clean(service)


@pytest.mark.representative
@pytest.mark.every_run
@BATCHES
def test_forty_parallel_requests_of_one_user_get_the_limit_and_no_more(
    four_workers: Callable[..., Service], batches: dict[str, int]
) -> None:
    sell_up_to_the_limit(four_workers(**batches))


@pytest.mark.representative
@pytest.mark.every_run
def test_without_the_row_lock_they_get_more(four_workers: Callable[..., Service]) -> None:
    service = four_workers("no_row_lock", "slow_to_order")
    fails_soon(lambda: sell_up_to_the_limit(service), match="orders within a limit of 3")


def test_on_sqlite_they_get_the_limit_and_no_more(sqlite_uri: str, start_service: Callable[..., Service]) -> None:
    sell_up_to_the_limit(start_service(sqlite_uri, workers=2, PURCHASE_WAIT_SECONDS=40))
