"""The bodies, queries and answers of `/coupons`."""

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from core.catalogue import coupons
from resources.http import fields
from resources.http.bases import Answer, Input, PageQuery, Patch, example, patch_example
from resources.schemas import CouponKind

CouponSort = Literal["code", "-code", "created_at", "-created_at"]
_GIVEN: dict[str, Any] = {
    "code": "TENOFF",
    "kind": "percent",
    "percent": 10,
    "max_discount": 5000,
    "currency": "CNY",
    "min_spend": 10000,
    "total_limit": 100,
    "per_user_limit": 1,
}
_COUPON: dict[str, Any] = {
    **_GIVEN,
    "amount": None,
    "goods_ids": None,
    "starts_at": None,
    "ends_at": "2026-11-30T00:00:00.000Z",
    "active": True,
    "used": 42,
    "version": 1,
}


class CouponCreate(Input):
    """A new coupon. A field that is null or left out means no limit."""

    model_config = ConfigDict(json_schema_extra=example(_GIVEN))

    code: fields.TypedNewCode
    kind: CouponKind
    percent: fields.Percent | None = Field(None, validate_default=True, description="needed for `percent`, only")
    max_discount: fields.Worth | None = Field(None, description="of a `percent`, only; in the minor unit")
    amount: fields.Worth | None = Field(None, validate_default=True, description="needed for `amount`, only")
    currency: fields.CurrencyCode | None = Field(
        None, validate_default=True, description="of the items that it applies to; null is any; needed for `amount`"
    )
    min_spend: fields.Amount | None = Field(None, description="the least subtotal, in the minor unit")
    goods_ids: fields.GoodsIds | None = None
    starts_at: fields.Time | None = None
    ends_at: fields.Time | None = None
    total_limit: fields.Limit | None = None
    per_user_limit: fields.Limit | None = None
    active: bool = True

    @field_validator("percent", "max_discount", "amount", "currency")
    @classmethod
    def _of_this_kind(cls, value: int | str | None, others: ValidationInfo) -> int | str | None:
        kind = others.data.get("kind")
        wrong = None if kind is None else coupons.misfit_of_kind(kind, str(others.field_name), value)
        if wrong is not None:
            raise fields.failed(wrong)
        return value

    _not_reversed = field_validator("ends_at")(fields.not_before_start)


class CouponPatch(Patch):
    """What to change of a coupon; a field that is left out stays as it is. `code` and `kind` stay for good."""

    model_config = ConfigDict(json_schema_extra=patch_example({"total_limit": 200, "active": False}))

    percent: fields.Percent | None = None
    max_discount: fields.Worth | None = None
    amount: fields.Worth | None = None
    currency: fields.CurrencyCode | None = None
    min_spend: fields.Amount | None = None
    goods_ids: fields.GoodsIds | None = None
    starts_at: fields.Time | None = None
    ends_at: fields.Time | None = None
    total_limit: fields.Limit | None = None
    per_user_limit: fields.Limit | None = None
    active: bool = True


class CouponsQuery(PageQuery):
    """Filters and order of the list of coupons; `created_at` is the time of their creation."""

    active: fields.FlagInQuery | None = None
    kind: CouponKind | None = None
    sort: CouponSort = "code"


class Coupon(Answer):
    """A coupon. Amounts are in the currency's minor unit; null means no limit."""

    model_config = ConfigDict(json_schema_extra=example(_COUPON))

    code: str
    kind: CouponKind
    percent: int | None
    max_discount: int | None
    amount: int | None
    currency: str | None
    min_spend: int | None
    goods_ids: list[int] | None
    starts_at: datetime | None
    ends_at: datetime | None
    total_limit: int | None
    per_user_limit: int | None
    active: bool
    used: int = Field(description="uses that pending and paid orders have")
    version: int = Field(description="counts administrators' changes")


class CouponsPage(Answer):
    """A page of coupons."""

    model_config = ConfigDict(json_schema_extra=example({"items": [_COUPON], "next_cursor": None}))

    items: list[Coupon]
    next_cursor: str | None
