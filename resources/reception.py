"""Where granian hands requests over, and which thread answers each.

granian calls from a few threads, the doors: the fewer are ready to run at once, the less they fight over the
interpreter. A door waits for nothing but a request's body. What needs no wait it answers itself; a purchase is answered
when it is settled, by the desk of the line; all else, by one of the threads that may wait (resources/request_queue.py).
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any, Protocol
from wsgiref.types import WSGIEnvironment

from granian.wsgi import _callback_wrapper as answer_at_once

from core.refusals import Busy
from resources.body import READ_AT_MOST
from resources.connections import READING
from resources.front import Front, Headers
from resources.limits import FREE
from resources.request_queue import Lane, RequestQueue


class Exchange(Protocol):
    """A request's way back, as granian gives it. The first response is sent, from whatever thread it comes."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None: ...


Answer = Callable[[Exchange, WSGIEnvironment], object]


class Reception:
    """granian's callback in a worker. Shared by its doors."""

    def __init__(self, front: Front, threads: int) -> None:
        """What `front` does not answer its application does, in at most so many `threads`."""
        self._front = front
        self._apply: Any = answer_at_once(front.application, {})
        self._queue = RequestQueue(threads, front.deadlines)

    @property
    def in_hand(self) -> int:
        """Requests that are not answered yet. Purchases are counted elsewhere (core/shop.py)."""
        return self._queue.in_hand + len(self._front.awaiting)

    def __call__(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        self._guarded(self._receive, exchange, environ)

    def _receive(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        if self._front.tell_health(environ, exchange.response_bytes):
            return
        # granian takes a body back when its door is free again.
        environ["wsgi.input"] = BytesIO(_body(environ))
        if self._front.waits:
            self._put(self._serve_or_apply, exchange, environ)
        else:
            self._serve_or_put(exchange, environ)

    def _serve_or_put(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        if not self._front.serve(environ, exchange.response_bytes, lambda: self._put(self._apply, exchange, environ)):
            self._put(self._apply, exchange, environ)

    def _serve_or_apply(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        if not self._front.serve(environ, exchange.response_bytes, lambda: self._put(self._apply, exchange, environ)):
            self._apply(exchange, environ)

    def _put(self, answer: Answer, exchange: Exchange, environ: WSGIEnvironment) -> None:
        """Have a thread answer, or say `busy`: at once where too many wait, else at the request's deadline."""

        def refuse() -> None:
            self._front.fail(Busy(), environ, exchange.response_bytes)

        try:
            deadline = self._front.deadline()
            self._queue.put(_lane(environ), deadline, lambda: self._guarded(answer, exchange, environ), refuse)
        except Busy:
            refuse()

    def _guarded(self, answer: Answer, exchange: Exchange, environ: WSGIEnvironment) -> None:
        """Whatever happens, somebody waits for an answer."""
        try:
            answer(exchange, environ)
        except Exception as error:
            self._front.fail(error, environ, exchange.response_bytes)


def _lane(environ: WSGIEnvironment) -> Lane:
    if environ["PATH_INFO"] in FREE:
        return Lane.WATCH
    return Lane.READS if environ["REQUEST_METHOD"] in READING else Lane.CHANGES


def _body(environ: WSGIEnvironment) -> bytes:
    """The body, or as much of it as shows that it is too long; nothing of one whose length says so."""
    length = READ_AT_MOST
    if "HTTP_TRANSFER_ENCODING" not in environ:
        stated = environ.get("CONTENT_LENGTH", "0")
        length = int(stated) if stated.isascii() and stated.isdigit() else 0
    if length == 0 or length > READ_AT_MOST:
        return b""
    data: bytes = environ["wsgi.input"].read(length)
    return data
