"""Quotes: whether a purchase may use its coupon and its shipping method, and its price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from core import refusals
from core.catalogue import coupons, goods, shipping
from core.catalogue.coupons import Coupon
from core.catalogue.pricing import Lines
from core.catalogue.shipping import Method, ShippingReason
from core.db.database import Database
from core.refusals import Refusal
from models import CouponKind


class Missing(StrEnum):
    """What a purchase of a shippable item lacks: the `reason` of the refusal shipping_required."""

    SHIPPING_METHOD = "shipping_method"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a purchase is to be shipped. `region` is an ISO 3166 code."""

    name: str
    phone: str
    region: str
    line1: str
    postcode: str | None
    line2: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """The address as the API and the table `orders` have it."""
        return {
            "name": self.name,
            "phone": self.phone,
            "region": self.region,
            "line1": self.line1,
            "line2": self.line2,
            "postcode": self.postcode,
        }


@dataclass(frozen=True, slots=True)
class Choices:
    """What a purchase request chooses beyond the item and the quantity."""

    coupon_code: str | None = None
    shipping_method: str | None = None
    expected_total: int | None = None
    address: Address | None = None

    def given(self) -> dict[str, Any]:
        """The choices that were made, as JSON values."""
        address = None if self.address is None else self.address.as_json()
        choices = {
            "coupon_code": self.coupon_code,
            "shipping_method": self.shipping_method,
            "expected_total": self.expected_total,
            "address": address,
        }
        return {name: value for name, value in choices.items() if value is not None}


NO_CHOICES = Choices()


class Priced(Protocol):
    """The fields of an item that its price depends on."""

    @property
    def id(self) -> int: ...
    @property
    def currency(self) -> str: ...
    @property
    def price(self) -> int: ...
    @property
    def shippable(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Offers:
    """The coupons and shipping methods that a purchase can choose from at `now`.

    `used` has the number of the buyer's uses of each coupon, by its code.
    """

    now: datetime
    coupons: Mapping[str, Coupon]
    methods: Sequence[Method]
    used: Mapping[str, int]


def price(goods: Priced, quantity: int, choices: Choices, offers: Offers, to_buy: bool = True) -> Lines:
    """The price of `quantity` units with these choices.

    Raises Refusal: shipping_required (only if `to_buy`: a quote may come before the choice), shipping_not_available, or
    the refusal of the coupon.
    """
    lines = Lines(goods.price, quantity)
    if to_buy and goods.shippable:
        if choices.shipping_method is None:
            raise Refusal(refusals.SHIPPING_REQUIRED, reason=Missing.SHIPPING_METHOD)
        if choices.address is None:
            raise Refusal(refusals.SHIPPING_REQUIRED, reason=Missing.ADDRESS)
    fee = 0
    if choices.shipping_method is not None:
        fee = _shipping_fee(goods, quantity, choices, offers)
    discount = 0
    if choices.coupon_code is not None:
        coupon = offers.coupons.get(choices.coupon_code)
        refusal = coupons.refusal_of(
            coupon,
            goods.id,
            goods.currency,
            lines.subtotal,
            goods.shippable,
            offers.now,
            offers.used.get(choices.coupon_code, 0),
        )
        if refusal is not None or coupon is None:
            raise refusal or Refusal(refusals.COUPON_INVALID)
        discount = coupon.discount(lines.subtotal)
        fee = 0 if coupon.kind == CouponKind.FREE_SHIPPING else fee
    return Lines(goods.price, quantity, discount, fee)


def _shipping_fee(goods: Priced, quantity: int, choices: Choices, offers: Offers) -> int:
    method = next((method for method in offers.methods if method.code == choices.shipping_method), None)
    if not goods.shippable:
        raise Refusal(refusals.SHIPPING_NOT_AVAILABLE, reason=ShippingReason.NOT_SHIPPABLE)
    if method is None:
        raise Refusal(refusals.SHIPPING_NOT_AVAILABLE, reason=ShippingReason.UNKNOWN)
    obstacle = shipping.obstacle(method, goods.currency, choices.address.region if choices.address else None)
    if obstacle is not None:
        raise Refusal(refusals.SHIPPING_NOT_AVAILABLE, reason=obstacle)
    return shipping.fee(method, quantity, goods.price * quantity)


def current_quote(database: Database, user_id: str, goods_id: int, quantity: int, choices: Choices) -> dict[str, Any]:
    """The quote for a purchase at the current prices; it reserves nothing.

    It checks the coupon and the shipping method as a purchase does, but neither the sale, the stock nor
    `expected_total`. Raises Refusal.
    """
    code = choices.coupon_code
    with database.reading() as connection:
        item = goods.read(connection, goods_id)
        coupon = None if code is None else coupons.read(connection, code)
        used = 0 if coupon is None else coupons.uses_of(connection, coupon.code, user_id)
        methods = shipping.all_methods(connection) if item.shippable else ()
    offers = Offers(
        item.now, {} if coupon is None else {coupon.code: coupon}, methods, {} if code is None else {code: used}
    )
    lines = price(item, quantity, choices, offers, to_buy=False)
    return quote(item, quantity, choices, offers, lines)


def quote(goods: Priced, quantity: int, choices: Choices, offers: Offers, lines: Lines) -> dict[str, Any]:
    """The itemised price as the API shows it, with the fee of each shipping method."""
    coupon = None if choices.coupon_code is None else offers.coupons[choices.coupon_code]
    region = choices.address.region if choices.address else None
    free = coupon is not None and coupon.kind == CouponKind.FREE_SHIPPING
    methods = []
    for method in offers.methods if goods.shippable else ():
        obstacle = shipping.obstacle(method, goods.currency, region)
        fee = 0 if free else shipping.fee(method, quantity, lines.subtotal)
        # While the address is missing the fee is useful; for a method that cannot serve the purchase it is not.
        has_fee = obstacle in (None, ShippingReason.ADDRESS_REQUIRED)
        methods.append(
            {
                "code": method.code,
                "name": method.name,
                "fee": fee if has_fee else None,
                "available": obstacle is None,
                "reason": obstacle,
            }
        )
    return {
        "currency": goods.currency,
        "unit_price": lines.unit_price,
        "quantity": lines.quantity,
        "subtotal": lines.subtotal,
        "discount": lines.discount,
        "shipping_fee": lines.shipping_fee,
        "total": lines.total,
        "coupon": None if coupon is None else {"code": coupon.code, "kind": coupon.kind, "discount": lines.discount},
        "shipping_methods": methods,
    }
