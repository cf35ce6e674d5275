"""`/goods`: the items, and their changes by administrators."""

from typing import Any

from core import refusals
from core import refusals as codes
from core.catalogue import goods, sale
from core.db.database import AnyRow
from core.tokens import Identity
from resources import inputs, schemas
from resources.http.auth import Access
from resources.http.context import services
from resources.http.operation import ApiResource, Operation, operation
from resources.http.paging import Listing
from resources.http.reply import Reply
from resources.http.serialiser import serialiser
from resources.http.versioned import Answers, expected_versions, row_id

_TAG = "Goods"
CACHE_CONTROL = "public, max-age=1"
_ETAG = {"ETag": "the item's version and stock; `If-Match` compares the version alone"}


def goods_id(text: str) -> int:
    """The id in a path. Raises Refusal goods_not_found for one that cannot exist."""
    return row_id(text, refusals.GOODS_NOT_FOUND)


_body = serialiser(schemas.Goods, "status")
_change_body = serialiser(schemas.GoodsChange)


def goods_json(row: AnyRow, status: str | None = None) -> dict[str, Any]:
    """An item as the contract shows it, with its status at the time it was read, unless `status` is given."""
    return _body(row, status=status or sale.status(row, row.now))


def goods_etag(row: AnyRow, status: str | None = None) -> str:
    """The ETag without quotes: it changes with the item's version, stock or status."""
    return f"{row.version}-{row.stock}-{row.sold}-{status or sale.status(row, row.now)}"


_answers = Answers("/goods", goods_json, goods_etag)


class GoodsList(ApiResource):
    @operation(
        Operation(
            "listGoods",
            _TAG,
            Access.PUBLIC,
            {200: schemas.GoodsPage},
            query=inputs.GoodsQuery,
            refusals=(codes.UNAVAILABLE,),
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
            refusals=(codes.UNAVAILABLE,),
            answer_headers={"Location": "the item's address", **_ETAG},
        )
    )
    def post(self, caller: Identity, body: inputs.GoodsCreate) -> Any:
        """Create an item."""
        return _answers.created(goods.create(services().database, caller.user_id, body.model_dump()))


READ = Operation(
    "getGoods",
    _TAG,
    Access.PUBLIC,
    {200: schemas.Goods, 304: None},
    refusals=(codes.GOODS_NOT_FOUND, codes.UNAVAILABLE),
    answer_headers=_ETAG,
)


class GoodsItem(ApiResource):
    @operation(READ)
    def get(self, goods_id_text: str) -> Reply:
        """Read an item."""
        row = goods.find(services().database, goods_id(goods_id_text))
        return _answers.read(row, CACHE_CONTROL)

    @operation(
        Operation(
            "changeGoods",
            _TAG,
            Access.ADMIN,
            {200: schemas.Goods},
            body=inputs.GoodsPatch,
            refusals=(codes.GOODS_NOT_FOUND, codes.VERSION_MISMATCH, codes.STOCK_CONFLICT, codes.UNAVAILABLE),
            answer_headers=_ETAG,
        )
    )
    def patch(self, goods_id_text: str, caller: Identity, body: inputs.GoodsPatch) -> Any:
        """Change an item.

        `stock_delta` is added to the stock, atomically, also during a sale. `If-Match` with a version prevents
        overwriting another change.
        """
        key = goods_id(goods_id_text)
        versions = expected_versions()
        row = goods.change(services().database, caller.user_id, key, body.given(), body.stock_delta, versions)
        return _answers.changed(row)

    @operation(
        Operation(
            "deleteGoods",
            _TAG,
            Access.ADMIN,
            {204: None},
            refusals=(codes.GOODS_NOT_FOUND, codes.VERSION_MISMATCH, codes.HAS_ORDERS, codes.UNAVAILABLE),
        )
    )
    def delete(self, goods_id_text: str, caller: Identity) -> tuple[str, int]:
        """Delete an item without orders."""
        goods.remove(services().database, caller.user_id, goods_id(goods_id_text), expected_versions())
        return "", 204


def _state_change(operation_id: str, tag: str = _TAG) -> Operation:
    """What the operations that pause, resume and start a sale have in common."""
    return Operation(
        operation_id,
        tag,
        Access.ADMIN,
        {200: schemas.Goods},
        body=inputs.NoFields,
        body_optional=True,
        refusals=(codes.GOODS_NOT_FOUND, codes.VERSION_MISMATCH, codes.UNAVAILABLE),
        answer_headers=_ETAG,
    )


def _set_paused(goods_id_text: str, caller: Identity, paused: bool) -> Any:
    key = goods_id(goods_id_text)
    row = goods.set_paused(services().database, caller.user_id, key, paused, expected_versions())
    return _answers.changed(row)


class GoodsPause(ApiResource):
    @operation(_state_change("pauseSale"))
    def post(self, goods_id_text: str, caller: Identity, body: inputs.NoFields) -> Any:
        """Pause a sale."""
        return _set_paused(goods_id_text, caller, True)


class GoodsResume(ApiResource):
    @operation(_state_change("resumeSale"))
    def post(self, goods_id_text: str, caller: Identity, body: inputs.NoFields) -> Any:
        """Resume a paused sale."""
        return _set_paused(goods_id_text, caller, False)


class GoodsStart(ApiResource):
    @operation(_state_change("startSale", "Console"))
    def post(self, goods_id_text: str, caller: Identity, body: inputs.NoFields) -> Any:
        """Begin a sale now, by the database's clock, ahead of its `starts_at`.

        A sale that has begun stays as it is, and a paused one stays paused.
        """
        key = goods_id(goods_id_text)
        return _answers.changed(goods.start_now(services().database, caller.user_id, key, expected_versions()))


class GoodsChanges(ApiResource):
    @operation(
        Operation(
            "listGoodsChanges",
            _TAG,
            Access.ADMIN,
            {200: schemas.ChangesPage},
            query=inputs.ChangesQuery,
            refusals=(codes.GOODS_NOT_FOUND, codes.UNAVAILABLE),
        )
    )
    def get(self, goods_id_text: str, caller: Identity, query: inputs.ChangesQuery) -> dict[str, Any]:
        """List the changes of an item, newest first."""
        key = goods_id(goods_id_text)
        listing = Listing("changes", goods_id=key)
        page = goods.history(services().database, key, listing.request(query.limit, query.cursor))
        return listing.answer([_change_body(row) for row in page.items], page.after)
