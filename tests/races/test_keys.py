"""One order for a user's idempotency key, whatever arrives at once."""

from collections.abc import Callable

import pytest

from harness.service import Service
from tests.races.buyers import BATCHES, assert_audit_clean, at_once, fails_soon, order_numbers, outcomes
from tests.races.inside import Inside


def fifty_identical_requests(service: Service) -> None:
    """Fifty requests under one key: one order and fifty equal answers, one of them the first."""
    item = service.create_goods(stock=50, order_limit=8)
    answers = at_once([lambda: service.buy(item, "alice", quantity=2, key=f"key-{item}")] * 50)
    assert len(order_numbers(answers)) <= 1, "several orders under one key"
    assert outcomes(answers) == {"201": 50}
    assert len({answer.text for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 49
    assert service.goods(item)["sold"] == 2
    assert_audit_clean(service)


def most_orders_under_a_key(inside: Inside) -> int:
    orders = "SELECT COUNT(*) AS orders FROM orders GROUP BY user_id, idempotency_key"
    return inside.query(f"SELECT MAX(orders) FROM ({orders}) AS numbers")[0][0]


def one_key_for_two_items(service: Service) -> None:
    """Two items have no row in common: only the index on (user, key) sees both."""
    items = [service.create_goods(), service.create_goods()]
    for number in range(5):
        key = f"key-{number}-{items[0]}"
        answers = at_once([lambda item=item, key=key: service.buy(item, "alice", key=key) for item in items * 3])
        assert len(order_numbers(answers)) <= 1, "several orders under one key"
        assert outcomes(answers) == {"201": 3, "idempotency_key_reused": 3}
    assert_audit_clean(service)


@pytest.mark.representative
@pytest.mark.every_run
@BATCHES
def test_fifty_identical_keyed_requests_make_one_order(
    four_workers: Callable[..., Service], batches: dict[str, int]
) -> None:
    fifty_identical_requests(four_workers(**batches))


def test_fifty_identical_keyed_requests_make_one_order_on_sqlite(
    sqlite_uri: str, start_service: Callable[..., Service]
) -> None:
    fifty_identical_requests(start_service(sqlite_uri, workers=2, PURCHASE_WAIT_SECONDS=40))


def test_without_the_look_for_a_known_order_most_get_no_answer(
    own_uri: str, start_service: Callable[..., Service]
) -> None:
    service = start_service(
        own_uri, workers=2, without_guard=["no_known_orders"], PURCHASE_WAIT_SECONDS=1, TRANSACTION_ATTEMPTS=2
    )
    with pytest.raises(AssertionError, match="'busy': "):
        fifty_identical_requests(service)


@pytest.mark.representative
@pytest.mark.every_run
def test_without_row_lock_and_unique_index_they_make_several(
    four_workers: Callable[..., Service], inside: Inside
) -> None:
    service = four_workers("no_row_lock", "slow_to_order")
    inside.drop_unique_key()
    fails_soon(lambda: fifty_identical_requests(service), match="several orders under one key")
    assert most_orders_under_a_key(inside) > 1


@BATCHES
def test_one_key_for_two_items_at_once_makes_one_order(
    four_workers: Callable[..., Service], batches: dict[str, int]
) -> None:
    one_key_for_two_items(four_workers(**batches))


def test_without_the_unique_index_it_makes_two(four_workers: Callable[..., Service], inside: Inside) -> None:
    service = four_workers("slow_to_order")
    inside.drop_unique_key()
    fails_soon(lambda: one_key_for_two_items(service), match="several orders under one key")
    assert most_orders_under_a_key(inside) > 1
