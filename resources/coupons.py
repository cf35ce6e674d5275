"""`/coupons`: the administrators' hand on discounts. Buyers only ever name a code."""

import re
from typing import Any

from core import refusals
from core.catalogue import coupons
from core.db.database import AnyRow
from core.refusals import Refusal
from core.tokens import Identity
from resources import coupon_models as models
from resources.answers import conditional, optional_time
from resources.auth import Access
from resources.context import services
from resources.fields import CODE, as_typed
from resources.goods import expected_versions
from resources.operation import ApiResource, Operation, operation
from resources.paging import Listing
from resources.reply import Reply

_TAG = "Coupons"
_CODE = re.compile(CODE)
_ETAG = {"ETag": "the coupon's version and uses; `If-Match` compares the version alone"}


def _code(text: str) -> str:
    code: str = as_typed(text)
    if not _CODE.fullmatch(code):
        raise Refusal(refusals.COUPON_NOT_FOUND)
    return code


def _json(row: AnyRow) -> dict[str, Any]:
    return {
        "code": row.code,
        "kind": row.kind,
        "percent": row.percent,
        "max_discount": row.max_discount,
        "amount": row.amount,
        "currency": row.currency,
        "min_spend": row.min_spend,
        "goods_ids": row.goods_ids,
        "starts_at": optional_time(row.starts_at),
        "ends_at": optional_time(row.ends_at),
        "total_limit": row.total_limit,
        "per_user_limit": row.per_user_limit,
        "active": row.active,
        "used": row.used,
        "version": row.version,
    }


def _etag(row: AnyRow) -> str:
    return f"{row.version}-{row.used}"


class CouponList(ApiResource):
    @operation(
        Operation(
            "listCoupons",
            _TAG,
            Access.ADMIN,
            {200: models.CouponsPage},
            query=models.CouponsQuery,
            refusals=("unavailable",),
        )
    )
    def get(self, caller: Identity, query: models.CouponsQuery) -> dict[str, Any]:
        """List the coupons."""
        listing = Listing("coupons", active=query.active, kind=query.kind, sort=query.sort)
        page = coupons.catalogue.list_page(
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
            refusals=("unavailable",),
            answer_headers={"Location": "the coupon's address", **_ETAG},
        )
    )
    def post(self, caller: Identity, body: models.CouponCreate) -> Any:
        """Make a coupon. A code that is taken is a `validation_failed`."""
        row = coupons.catalogue.create(services().database, body.model_dump())
        return _json(row), 201, {"Location": f"/coupons/{row.code}", "ETag": f'"{_etag(row)}"'}


class CouponItem(ApiResource):
    @operation(
        Operation(
            "getCoupon",
            _TAG,
            Access.ADMIN,
            {200: models.Coupon, 304: None},
            refusals=("coupon_not_found", "unavailable"),
            answer_headers=_ETAG,
        )
    )
    def get(self, code: str, caller: Identity) -> Reply:
        """Read a coupon."""
        row = coupons.catalogue.find(services().database, _code(code))
        return conditional(_json(row), _etag(row), "private, no-cache")

    @operation(
        Operation(
            "changeCoupon",
            _TAG,
            Access.ADMIN,
            {200: models.Coupon},
            body=models.CouponPatch,
            refusals=("coupon_not_found", "version_mismatch", "unavailable"),
            answer_headers=_ETAG,
        )
    )
    def patch(self, code: str, caller: Identity, body: models.CouponPatch) -> Any:
        """Change a coupon.

        Purchases after the answer see the change, and orders that were placed before keep their price. A limit below
        the uses that there are ends the coupon and takes none of them back. `If-Match` with a version guards against
        changes by others.
        """
        row = coupons.catalogue.change(services().database, _code(code), body.given(), expected_versions())
        return _json(row), 200, {"ETag": f'"{_etag(row)}"'}
