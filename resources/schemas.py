"""The answers of the API as typed models with examples. They document the answers (OpenAPI) and serialise them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

import models
from core.catalogue import sale, shipping
from core.catalogue.goods import GoodsAction
from core.orders.orders import OrderView
from resources.http.bases import Answer as _Answer
from resources.http.bases import example
from resources.http.fields import OneOf
from resources.http.problems import FIELD_PROBLEMS, PROBLEMS
from resources.http.reasons import REASONS

SaleStatus = Annotated[str, OneOf(sale.SaleStatus)]
OrderStatus = Annotated[str, OneOf(models.OrderStatus)]
CouponKind = Annotated[str, OneOf(models.CouponKind)]
# The history of an item that was deleted cannot be read.
_GoodsAction = Annotated[str, OneOf(action for action in GoodsAction if action is not GoodsAction.DELETED)]

_TIME = "2026-11-23T12:00:00.000Z"
_GOODS: dict[str, Any] = {
    "id": 1,
    "name": "Mechanical keyboard 机械键盘",
    "description": "Eighty-seven keys.",
    "image_url": "https://shop.example/keyboard.png",
    "currency": "CNY",
    "price": 19900,
    "list_price": 39900,
    "stock": 100,
    "sold": 0,
    "status": "on_sale",
    "starts_at": _TIME,
    "ends_at": None,
    "per_user_limit": 2,
    "order_limit": None,
    "shippable": False,
    "version": 1,
    "created_at": _TIME,
    "updated_at": _TIME,
}
_ORDER: dict[str, Any] = {
    "order_no": "019ab0f32d4a7c1e9b6d52f08a417e33",
    "goods_id": 1,
    "goods_name": "Mechanical keyboard 机械键盘",
    "user_id": "alice",
    "quantity": 1,
    "currency": "CNY",
    "unit_price": 19900,
    "subtotal": 19900,
    "discount": 0,
    "shipping_fee": 0,
    "total": 19900,
    "coupon_code": None,
    "shipping_method": None,
    "address": None,
    "status": "pending",
    "purchased_at": _TIME,
    "expires_at": "2026-11-23T12:15:00.000Z",
    "paid_at": None,
    "closed_at": None,
    "refunded_at": None,
    "refund_reference": None,
}
QUOTE_EXAMPLE: dict[str, Any] = {
    "currency": "CNY",
    "unit_price": 19900,
    "quantity": 2,
    "subtotal": 39800,
    "discount": 3980,
    "shipping_fee": 1200,
    "total": 37020,
    "coupon": {"code": "TENOFF", "kind": "percent", "discount": 3980},
    "shipping_methods": [
        {"code": "express", "name": "Express 快递", "fee": 1200, "available": True, "reason": None},
        {"code": "pickup", "name": "Pick-up in Shanghai", "fee": None, "available": False, "reason": "region"},
    ],
}


class Goods(_Answer):
    """An item. `stock` can still be bought, `sold` is held by pending and paid orders."""

    model_config = ConfigDict(json_schema_extra=example(_GOODS))

    id: int
    name: str
    description: str
    image_url: str
    currency: str
    price: int = Field(description="in the currency's minor unit")
    list_price: int | None
    stock: int
    sold: int
    status: SaleStatus
    starts_at: datetime | None
    ends_at: datetime | None
    per_user_limit: int | None
    order_limit: int | None
    shippable: bool
    version: int = Field(description="counts administrators' changes")
    created_at: datetime
    updated_at: datetime


class GoodsPage(_Answer):
    """A page of items."""

    model_config = ConfigDict(json_schema_extra=example({"items": [_GOODS], "next_cursor": None}))

    items: list[Goods]
    next_cursor: str | None


class FieldChange(_Answer):
    """A field's value before and after; `from` is null at the creation."""

    # `from` is a keyword of Python: the fields are named by their aliases.
    before: Any = Field(alias="from")
    after: Any = Field(alias="to")


_CHANGE: dict[str, Any] = {
    "id": 7,
    "goods_id": 1,
    "version": 2,
    "action": "updated",
    "changed_by": "operator",
    "changed_at": _TIME,
    "changes": {"price": {"from": 19900, "to": 14900}},
}


class GoodsChange(_Answer):
    """A change of an item by an administrator."""

    model_config = ConfigDict(json_schema_extra=example(_CHANGE))

    id: int
    goods_id: int
    version: int = Field(description="the item's version after the change")
    action: _GoodsAction
    changed_by: str
    changed_at: datetime
    changes: dict[str, FieldChange]


class ChangesPage(_Answer):
    """A page of an item's history, newest first."""

    model_config = ConfigDict(json_schema_extra=example({"items": [_CHANGE], "next_cursor": None}))

    items: list[GoodsChange]
    next_cursor: str | None


class SaleState(_Answer):
    """The live state of a sale."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "status": "on_sale",
                "stock": 58,
                "sold": 42,
                "starts_at": _TIME,
                "ends_at": None,
                "server_time": "2026-11-23T12:00:01.250Z",
                "order_limit": 2,
                "in_progress": 17,
            }
        )
    )

    status: SaleStatus
    stock: int
    sold: int
    starts_at: datetime | None
    ends_at: datetime | None
    server_time: datetime = Field(description="the database's time at the moment of the answer")
    order_limit: int = Field(description="the concurrency cap in force")
    in_progress: int = Field(description="purchases being handled on this host")


class OrderAddress(_Answer):
    """Where an order is shipped to."""

    name: str
    phone: str
    region: str
    line1: str
    line2: str | None
    postcode: str | None


class Order(_Answer):
    """An order. Its price lines are those of the moment it was placed."""

    model_config = ConfigDict(json_schema_extra=example(_ORDER))

    # The fields are those of OrderView. What stands here is what the document says beyond their types.
    __annotations__ = OrderView.__annotations__ | {
        "address": OrderAddress | None,
        "status": OrderStatus,
        "closed_at": Annotated[datetime | None, Field(description="when it returned what it held")],
    }


class QuotedCoupon(_Answer):
    """The coupon of a quote. A coupon of free shipping has a discount of 0: it sets the fees to 0."""

    code: str
    kind: CouponKind
    discount: int


class QuotedMethod(_Answer):
    """A shipping method, with its fee or the reason why it cannot serve the purchase."""

    code: str
    name: str
    fee: int | None = Field(description="for all units; null where it cannot serve, whatever the address")
    available: bool
    reason: Annotated[str, OneOf(shipping.OBSTACLES)] | None = Field(
        description="`address_required`: whether it can serve depends on the region, which is not given yet"
    )


class Quote(_Answer):
    """The current price of a purchase: total = subtotal − discount + shipping fee."""

    model_config = ConfigDict(json_schema_extra=example(QUOTE_EXAMPLE))

    currency: str
    unit_price: int
    quantity: int
    subtotal: int
    discount: int
    shipping_fee: int = Field(description="of the chosen method; 0 while none is chosen")
    total: int
    coupon: QuotedCoupon | None
    shipping_methods: list[QuotedMethod] = Field(description="by code; none for items that are not shipped")


class OrdersPage(_Answer):
    """A page of orders."""

    model_config = ConfigDict(json_schema_extra=example({"items": [_ORDER], "next_cursor": None}))

    items: list[Order]
    next_cursor: str | None


class Health(_Answer):
    """The state of the service."""

    model_config = ConfigDict(json_schema_extra=example({"status": "ok"}))

    status: Literal["ok", "ready"]


# The default of a member that an answer may lack. Nothing reads it: problems are written elsewhere.
_ABSENT: Any = None


class FieldProblem(_Answer):
    """The error of one field."""

    field: str
    code: Annotated[str, WithJsonSchema({"type": "string", "enum": list(FIELD_PROBLEMS)})]
    detail: str
    hint: str = Field(default=_ABSENT, description="where the answer lies, for people, if it lies elsewhere")
    expected: str = Field(default=_ABSENT, description="the JSON type that the field takes, with `wrong_type`")
    minimum: int = Field(default=_ABSENT, description="the least value, with `out_of_range`")
    maximum: int = Field(default=_ABSENT, description="the greatest value, with `out_of_range`")
    min_length: int = Field(default=_ABSENT, description="the least length, with `too_short` and `too_long`")
    max_length: int = Field(default=_ABSENT, description="the greatest length, with `too_short` and `too_long`")
    pattern: str = Field(default=_ABSENT, description="the form as a regular expression, with `invalid_format`")
    allowed: list[str] = Field(default=_ABSENT, description="the values to choose from, with `invalid_value`")
    example: str = Field(default=_ABSENT, description="a value that is right")


# Several codes can have the same reason.
_REASONS = list(dict.fromkeys(str(reason) for reasons in REASONS.values() for reason in reasons))
_Reason = Annotated[str, WithJsonSchema({"type": "string", "enum": _REASONS})]


class Problem(BaseModel):
    """An error, RFC 9457. Some codes carry members of their own, which other codes do not have."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: Annotated[str, WithJsonSchema({"type": "string", "enum": list(PROBLEMS)})]
    detail: str
    request_id: str
    errors: list[FieldProblem] = Field(default=_ABSENT, description="every field that is wrong: `validation_failed`")
    hint: str = Field(default=_ABSENT, description="the setting that would offer the route, for people: `not_found`")
    reason: _Reason = Field(default=_ABSENT, description="why, stable: the codes of coupons and shipping")
    starts_at: datetime = Field(default=_ABSENT, description="when the sale starts: `sale_not_started`")
    available: int = Field(default=_ABSENT, description="units that are left: `insufficient_stock`")
    limit: int = Field(default=_ABSENT, description="units that one buyer may hold: `limit_reached`")
    already_bought: int = Field(default=_ABSENT, description="units that the buyer holds: `limit_reached`")
    quote: Quote = Field(default=_ABSENT, description="the price as it now is: `price_changed`")
    order_status: OrderStatus = Field(
        default=_ABSENT, description="the order's state: `order_not_pending`, `order_not_refundable`"
    )
    resolution: str = Field(default=_ABSENT, description="what was done about it: `payment_already_resolved`")
    oldest: int = Field(default=_ABSENT, description="the first `seq` that is still there: `events_pruned`")
