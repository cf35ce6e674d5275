"""The bodies, queries and answers of `/shipping-methods`."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from resources.http import fields
from resources.http.bases import Answer, Input, PageQuery, Patch, example, patch_example

MethodSort = Literal["code", "-code", "created_at", "-created_at"]
_GIVEN: dict[str, Any] = {
    "code": "express",
    "name": "Express 快递",
    "currency": "CNY",
    "base_fee": 1200,
    "additional_fee": 200,
    "free_from": 50000,
    "regions": ["CN"],
}
_METHOD: dict[str, Any] = {**_GIVEN, "active": True, "version": 1}


class ShippingMethodCreate(Input):
    """A new shipping method. A field that is null or left out means no limit."""

    model_config = ConfigDict(json_schema_extra=example(_GIVEN))

    code: fields.Code
    name: fields.Name
    currency: fields.CurrencyCode | None = Field(None, description="of the items that it ships; null is any")
    base_fee: fields.Amount
    additional_fee: fields.Amount = Field(0, description="for each unit after the first, in the minor unit")
    free_from: fields.Amount | None = Field(None, description="the subtotal from which on shipping is free")
    regions: fields.Regions | None = None
    active: bool = True


class ShippingMethodPatch(Patch):
    """What to change of a method; a field that is left out stays as it is. `code` stays for good."""

    model_config = ConfigDict(json_schema_extra=patch_example({"base_fee": 1500, "free_from": None}))

    name: fields.Name = ""
    currency: fields.CurrencyCode | None = None
    base_fee: fields.Amount = 0
    additional_fee: fields.Amount = 0
    free_from: fields.Amount | None = None
    regions: fields.Regions | None = None
    active: bool = True


class ShippingMethodsQuery(PageQuery):
    """Filters and order of the list of methods; `created_at` is the time of their creation."""

    active: fields.FlagInQuery | None = None
    sort: MethodSort = "code"


class ShippingMethod(Answer):
    """A shipping method. Fees are in the currency's minor unit; null means no limit."""

    model_config = ConfigDict(json_schema_extra=example(_METHOD))

    code: str
    name: str
    currency: str | None
    base_fee: int
    additional_fee: int = Field(description="for each unit after the first")
    free_from: int | None = Field(description="the subtotal from which on shipping is free")
    regions: list[str] | None = Field(description="ISO 3166 codes; a country's serves all of its subdivisions")
    active: bool
    version: int = Field(description="counts administrators' changes")


class ShippingMethodsPage(Answer):
    """A page of shipping methods."""

    model_config = ConfigDict(json_schema_extra=example({"items": [_METHOD], "next_cursor": None}))

    items: list[ShippingMethod]
    next_cursor: str | None
