"""One coupon over many items: used exactly to its limit, by buyers who lock different items, and nobody deadlocks."""

from collections.abc import Callable

from harness.service import Service
from tests.races.buyers import BATCHES, assert_audit_clean, at_once, fails_soon, order_numbers, outcomes
from tests.races.inside import Inside

ITEMS, BUYERS, USES = 8, 120, 50


def use_it_up(service: Service, inside: Inside) -> None:
    items = [service.create_goods(stock=1000) for _ in range(ITEMS)]
    coupon = service.create_coupon(code=f"TEN-{items[0]}", total_limit=USES)
    before = inside.server.deadlocks()
    answers = at_once(
        lambda n=n: service.buy(items[n % ITEMS], f"buyer-{n}", timeout=90, coupon_code=coupon) for n in range(BUYERS)
    )
    counts = outcomes(answers)
    assert counts["201"] <= USES, f"{counts['201']} uses of a coupon that has {USES}"
    assert counts == {"201": USES, "coupon_exhausted": BUYERS - USES}
    assert len(order_numbers(answers)) == USES
    assert {answer.json()["discount"] for answer in answers if answer.status_code == 201} == {10}
    assert inside.query("SELECT used FROM coupons WHERE code = %s", coupon) == [(USES,)]
    assert inside.server.deadlocks() == before
    assert_audit_clean(service)


@BATCHES
def test_a_coupon_over_many_items_is_used_to_its_limit_and_no_more(
    four_workers: Callable[..., Service], inside: Inside, batches: dict[str, int]
) -> None:
    use_it_up(four_workers(**batches), inside)


def test_without_its_lock_it_is_used_more_often(four_workers: Callable[..., Service], inside: Inside) -> None:
    service = four_workers("no_coupon_lock")
    fails_soon(lambda: use_it_up(service, inside), match="uses of a coupon that has")
    assert service.audit().returncode == 1


def test_several_coupons_over_several_items_meet_no_deadlock(
    four_workers: Callable[..., Service], inside: Inside
) -> None:
    """Batches of several items with several coupons lock them in one order, whoever comes first in the batch."""
    service = four_workers()
    items = [service.create_goods(stock=1000) for _ in range(ITEMS)]
    coupons = [service.create_coupon(code=f"C{n}", total_limit=30, per_user_limit=1) for n in range(5)]
    before = inside.server.deadlocks()
    answers = at_once(
        lambda n=n: service.buy(items[n % 7], f"buyer-{n}", timeout=90, coupon_code=coupons[-(n % 5) - 1])
        for n in range(BUYERS)
    )
    assert outcomes(answers) == {"201": BUYERS}
    assert inside.query("SELECT code, used FROM coupons ORDER BY code") == [(code, BUYERS // 5) for code in coupons]
    assert inside.server.deadlocks() == before
    assert_audit_clean(service)


def test_one_buyer_s_uses_are_counted_over_items(four_workers: Callable[..., Service], inside: Inside) -> None:
    service = four_workers()
    items = [service.create_goods(stock=1000) for _ in range(ITEMS)]
    coupon = service.create_coupon(per_user_limit=3)
    answers = at_once(
        lambda n=n: service.buy(items[n % ITEMS], "greedy", timeout=90, coupon_code=coupon) for n in range(40)
    )
    assert outcomes(answers) == {"201": 3, "coupon_exhausted": 37}
    assert_audit_clean(service)
