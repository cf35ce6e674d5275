"""When a coupon may be used, reason by reason, and what it may be made of."""

import dataclasses
from datetime import datetime, timedelta, timezone

import pytest
from flask import Flask

from core.catalogue import coupons
from core.catalogue.coupons import Coupon
from core.ops import doctor
from core.ops.finding import Finding, State
from tests.core.selling import Selling

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
MOMENT = timedelta(milliseconds=1)
PLAIN = Coupon("SAVE", "percent", 10, None, None, None, None, None, None, None, None, None, True, 0)


def coupon(**changes: object) -> Coupon:
    """Ten percent off, without limits."""
    return dataclasses.replace(PLAIN, **changes)


def judged(known: Coupon | None, ships: bool = False, used_by_user: int = 0, subtotal: int = 1000) -> str | None:
    """Code and reason of the refusal for item 7 in CNY."""
    refusal = coupons.refusal_of(known, 7, "CNY", subtotal, ships, NOW, used_by_user)
    return None if refusal is None else f"{refusal.code} {refusal.details['reason']}"


FREE = {"kind": "free_shipping", "percent": None}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"active": False}, "coupon_invalid inactive"),
        ({"starts_at": NOW}, None),
        ({"starts_at": NOW + MOMENT}, "coupon_invalid not_started"),
        ({"ends_at": NOW + MOMENT}, None),
        ({"ends_at": NOW}, "coupon_invalid ended"),
        ({"goods_ids": [6, 7]}, None),
        ({"goods_ids": [6, 8]}, "coupon_not_applicable goods"),
        ({"currency": "CNY"}, None),
        ({"currency": "USD"}, "coupon_not_applicable currency"),
        ({"kind": "amount", "percent": None, "amount": 5, "currency": "CNY"}, None),
        ({"kind": "amount", "percent": None, "amount": 5, "currency": None}, "coupon_not_applicable currency"),
        ({"min_spend": 1000}, None),
        ({"min_spend": 1001}, "coupon_not_applicable min_spend"),
        ({"total_limit": 3, "used": 2}, None),
        ({"total_limit": 3, "used": 3}, "coupon_exhausted total_limit"),
        ({"total_limit": 3, "used": 4}, "coupon_exhausted total_limit"),
        (FREE, "coupon_not_applicable no_shipping"),
    ],
)
def test_each_condition_alone(changes: dict, expected: str | None) -> None:
    assert judged(coupon(**changes)) == expected


def test_a_code_that_is_not_there_is_unknown() -> None:
    assert judged(None) == "coupon_invalid unknown"


def test_free_shipping_is_for_what_is_shipped_and_discounts_nothing() -> None:
    free = coupon(**FREE)
    assert judged(free, ships=True) is None
    assert free.discount(1000) == 0


def test_a_user_s_limit_counts_their_own_uses() -> None:
    limited = coupon(per_user_limit=2, used=100)
    assert judged(limited, used_by_user=1) is None
    assert judged(limited, used_by_user=2) == "coupon_exhausted per_user_limit"


def test_what_a_coupon_is_comes_before_what_is_left_of_it() -> None:
    # In this order, whatever else is wrong with it.
    faults = [
        ({"active": False}, "coupon_invalid inactive"),
        ({"ends_at": NOW}, "coupon_invalid ended"),
        ({"goods_ids": [1]}, "coupon_not_applicable goods"),
        ({"currency": "USD"}, "coupon_not_applicable currency"),
        ({"min_spend": 9999}, "coupon_not_applicable min_spend"),
        ({"total_limit": 1, "used": 1}, "coupon_exhausted total_limit"),
        ({"per_user_limit": 1}, "coupon_exhausted per_user_limit"),
    ]
    for place, (_, expected) in enumerate(faults):
        changes = {name: value for fault, _ in faults[place:] for name, value in fault.items()}
        assert judged(coupon(**changes), used_by_user=1) == expected


@pytest.mark.parametrize(
    ("kind", "field", "value", "wrong"),
    [
        ("percent", "percent", 10, None),
        ("percent", "percent", None, "missing"),
        ("percent", "amount", None, None),
        ("percent", "amount", 5, "not_of_this_kind"),
        ("percent", "max_discount", 5, None),
        ("percent", "max_discount", None, None),
        ("amount", "amount", 5, None),
        ("amount", "amount", None, "missing"),
        ("amount", "percent", 5, "not_of_this_kind"),
        ("amount", "max_discount", 5, "not_of_this_kind"),
        ("free_shipping", "percent", 5, "not_of_this_kind"),
        ("free_shipping", "amount", 5, "not_of_this_kind"),
        ("free_shipping", "max_discount", 5, "not_of_this_kind"),
        ("free_shipping", "percent", None, None),
        ("free_shipping", "amount", None, None),
        ("amount", "currency", "JPY", None),
        ("amount", "currency", None, "missing"),
        ("percent", "currency", None, None),
        ("free_shipping", "currency", None, None),
    ],
)
def test_each_kind_has_its_own_value_and_no_other(kind: str, field: str, value: int | None, wrong: str | None) -> None:
    assert coupons.misfit_of_kind(kind, field, value) == wrong


def test_a_row_is_checked_whole_before_it_is_written() -> None:
    row = {"kind": "amount", "percent": None, "amount": 5, "max_discount": None, "currency": "CNY", "active": True}
    row |= {"starts_at": NOW, "ends_at": NOW}
    assert coupons.table.wrong(row, row) == {}
    changes: list[dict] = [{"percent": 5}, {"amount": None}, {"max_discount": 5}, {"currency": None}]
    for wrong in (*changes, {"ends_at": NOW - MOMENT}):
        assert list(coupons.table.wrong(row | wrong, wrong)) == list(wrong)


def test_the_doctor_names_amounts_without_a_currency(sqlite_app: Flask) -> None:
    services = sqlite_app.extensions["seckill"]
    selling = Selling(services)

    def found() -> list[Finding]:
        return [
            finding for finding in doctor.examine(services.database, services.settings) if finding.name == "coupons"
        ]

    selling.coupon("GOOD")
    selling.coupon("TENTH", kind="percent", percent=10, amount=None, currency=None)
    selling.coupon("ENDED", currency=None, active=False)
    assert found() == []
    for number in range(6):
        selling.coupon(f"BAD{number}", currency=None)
    (finding,) = found()
    assert finding.state is State.WARNING
    assert finding.found.endswith(": BAD0, BAD1, BAD2, BAD3, BAD4, …")
