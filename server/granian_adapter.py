"""The way of a request from granian's asynchronous interface (RSGI) to the application, and of its answer back.

granian calls from one thread of a worker, the event loop. A body that is slow, or never comes, holds no thread. An
answer that is there at once is sent at once; one that comes later, from another thread, is sent by the loop.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Coroutine, Iterator
from functools import lru_cache
from io import BytesIO
from typing import Any
from wsgiref.types import WSGIEnvironment

from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope  # type: ignore[attr-defined]  # not in its __all__

from core.refusals import Busy
from resources.body import MAX_BYTES, READ_AT_MOST
from resources.dispatch import Dispatcher
from resources.fast_path import Headers

# Seconds that a client may take to send a body, once its headers are there.
BODY_SECONDS = 30.0
# Seconds that a client may take to receive one piece of an answer that is sent in pieces.
CHUNK_SECONDS = 30.0
_TICK_SECONDS = 0.5  # between two looks for bodies that are late

log = logging.getLogger("seckill.server")


class GranianAdapter:
    """The application of a worker, as granian calls it."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        # Requests whose body is on its way, and until when it may be.
        self._receiving: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        # Answers from other threads, and whether the loop is to look after them: once for many, not for each.
        self._answers: deque[tuple[_Exchange, int, Headers, bytes]] = deque()
        self._called = False

    @property
    def in_hand(self) -> int:
        """Requests that are not answered yet, but for those whose body is on its way, and purchases in the queue."""
        return self._dispatcher.in_hand

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that granian runs; None before it does."""
        return self._loop

    @property
    def is_in_loop(self) -> bool:
        """Whether this is the loop's thread."""
        return threading.get_ident() == self._thread

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take note of the loop. Called by granian, in the loop's thread."""
        self._loop, self._thread = loop, threading.get_ident()
        loop.call_later(_TICK_SECONDS, self._end_late_bodies)

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request. Called by granian."""
        exchange = _Exchange(self, protocol)
        environ = environ_of(scope)
        try:
            environ["wsgi.input"] = BytesIO(await self._body(environ, protocol))
        except TimeoutError:
            self._dispatcher.refuse(Busy(), exchange, environ)
        else:
            self._dispatcher.receive(exchange, environ)
        if not exchange.sent:
            assert self._loop is not None
            exchange.answered = self._loop.create_future()
            await exchange.answered

    async def _body(self, environ: WSGIEnvironment, protocol: HTTPProtocol) -> bytes:
        """The body, or as much of it as shows that it is too long; nothing of one whose length says so.

        Of one that was cut off there is nothing. Raises TimeoutError.
        """
        chunked = "HTTP_TRANSFER_ENCODING" in environ
        stated = environ.get("CONTENT_LENGTH", "0")
        if not chunked and (not (stated.isascii() and stated.isdigit()) or not 0 < int(stated) <= READ_AT_MOST):
            return b""
        task = asyncio.current_task()
        assert task is not None
        # One look at all of them costs a tenth of what a timer for each would.
        self._receiving[task] = time.monotonic() + BODY_SECONDS
        try:
            return await _chunks(protocol) if chunked else await protocol()
        except ProtocolClosed:
            return b""
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            self._late.discard(task)
            task.uncancel()
            raise TimeoutError from None
        finally:
            del self._receiving[task]

    def _end_late_bodies(self) -> None:
        assert self._loop is not None
        now = time.monotonic()
        for task in [task for task, until in self._receiving.items() if until <= now and task not in self._late]:
            self._late.add(task)
            task.cancel()
        self._loop.call_later(_TICK_SECONDS, self._end_late_bodies)

    def send_later(self, exchange: "_Exchange", status: int, headers: Headers, body: bytes) -> None:
        """Have the loop send a response. To be called from another thread."""
        self._answers.append((exchange, status, headers, body))
        if not self._called:
            self._called = True
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._send_all)

    def _send_all(self) -> None:
        self._called = False  # ahead of the look: an answer that comes meanwhile calls again
        while self._answers:
            exchange, status, headers, body = self._answers.popleft()
            exchange.send(status, headers, body)


class _Exchange:
    """The way back of one request."""

    __slots__ = ("_adapter", "_protocol", "answered", "sent")

    def __init__(self, adapter: GranianAdapter, protocol: HTTPProtocol) -> None:
        self._adapter = adapter
        self._protocol = protocol
        self.sent = False
        self.answered: asyncio.Future[None] | None = None

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a response whole, from whatever thread."""
        if self._adapter.is_in_loop:
            self.send(status, headers, body)
        else:
            self._adapter.send_later(self, status, headers, body)

    def response_chunks(self, status: int, headers: Headers, chunks: Iterator[bytes]) -> None:
        """Send a response in pieces, from a thread that may wait. Ends early where the client does not take them."""
        loop = self._adapter.loop
        assert loop is not None

        async def begin() -> Any:
            self.sent = True
            return self._protocol.response_stream(status, headers)

        try:
            transport = _result(begin(), loop)
            for chunk in chunks:
                _result(_send(transport, chunk), loop)
        except (ProtocolClosed, TimeoutError):
            pass  # the client does not take it any more
        finally:
            loop.call_soon_threadsafe(self._end)

    def send(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a response, in the loop's thread. Only the first is sent."""
        if self.sent:
            return
        self.sent = True
        try:
            self._protocol.response_bytes(status, headers, body)
        except Exception as error:  # other answers wait to be sent
            log.error("a response could not be sent: %s", type(error).__name__)
        finally:
            self._end()

    def _end(self) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(None)


def _result(coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> Any:
    """What a coroutine in the loop comes to. Raises TimeoutError after CHUNK_SECONDS."""
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result(CHUNK_SECONDS)
    except TimeoutError:
        future.cancel()
        raise


async def _send(transport: Any, chunk: bytes) -> None:
    await transport.send_bytes(chunk)


async def _chunks(protocol: HTTPProtocol) -> bytes:
    """A body without a stated length, up to one byte more than allowed; nothing of one that was cut off."""
    data = bytearray()
    ends = 0
    async for chunk in protocol:
        # granian hands on an empty piece at the end, and one more in place of an error.
        ends += not chunk
        data += chunk
        if len(data) > MAX_BYTES:
            return bytes(data[:READ_AT_MOST])
    return bytes(data) if ends <= 1 else b""


def environ_of(scope: Scope) -> WSGIEnvironment:
    """The request's head as WSGI has it (PEP 3333), without the body."""
    path = scope.path
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope.method,
        # Text in WSGI is bytes, one a character.
        "PATH_INFO": path if path.isascii() else path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        **_server(scope.scheme, scope.server, scope.http_version),
    }
    own = len(environ)
    headers = scope.headers
    for name, value in headers.items():
        key = _KEYS.get(name) or _key(name)
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    names = headers.keys()
    if len(names) != len(environ) - own:
        # granian leaves out values that are no text: they must not pass for headers that were not sent.
        for name in names:
            environ.setdefault(_key(name), "")
    return environ


@lru_cache(maxsize=100)
def _server(scheme: str, server: str, http_version: str) -> WSGIEnvironment:
    host, _, port = server.rpartition(":")
    return {
        "wsgi.url_scheme": scheme,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{http_version}",
    }


def _key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


_KEYS = {
    name: _key(name)
    for name in (
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "if-none-match",
        "origin",
        "user-agent",
        "x-forwarded-for",
        "x-request-id",
    )
}
