"""The way of a request from granian's asynchronous interface (RSGI) to the application, and of its answer back.

granian calls from one thread of a worker, the event loop. A body that is slow, or never comes, holds no thread. An
answer that is there at once is sent at once; one that comes later, from another thread, is sent by the loop.
"""

import asyncio
import contextlib
import logging
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import IO, Any
from wsgiref.types import WSGIEnvironment

from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope  # type: ignore[attr-defined]  # not in its __all__

from core.refusals import Busy
from resources.http.body import MAX_BYTES, READ_AT_MOST, stated_length
from resources.http.dispatch import Dispatcher
from resources.http.reply import Headers
from server.environ import environ_of

# Seconds that a client may take to send a body, once its headers are there.
BODY_SECONDS = 30.0
# Seconds within which granian opens a file that it is to send.
OPEN_SECONDS = 60.0
TICK_SECONDS = 0.5  # between two looks for bodies that are late

log = logging.getLogger("seckill.server")


class GranianAdapter:
    """The application of a worker, as granian calls it."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        body_seconds: float = BODY_SECONDS,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        """A client may take `body_seconds` to send a body; every `tick_seconds` those that are late are ended."""
        self._dispatcher = dispatcher
        self._body_seconds = body_seconds
        self._tick_seconds = tick_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        # Requests whose body is on its way, and until when it may be.
        self._receiving: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        # What other threads have the loop do, and whether it was called for that: once for many, not for each.
        self._calls: deque[Callable[[], None]] = deque()
        self._called = False

    @property
    def in_hand(self) -> int:
        """Requests that are not answered yet, but for those whose body is on its way, and purchases in the queue."""
        return self._dispatcher.in_hand

    @property
    def is_in_loop(self) -> bool:
        """Whether this is the loop's thread."""
        return threading.get_ident() == self._thread

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take note of the loop. Called by granian, in the loop's thread."""
        self._loop, self._thread = loop, threading.get_ident()
        loop.call_later(self._tick_seconds, self._end_late_bodies)

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request. Called by granian."""
        exchange = _Exchange(self, protocol)
        environ = environ_of(scope)
        try:
            environ["wsgi.input"] = BytesIO(await self.read_body(environ, protocol))
        except TimeoutError:
            self._dispatcher.refuse(Busy(), exchange, environ)
        else:
            self._dispatcher.receive(exchange, environ)
        if not exchange.sent:
            assert self._loop is not None
            exchange.answered = self._loop.create_future()
            await exchange.answered

    async def read_body(self, environ: WSGIEnvironment, protocol: HTTPProtocol) -> bytes:
        """The body, or as much of it as shows that it is too long; nothing of one whose length says so.

        Of one that was cut off there is nothing. Raises TimeoutError.
        """
        chunked = "HTTP_TRANSFER_ENCODING" in environ
        if not chunked and not 0 < (stated_length(environ) or 0) <= READ_AT_MOST:
            return b""
        task = asyncio.current_task()
        assert task is not None
        # One look at all of them costs a tenth of what a timer for each would.
        self._receiving[task] = time.monotonic() + self._body_seconds
        try:
            return await _chunks(protocol, environ) if chunked else await protocol()
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
        self._loop.call_later(self._tick_seconds, self._end_late_bodies)

    def call(self, function: Callable[[], None]) -> None:
        """Have the loop call a function. To be called from another thread."""
        self._calls.append(function)
        if not self._called:
            self._called = True
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._call_all)

    def call_later(self, seconds: float, function: Callable[[], None]) -> None:
        """Have the loop call a function in so many seconds. To be called in the loop."""
        assert self._loop is not None
        self._loop.call_later(seconds, function)

    def _call_all(self) -> None:
        self._called = False  # ahead of the look: a function that comes meanwhile has the loop called again
        while self._calls:
            try:
                self._calls.popleft()()
            except Exception as error:  # other answers wait to be sent
                log.error("a response could not be sent: %s", type(error).__name__)


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
            self._adapter.call(lambda: self.send(status, headers, body))

    def response_chunks(self, status: int, headers: Headers, chunks: Iterable[bytes]) -> None:
        """Send a response that is made in pieces, from a thread that may wait.

        It is sent from a file, once it is complete: granian neither waits for a slow client between two pieces, nor
        can it break off a response that has begun. Raises what making the pieces raises, and OSError where no temporary
        folder has room.
        """
        file = _nameless_file()
        try:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
        except BaseException:
            with contextlib.suppress(OSError):  # closing writes what is left, and fails again on a full disk
                file.close()
            raise
        self._adapter.call(lambda: self._send_file(status, headers, file))

    def _send_file(self, status: int, headers: Headers, file: IO[bytes]) -> None:
        try:
            if not self.sent:
                self.sent = True
                self._protocol.response_file(status, headers, f"/dev/fd/{file.fileno()}")
        finally:
            self._adapter.call_later(OPEN_SECONDS, file.close)
            self._end()

    def send(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a response, in the loop's thread. Only the first is sent."""
        if self.sent:
            return
        self.sent = True
        try:
            self._protocol.response_bytes(status, headers, body)
        finally:
            self._end()

    def _end(self) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(None)


def _nameless_file() -> IO[bytes]:
    """A temporary file without a name in its folder. Raises OSError."""
    try:
        return tempfile.TemporaryFile()
    except FileNotFoundError:
        # The folder that was chosen for the first file is gone: hosts clean theirs. Another is chosen.
        tempfile.tempdir = None
        return tempfile.TemporaryFile()


async def _chunks(protocol: HTTPProtocol, environ: WSGIEnvironment) -> bytes:
    """A body without a stated length, up to one byte more than allowed; nothing of one that was cut off.

    One that ends without a byte is no body: its encoding is then removed from `environ`. One that was cut off still has
    it, and is known by it (resources/http/body.py).
    """
    data = bytearray()
    ends = 0
    async for chunk in protocol:
        # granian hands on an empty piece at the end, and one more in place of an error.
        ends += not chunk
        data += chunk
        if len(data) > MAX_BYTES:
            return bytes(data[:READ_AT_MOST])
    if ends > 1:
        return b""
    if not data:
        del environ["HTTP_TRANSFER_ENCODING"]
    return bytes(data)
