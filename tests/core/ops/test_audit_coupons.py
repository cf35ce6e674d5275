"""What the audit says of coupons: uses are held, counted and within their limits."""

import pytest

from core.catalogue import goods
from core.ops import audit
from core.services import Services
from models import HOLDING_STATUSES
from tests.core.stored import broken, place, put_up_coupon, rows_of, sql, use


@pytest.fixture
def item(services: Services) -> int:
    return goods.create(services.database, "root", {"name": "Kettle", "currency": "CNY", "price": 100, "stock": 10}).id


@pytest.fixture(autouse=True)
def ten(services: Services) -> str:
    return put_up_coupon(services)


def buy(
    services: Services, item: int, order_no: str, user_id: str = "alice", status: str = "pending", **taken: object
) -> None:
    """An order with the coupon, and its use."""
    values = {"user_id": user_id, "status": status, "coupon_code": "TEN", "discount": 10, "per_user_limit": None}
    place(services, item, order_no, **values)
    use(services, order_no, held=status in HOLDING_STATUSES, user_id=user_id, **taken)


def test_uses_of_orders_in_every_status_are_clean(services: Services, item: int) -> None:
    for number, status in enumerate(("pending", "paid", "cancelled", "expired", "refund_due")):
        buy(services, item, f"N{number}", status=status, total_limit=2, per_user_limit=2, number=2, user_number=2)
    put_up_coupon(services, "UNUSED")
    assert broken(audit.run(services.settings)) == {}


def test_a_count_that_is_not_that_of_the_uses_is_found(services: Services, item: int) -> None:
    buy(services, item, "N1")
    sql(services, "UPDATE coupons SET used = 2")
    report = audit.run(services.settings)
    assert broken(report) == {"used_is_counted": 1}
    (breach,) = rows_of(report, "used_is_counted")
    assert (breach.coupon_code, breach.expected, breach.found) == ("TEN", 1, 2)


def test_uses_that_did_not_come_back_are_found(services: Services, item: int) -> None:
    for status in ("cancelled", "expired", "refund_due", "paid"):
        buy(services, item, status, status=status)
    sql(services, "UPDATE coupon_uses SET returned_at = NULL", "UPDATE coupons SET used = 4")
    report = audit.run(services.settings)
    assert broken(report) == {"uses_are_held": 3}
    assert rows_of(report, "uses_are_held") == tuple(
        audit.Breach(item, status, "alice", None, expected=0, found=1, coupon_code="TEN")
        for status in ("cancelled", "expired", "refund_due")
    )


def test_uses_that_came_back_from_orders_that_hold_them_are_found(services: Services, item: int) -> None:
    for status in ("cancelled", "paid", "pending"):
        buy(services, item, status, status=status)
    sql(services, "UPDATE coupon_uses SET returned_at = '2026-11-23 12:00:00.000'", "UPDATE coupons SET used = 0")
    report = audit.run(services.settings)
    assert broken(report) == {"uses_are_held": 2}
    found = [(breach.order_no, breach.expected, breach.found) for breach in rows_of(report, "uses_are_held")]
    assert found == [("paid", 1, 0), ("pending", 1, 0)]


def test_orders_without_their_uses_are_found(services: Services, item: int) -> None:
    for status in ("cancelled", "pending"):
        buy(services, item, status, status=status)
    sql(services, "DELETE FROM coupon_uses", "UPDATE coupons SET used = 0")
    report = audit.run(services.settings)
    assert broken(report) == {"uses_are_held": 2}
    assert [breach.order_no for breach in rows_of(report, "uses_are_held")] == ["cancelled", "pending"]


@pytest.mark.parametrize("change", ["user_id = 'bob'", "coupon_code = 'OTHER'"])
def test_a_use_that_is_not_its_order_s_own_is_found(services: Services, item: int, change: str) -> None:
    put_up_coupon(services, "OTHER", used=1)
    buy(services, item, "N1")
    moved = int("OTHER" in change)
    sql(
        services,
        f"UPDATE coupon_uses SET {change}",
        f"UPDATE coupons SET used = {1 - moved} WHERE code = 'TEN'",
        f"UPDATE coupons SET used = {moved} WHERE code = 'OTHER'",
    )
    assert broken(audit.run(services.settings)) == {"uses_are_held": 1, "uses_have_orders": 1}


def test_a_use_of_a_coupon_that_is_gone_is_found(services: Services, item: int) -> None:
    buy(services, item, "N1")
    sql(services, "DELETE FROM coupons")
    report = audit.run(services.settings)
    assert broken(report) == {"uses_have_orders": 1}
    assert rows_of(report, "uses_have_orders")[0].order_no == "N1"


def test_uses_that_were_beyond_their_limits_are_found_held_or_not(services: Services, item: int) -> None:
    beyond = {
        "N1": ({"total_limit": 3, "number": 4}, 3, 4),
        "N2": ({"per_user_limit": 5, "user_number": 6}, 5, 6),
        "N3": ({"total_limit": 9, "number": 9, "per_user_limit": 2, "user_number": 4}, 2, 4),
    }
    for order_no, (taken, *_) in beyond.items():
        buy(services, item, order_no, **taken)
        buy(services, item, f"{order_no}-cancelled", status="cancelled", **taken)
    buy(services, item, "N4", total_limit=9, number=9, per_user_limit=4, user_number=4)
    report = audit.run(services.settings)
    assert broken(report) == {"taken_within_limits": 6}
    assert {breach.order_no: (breach.expected, breach.found) for breach in rows_of(report, "taken_within_limits")} == {
        f"{order_no}{end}": tuple(limits) for order_no, (_, *limits) in beyond.items() for end in ("", "-cancelled")
    }


def test_more_uses_than_the_coupon_allowed_are_found_whatever_their_numbers_say(services: Services, item: int) -> None:
    for number in ("N1", "N2"):
        buy(services, item, number, user_id=number, total_limit=2, number=2)
    assert audit.run(services.settings).clean
    buy(services, item, "N3", user_id="N3", total_limit=1, number=1)
    report = audit.run(services.settings)
    assert broken(report) == {"total_limit_kept": 1}
    (breach,) = rows_of(report, "total_limit_kept")
    assert (breach.coupon_code, breach.expected, breach.found) == ("TEN", 2, 3)


def test_uses_from_a_time_without_a_limit_break_none(services: Services, item: int) -> None:
    for number in ("N1", "N2"):
        buy(services, item, number)
    buy(services, item, "N3", status="cancelled", total_limit=1, per_user_limit=1)
    assert audit.run(services.settings).clean


def test_a_buyer_with_more_uses_than_allowed_is_found(services: Services, item: int) -> None:
    for number in ("N1", "N2"):
        buy(services, item, number, per_user_limit=1)
    buy(services, item, "N3", user_id="bob", per_user_limit=1)
    report = audit.run(services.settings)
    assert broken(report) == {"user_limit_kept": 1}
    (breach,) = rows_of(report, "user_limit_kept")
    assert (breach.user_id, breach.coupon_code, breach.expected, breach.found) == ("alice", "TEN", 1, 2)
