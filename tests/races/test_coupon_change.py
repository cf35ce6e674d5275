"""An administrator lowers a coupon's limit while buyers of several items use it: it is kept to the use."""

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import requests

from harness.service import Service
from tests.races.buyers import BATCHES, assert_audit_clean, at_once, fails_soon

BUYERS = 20
LIMIT = 60
CHANGED_AFTER = 20  # purchases


def send(service: Service, method: str, path: str, by: str, body: dict[str, Any] | None = None) -> requests.Response:
    headers = service.headers(by, admin=by == "operator")
    return requests.request(method, f"{service.url}{path}", json=body, headers=headers, timeout=60)


def use_up_a_coupon_whose_limit_falls(service: Service) -> None:
    items = [service.create_goods(stock=10_000) for _ in range(5)]
    code = f"RACE-{items[0]}"
    coupon = {"code": code, "kind": "amount", "amount": 1, "currency": "CNY", "total_limit": 10**6}
    assert send(service, "POST", "/coupons", "operator", coupon).status_code == 201
    under_way, bought = threading.Event(), itertools.count(1)

    def use_until_it_is_exhausted(number: int) -> int:
        for uses, item in enumerate(itertools.cycle(items[number % 5 :] + items[: number % 5])):
            answer = send(service, "POST", f"/seckill/{item}", f"buyer-{number}", {"coupon_code": code})
            if answer.status_code == 422:
                assert answer.json()["code"] == "coupon_exhausted"
                return uses
            assert answer.status_code == 201, answer.text
            if next(bought) >= CHANGED_AFTER:
                under_way.set()
        raise AssertionError("never exhausted")

    def lower_the_limit() -> int:
        assert under_way.wait(60)
        answer = send(service, "PATCH", f"/coupons/{code}", "operator", {"total_limit": LIMIT})
        assert answer.status_code == 200, answer.text
        return answer.json()["used"]

    calls: Iterator[Callable[[], int]] = (
        lambda n=number: use_until_it_is_exhausted(n)
        for number in range(BUYERS)  # type: ignore[misc]
    )
    used_then, *uses = at_once([lower_the_limit, *calls])
    now = send(service, "GET", f"/coupons/{code}", "operator").json()
    # Not one use after the limit, and not one less than it allows.
    allowed = max(used_then, LIMIT)
    assert now["used"] <= allowed, f"{now['used']} uses where {allowed} are allowed"
    assert now["used"] == sum(uses) == allowed
    assert_audit_clean(service)


@BATCHES
def test_not_one_use_more_than_the_new_limit_allows_and_not_one_less(
    four_workers: Callable[..., Service], batches: dict[str, int]
) -> None:
    use_up_a_coupon_whose_limit_falls(four_workers(RATE_LIMITS="off", **batches))


def test_without_the_coupon_s_lock_there_are_more(four_workers: Callable[..., Service]) -> None:
    # One by one: batches that have the same items in them wait for one another.
    service = four_workers("no_coupon_lock", RATE_LIMITS="off", BATCH_MAX=1)
    # On a busy machine the limit may fall when it has been passed already.
    fails_soon(lambda: use_up_a_coupon_whose_limit_falls(service), match=r"^\d+ uses where \d+ are allowed")
