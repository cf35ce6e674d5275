"""`/seckill`: the live state of a sale, quotes and purchases."""

from concurrent.futures import Future
from typing import Any

from flask import request

from core import refusals as codes
from core.catalogue import goods, quotes, sale
from core.db.clock import iso
from core.db.database import AnyRow
from core.db.shares import Share
from core.purchase.decide import Outcome, Placed, PurchaseRequest, Refused, Replayed
from core.refusals import Unavailable
from core.services import Services
from core.tokens import Identity
from resources import inputs, schemas
from resources.goods import goods_id
from resources.http.answers import conditional, digest, optional_time
from resources.http.api_request import ApiRequest
from resources.http.auth import Access
from resources.http.context import services
from resources.http.operation import ApiResource, Operation, operation
from resources.http.reply import Headers, Later, Reply, json_reply
from resources.orders import order_json

_TAG = "Seckill"
CACHE_CONTROL = "no-cache"
_FOR_WATCHERS = {
    "Server-Time": "the same as `server_time`, since a 304 has no body; in answers to requests with `If-None-Match`",
    "Poll-After": "seconds, from 1 to 60, that a page which watches the sale is to wait before it asks again; only"
    " where many do, and in answers to requests with `If-None-Match`",
}
QUOTE_REFUSALS = (
    codes.SHIPPING_NOT_AVAILABLE,
    codes.COUPON_INVALID,
    codes.COUPON_EXHAUSTED,
    codes.COUPON_NOT_APPLICABLE,
)


def sale_json(row: AnyRow, status: str, served: Services) -> tuple[dict[str, Any], str]:
    """The state of an item's sale as the API shows it, without `server_time`; and its ETag."""
    state = {
        "status": status,
        "stock": row.stock,
        "sold": row.sold,
        "starts_at": optional_time(row.starts_at),
        "ends_at": optional_time(row.ends_at),
        "order_limit": row.order_limit or served.settings.API_ORDER_LIMIT,
        "in_progress": served.in_progress.count(row.id),
    }
    return state, digest(row.id, *state.values())


def for_watchers(request: ApiRequest, served: Services, now: str) -> Headers:
    """What an answer with the state of a sale adds for a page that asks again: the time, and when to ask next.

    A request without `If-None-Match` has no turn: nobody has seen its answer before.
    """
    if "HTTP_IF_NONE_MATCH" not in request.environ:
        return []
    headers = [("Server-Time", now)]
    if seconds := int(served.poll_times.next()):
        headers.append(("Poll-After", str(seconds)))
    return headers


def bought(outcome: Placed | Replayed) -> tuple[dict[str, Any], int, dict[str, str]]:
    """The answer to a purchase that placed an order, or to its repetition under the same key."""
    headers = {"Location": f"/orders/{outcome.order.order_no}"}
    if isinstance(outcome, Replayed):
        headers["Idempotent-Replayed"] = "true"
    return order_json(outcome.order), 201, headers


def buy(
    served: Services,
    goods_id: int,
    caller: Identity,
    body: inputs.PurchaseBody,
    headers: inputs.PurchaseHeaders,
    holds_thread: bool = False,
) -> Later:
    """Queue a purchase. `holds_thread` says that a thread waits for the answer."""
    request = PurchaseRequest(goods_id, caller.user_id, body.quantity, headers.idempotency_key, body.choices())
    return Later(served.checkout.buy(request, holds_thread), _settled)


def _settled(done: Future[Outcome]) -> Reply | Exception:
    error = done.exception()
    if error is not None:
        return error if isinstance(error, Exception) else Unavailable()
    outcome = done.result()
    return outcome.refusal if isinstance(outcome, Refused) else json_reply(*bought(outcome))


BUY = Operation(
    "buyGoods",
    _TAG,
    Access.BUYER,
    {201: schemas.Order},
    body=inputs.PurchaseBody,
    body_optional=True,
    headers=inputs.PurchaseHeaders,
    refusals=(
        codes.GOODS_NOT_FOUND,
        codes.SALE_ENDED,
        codes.SALE_PAUSED,
        codes.SALE_NOT_STARTED,
        codes.SOLD_OUT,
        codes.LIMIT_REACHED,
        codes.INSUFFICIENT_STOCK,
        codes.HOLD_COOLDOWN,
        codes.SHIPPING_REQUIRED,
        *QUOTE_REFUSALS,
        codes.PRICE_CHANGED,
        codes.IDEMPOTENCY_KEY_REUSED,
        codes.BUSY,
        codes.UNAVAILABLE,
    ),
    answer_headers={
        "Location": "the order's address",
        "Idempotent-Replayed": "`true` where the key had already bought",
    },
    repeated=True,
)


READ = Operation(
    "getSale",
    _TAG,
    Access.PUBLIC,
    {200: schemas.SaleState, 304: None},
    refusals=(codes.GOODS_NOT_FOUND, codes.UNAVAILABLE),
    answer_headers={"ETag": "covers all but `server_time`", **_FOR_WATCHERS},
)


class Seckill(ApiResource):
    @operation(READ)
    def get(self, goods_id_text: str) -> Reply:
        """Read the live state of a sale."""
        row = goods.find(services().database, goods_id(goods_id_text))
        state, etag = sale_json(row, sale.status(row, row.now), services())
        now = iso(row.now)
        reply = conditional(state | {"server_time": now}, etag, CACHE_CONTROL)
        added = for_watchers(ApiRequest.of(request.environ), services(), now)
        return reply._replace(headers=reply.headers + added)

    @operation(BUY)
    def post(
        self, goods_id_text: str, caller: Identity, body: inputs.PurchaseBody, headers: inputs.PurchaseHeaders
    ) -> Later:
        """Buy.

        The answer is sent after the order was committed. Send an `Idempotency-Key`: a retry after a lost answer then
        returns the same order instead of placing a second one.
        """
        return buy(services(), goods_id(goods_id_text), caller, body, headers, holds_thread=True)


class SeckillQuote(ApiResource):
    @operation(
        Operation(
            "quotePurchase",
            _TAG,
            Access.BUYER,
            {200: schemas.Quote},
            body=inputs.PurchaseBody,
            body_optional=True,
            refusals=(codes.GOODS_NOT_FOUND, *QUOTE_REFUSALS, codes.UNAVAILABLE),
        )
    )
    def post(self, goods_id_text: str, caller: Identity, body: inputs.PurchaseBody) -> dict[str, Any]:
        """Calculate the price of a purchase.

        It checks the coupon and the shipping method as the purchase does; neither has to be chosen yet. It checks
        neither the sale, the stock nor `expected_total`, and reserves nothing: send the quote's `total` as the
        purchase's `expected_total` to buy at that price or not at all.
        """
        # A POST, but it changes nothing.
        reads = services().database.of(Share.READS)
        return quotes.current_quote(reads, caller.user_id, goods_id(goods_id_text), body.quantity, body.choices())
