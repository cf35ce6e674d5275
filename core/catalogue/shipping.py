"""Shipping methods: their fees, the purchases they can serve, and the table that administrators change."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, select

from core import refusals
from core.catalogue.coded_table import CodedTable
from core.purchase.sql import fetch, number
from core.refusals import InvalidField
from models import ShippingMethod

# Every quote and every purchase that ships reads all of them.
MAX_METHODS = 100


class ShippingReason(StrEnum):
    """Why a purchase cannot be shipped by a method: the `reason` of the refusal shipping_not_available."""

    UNKNOWN = "unknown"
    INACTIVE = "inactive"
    CURRENCY = "currency"
    REGION = "region"
    ADDRESS_REQUIRED = "address_required"
    NOT_SHIPPABLE = "not_shippable"


# The reasons that `obstacle` returns. The others mean that there is no such method, or that the item is not shipped.
OBSTACLES = (
    ShippingReason.INACTIVE,
    ShippingReason.CURRENCY,
    ShippingReason.REGION,
    ShippingReason.ADDRESS_REQUIRED,
)


@dataclass(frozen=True, slots=True)
class Method:
    """A shipping method. Fees are in the minor unit of the order's currency; None means no limit."""

    code: str
    name: str
    currency: str | None
    base_fee: int
    additional_fee: int
    free_from: int | None
    regions: Sequence[str] | None
    active: bool


def fee(method: Method, quantity: int, subtotal: int) -> int:
    """The fee for `quantity` units, in minor units; 0 from a subtotal of `free_from` on."""
    if method.free_from is not None and subtotal >= method.free_from:
        return 0
    return method.base_fee + method.additional_fee * (quantity - 1)


def obstacle(method: Method, currency: str, region: str | None) -> ShippingReason | None:
    """Returns why the method cannot serve a purchase in this currency to this region; None where it can.

    `region` is an ISO 3166 code, or None while the address is unknown.
    """
    if not method.active:
        return ShippingReason.INACTIVE
    if method.currency is not None and method.currency != currency:
        return ShippingReason.CURRENCY
    if method.regions is None:
        return None
    if region is None:
        return ShippingReason.ADDRESS_REQUIRED
    return None if any(_serves(served, region) for served in method.regions) else ShippingReason.REGION


def _serves(served: str, region: str) -> bool:
    # `CN` serves `CN-31`.
    return region == served or region.startswith(f"{served}-")


def all_methods(connection: Connection) -> list[Method]:
    """All methods, active or not, sorted by code. The connection must be in a transaction."""
    rows = fetch(connection, f"SELECT {', '.join(Method.__slots__)} FROM shipping_methods ORDER BY code")  # noqa: S608
    return [
        Method(
            code=code,
            name=name,
            currency=currency,
            base_fee=int(base_fee),
            additional_fee=int(additional_fee),
            free_from=number(free_from),
            regions=None if regions is None else json.loads(regions),
            active=bool(int(active)),
        )
        for code, name, currency, base_fee, additional_fee, free_from, regions, active in rows
    ]


def _make_room(connection: Connection) -> None:
    """Raises InvalidField if there are MAX_METHODS already."""
    # Locks all methods: the second of two concurrent creations counts the row of the first.
    connection.execute(select(ShippingMethod.code).order_by(ShippingMethod.code).with_for_update()).all()
    if connection.execute(select(func.count()).select_from(ShippingMethod)).scalar_one() >= MAX_METHODS:
        raise InvalidField("code", "too_many")


_DEFAULTS: Mapping[str, Any] = {
    "currency": None,
    "additional_fee": 0,
    "free_from": None,
    "regions": None,
    "active": True,
}
table = CodedTable(ShippingMethod, refusals.SHIPPING_METHOD_NOT_FOUND, defaults=_DEFAULTS, make_room=_make_room)
