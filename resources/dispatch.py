"""Hands each request to the thread that answers it.

The thread that receives requests waits for nothing, and answers what needs no wait. A purchase is answered when its
batch is settled, by the thread that completes futures. All else is answered by threads that may wait
(request_queue.py).
"""

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol
from wsgiref.types import WSGIEnvironment

from core.refusals import Busy
from resources.connections import READING
from resources.fast_path import FastPath, Headers
from resources.limits import FREE
from resources.request_queue import Lane, RequestQueue


class Exchange(Protocol):
    """The way back of a request, for whatever thread answers it. The first response is sent."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a response whole. Must not block."""

    def response_chunks(self, status: int, headers: Headers, chunks: Iterator[bytes]) -> None:
        """Send a response that is made in pieces, once it is complete. Raises what making it raises."""


Answer = Callable[[Exchange, WSGIEnvironment], object]


class Dispatcher:
    """Hands the requests of a worker to the threads that answer them."""

    def __init__(self, fast_path: FastPath, threads: int) -> None:
        """What `fast_path` does not answer its application does, in at most so many `threads`."""
        self._fast_path = fast_path
        self._queue = RequestQueue(threads, fast_path.deadlines)

    @property
    def in_hand(self) -> int:
        """Requests that are not answered yet. Purchases are counted elsewhere (core/services.py)."""
        return self._queue.in_hand + len(self._fast_path.awaiting)

    def receive(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        """Answer a request whose body is there, or have it answered. Does not wait."""
        self._guarded(self._receive, exchange, environ)

    def refuse(self, error: Exception, exchange: Exchange, environ: WSGIEnvironment) -> None:
        """Answer a request that could not be received."""
        self._fast_path.fail(error, environ, exchange.response_bytes)

    def _receive(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        if self._fast_path.tell_health(environ, exchange.response_bytes):
            return
        if self._fast_path.waits:
            self._put(self._serve_or_apply, exchange, environ)
        else:
            self._serve_or_put(exchange, environ)

    def _serve_or_put(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        if not self._serve(exchange, environ):
            self._put(self._apply, exchange, environ)

    def _serve_or_apply(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        if not self._serve(exchange, environ):
            self._apply(exchange, environ)

    def _serve(self, exchange: Exchange, environ: WSGIEnvironment) -> bool:
        """Whether the fast path answers the request, or has it answered."""
        return self._fast_path.serve(
            environ, exchange.response_bytes, lambda: self._put(self._apply, exchange, environ)
        )

    def _apply(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        """Have the WSGI application answer."""
        started: list[tuple[int, Headers]] = []

        def start_response(status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], object]:
            started[:] = [(int(status[:3]), headers)]
            return _no_write

        response: Iterable[bytes] = self._fast_path.application(environ | _WSGI, start_response)
        try:
            chunks = iter(response)
            first = next(chunks, b"")  # the application may start its response with the first chunk only
            status, headers = started[0]
            if any(name.lower() == "content-length" for name, _ in headers) or status in _WITHOUT_BODY:
                exchange.response_bytes(status, headers, first + b"".join(chunks))
            else:
                exchange.response_chunks(status, headers, itertools.chain([first], chunks))
        finally:
            close = getattr(response, "close", None)
            if close is not None:
                close()

    def _put(self, answer: Answer, exchange: Exchange, environ: WSGIEnvironment) -> None:
        """Have a thread answer, or say `busy`: at once where too many wait, else at the request's deadline."""

        def refuse() -> None:
            self._fast_path.fail(Busy(), environ, exchange.response_bytes)

        try:
            deadline = self._fast_path.deadline()
            self._queue.put(_lane(environ), deadline, lambda: self._guarded(answer, exchange, environ), refuse)
        except Busy:
            refuse()

    def _guarded(self, answer: Answer, exchange: Exchange, environ: WSGIEnvironment) -> None:
        """Calls `answer`, and answers with the error if it raises."""
        try:
            answer(exchange, environ)
        except BaseException as error:  # the end of the thread is no end of the wait for an answer
            known = error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
            self._fast_path.fail(known, environ, exchange.response_bytes)


_WITHOUT_BODY = (204, 304)
_WSGI = {
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,  # also where no length was stated: all of the body is there
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "SCRIPT_NAME": "",
}


def _no_write(data: bytes) -> None:
    raise NotImplementedError("responses are iterables here")


def _lane(environ: WSGIEnvironment) -> Lane:
    if environ["PATH_INFO"] in FREE:
        return Lane.WATCH
    return Lane.READS if environ["REQUEST_METHOD"] in READING else Lane.CHANGES
