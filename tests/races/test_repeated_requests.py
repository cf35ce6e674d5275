"""One effect for a user's idempotency key on a change, whatever arrives at once."""

from collections.abc import Callable

import pytest
import requests

from harness.service import Service
from tests.races.buyers import assert_audit_clean, at_once, fails_soon, outcomes
from tests.races.inside import Inside


def restock(service: Service, item: int, units: int, key: str) -> requests.Response:
    headers = service.headers("operator", admin=True, **{"Idempotency-Key": key})
    return requests.patch(f"{service.url}/goods/{item}", json={"stock_delta": units}, headers=headers, timeout=60)


def fifty_identical_restocks(service: Service) -> None:
    """Fifty requests under one key: one effect and fifty equal answers, one of them the first."""
    item = service.create_goods(stock=10)
    answers = at_once([lambda: restock(service, item, 5, f"key-{item}")] * 50)
    assert outcomes(answers) == {"200": 50}
    stock = service.goods(item)["stock"]
    assert stock == 15, f"booked {stock}"
    assert len({answer.text for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 49
    assert_audit_clean(service)


def fifty_that_are_refused(service: Service) -> None:
    """Nobody is kept waiting by others who are refused under the same key: each is judged, and refused."""
    item = service.create_goods(stock=10)
    answers = at_once([lambda: restock(service, item, -11, f"key-{item}")] * 50)
    assert outcomes(answers) == {"stock_conflict": 50}
    # The key is free still.
    assert restock(service, item, -10, f"key-{item}").json()["stock"] == 0


def two_requests_under_a_key(service: Service) -> None:
    item = service.create_goods(stock=10)
    calls = [lambda units=units: restock(service, item, units, f"key-{item}") for units in (5, 7) * 10]
    answers = at_once(calls)
    assert outcomes(answers) == {"200": 10, "idempotency_key_reused": 10}
    assert service.goods(item)["stock"] in (15, 17)


@pytest.mark.representative
@pytest.mark.every_run
def test_fifty_identical_restocks_are_booked_once(four_workers: Callable[..., Service]) -> None:
    fifty_identical_restocks(four_workers())


def test_fifty_identical_restocks_are_booked_once_on_sqlite(
    sqlite_uri: str, start_service: Callable[..., Service]
) -> None:
    service = start_service(sqlite_uri, workers=2, PURCHASE_WAIT_SECONDS=40)
    fifty_identical_restocks(service)
    fifty_that_are_refused(service)
    two_requests_under_a_key(service)


@pytest.mark.representative
def test_fifty_identical_requests_that_are_refused_are_all_refused(four_workers: Callable[..., Service]) -> None:
    service = four_workers()
    for _ in range(2):
        fifty_that_are_refused(service)


@pytest.mark.representative
def test_of_two_requests_under_one_key_one_has_it(four_workers: Callable[..., Service]) -> None:
    service = four_workers()
    for _ in range(2):
        two_requests_under_a_key(service)


def test_without_the_key_s_lock_and_its_condition_they_are_booked_several_times(
    four_workers: Callable[..., Service], inside: Inside
) -> None:
    service = four_workers("no_idempotency_key_lock")
    fails_soon(lambda: fifty_identical_restocks(service), match="booked")
    assert inside.query("SELECT MAX(stock) FROM goods")[0][0] > 15
