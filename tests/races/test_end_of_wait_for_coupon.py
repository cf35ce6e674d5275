"""A coupon is waited for too, by buyers of whatever item: the time after that wait decides."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from core.catalogue.quotes import Choices
from core.db.clock import Deadline
from core.purchase import batch, coupon_statements
from core.purchase.decide import Outcome, PurchaseRequest, Refused
from core.purchase.slots import Caps
from core.services import Services
from harness.service import UNHURRIED
from tests.core.purchase.earlier_time import decide_by_the_time_before
from tests.core.selling import Selling
from tests.races.inside import Inside, until


@pytest.fixture
def services(make_app: Callable[..., Flask], own_uri: str) -> Services:
    return make_app(own_uri, **UNHURRIED).extensions["seckill"]


def outcome_after_a_wait(services: Services, inside: Inside, what_ends: str) -> Outcome | None:
    """Buy with a coupon that somebody keeps until the coupon, or the sale, is over."""
    for seconds in (4, 10, 20):  # longer where the machine is so busy that the buyer came too late
        came_in_time, outcome = outcome_of_a_wait(services, inside, what_ends, seconds)
        if came_in_time:
            return outcome
    raise AssertionError("the buyer never came in time")


def outcome_of_a_wait(
    services: Services, inside: Inside, what_ends: str, seconds: float
) -> tuple[bool, Outcome | None]:
    """Whether the buyer waited already when it was over, after so many seconds; and what became of it."""
    selling = Selling(services)
    end = selling.now() + timedelta(seconds=seconds)
    item = selling.item(ends_at=end if what_ends == "sale" else None)
    code = selling.coupon(f"CODE{item}", ends_at=end if what_ends == "coupon" else None)
    request = PurchaseRequest(item, "alice", choices=Choices(coupon_code=code))
    outcomes: list[Outcome | None] = []

    def buy() -> None:
        outcomes.extend(batch.serve(services.database, Caps(services.database, 2), [request], Deadline(60)))

    with inside.transaction() as execute:
        execute("SELECT code FROM coupons WHERE code = %s FOR UPDATE", code)
        waiter = threading.Thread(target=buy)
        waiter.start()
        until(lambda: inside.waiting() or not waiter.is_alive(), 40)
        came_in_time = waiter.is_alive() and selling.now() < end
        while selling.now() <= end:
            time.sleep(0.05)
    waiter.join()
    return came_in_time, outcomes[0]


@pytest.mark.parametrize(("what_ends", "code"), [("coupon", "coupon_invalid"), ("sale", "sale_ended")])
def test_who_waits_for_a_coupon_past_the_end_is_too_late(
    services: Services, inside: Inside, what_ends: str, code: str
) -> None:
    outcome = outcome_after_a_wait(services, inside, what_ends)
    assert isinstance(outcome, Refused)
    assert outcome.refusal.code == code


@pytest.mark.parametrize("what_ends", ["coupon", "sale"])
def test_by_the_time_at_which_they_came_they_would_not_be(
    services: Services, inside: Inside, monkeypatch: pytest.MonkeyPatch, what_ends: str
) -> None:
    decide_by_the_time_before(monkeypatch, coupon_statements, "lock")
    assert not isinstance(outcome_after_a_wait(services, inside, what_ends), Refused)
