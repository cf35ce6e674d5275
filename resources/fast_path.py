"""Answers plain requests ahead of Flask: purchases, and reads of an item and of its sale.

A request is plain if it has the usual method and path and no query; a purchase has a small body as well. All others
are left to Flask's resources, and so are reads that the sale cache cannot answer. Both check requests and make answers
by the same functions, and so answer the same.
"""

import re
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple

from flask import Response
from prometheus_client import Counter

from core.json_text import to_json_bytes
from core.ops.metrics import BufferedCounter
from core.purchase.sale_cache import CachedSale
from core.refusals import Busy, Unavailable
from core.services import Services
from resources import goods, ops, seckill
from resources.http import body
from resources.http.answers import conditional_headers
from resources.http.api_request import ApiRequest
from resources.http.limits import Limits, NoLimits
from resources.http.operation import Operation, run
from resources.http.reply import JSON, Headers, Later, Reply, json_reply

_CACHED_REFUSALS = BufferedCounter(
    Counter(
        "seckill_cached_refusals_total",
        "Purchases refused without asking the database, by the refusal's code.",
        ["code"],
    )
)

# Ids that surely fit the database's; longer ones are left to the resources.
_PATH = re.compile(r"/(seckill|goods)/([1-9][0-9]{0,17})", re.ASCII)
_ROUTES = {"seckill": "/seckill/<goods_id>", "goods": "/goods/<goods_id>"}
_READS = {"seckill": seckill.READ, "goods": goods.READ}
_HEALTH = frozenset({"/healthz", "/readyz"})
_PLAIN_BODY = 4096  # bytes; the thread that receives requests is not to parse larger ones
_GAP = "\0"  # stands for the moment of the answer, in a body that is made for many requests

# None: Flask is to answer.
Answer = Reply | Later | Exception | None


class FastPath:
    """Answers what needs no thread that waits. Shared by all threads of a process."""

    def __init__(self, services: Services, limits: Limits | NoLimits) -> None:
        self._services = services
        self._limits = limits

    @property
    def waits(self) -> bool:
        """Whether an answer may take a call over the network: to where callers are counted."""
        return self._limits.waits

    def health(self, request: ApiRequest) -> Answer:
        """The answer to `/healthz` and `/readyz`, whatever else is under way. None for all other requests."""
        path = request.environ["PATH_INFO"]
        if path not in _HEALTH or request.method not in ("GET", "HEAD") or _has_query_or_body(request):
            return None
        request.route = path
        if path == "/healthz":
            return json_reply(ops.ALIVE)
        return ops.ready(self._services)

    def answer(self, request: ApiRequest, holds_thread: bool = False) -> Answer:
        """The answer to a plain request. Raises what `errors.reply_to` knows.

        `holds_thread` says that a thread waits for the answer, where it comes later.
        """
        match = _PATH.fullmatch(request.environ["PATH_INFO"])
        if match is None or request.environ.get("QUERY_STRING"):
            return None
        noun, digits = match.groups()
        if request.method == "GET":
            return self._read(request, noun, int(digits))
        if request.method == "POST" and noun == "seckill":
            return self._sell(request, int(digits), holds_thread)
        return None

    def _sell(self, request: ApiRequest, goods_id: int, holds_thread: bool) -> Answer:
        request.route = _ROUTES["seckill"]
        if "HTTP_IDEMPOTENCY_KEY" not in request.environ:
            refusal = self._services.sale_cache.refusal(goods_id)
            if refusal is not None:
                _CACHED_REFUSALS.add(refusal.code)
                return refusal  # not raised: it is the same for all, and would gather the frames of each
        length = request.length
        if length is None or _PLAIN_BODY < length <= body.MAX_BYTES:
            return None
        self._limits.check(request)
        buy = partial(seckill.buy, self._services, goods_id, holds_thread=holds_thread)
        return self._run(seckill.BUY, request, buy)

    def _read(self, request: ApiRequest, noun: str, goods_id: int) -> Answer:
        request.route = _ROUTES[noun]
        self._limits.check(request)
        return self._run(_READS[noun], request, partial(self._show, request, noun, goods_id))

    def _run(self, declared: Operation, request: ApiRequest, act: Callable[..., Reply | Later | None]) -> Answer:
        found = run(declared, request, self._services, act)
        assert not isinstance(found, Response)  # an answer in pieces, which Flask alone makes
        return found

    def _show(self, request: ApiRequest, noun: str, goods_id: int) -> Reply | Later | None:
        seen = self._services.sale_cache.look(noun, goods_id)
        if seen is None:
            return None
        if isinstance(seen, Future):
            return Later(seen, partial(self._found, request, noun), late=Busy())
        return self._shown(request, noun, seen, seen.status_after_wait())

    def _found(self, request: ApiRequest, noun: str, done: "Future[CachedSale | None]") -> Reply | Exception | None:
        error = done.exception()
        if error is not None:
            return error if isinstance(error, Exception) else Unavailable()
        seen = done.result()
        return None if seen is None else self._shown(request, noun, seen, seen.status_after_wait())

    def _shown(self, request: ApiRequest, noun: str, seen: CachedSale, status: str) -> Reply:
        shown = seen.memo.get((noun, status))
        if shown is None:
            make = _show_sale if noun == "seckill" else _show_goods
            shown = seen.memo[noun, status] = make(seen, status, self._services)
        if noun == "goods":
            return Reply(200, shown.headers, shown.head)
        now = seen.now_iso()
        headers = shown.headers + seckill.for_watchers(request, self._services, now)
        return Reply(200, headers, shown.head + now.encode() + shown.tail)


class NoFastPath:
    """Leaves every request to Flask."""

    waits = False

    def health(self, request: ApiRequest) -> Answer:
        """None."""
        return None

    def answer(self, request: ApiRequest, holds_thread: bool = False) -> Answer:
        """None."""
        return None


def _has_query_or_body(request: ApiRequest) -> bool:
    return request.length != 0 or bool(request.environ.get("QUERY_STRING"))


class _Shown(NamedTuple):
    """An answer to a read, made once for all requests while the row is fresh."""

    headers: Headers
    head: bytes
    tail: bytes = b""  # after the moment of the answer, where it is stated


def _show_goods(seen: CachedSale, status: str, services: Services) -> _Shown:
    headers = conditional_headers(goods.goods_etag(seen.row, status), goods.CACHE_CONTROL)
    return _Shown(_typed(headers), to_json_bytes(goods.goods_json(seen.row, status)))


def _show_sale(seen: CachedSale, status: str, services: Services) -> _Shown:
    state, etag = seckill.sale_json(seen.row, status, services)
    head, _, tail = to_json_bytes(state | {"server_time": _GAP}).partition(to_json_bytes(_GAP)[1:-1])
    return _Shown(_typed(conditional_headers(etag, seckill.CACHE_CONTROL)), head, tail)


def _typed(headers: dict[str, str]) -> Headers:
    return [("Content-Type", JSON), *headers.items()]
