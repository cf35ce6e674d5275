"""`/coupons`: coupons, for administrators. Buyers only name a coupon's code in a purchase."""

import re
from typing import Any

from core import refusals
from core import refusals as codes
from core.catalogue import coupons
from core.db.database import AnyRow
from core.refusals import Refusal
from core.tokens import Identity
from resources import coupon_models as models
from resources.http.auth import Access
from resources.http.context import services
from resources.http.fields import CODE, as_typed
from resources.http.operation import ApiResource, Operation, operation
from resources.http.paging import Listing
from resources.http.reply import Reply
from resources.http.serialiser import serialiser
from resources.http.versioned import Answers, expected_versions

_TAG = "Coupons"
_CODE = re.compile(CODE)
_ETAG = {"ETag": "the coupon's version and uses; `If-Match` compares the version alone"}


def _code(text: str) -> str:
    code: str = as_typed(text)
    if not _CODE.fullmatch(code):
        raise Refusal(refusals.COUPON_NOT_FOUND)
    return code


_json = serialiser(models.Coupon)


def _etag(row: AnyRow) -> str:
    return f"{row.version}-{row.used}"


_answers = Answers("/coupons", _json, _etag, key="code")


class CouponList(ApiResource):
    @operation(
        Operation(
            "listCoupons",
            _TAG,
            Access.ADMIN,
            {200: models.CouponsPage},
            query=models.CouponsQuery,
            refusals=(codes.UNAVAILABLE,),
        )
    )
    def get(self, caller: Identity, query: models.CouponsQuery) -> dict[str, Any]:
        """List the coupons."""
        listing = Listing("coupons", active=query.active, kind=query.kind, sort=query.sort)
        page = coupons.table.list_page(
            services().database,
            listing.request(query.limit, query.cursor),
            query.sort,
            active=query.active,
            kind=query.kind,
        )
        return listing.answer([_json(row) for row in page.items], page.after)

    @operation(
        Operation(
            "createCoupon",
            _TAG,
            Access.ADMIN,
            {201: models.Coupon},
            body=models.CouponCreate,
            refusals=(codes.UNAVAILABLE,),
            answer_headers={"Location": "the coupon's address", **_ETAG},
        )
    )
    def post(self, caller: Identity, body: models.CouponCreate) -> Any:
        """Create a coupon. A code that exists already is a `validation_failed`."""
        return _answers.created(coupons.table.create(services().database, body.model_dump()))


class CouponItem(ApiResource):
    @operation(
        Operation(
            "getCoupon",
            _TAG,
            Access.ADMIN,
            {200: models.Coupon, 304: None},
            refusals=(codes.COUPON_NOT_FOUND, codes.UNAVAILABLE),
            answer_headers=_ETAG,
        )
    )
    def get(self, code: str, caller: Identity) -> Reply:
        """Read a coupon."""
        return _answers.read(coupons.table.find(services().database, _code(code)))

    @operation(
        Operation(
            "changeCoupon",
            _TAG,
            Access.ADMIN,
            {200: models.Coupon},
            body=models.CouponPatch,
            refusals=(codes.COUPON_NOT_FOUND, codes.VERSION_MISMATCH, codes.UNAVAILABLE),
            answer_headers=_ETAG,
        )
    )
    def patch(self, code: str, caller: Identity, body: models.CouponPatch) -> Any:
        """Change a coupon.

        Purchases after the answer use the changed coupon; earlier orders keep their price. A limit below the number of
        uses ends the coupon and revokes none of them. `If-Match` with a version prevents overwriting another change.
        """
        row = coupons.table.change(services().database, _code(code), body.given(), expected_versions())
        return _answers.changed(row)
