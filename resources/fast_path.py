"""Answers plain requests for hot items ahead of Flask: purchases, and reads of an item and of its sale.

A layer around the WSGI application. A request is plain if it has the usual method and path and no query. All others are
passed to the resources. Both check requests and make answers by the same functions, and so answer the same.
"""

import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import Counter
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request

from core.catalogue.quotes import NO_CHOICES, Choices
from core.db.clock import Deadline, begin_request, deadline_of_request
from core.db.deadlines import Deadlines, Pending
from core.ops.metrics import BufferedCounter
from core.ops.rate_limit_storage import is_shared
from core.purchase.decide import Outcome, PurchaseRequest, Refused
from core.purchase.sale_cache import CachedSale
from core.refusals import Busy, Refusal, Unavailable
from core.services import Services
from core.tokens import Identity
from resources import body, goods, ops, request_log, seckill
from resources.answers import conditional_headers, is_known
from resources.callers import identity
from resources.cors import OriginHeaders
from resources.errors import fault_of
from resources.fields import IDEMPOTENCY_KEY
from resources.inputs import PurchaseBody
from resources.limits import COUNTED, CheckCaller
from resources.operation import read
from resources.problems import MIME_TYPE, PROBLEMS, language_of, problem_headers, problem_json, to_json

_CACHED_REFUSALS = BufferedCounter(
    Counter(
        "seckill_cached_refusals_total",
        "Purchases refused without asking the database, by the refusal's code.",
        ["code"],
    )
)

# Ids that surely fit the database's; longer ones are left to the resources.
_PATH = re.compile(r"/(seckill|goods)/([1-9][0-9]{0,17})", re.ASCII)
_KEY = re.compile(IDEMPOTENCY_KEY)
_ROUTES = {
    "seckill": "/seckill/<goods_id>",
    "goods": "/goods/<goods_id>",
    "healthz": "/healthz",
    "readyz": "/readyz",
}
# What a purchase is checked by.
_BUY = seckill.Seckill.post.operation  # type: ignore[attr-defined]
_HEALTH = {"/healthz": "healthz", "/readyz": "readyz"}
_STATUS = {int(status): f"{status.value} {status.phrase}" for status in HTTPStatus}
JSON = "application/json"
_PLAIN_BODY = 4096  # bytes; larger ones are left to the resources
_USUAL_BODY = 100  # bytes; larger ones hold an address, which is nobody else's
_GAP = "\0"  # where that belongs which differs from request to request, in a body that is made beforehand
Headers = list[tuple[str, str]]
Reply = Callable[[int, Headers, bytes], None]


@dataclass(slots=True)
class _Asked:
    """A request that the fast path may answer."""

    method: str
    noun: str
    goods_id: int
    request_id: str
    began: float
    caller: Identity | None = None


class _Answer(NamedTuple):
    status: int
    body: bytes
    headers: Headers  # all but those that differ from request to request
    code: str | None = None


def _asked(environ: WSGIEnvironment) -> _Asked | None:
    """The request, if the fast path may answer it."""
    match = _PATH.fullmatch(environ["PATH_INFO"])
    if match is None or environ.get("QUERY_STRING"):
        return None
    # An id that is made here is the request's, whoever answers it.
    request_id = environ["HTTP_X_REQUEST_ID"] = request_log.request_id(environ.get("HTTP_X_REQUEST_ID", ""))
    noun, digits = match.groups()
    return _Asked(environ["REQUEST_METHOD"], noun, int(digits), request_id, time.perf_counter())


def _has_body(environ: WSGIEnvironment) -> bool:
    return environ.get("CONTENT_LENGTH", "0") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ


def _asked_for_health(environ: WSGIEnvironment) -> _Asked | None:
    noun = _HEALTH.get(environ["PATH_INFO"])
    if noun is None or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return None
    if environ.get("QUERY_STRING") or _has_body(environ):
        return None
    request_id = request_log.request_id(environ.get("HTTP_X_REQUEST_ID", ""))
    return _Asked(environ["REQUEST_METHOD"], noun, 0, request_id, time.perf_counter())


class FastPath:
    """A layer around the application. Shared by all threads of a process."""

    def __init__(
        self, app: WSGIApplication, services: Services, origin_headers: OriginHeaders, check_caller: CheckCaller
    ) -> None:
        """Passes to `app` what it does not answer. `origin_headers` returns the CORS headers for an origin."""
        self.deadlines = Deadlines()
        # Requests that wait for the sale cache, or for a check of health.
        self.awaiting: set[Pending] = set()
        self.application = app
        # To count callers elsewhere takes a call over the network.
        self.waits = services.settings.RATE_LIMITS and is_shared(services.settings.RATE_LIMIT_STORAGE)
        self._services = services
        self._origin_headers = origin_headers
        self._check_caller = check_caller

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = _asked(environ)
        begun = None if asked is None else self._answer(asked, environ)
        if asked is None or begun is None:
            return self.application(environ, start_response)
        answer: _Answer | None
        if isinstance(begun, PurchaseRequest):
            answer = self._wait_for(begun, asked, environ)
        elif isinstance(begun, Future):
            wait([begun], self.deadline().remaining())
            answer = self._found(begun, asked, environ)
        else:
            answer = begun
        if answer is None:
            return self.application(environ, start_response)
        headers = self._close(answer, asked, environ)
        start_response(_STATUS[answer.status], headers)
        return [answer.body]

    def serve(self, environ: WSGIEnvironment, reply: Reply, leave: Callable[[], None]) -> bool:
        """Answer by `reply`, now or later and from another thread; or `leave` it to the application later.

        False: it is for the application, now. Waits for nothing but the body, where there is one; and for the count of
        its caller, where `waits` says so.
        """
        asked = _asked(environ)
        answer = None if asked is None else self._answer(asked, environ)
        if asked is None or answer is None:
            return False
        if isinstance(answer, PurchaseRequest):
            purchase = self._services.checkout.buy(answer)
            purchase.add_done_callback(lambda done: self._tell(_outcome(done), asked, environ, reply))
        elif isinstance(answer, Future):
            self._await(answer, asked, environ, reply, leave)
        else:
            self._reply(answer, asked, environ, reply)
        return True

    def tell_health(self, environ: WSGIEnvironment, reply: Reply) -> bool:
        """Answer `/healthz` or `/readyz` by `reply`, whatever else is under way. False: it is none of them."""
        asked = _asked_for_health(environ)
        if asked is None:
            return False
        if asked.noun == "healthz":
            self._reply(_health(ops.ALIVE), asked, environ, reply)
            return True

        def told(found: "Future[bool]") -> None:
            if not pending.claim():
                return
            try:
                ready = self._services.readiness.holds(found)
                answer = _health(ops.READY) if ready else _failed(Unavailable(), asked, environ)
                self._reply(answer, asked, environ, reply)
            except Exception as error:
                self.fail(error, environ, reply)
            finally:
                self.awaiting.discard(pending)

        pending = self._pending(Unavailable(), asked, environ, reply)
        self._services.readiness.ask().add_done_callback(told)
        return True

    def deadline(self) -> Deadline:
        """The deadline of the request that this thread is answering, counted from its arrival."""
        return deadline_of_request(self._services.settings.PURCHASE_WAIT_SECONDS)

    def _pending(self, error: Refusal, asked: _Asked, environ: WSGIEnvironment, reply: Reply) -> Pending:
        """Answers with `error` at the deadline, unless the answer is claimed before."""

        def expire() -> None:
            self._reply(_failed(error, asked, environ), asked, environ, reply)
            self.awaiting.discard(pending)

        pending = self.deadlines.add(self.deadline(), expire)
        self.awaiting.add(pending)
        if not pending.open:  # expired in between
            self.awaiting.discard(pending)
        return pending

    def _await(
        self,
        awaited: "Future[CachedSale | None]",
        asked: _Asked,
        environ: WSGIEnvironment,
        reply: Reply,
        leave: Callable[[], None],
    ) -> None:
        pending = self._pending(Busy(), asked, environ, reply)

        def told(found: "Future[CachedSale | None]") -> None:
            if not pending.claim():
                return
            try:
                answer = self._found(found, asked, environ)
                if answer is None:
                    begin_request(pending.deadline)
                    try:
                        leave()
                    finally:
                        begin_request(None)
                else:
                    self._reply(answer, asked, environ, reply)
            except Exception as error:
                self.fail(error, environ, reply)
            finally:
                self.awaiting.discard(pending)

        awaited.add_done_callback(told)

    def _found(self, awaited: "Future[CachedSale | None]", asked: _Asked, environ: WSGIEnvironment) -> _Answer | None:
        """The answer to a read that has waited. None where the application is to answer."""
        if not awaited.done():
            return _failed(Busy(), asked, environ)
        error = awaited.exception()
        if isinstance(error, Exception):
            # Not raised: it is told to all who wait, and would gather the frames of each of them.
            return _failed(error, asked, environ)
        try:
            seen = awaited.result()
            status = None if seen is None else seen.status()
            return None if seen is None or status is None else self._shown(seen, status, asked, environ)
        except Exception as error:
            return _failed(error, asked, environ)

    def fail(self, error: Exception, environ: WSGIEnvironment, reply: Reply) -> None:
        """Answer a request with an error that came before, or in place of, its answer."""
        request_id = request_log.request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        asked = _Asked(environ["REQUEST_METHOD"], "", 0, request_id, time.perf_counter())
        answer = _failed(error, asked, environ)
        method = asked.method if asked.method in request_log.METHODS else "other"
        request_log.note(request_id, method, "none", answer.status, answer.code, asked.began)
        headers = [
            *answer.headers,
            ("X-Request-ID", request_id),
            *self._origin_headers(environ.get("HTTP_ORIGIN")),
            ("Content-Length", str(len(answer.body))),
        ]
        reply(answer.status, headers, answer.body)

    def _tell(self, outcome: Outcome | Exception, asked: _Asked, environ: WSGIEnvironment, reply: Reply) -> None:
        try:
            self._reply(_told(outcome, asked, environ), asked, environ, reply)
        except Exception as error:
            self.fail(error, environ, reply)

    def _wait_for(self, purchase: PurchaseRequest, asked: _Asked, environ: WSGIEnvironment) -> _Answer:
        future = self._services.checkout.buy(purchase, holds_thread=True)
        wait([future])
        return _told(_outcome(future), asked, environ)

    def _reply(self, answer: _Answer, asked: _Asked, environ: WSGIEnvironment, reply: Reply) -> None:
        headers = self._close(answer, asked, environ)
        reply(answer.status, headers, b"" if asked.method == "HEAD" else answer.body)

    def _close(self, answer: _Answer, asked: _Asked, environ: WSGIEnvironment) -> Headers:
        """Log and count an answer. Returns all of its headers."""
        caller = asked.caller.user_id if asked.caller else None
        route = _ROUTES[asked.noun]
        request_log.note(asked.request_id, asked.method, route, answer.status, answer.code, asked.began, caller)
        headers = [
            *answer.headers,
            ("X-Request-ID", asked.request_id),
            *self._origin_headers(environ.get("HTTP_ORIGIN")),
        ]
        if answer.status != HTTPStatus.NOT_MODIFIED:
            headers.append(("Content-Length", str(len(answer.body))))
        return headers

    def _answer(
        self, asked: _Asked, environ: WSGIEnvironment
    ) -> "_Answer | PurchaseRequest | Future[CachedSale | None] | None":
        """The answer, or what it waits for: a purchase, or an item's row. None where the application is to answer."""
        try:
            if asked.method == "GET":
                return self._show(asked, environ)
            if asked.method == "POST" and asked.noun == "seckill":
                return self._sell(asked, environ)
        except Exception as error:
            return _failed(error, asked, environ)
        return None

    def _sell(self, asked: _Asked, environ: WSGIEnvironment) -> _Answer | PurchaseRequest | None:
        key = environ.get("HTTP_IDEMPOTENCY_KEY")
        if key is None:
            refusal = self._services.sale_cache.refusal(asked.goods_id)
            if refusal is not None:
                # A body left unread ends the connection, and with it the caller's next request.
                if _read_plain(environ) is None:
                    return None
                _CACHED_REFUSALS.add(refusal.code)
                return _failed(refusal, asked, environ)
        caller = None
        if key is None or _KEY.fullmatch(key):
            caller = identity(environ, self._services.tokens)
        wanted = None if caller is None else _wanted_in(environ)
        if caller is None or wanted is None:
            return self._sell_in_full(asked, environ)
        asked.caller = caller
        self._check_caller(environ)
        quantity, choices = wanted
        return PurchaseRequest(asked.goods_id, caller.user_id, quantity, key, choices)

    def _sell_in_full(self, asked: _Asked, environ: WSGIEnvironment) -> PurchaseRequest | None:
        """Check a purchase as the resource does. Raises what is wrong with it.

        None where a thread is to check it: its body takes long to parse, or its length is not stated.
        """
        length = body.stated_length(environ)
        if length is None or _PLAIN_BODY < length <= body.MAX_BYTES:
            return None
        request = Request(environ, populate_request=False)
        request.max_content_length = body.READ_AT_MOST
        with suppress(HTTPException):  # too large: the check below says so
            request.get_data()  # left unread it would end the connection, and with it the client's next request
        asked.caller = identity(environ, self._services.tokens)  # for the log, where the limit is reached
        self._check_caller(environ)
        asked.caller = None
        given = read(_BUY, request, self._services, note=lambda caller: setattr(asked, "caller", caller))
        wanted, headers = given.arguments["body"], given.arguments["headers"]
        assert given.caller is not None
        key = headers.idempotency_key
        return PurchaseRequest(asked.goods_id, given.caller.user_id, wanted.quantity, key, wanted.choices())

    def _show(self, asked: _Asked, environ: WSGIEnvironment) -> "_Answer | Future[CachedSale | None] | None":
        if _has_body(environ):
            return None
        seen = self._services.sale_cache.look(asked.noun, asked.goods_id)
        if seen is None:
            return None
        status = None
        if not isinstance(seen, Future):
            status = seen.status()
            if status is None:
                return None
        self._check_caller(environ)
        if isinstance(seen, Future):
            environ[COUNTED] = True
            return seen
        assert status is not None
        return self._shown(seen, status, asked, environ)

    def _shown(self, seen: CachedSale, status: str, asked: _Asked, environ: WSGIEnvironment) -> _Answer:
        shown = seen.memo.get((asked.noun, status))
        if shown is None:
            make = _show_sale if asked.noun == "seckill" else _show_goods
            shown = seen.memo[asked.noun, status] = make(seen, status, self._services)
        if is_known(shown.etag, environ.get("HTTP_IF_NONE_MATCH")):
            return _Answer(304, b"", shown.headers[1:])  # all but the type of a body that is not there
        return _Answer(200, shown.body(seen), shown.headers)


class _Shown(NamedTuple):
    """An answer to a read, made once for all requests while the row is fresh."""

    etag: str
    headers: Headers
    head: bytes
    tail: bytes = b""  # after the moment of the answer, where that is told

    def body(self, seen: CachedSale) -> bytes:
        return self.head + seen.now_iso().encode() + self.tail if self.tail else self.head


def _show_goods(seen: CachedSale, status: str, services: Services) -> _Shown:
    etag = goods.goods_etag(seen.row, status)
    headers = [*_typed(JSON), *conditional_headers(etag, goods.CACHE_CONTROL).items()]
    return _Shown(etag, headers, to_json(goods.goods_json(seen.row, status)).encode())


def _show_sale(seen: CachedSale, status: str, services: Services) -> _Shown:
    state, etag = seckill.sale_json(seen.row, status, services)
    headers = [*_typed(JSON), *conditional_headers(etag, seckill.CACHE_CONTROL).items()]
    return _Shown(etag, headers, *_around(to_json(state | {"server_time": _GAP})))


def _typed(mime_type: str) -> Headers:
    return [("Content-Type", mime_type), ("X-Content-Type-Options", "nosniff")]


_NOT_STORED = ("Cache-Control", "no-store")
_BOUGHT = [*_typed(JSON), _NOT_STORED]


def _health(state: dict[str, str]) -> _Answer:
    return _Answer(200, to_json(state).encode(), [*_typed(JSON), _NOT_STORED])


def _around(text: str) -> tuple[bytes, bytes]:
    """The JSON before the gap in it, and after."""
    head, _, tail = text.partition(to_json(_GAP)[1:-1])
    return head.encode(), tail.encode()


def _outcome(done: Future[Outcome]) -> Outcome | Exception:
    error = done.exception()
    # Not raised: all requests of a batch may have the same error, which would gather the frames of each of them.
    return done.result() if error is None else error if isinstance(error, Exception) else Unavailable()


def _told(outcome: Outcome | Exception, asked: _Asked, environ: WSGIEnvironment) -> _Answer:
    """The answer to a purchase that was settled, or that failed."""
    if isinstance(outcome, Exception):
        return _failed(outcome, asked, environ)
    if isinstance(outcome, Refused):
        return _failed(outcome.refusal, asked, environ)
    try:
        order, status, headers = seckill.bought(outcome)
        return _Answer(status, to_json(order).encode(), [*_BOUGHT, *headers.items()])
    except Exception as error:
        return _failed(error, asked, environ)


def _failed(error: Exception, asked: _Asked, environ: WSGIEnvironment) -> _Answer:
    """The answer to a request that ended with `error`."""
    fault = fault_of(error, asked.request_id)
    spoken = language_of(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
    # A quote and errors of fields are for one client; all other problems are the same for many.
    make = _problem.__wrapped__ if _OF_ONE & fault.members.keys() else _problem
    status, headers, head, tail = make(fault.code, spoken, tuple(fault.headers.items()), tuple(fault.members.items()))
    return _Answer(status, head + asked.request_id.encode() + tail, headers, fault.code)


_OF_ONE = {"quote", "errors"}


@lru_cache(maxsize=1000)
def _problem(
    code: str, spoken: str, own_headers: tuple[tuple[str, str], ...], members: tuple[tuple[str, Any], ...]
) -> tuple[int, Headers, bytes, bytes]:
    """A problem's status, its headers, and its body before and after the request's id."""
    headers = [*_typed(MIME_TYPE), _NOT_STORED, *problem_headers(spoken).items(), *own_headers]
    return int(PROBLEMS[code].status), headers, *_around(problem_json(code, spoken, _GAP, **dict(members)))


def _wanted_in(environ: WSGIEnvironment) -> tuple[int, Choices] | None:
    """The units and the choices in a body. None for a body that the application is to judge; it can read it again."""
    data = _read_plain(environ)
    if not data:
        return None if data is None else (1, NO_CHOICES)
    if not body.is_json(environ.get("CONTENT_TYPE", "")) or "HTTP_CONTENT_ENCODING" in environ:
        return None
    return _usual(data) if len(data) <= _USUAL_BODY else _wanted(data)


def _read_plain(environ: WSGIEnvironment) -> bytes | None:
    """A small body of a stated length, kept to be read again. None for any other, and for one that was cut off."""
    length = body.stated_length(environ)
    if length is None or length > _PLAIN_BODY:
        return None
    if not length:
        return b""
    data: bytes = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = BytesIO(data)
    return data if len(data) == length else None


@lru_cache(maxsize=1000)  # nearly all are alike
def _usual(data: bytes) -> tuple[int, Choices] | None:
    return _wanted(data)


def _wanted(data: bytes) -> tuple[int, Choices] | None:
    try:
        wanted = PurchaseBody.model_validate(body.parse_object(data))
    except (Refusal, ValidationError):
        return None
    return wanted.quantity, wanted.choices()
