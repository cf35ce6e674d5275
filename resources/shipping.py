"""`/shipping-methods`: the shipping methods, public to read, and their changes by administrators."""

import re
from typing import Any

from core import refusals
from core import refusals as codes
from core.catalogue import shipping
from core.refusals import Refusal
from core.tokens import Identity
from resources import shipping_models as models
from resources.http.auth import Access
from resources.http.context import services
from resources.http.fields import CODE
from resources.http.operation import ApiResource, Operation, operation
from resources.http.paging import Listing
from resources.http.reply import Reply
from resources.http.serialiser import serialiser
from resources.http.versioned import Answers, expected_versions

_TAG = "Shipping"
_CODE = re.compile(CODE)
_ETAG = {"ETag": "the method's version"}


def _code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise Refusal(refusals.SHIPPING_METHOD_NOT_FOUND)
    return text


_json = serialiser(models.ShippingMethod)
_answers = Answers("/shipping-methods", _json, key="code")


class ShippingMethodList(ApiResource):
    @operation(
        Operation(
            "listShippingMethods",
            _TAG,
            Access.PUBLIC,
            {200: models.ShippingMethodsPage},
            query=models.ShippingMethodsQuery,
            refusals=(codes.UNAVAILABLE,),
        )
    )
    def get(self, query: models.ShippingMethodsQuery) -> dict[str, Any]:
        """List the shipping methods, including inactive ones. A quote has the fee of each."""
        listing = Listing("shipping methods", active=query.active, sort=query.sort)
        page = shipping.table.list_page(
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
            refusals=(codes.UNAVAILABLE,),
            answer_headers={"Location": "the method's address", **_ETAG},
        )
    )
    def post(self, caller: Identity, body: models.ShippingMethodCreate) -> Any:
        """Create a shipping method.

        There are at most 100, active or not. A code that exists already, and a method too many, is a
        `validation_failed`.
        """
        return _answers.created(shipping.table.create(services().database, body.model_dump()))


class ShippingMethodItem(ApiResource):
    @operation(
        Operation(
            "getShippingMethod",
            _TAG,
            Access.PUBLIC,
            {200: models.ShippingMethod, 304: None},
            refusals=(codes.SHIPPING_METHOD_NOT_FOUND, codes.UNAVAILABLE),
            answer_headers=_ETAG,
        )
    )
    def get(self, code: str) -> Reply:
        """Read a shipping method."""
        return _answers.read(shipping.table.find(services().database, _code(code)), "public, max-age=1")

    @operation(
        Operation(
            "changeShippingMethod",
            _TAG,
            Access.ADMIN,
            {200: models.ShippingMethod},
            body=models.ShippingMethodPatch,
            refusals=(codes.SHIPPING_METHOD_NOT_FOUND, codes.VERSION_MISMATCH, codes.UNAVAILABLE),
            answer_headers=_ETAG,
        )
    )
    def patch(self, code: str, caller: Identity, body: models.ShippingMethodPatch) -> Any:
        """Change a shipping method. Earlier orders keep their price.

        `If-Match` with a version prevents overwriting another change.
        """
        row = shipping.table.change(services().database, _code(code), body.given(), expected_versions())
        return _answers.changed(row)
