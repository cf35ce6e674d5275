"""The bodies, queries and headers of requests as typed models: the checks and OpenAPI both come from here."""

from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from core.catalogue import quotes
from core.catalogue.addresses import needs_postcode
from core.catalogue.quotes import NO_CHOICES, Choices
from core.tokens import Identity
from resources.http import fields
from resources.http.bases import Input as _Input
from resources.http.bases import PageQuery as _PageQuery
from resources.http.bases import Patch as _Patch
from resources.http.bases import Query as _Query
from resources.http.bases import example, patch_example
from resources.http.problems import Text
from resources.schemas import OrderStatus, SaleStatus

GoodsSort = Literal["starts_at", "-starts_at", "price", "-price", "created_at", "-created_at", "id", "-id"]
OrderSort = Literal["purchased_at", "-purchased_at"]


class NoFields(_Input):
    """An empty object, or no body at all."""

    model_config = ConfigDict(json_schema_extra=example({}))


class GoodsCreate(_Input):
    """A new item."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "name": "Mechanical keyboard 机械键盘",
                "currency": "CNY",
                "price": 19900,
                "stock": 100,
                "per_user_limit": 2,
            }
        )
    )

    name: fields.Name
    description: fields.Description = ""
    image_url: fields.ImageUrl = ""
    currency: fields.CurrencyCode
    price: fields.Amount
    list_price: fields.Amount | None = None
    stock: fields.Stock
    starts_at: fields.Time | None = None
    ends_at: fields.Time | None = None
    per_user_limit: fields.Limit | None = None
    order_limit: fields.Limit | None = None
    shippable: bool = False

    _not_reversed = field_validator("ends_at")(fields.not_before_start)


class GoodsPatch(_Patch):
    """What to change of an item; a field that is left out stays as it is. `currency` stays for good."""

    model_config = ConfigDict(json_schema_extra=patch_example({"price": 14900, "stock_delta": 50}))
    hints = MappingProxyType(
        {
            "stock": Text("Stock moves by `stock_delta`: units to add or withdraw.", "库存通过 `stock_delta` 增减。"),
            "sold": Text(
                "Only orders change it; stock moves by `stock_delta`.", "仅由订单改变；库存通过 `stock_delta` 增减。"
            ),
            "status": Text(
                "It follows from the window, the stock and `POST /goods/{id}/pause` or `/resume`.",
                "由时间窗口、库存以及 `POST /goods/{id}/pause`、`/resume` 决定。",
            ),
            "currency": Text(
                "An item keeps its currency for good: create another item.", "商品的货币不可更改，请新建商品。"
            ),
        }
    )

    name: fields.Name = ""
    description: fields.Description = ""
    image_url: fields.ImageUrl = ""
    price: fields.Amount = 0
    list_price: fields.Amount | None = None
    starts_at: fields.Time | None = None
    ends_at: fields.Time | None = None
    per_user_limit: fields.Limit | None = None
    order_limit: fields.Limit | None = None
    shippable: bool = False
    stock_delta: fields.StockDelta = 0

    def given(self) -> dict[str, Any]:
        """The columns that the request sets."""
        return {name: value for name, value in super().given().items() if name != "stock_delta"}


class GoodsQuery(_PageQuery):
    """Filters and order of the list of items."""

    status: SaleStatus | None = None
    q: fields.SearchText | None = Field(
        None, description="text that the name contains, whatever the case, accents and width of the letters"
    )
    sort: GoodsSort = "id"


class ChangesQuery(_PageQuery):
    """A page of an item's history."""


class OrdersFilter(_Query):
    """Filters of the list of orders."""

    status: OrderStatus | None = None
    goods_id: fields.IdInQuery | None = None
    user_id: fields.UserId | None = Field(None, description="for administrators")
    purchased_from: fields.Time | None = Field(None, description="for administrators: the first moment")
    purchased_to: fields.Time | None = Field(None, description="for administrators: the first moment after the end")

    @field_validator("user_id", "purchased_from", "purchased_to", mode="before")
    @classmethod
    def _refuse_to_buyers(cls, value: Any, info: ValidationInfo) -> Any:
        caller = info.context
        if isinstance(caller, Identity) and not caller.is_admin:
            raise fields.failed("unknown_field")
        return value


class OrdersQuery(OrdersFilter, _PageQuery):
    """Filters and order of the list of orders."""

    sort: OrderSort = "-purchased_at"


class RefundBody(_Input):
    """How the money of an order was given back."""

    model_config = ConfigDict(json_schema_extra=example({"reference": "refund 2026-117", "restock": True}))

    reference: fields.Reference = Field(description="the operator's or the provider's name for the refund")
    restock: bool = Field(
        False, description="return the units, the coupon's use and the room in the limit of a paid order"
    )


class Address(_Input):
    """Where to ship to."""

    name: fields.PersonName
    phone: fields.Phone
    region: fields.Region
    line1: fields.AddressLine
    line2: fields.MoreOfAddress | None = None
    postcode: fields.Postcode | None = Field(
        None,
        validate_default=True,
        description="needed where addresses in the region's country need one; blank is the same as null",
    )

    @field_validator("postcode")
    @classmethod
    def _needed(cls, value: str | None, others: ValidationInfo) -> str | None:
        region = others.data.get("region")
        if value is None and region is not None and needs_postcode(region):
            raise fields.failed("missing")
        return value

    def stored(self) -> quotes.Address:
        return quotes.Address(self.name, self.phone, self.region, self.line1, self.postcode, self.line2)


class PurchaseBody(_Input):
    """A purchase; `{}` or no body at all means one unit."""

    model_config = ConfigDict(json_schema_extra=example({"quantity": 1}))

    hints = MappingProxyType(
        {
            "price": Text(
                "The item has the price; `expected_total` guards it.", "价格由商品决定；可用 `expected_total` 核对。"
            ),
            "user_id": Text("The token names the buyer.", "买家由令牌决定。"),
            "idempotency_key": Text("It is a header: `Idempotency-Key`.", "请使用请求头 `Idempotency-Key`。"),
        }
    )

    quantity: fields.Quantity = 1
    coupon_code: fields.TypedCode | None = None
    shipping_method: fields.GivenCode | None = None
    expected_total: fields.Total | None = Field(
        None, description="the total that the buyer was shown; if the total differs, nothing is bought"
    )
    address: Address | None = None

    def choices(self) -> Choices:
        """The choices beyond the quantity."""
        if self.model_fields_set <= {"quantity"}:
            return NO_CHOICES
        address = None if self.address is None else self.address.stored()
        chosen = Choices(self.coupon_code, self.shipping_method, self.expected_total, address)
        return NO_CHOICES if chosen == NO_CHOICES else chosen


class PurchaseHeaders(BaseModel):
    """`Idempotency-Key` makes a retry safe: the same key and request return the same order at any later time."""

    idempotency_key: fields.IdempotencyKey | None = Field(None, alias="Idempotency-Key")
