"""`/shipping-methods`: how items get to their buyers, for anyone to see, and the administrators' hand on it."""

import re
from typing import Any

from core import refusals
from core.catalogue import shipping
from core.db.database import AnyRow
from core.refusals import Refusal
from core.tokens import Identity
from resources import shipping_models as models
from resources.answers import conditional
from resources.auth import Access
from resources.context import services
from resources.fields import CODE
from resources.goods import expected_versions
from resources.operation import ApiResource, Operation, operation
from resources.paging import Listing
from resources.reply import Reply

_TAG = "Shipping"
_CODE = re.compile(CODE)
_ETAG = {"ETag": "the method's version"}


def _code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise Refusal(refusals.SHIPPING_METHOD_NOT_FOUND)
    return text


def _json(row: AnyRow) -> dict[str, Any]:
    return {
        "code": row.code,
        "name": row.name,
        "currency": row.currency,
        "base_fee": row.base_fee,
        "additional_fee": row.additional_fee,
        "free_from": row.free_from,
        "regions": row.regions,
        "active": row.active,
        "version": row.version,
    }


class ShippingMethodList(ApiResource):
    @operation(
        Operation(
            "listShippingMethods",
            _TAG,
            Access.PUBLIC,
            {200: models.ShippingMethodsPage},
            query=models.ShippingMethodsQuery,
            refusals=("unavailable",),
        )
    )
    def get(self, query: models.ShippingMethodsQuery) -> dict[str, Any]:
        """List the shipping methods, those that are not active too. What each costs, a quote tells."""
        listing = Listing("shipping methods", active=query.active, sort=query.sort)
        page = shipping.catalogue.list_page(
            services().database, listing.request(query.limit, query.cursor), query.sort, active=query.active
        )
        return listing.answer([_json(row) for row in page.items], page.after)

    @operation(
        Operation(
            "createShippingMethod",
            _TAG,
            Access.ADMIN,
            {201: models.ShippingMethod},
            body=models.ShippingMethodCreate,
            refusals=("unavailable",),
            answer_headers={"Location": "the method's address", **_ETAG},
        )
    )
    def post(self, caller: Identity, body: models.ShippingMethodCreate) -> Any:
        """Make a shipping method.

        There are at most 100, active or not. A code that is taken, and one too many, is a `validation_failed`.
        """
        row = shipping.catalogue.create(services().database, body.model_dump())
        return _json(row), 201, {"Location": f"/shipping-methods/{row.code}", "ETag": f'"{row.version}"'}


class ShippingMethodItem(ApiResource):
    @operation(
        Operation(
            "getShippingMethod",
            _TAG,
            Access.PUBLIC,
            {200: models.ShippingMethod, 304: None},
            refusals=("shipping_method_not_found", "unavailable"),
            answer_headers=_ETAG,
        )
    )
    def get(self, code: str) -> Reply:
        """Read a shipping method."""
        row = shipping.catalogue.find(services().database, _code(code))
        return conditional(_json(row), str(row.version), "public, max-age=1")

    @operation(
        Operation(
            "changeShippingMethod",
            _TAG,
            Access.ADMIN,
            {200: models.ShippingMethod},
            body=models.ShippingMethodPatch,
            refusals=("shipping_method_not_found", "version_mismatch", "unavailable"),
            answer_headers=_ETAG,
        )
    )
    def patch(self, code: str, caller: Identity, body: models.ShippingMethodPatch) -> Any:
        """Change a shipping method. Orders that were placed before keep their price.

        `If-Match` with a version guards against changes by others.
        """
        row = shipping.catalogue.change(services().database, _code(code), body.given(), expected_versions())
        return _json(row), 200, {"ETag": f'"{row.version}"'}
