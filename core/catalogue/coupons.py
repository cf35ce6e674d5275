"""Coupons: the rules for using one, and the table that administrators change."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, select

from core import refusals
from core.catalogue.coded_table import CodedTable
from core.catalogue.pricing import discount_of
from core.db.versioned_table import Fields, wrong_in_window
from core.refusals import Refusal
from models import Coupon as CouponRow
from models import CouponKind, CouponUse

# The field that says what a coupon of a kind is worth.
VALUE_FIELDS: Mapping[str, str] = {CouponKind.PERCENT: "percent", CouponKind.AMOUNT: "amount"}


class CouponReason(StrEnum):
    """Why a coupon cannot be used: the `reason` of the refusals coupon_invalid, _not_applicable and _exhausted."""

    UNKNOWN = "unknown"
    INACTIVE = "inactive"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    GOODS = "goods"
    CURRENCY = "currency"
    MIN_SPEND = "min_spend"
    NO_SHIPPING = "no_shipping"
    TOTAL_LIMIT = "total_limit"
    PER_USER_LIMIT = "per_user_limit"


@dataclass(frozen=True, slots=True)
class Coupon:
    """A coupon's row. Amounts are in minor units; None means no limit; `used` counts pending and paid orders."""

    code: str
    kind: str
    percent: int | None
    max_discount: int | None
    amount: int | None
    currency: str | None
    min_spend: int | None
    goods_ids: Collection[int] | None
    starts_at: datetime | None
    ends_at: datetime | None
    total_limit: int | None
    per_user_limit: int | None
    active: bool
    used: int

    def discount(self, subtotal: int) -> int:
        """The discount on a subtotal, in minor units; 0 for a coupon of free shipping."""
        return discount_of(subtotal, self.percent, self.max_discount, self.amount)


def refusal_of(
    coupon: Coupon | None, goods_id: int, currency: str, subtotal: int, ships: bool, now: datetime, used_by_user: int
) -> Refusal | None:
    """Returns why a purchase may not use the coupon now; None where it may.

    A coupon that does not exist is `unknown`, like every code that does not match exactly.
    """
    if coupon is None:
        return Refusal(refusals.COUPON_INVALID, reason=CouponReason.UNKNOWN)
    if not coupon.active:
        return Refusal(refusals.COUPON_INVALID, reason=CouponReason.INACTIVE)
    if coupon.starts_at is not None and now < coupon.starts_at:
        return Refusal(refusals.COUPON_INVALID, reason=CouponReason.NOT_STARTED)
    if coupon.ends_at is not None and now >= coupon.ends_at:
        return Refusal(refusals.COUPON_INVALID, reason=CouponReason.ENDED)
    misfit = _misfit(coupon, goods_id, currency, subtotal, ships)
    if misfit is not None:
        return Refusal(refusals.COUPON_NOT_APPLICABLE, reason=misfit)
    if coupon.total_limit is not None and coupon.used >= coupon.total_limit:
        return Refusal(refusals.COUPON_EXHAUSTED, reason=CouponReason.TOTAL_LIMIT)
    if coupon.per_user_limit is not None and used_by_user >= coupon.per_user_limit:
        return Refusal(refusals.COUPON_EXHAUSTED, reason=CouponReason.PER_USER_LIMIT)
    return None


def _misfit(coupon: Coupon, goods_id: int, currency: str, subtotal: int, ships: bool) -> CouponReason | None:
    if coupon.goods_ids is not None and goods_id not in coupon.goods_ids:
        return CouponReason.GOODS
    if coupon.currency != currency and (coupon.currency is not None or coupon.kind == CouponKind.AMOUNT):
        # Earlier versions allowed an amount without a currency; it would be that many minor units of any currency.
        return CouponReason.CURRENCY
    if coupon.min_spend is not None and subtotal < coupon.min_spend:
        return CouponReason.MIN_SPEND
    if coupon.kind == CouponKind.FREE_SHIPPING and not ships:
        return CouponReason.NO_SHIPPING
    return None


def misfit_of_kind(kind: str, field: str, value: Any) -> str | None:
    """The error code of a coupon's value that does not fit its kind; None where it fits.

    `field` is `percent`, `amount`, `max_discount` or `currency`.
    """
    if field == "currency":
        return "missing" if value is None and kind == CouponKind.AMOUNT else None
    owner = "percent" if field == "max_discount" else field
    if value is not None and owner != kind:
        return "not_of_this_kind"
    return "missing" if value is None and VALUE_FIELDS.get(kind) == field else None


def _wrong(row: Fields, given: Fields) -> dict[str, str]:
    """The error codes of the values that do not fit the row's kind or each other."""
    wrong = wrong_in_window(row)
    for field in (*VALUE_FIELDS.values(), "max_discount", "currency"):
        # A coupon of an earlier version may have no currency: it can be changed while inactive, but not activated.
        if field == "currency" and not row["active"] and field not in given:
            continue
        code = misfit_of_kind(row["kind"], field, row[field])
        if code is not None:
            wrong[field] = code
    return wrong


_DEFAULTS: Mapping[str, Any] = {
    name: None for name in Coupon.__slots__ if name not in ("code", "kind", "active", "used")
} | {"active": True}
table = CodedTable(CouponRow, refusals.COUPON_NOT_FOUND, defaults=_DEFAULTS, wrong=_wrong)

_COLUMNS = tuple(CouponRow.__table__.columns[name] for name in Coupon.__slots__)


def read(connection: Connection, code: str) -> Coupon | None:
    """The coupon, read without a lock; None where there is none."""
    row = connection.execute(select(*_COLUMNS).where(CouponRow.code == code)).one_or_none()
    return None if row is None else Coupon(*row)


def uses_of(connection: Connection, code: str, user_id: str) -> int:
    """How many uses of the coupon the user's pending and paid orders have."""
    query = select(func.count()).where(
        CouponUse.coupon_code == code, CouponUse.user_id == user_id, CouponUse.returned_at.is_(None)
    )
    return connection.execute(query).scalar_one()
