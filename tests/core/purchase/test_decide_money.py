"""What a purchase costs and whether its coupon, its shipping and its buyer's past allow it, within one batch."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from core import refusals
from core.catalogue.coupons import Coupon
from core.catalogue.quotes import Address, Choices
from core.catalogue.shipping import Method
from core.purchase.decide import (
    CouponUse,
    Held,
    Locked,
    LockedGoods,
    Outcome,
    Placed,
    PurchaseRequest,
    Refused,
    Replayed,
    Rules,
    decide,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
ITEM = LockedGoods(1, "item", "CNY", 1999, 10, False, None, None, None, False)
SHIPPED = replace(ITEM, shippable=True)
PARCEL = Method("parcel", "Parcel", "CNY", 1000, 300, None, ["CN"], True)
HOME = Address("Li Lei", "+86 10 0000", "CN-31", "1 Road", "200000")
SHIPPING: Mapping[str, Any] = {"shipping_method": "parcel", "address": HOME}


def coupon(code: str = "TEN", **changes: Any) -> Coupon:
    """Ten percent off everything, without any limit."""
    plain = Coupon(code, "percent", 10, None, None, None, None, None, None, None, None, None, True, 0)
    return replace(plain, **changes)


def make_request(
    user: str = "alice", quantity: int = 1, key: str | None = None, goods_id: int = 1, **choices: Any
) -> Any:
    return PurchaseRequest(goods_id, user, quantity, key, Choices(**choices))


def settle(
    *requests: PurchaseRequest,
    goods: LockedGoods = ITEM,
    coupons: tuple[Coupon, ...] = (),
    rules: Rules = Rules(900),  # noqa: B008 (frozen)
    **locked: Any,
) -> list[Outcome]:
    """The outcomes of one batch on one item."""
    numbers = (f"order-{number}" for number in itertools.count(1))
    state = Locked({goods.id: goods}, NOW, coupons={one.code: one for one in coupons}, methods=[PARCEL], **locked)
    return decide(requests, state, rules, lambda: next(numbers))


def code_of(outcome: Outcome) -> str:
    return outcome.refusal.code if isinstance(outcome, Refused) else type(outcome).__name__


def details(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Refused), outcome
    return outcome.refusal.details


def use(outcome: Outcome) -> CouponUse:
    assert isinstance(outcome, Placed), outcome
    assert outcome.coupon_use is not None
    return outcome.coupon_use


def lines(outcome: Outcome) -> tuple[int, int, int, int]:
    assert isinstance(outcome, Placed), outcome
    order = outcome.order
    return order.subtotal, order.discount, order.shipping_fee, order.total


def test_each_line_of_the_price_stands_in_the_order() -> None:
    (outcome,) = settle(make_request(quantity=3, coupon_code="TEN", **SHIPPING), goods=SHIPPED, coupons=(coupon(),))
    # 10 % of 5997 is 599.7, half up.
    assert lines(outcome) == (5997, 600, 1600, 6997)
    assert isinstance(outcome, Placed)
    assert (outcome.order.coupon_code, outcome.order.shipping_method) == ("TEN", "parcel")
    assert outcome.order.address == {
        "name": "Li Lei",
        "phone": "+86 10 0000",
        "region": "CN-31",
        "line1": "1 Road",
        "line2": None,
        "postcode": "200000",
    }


def test_free_shipping_takes_the_fee_off_and_nothing_else() -> None:
    free = coupon(kind="free_shipping", percent=None)
    (outcome,) = settle(make_request(coupon_code="TEN", **SHIPPING), goods=SHIPPED, coupons=(free,))
    assert lines(outcome) == (1999, 0, 0, 1999)


def test_uses_are_counted_through_the_batch_until_the_limit_in_its_middle() -> None:
    limited = coupon(total_limit=20, used=18)
    outcomes = settle(*(make_request(f"buyer-{n}", coupon_code="TEN") for n in range(4)), coupons=(limited,))
    assert [code_of(outcome) for outcome in outcomes] == ["Placed"] * 2 + [refusals.COUPON_EXHAUSTED] * 2
    assert [use(outcome).number for outcome in outcomes[:2]] == [19, 20]
    assert details(outcomes[2]) == {"reason": "total_limit"}


def test_what_was_refused_takes_neither_a_use_nor_a_unit() -> None:
    limited = coupon(total_limit=1)
    outcomes = settle(
        make_request("a", quantity=11, coupon_code="TEN"),
        make_request("b", coupon_code="TEN", expected_total=1),
        make_request("c", coupon_code="TEN"),
        make_request("d", coupon_code="TEN"),
        make_request("e", quantity=9),
        coupons=(limited,),
    )
    assert [code_of(outcome) for outcome in outcomes] == [
        refusals.INSUFFICIENT_STOCK,
        refusals.PRICE_CHANGED,
        "Placed",
        refusals.COUPON_EXHAUSTED,
        "Placed",
    ]


def test_a_user_s_uses_are_counted_through_the_batch_from_those_there_were() -> None:
    limited = coupon(per_user_limit=2, used=7)
    outcomes = settle(
        make_request("alice", coupon_code="TEN"),
        make_request("alice", coupon_code="TEN"),
        make_request("bob", coupon_code="TEN"),
        make_request("bob", coupon_code="TEN"),
        make_request("bob", coupon_code="TEN"),
        coupons=(limited,),
        used={("alice", "TEN"): 1, ("alice", "OTHER"): 9},
    )
    assert [code_of(outcome) for outcome in outcomes] == [
        "Placed",
        refusals.COUPON_EXHAUSTED,
        "Placed",
        "Placed",
        refusals.COUPON_EXHAUSTED,
    ]
    assert details(outcomes[1]) == {"reason": "per_user_limit"}
    assert [(use(outcomes[n]).number, use(outcomes[n]).user_number) for n in (0, 2, 3)] == [(8, 2), (9, 1), (10, 2)]


def test_coupons_of_a_batch_are_counted_apart() -> None:
    one, two = coupon("ONE", total_limit=1), coupon("TWO", total_limit=1, percent=50)
    outcomes = settle(
        *(make_request(code, coupon_code=code) for code in ("ONE", "TWO", "ONE", "TWO")), coupons=(one, two)
    )
    assert [code_of(outcome) for outcome in outcomes] == ["Placed"] * 2 + [refusals.COUPON_EXHAUSTED] * 2
    assert [lines(outcome)[1] for outcome in outcomes[:2]] == [200, 1000]


def test_a_replay_uses_nothing_again() -> None:
    first, again, other = settle(
        make_request("alice", key="k", coupon_code="TEN"),
        make_request("alice", key="k", coupon_code="TEN"),
        make_request("bob", coupon_code="TEN"),
        coupons=(coupon(total_limit=2),),
    )
    assert isinstance(first, Placed)
    assert again == Replayed(first.order)
    assert use(other).number == 2


def test_the_same_key_with_other_choices_is_reused() -> None:
    outcomes = settle(
        make_request(key="k"), make_request(key="k", coupon_code="TEN"), make_request(key="k"), coupons=(coupon(),)
    )
    assert [code_of(outcome) for outcome in outcomes] == ["Placed", refusals.IDEMPOTENCY_KEY_REUSED, "Replayed"]


def test_a_coupon_that_is_not_there_is_refused() -> None:
    (outcome,) = settle(make_request(coupon_code="NONE"))
    assert code_of(outcome) == refusals.COUPON_INVALID


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"active": False}, refusals.COUPON_INVALID, "inactive"),
        ({"starts_at": NOW + SECOND}, refusals.COUPON_INVALID, "not_started"),
        ({"ends_at": NOW}, refusals.COUPON_INVALID, "ended"),
        ({"goods_ids": {2, 3}}, refusals.COUPON_NOT_APPLICABLE, "goods"),
        ({"currency": "JPY"}, refusals.COUPON_NOT_APPLICABLE, "currency"),
        ({"min_spend": 2000}, refusals.COUPON_NOT_APPLICABLE, "min_spend"),
        ({"kind": "free_shipping", "percent": None}, refusals.COUPON_NOT_APPLICABLE, "no_shipping"),
        ({"total_limit": 0}, refusals.COUPON_EXHAUSTED, "total_limit"),
        ({"starts_at": NOW, "ends_at": NOW + SECOND, "goods_ids": {1}, "currency": "CNY", "min_spend": 1999}, "", ""),
    ],
)
def test_a_coupon_serves_only_within_its_bounds(changes: dict[str, Any], code: str, reason: str) -> None:
    (outcome,) = settle(make_request(coupon_code="TEN"), coupons=(coupon(**changes),))
    if not code:
        assert code_of(outcome) == "Placed"
    else:
        assert (code_of(outcome), details(outcome)["reason"]) == (code, reason)


# Every reason to refuse at once; each case takes the foremost away and the next must come to the fore.
@pytest.mark.parametrize(
    ("stock", "strikes", "choices", "coupon_active", "expected"),
    [
        (0, 3, {}, False, refusals.SOLD_OUT),
        (1, 3, {}, False, refusals.HOLD_COOLDOWN),
        (1, 0, {}, False, refusals.SHIPPING_REQUIRED),
        (1, 0, {"shipping_method": "parcel"}, False, refusals.SHIPPING_REQUIRED),
        (1, 0, {"shipping_method": "boat", "address": HOME}, False, refusals.SHIPPING_NOT_AVAILABLE),
        (1, 0, SHIPPING, False, refusals.COUPON_INVALID),
        (1, 0, SHIPPING, True, refusals.PRICE_CHANGED),
        (1, 0, {**SHIPPING, "expected_total": 2799}, True, "Placed"),
    ],
)
def test_refusals_come_in_one_order(
    stock: int, strikes: int, choices: dict[str, Any], coupon_active: bool, expected: str
) -> None:
    (outcome,) = settle(
        make_request(coupon_code="TEN", **{"expected_total": 5, **choices}),
        goods=replace(SHIPPED, stock=stock),
        coupons=(coupon(active=coupon_active),),
        rules=Rules(900, 3, 60),
        held={("alice", 1): Held(0, strikes, NOW)},
    )
    assert code_of(outcome) == expected


@pytest.mark.parametrize(
    ("goods", "choices", "code", "reason"),
    [
        (SHIPPED, {}, refusals.SHIPPING_REQUIRED, "shipping_method"),
        (SHIPPED, {"address": HOME}, refusals.SHIPPING_REQUIRED, "shipping_method"),
        (SHIPPED, {"shipping_method": "parcel"}, refusals.SHIPPING_REQUIRED, "address"),
        (SHIPPED, {**SHIPPING, "shipping_method": "boat"}, refusals.SHIPPING_NOT_AVAILABLE, "unknown"),
        (
            SHIPPED,
            {**SHIPPING, "address": replace(HOME, region="US-CA")},
            refusals.SHIPPING_NOT_AVAILABLE,
            "region",
        ),
        (replace(SHIPPED, currency="JPY"), SHIPPING, refusals.SHIPPING_NOT_AVAILABLE, "currency"),
        (ITEM, SHIPPING, refusals.SHIPPING_NOT_AVAILABLE, "not_shippable"),
    ],
)
def test_shipping_that_cannot_be_tells_why(goods: LockedGoods, choices: dict[str, Any], code: str, reason: str) -> None:
    (outcome,) = settle(make_request(**choices), goods=goods)
    assert (code_of(outcome), details(outcome)) == (code, {"reason": reason})


def test_a_total_that_was_expected_is_bought_at() -> None:
    (outcome,) = settle(make_request(quantity=2, expected_total=3998))
    assert lines(outcome) == (3998, 0, 0, 3998)


@pytest.mark.parametrize("expected_total", [0, 3997, 3999])
def test_another_total_is_told_with_the_new_quote(expected_total: int) -> None:
    (outcome,) = settle(make_request(quantity=2, coupon_code="TEN", expected_total=expected_total), coupons=(coupon(),))
    assert code_of(outcome) == refusals.PRICE_CHANGED
    assert details(outcome)["quote"] == {
        "currency": "CNY",
        "unit_price": 1999,
        "quantity": 2,
        "subtotal": 3998,
        "discount": 400,
        "shipping_fee": 0,
        "total": 3598,
        "coupon": {"code": "TEN", "kind": "percent", "discount": 400},
        "shipping_methods": [],
    }


@pytest.mark.parametrize(
    ("held", "seconds"),
    [
        (Held(0, 3, NOW), 60),
        (Held(0, 3, NOW - 59.5 * SECOND), 1),
        (Held(0, 9, NOW - 59.5 * SECOND), 64 * 60 - 59),
        (Held(0, 3, NOW - 60 * SECOND), 0),
        (Held(0, 2, NOW), 0),
        (Held(5, 0, None), 0),
    ],
)
def test_who_gave_holds_up_too_often_waits_until_the_cooldown_is_over(held: Held, seconds: int) -> None:
    outcome, other = settle(make_request(), make_request("bob"), rules=Rules(900, 3, 60), held={("alice", 1): held})
    if seconds:
        assert (code_of(outcome), details(outcome)) == (refusals.HOLD_COOLDOWN, {"retry_after": seconds})
    else:
        assert code_of(outcome) == "Placed"
    assert code_of(other) == "Placed"


def test_without_a_cooldown_nobody_waits() -> None:
    (outcome,) = settle(make_request(), rules=Rules(900, 3, 0), held={("alice", 1): Held(0, 99, NOW)})
    assert code_of(outcome) == "Placed"


def test_what_was_handed_in_is_left_as_it_was() -> None:
    limited, used = coupon(total_limit=5), {("alice", "TEN"): 1}
    settle(make_request(coupon_code="TEN"), coupons=(limited,), used=used)
    assert limited.used == 0
    assert used == {("alice", "TEN"): 1}
