"""`/goods`: what is on sale, and the administrators' hand on it."""

import re
from typing import Any

from flask import request

from core import refusals
from core.catalogue import goods, sale
from core.db.clock import iso
from core.db.database import AnyRow
from core.refusals import Refusal
from core.tokens import Identity
from resources import inputs, schemas
from resources.answers import conditional, optional_time
from resources.auth import Access
from resources.context import services
from resources.fields import MAX_ID
from resources.operation import ApiResource, Operation, operation
from resources.paging import Listing
from resources.reply import Reply

_TAG = "Goods"
CACHE_CONTROL = "public, max-age=1"
_ID = re.compile(r"[1-9]\d{0,18}", re.ASCII)
_VERSION = re.compile(r"\d{1,19}", re.ASCII)
_ETAG = {"ETag": "the item's version and stock; `If-Match` compares the version alone"}


def goods_id(text: str) -> int:
    """The id in a path. Raises Refusal goods_not_found for one that cannot exist."""
    if not _ID.fullmatch(text) or int(text) > MAX_ID:
        raise Refusal(refusals.GOODS_NOT_FOUND)
    return int(text)


def goods_json(row: AnyRow, status: str | None = None) -> dict[str, Any]:
    """An item as the contract shows it, with the status it had when it was read, unless another is known."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "image_url": row.image_url,
        "currency": row.currency,
        "price": row.price,
        "list_price": row.list_price,
        "stock": row.stock,
        "sold": row.sold,
        "status": status or sale.status(row, row.now),
        "starts_at": optional_time(row.starts_at),
        "ends_at": optional_time(row.ends_at),
        "per_user_limit": row.per_user_limit,
        "order_limit": row.order_limit,
        "shippable": row.shippable,
        "version": row.version,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def goods_etag(row: AnyRow, status: str | None = None) -> str:
    """What changes with the item's version, stock or status."""
    return f"{row.version}-{row.stock}-{row.sold}-{status or sale.status(row, row.now)}"


def _answer(row: AnyRow, status: int = 200) -> tuple[dict[str, Any], int, dict[str, str]]:
    headers = {"ETag": f'"{goods_etag(row)}"'}
    if status == 201:
        headers["Location"] = f"/goods/{row.id}"
    return goods_json(row), status, headers


def expected_versions() -> set[int] | None:
    """The versions that `If-Match` names; None where any will do. The ETag of a read serves as well as a version."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    tags = (tag.partition("-")[0] for tag in request.if_match.as_set() if tag)
    return {int(tag) for tag in tags if _VERSION.fullmatch(tag)}


class GoodsList(ApiResource):
    @operation(
        Operation(
            "listGoods",
            _TAG,
            Access.PUBLIC,
            {200: schemas.GoodsPage},
            query=inputs.GoodsQuery,
            refusals=("unavailable",),
        )
    )
    def get(self, query: inputs.GoodsQuery) -> dict[str, Any]:
        """List the items.

        In pages. `status` is derived from the window, the pause and the stock by the database's clock.
        """
        listing = Listing("goods", status=query.status, q=query.q, sort=query.sort)
        page = goods.list_page(
            services().database, listing.request(query.limit, query.cursor), query.sort, query.status, query.q
        )
        return listing.answer([goods_json(row) for row in page.items], page.after)

    @operation(
        Operation(
            "createGoods",
            _TAG,
            Access.ADMIN,
            {201: schemas.Goods},
            body=inputs.GoodsCreate,
            refusals=("unavailable",),
            answer_headers={"Location": "the item's address", **_ETAG},
        )
    )
    def post(self, caller: Identity, body: inputs.GoodsCreate) -> Any:
        """Put up a new item."""
        return _answer(goods.create(services().database, caller.user_id, body.model_dump()), 201)


class GoodsItem(ApiResource):
    @operation(
        Operation(
            "getGoods",
            _TAG,
            Access.PUBLIC,
            {200: schemas.Goods, 304: None},
            refusals=("goods_not_found", "unavailable"),
            answer_headers=_ETAG,
        )
    )
    def get(self, goods_id_text: str) -> Reply:
        """Read an item."""
        row = goods.find(services().database, goods_id(goods_id_text))
        return conditional(goods_json(row), goods_etag(row), CACHE_CONTROL)

    @operation(
        Operation(
            "changeGoods",
            _TAG,
            Access.ADMIN,
            {200: schemas.Goods},
            body=inputs.GoodsPatch,
            refusals=("goods_not_found", "version_mismatch", "stock_conflict", "unavailable"),
            answer_headers=_ETAG,
        )
    )
    def patch(self, goods_id_text: str, caller: Identity, body: inputs.GoodsPatch) -> Any:
        """Change an item.

        The stock moves by `stock_delta`, atomically and in the middle of a sale. `If-Match` with a version guards
        against changes by others.
        """
        key = goods_id(goods_id_text)
        return _answer(
            goods.change(services().database, caller.user_id, key, body.given(), body.stock_delta, expected_versions())
        )

    @operation(
        Operation(
            "deleteGoods",
            _TAG,
            Access.ADMIN,
            {204: None},
            refusals=("goods_not_found", "version_mismatch", "has_orders", "unavailable"),
        )
    )
    def delete(self, goods_id_text: str, caller: Identity) -> tuple[str, int]:
        """Delete an item that was never ordered."""
        goods.remove(services().database, caller.user_id, goods_id(goods_id_text), expected_versions())
        return "", 204


def _pausing(operation_id: str) -> Operation:
    return Operation(
        operation_id,
        _TAG,
        Access.ADMIN,
        {200: schemas.Goods},
        body=inputs.NoFields,
        body_optional=True,
        refusals=("goods_not_found", "version_mismatch", "unavailable"),
        answer_headers=_ETAG,
    )


def _set_paused(goods_id_text: str, caller: Identity, paused: bool) -> Any:
    key = goods_id(goods_id_text)
    return _answer(goods.set_paused(services().database, caller.user_id, key, paused, expected_versions()))


class GoodsPause(ApiResource):
    @operation(_pausing("pauseSale"))
    def post(self, goods_id_text: str, caller: Identity, body: inputs.NoFields) -> Any:
        """Stop a running sale."""
        return _set_paused(goods_id_text, caller, True)


class GoodsResume(ApiResource):
    @operation(_pausing("resumeSale"))
    def post(self, goods_id_text: str, caller: Identity, body: inputs.NoFields) -> Any:
        """Restart a sale that was stopped."""
        return _set_paused(goods_id_text, caller, False)


class GoodsChanges(ApiResource):
    @operation(
        Operation(
            "listGoodsChanges",
            _TAG,
            Access.ADMIN,
            {200: schemas.ChangesPage},
            query=inputs.ChangesQuery,
            refusals=("goods_not_found", "unavailable"),
        )
    )
    def get(self, goods_id_text: str, caller: Identity, query: inputs.ChangesQuery) -> dict[str, Any]:
        """List what was done to an item, newest first."""
        key = goods_id(goods_id_text)
        listing = Listing("changes", goods_id=key)
        page = goods.history(services().database, key, listing.request(query.limit, query.cursor))
        return listing.answer([_change_json(row) for row in page.items], page.after)


def _change_json(row: AnyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "goods_id": row.goods_id,
        "version": row.version,
        "action": row.action,
        "changed_by": row.changed_by,
        "changed_at": iso(row.changed_at),
        "changes": row.changes,
    }
