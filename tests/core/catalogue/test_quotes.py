"""What a purchase costs with its coupon and its shipping, and what a quote says of it."""

import dataclasses
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue import quotes
from core.catalogue.coupons import Coupon
from core.catalogue.pricing import Lines
from core.catalogue.quotes import NO_CHOICES, Address, Choices, Offers
from core.catalogue.shipping import Method
from core.refusals import Refusal

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
SHANGHAI = Address("王芳", "123", "CN-31", "1 Nanjing Rd", "200000")


@dataclasses.dataclass(frozen=True)
class Item:
    id: int = 7
    currency: str = "CNY"
    price: int = 1000
    shippable: bool = True


def coupon(code: str, kind: str = "percent", **changes: object) -> Coupon:
    plain = Coupon(code, kind, None, None, None, None, None, None, None, None, None, None, True, 0)
    return dataclasses.replace(plain, **changes)


TEN = coupon("TEN", percent=10)
FREE = coupon("FREE", "free_shipping")
EXPRESS = Method("express", "Express", None, 1200, 300, None, None, True)
LOCAL = Method("local", "Local", None, 100, 0, None, ["CN-31"], True)
OFFERS = Offers(NOW, {"TEN": TEN, "FREE": FREE}, [EXPRESS, LOCAL], {})


def price(choices: Choices = NO_CHOICES, quantity: int = 1, item: Item | None = None, **options: object) -> Lines:
    return quotes.price(item or Item(), quantity, choices, OFFERS, **options)


def refused(choices: Choices, item: Item | None = None, to_buy: bool = True) -> str:
    with pytest.raises(Refusal) as raised:
        price(choices, item=item, to_buy=to_buy)
    return f"{raised.value.code} {raised.value.details['reason']}"


def test_every_line_is_reckoned_and_added_up() -> None:
    lines = price(Choices("TEN", "express", None, SHANGHAI), quantity=3)
    assert lines == Lines(1000, 3, discount=300, shipping_fee=1200 + 2 * 300)
    assert (lines.subtotal, lines.total) == (3000, 3000 - 300 + 1800)


def test_free_shipping_takes_the_fee_away_and_nothing_else() -> None:
    assert price(Choices("FREE", "express", None, SHANGHAI), quantity=3) == Lines(1000, 3, 0, 0)


def test_a_percentage_is_of_the_units_and_not_of_their_shipping() -> None:
    assert price(Choices("TEN", "express", None, SHANGHAI)).discount == 100


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        (NO_CHOICES, "shipping_required shipping_method"),
        (Choices(address=SHANGHAI), "shipping_required shipping_method"),
        (Choices(shipping_method="express"), "shipping_required address"),
        (Choices(shipping_method="balloon", address=SHANGHAI), "shipping_not_available unknown"),
        (
            Choices(shipping_method="local", address=dataclasses.replace(SHANGHAI, region="CN-11")),
            "shipping_not_available region",
        ),
        # Shipping is asked for before the coupon.
        (Choices(coupon_code="NONE"), "shipping_required shipping_method"),
        (Choices("NONE", "balloon", None, SHANGHAI), "shipping_not_available unknown"),
        (Choices("NONE", "express", None, SHANGHAI), "coupon_invalid unknown"),
    ],
)
def test_what_is_shipped_needs_method_and_address_to_be_bought(choices: Choices, expected: str) -> None:
    assert refused(choices) == expected


def test_a_quote_may_come_before_method_and_address_but_judges_what_is_there() -> None:
    assert price(to_buy=False) == Lines(1000, 1)
    assert price(Choices(shipping_method="express"), to_buy=False).shipping_fee == 1200
    assert refused(Choices(shipping_method="local"), to_buy=False) == "shipping_not_available address_required"
    assert refused(Choices(coupon_code="NONE"), to_buy=False) == "coupon_invalid unknown"


def test_what_is_not_shipped_takes_no_method() -> None:
    download = Item(shippable=False)
    assert price(item=download) == Lines(1000, 1)
    assert price(Choices(address=SHANGHAI), item=download) == Lines(1000, 1)
    choices = Choices(shipping_method="express", address=SHANGHAI)
    assert refused(choices, item=download) == "shipping_not_available not_shippable"
    assert refused(Choices(coupon_code="FREE"), item=download) == "coupon_not_applicable no_shipping"


def quote(choices: Choices, item: Item | None = None, methods: list[Method] | None = None) -> dict:
    offers = dataclasses.replace(OFFERS, methods=OFFERS.methods if methods is None else methods)
    on_sale = item or Item()
    return quotes.quote(on_sale, 2, choices, offers, quotes.price(on_sale, 2, choices, offers, to_buy=False))


def test_a_quote_shows_every_line_and_every_method() -> None:
    assert quote(Choices("TEN", "local", None, SHANGHAI)) == {
        "currency": "CNY",
        "unit_price": 1000,
        "quantity": 2,
        "subtotal": 2000,
        "discount": 200,
        "shipping_fee": 100,
        "total": 1900,
        "coupon": {"code": "TEN", "kind": "percent", "discount": 200},
        "shipping_methods": [
            {"code": "express", "name": "Express", "fee": 1500, "available": True, "reason": None},
            {"code": "local", "name": "Local", "fee": 100, "available": True, "reason": None},
        ],
    }


@pytest.mark.parametrize(
    ("changes", "address", "fee", "reason"),
    [
        ({}, None, 100, "address_required"),
        ({}, SHANGHAI, 100, None),
        ({"regions": ["JP"]}, SHANGHAI, None, "region"),
        ({"currency": "JPY"}, SHANGHAI, None, "currency"),
        ({"active": False}, SHANGHAI, None, "inactive"),
    ],
)
def test_a_method_has_its_fee_or_the_reason_why_it_cannot_serve(
    changes: dict, address: Address | None, fee: int | None, reason: str | None
) -> None:
    (shown,) = quote(Choices(address=address), methods=[dataclasses.replace(LOCAL, **changes)])["shipping_methods"]
    expected = {"code": "local", "name": "Local", "fee": fee, "available": reason is None, "reason": reason}
    assert shown == expected


def test_with_free_shipping_every_fee_is_nothing() -> None:
    shown = quote(Choices(coupon_code="FREE", address=SHANGHAI))
    assert [method["fee"] for method in shown["shipping_methods"]] == [0, 0]
    assert shown["coupon"] == {"code": "FREE", "kind": "free_shipping", "discount": 0}


def test_what_is_not_shipped_has_no_methods() -> None:
    assert quote(NO_CHOICES, Item(shippable=False))["shipping_methods"] == []


@given(
    unit_price=st.integers(0, 10**12),
    quantity=st.integers(1, 1000),
    percent=st.integers(1, 100),
    amount=st.integers(1, 10**12),
    kind=st.sampled_from([None, "percent", "amount", "free_shipping"]),
    base_fee=st.integers(0, 10**12),
    ships=st.booleans(),
    free_from=st.none() | st.integers(0, 10**12),
)
def test_quote_and_purchase_agree_and_no_total_is_below_zero(
    unit_price: int,
    quantity: int,
    percent: int,
    amount: int,
    kind: str | None,
    base_fee: int,
    ships: bool,
    free_from: int | None,
) -> None:
    if kind == "free_shipping" and not ships:
        kind = None
    worth = {"percent": {"percent": percent}, "amount": {"amount": amount, "currency": "CNY"}}.get(kind or "", {})
    known = {} if kind is None else {"C": coupon("C", kind, **worth)}
    method = dataclasses.replace(EXPRESS, base_fee=base_fee, free_from=free_from)
    offers = Offers(NOW, known, [method], {})
    item = Item(price=unit_price, shippable=ships)
    choices = Choices("C" if kind else None, "express" if ships else None, None, SHANGHAI if ships else None)
    lines = quotes.price(item, quantity, choices, offers)
    assert lines == quotes.price(item, quantity, choices, offers, to_buy=False)
    assert 0 <= lines.discount <= lines.subtotal
    assert 0 <= lines.shipping_fee <= lines.total
    shown = quotes.quote(item, quantity, choices, offers, lines)
    assert shown["total"] == shown["subtotal"] - shown["discount"] + shown["shipping_fee"] == lines.total
    if ships:
        assert shown["shipping_methods"][0]["fee"] == lines.shipping_fee
