"""The event loop's entrance: hands each request to the thread that answers it.

The thread that receives requests waits for nothing, and answers what needs no wait. A purchase is answered when its
batch is settled, by the thread that completes futures. All else is answered by threads that may wait
(request_queue.py).
"""

import logging
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol
from wsgiref.types import WSGIEnvironment

from core.db.clock import begin_request
from core.db.deadlines import Deadlines, Pending
from core.refusals import INTERNAL_ERROR, Busy
from resources.http.api_request import ApiRequest
from resources.http.connections import READING
from resources.http.envelope import SAFE_HEADERS
from resources.http.limits import FREE
from resources.http.pipeline import Pipeline
from resources.http.problems import LANGUAGES, MIME_TYPE, PROBLEMS, problem_json
from resources.http.reply import Headers, Later, Make, Reply
from resources.http.request_queue import Lane, RequestQueue

log = logging.getLogger("seckill.requests")


class Exchange(Protocol):
    """The way back of a request, for whatever thread answers it. The first response is sent."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a response whole. Must not block."""

    def response_chunks(self, status: int, headers: Headers, chunks: Iterable[bytes]) -> None:
        """Send a response that is made in pieces, once it is complete. Raises what making it raises."""


Answer = Callable[[ApiRequest, Exchange], object]


class Dispatcher:
    """Hands the requests of a worker to the threads that answer them."""

    def __init__(self, pipeline: Pipeline, threads: int) -> None:
        """What the fast path does not answer Flask does, in at most so many `threads`."""
        self._pipeline = pipeline
        self._fast_path = pipeline.fast_path
        self._deadlines = Deadlines()
        self._queue = RequestQueue(threads, self._deadlines)
        # Answers that come later, and must come by the request's deadline.
        self._awaited: set[Pending] = set()

    @property
    def in_hand(self) -> int:
        """Requests that are not answered yet. Purchases are counted elsewhere (core/services.py)."""
        return self._queue.in_hand + len(self._awaited)

    def receive(self, exchange: Exchange, environ: WSGIEnvironment) -> None:
        """Answer a request whose body is there, or have it answered. Does not wait."""
        self._guarded(self._receive, ApiRequest(environ), exchange)

    def refuse(self, error: Exception, exchange: Exchange, environ: WSGIEnvironment) -> None:
        """Answer a request that could not be received."""
        self._send_error(ApiRequest(environ), exchange, error)

    def _receive(self, request: ApiRequest, exchange: Exchange) -> None:
        health = self._fast_path.health(request)
        if health is not None:
            self._answer(request, exchange, health)
        elif self._fast_path.waits:
            self._put(self._receive_in_thread, request, exchange)
        else:
            self._answer(request, exchange, self._fast_path.answer(request))

    def _receive_in_thread(self, request: ApiRequest, exchange: Exchange) -> None:
        answer = self._fast_path.answer(request)
        if answer is None:
            self._by_flask(request, exchange)
        else:
            self._answer(request, exchange, answer)

    def _answer(self, request: ApiRequest, exchange: Exchange, answer: Reply | Later | Exception | None) -> None:
        """Send an answer, now or later. Does not wait: None has a thread call Flask."""
        if answer is None:
            self._put(self._by_flask, request, exchange)
        elif isinstance(answer, Later):
            self._answer_later(request, exchange, answer)
        else:
            self._send(request, exchange, answer)

    def _answer_later(self, request: ApiRequest, exchange: Exchange, later: Later) -> None:
        # A callback must not hold its future, which keeps it: both would be left to the garbage collector.
        make = later.make
        if later.late is None:
            later.future.add_done_callback(partial(self._complete, request, exchange, make))
            return
        pending = self._pending(request, exchange, later.late)

        def complete(done: Future[Any]) -> None:
            if not pending.claim():
                return
            try:
                begin_request(pending.deadline)  # in case that Flask is to answer
                self._complete(request, exchange, make, done)
            finally:
                begin_request(None)
                self._awaited.discard(pending)

        later.future.add_done_callback(complete)

    def _complete(self, request: ApiRequest, exchange: Exchange, make: Make, done: Future[Any]) -> None:
        self._guarded(self._answer_made, request, exchange, make, done)

    def _answer_made(self, request: ApiRequest, exchange: Exchange, make: Make, done: Future[Any]) -> None:
        self._answer(request, exchange, make(done))

    def _pending(self, request: ApiRequest, exchange: Exchange, late: Exception) -> Pending:
        """Answers with `late` at the deadline, unless the answer is claimed before."""

        def expire() -> None:
            self._awaited.discard(pending)
            self._send_error(request, exchange, late)

        pending = Pending(self._pipeline.deadline(), expire)
        self._awaited.add(pending)
        self._deadlines.watch(pending)
        return pending

    def _by_flask(self, request: ApiRequest, exchange: Exchange) -> None:
        request.environ.update(_WSGI)
        self._send(request, exchange, None)

    def _send(self, request: ApiRequest, exchange: Exchange, answer: Reply | Exception | None) -> None:
        reply = self._pipeline.seal(request, answer)
        if isinstance(reply.body, bytes):
            # Noted ahead: who has the answer may look for its line.
            self._pipeline.envelope.note(request, reply.status)
            exchange.response_bytes(reply.status, reply.headers, reply.body)
        else:
            exchange.response_chunks(reply.status, reply.headers, reply.body)
            self._pipeline.envelope.note(request, reply.status)

    def _put(self, answer: Answer, request: ApiRequest, exchange: Exchange) -> None:
        """Have a thread answer, or say `busy`: at once where too many wait, else at the request's deadline."""

        def refuse() -> None:
            self._send_error(request, exchange, Busy())

        try:
            deadline = self._pipeline.deadline()
            self._queue.put(_lane(request), deadline, lambda: self._guarded(answer, request, exchange), refuse)
        except Busy:
            refuse()

    def _guarded(self, answer: Callable[..., object], request: ApiRequest, exchange: Exchange, *more: object) -> None:
        """Calls `answer`, and answers with the error if it raises."""
        try:
            answer(request, exchange, *more)
        except BaseException as error:  # the end of the thread is no end of the wait for an answer
            known = error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
            self._send_error(request, exchange, known)

    def _send_error(self, request: ApiRequest, exchange: Exchange, error: Exception) -> None:
        """Send an error; where that fails as well, `internal_error` by the fewest steps: nobody else would answer."""
        try:
            self._send(request, exchange, error)
        except Exception as failure:
            log.error("an error could not be answered: %s", type(failure).__name__, extra={"request_id": request.id})
            body = problem_json(INTERNAL_ERROR, LANGUAGES[0], request.id, PROBLEMS[INTERNAL_ERROR].detail)
            request.code = INTERNAL_ERROR
            self._pipeline.envelope.note(request, 500)
            headers = [("Content-Type", MIME_TYPE), ("Content-Length", str(len(body))), ("X-Request-ID", request.id)]
            exchange.response_bytes(500, [*headers, *SAFE_HEADERS], body)


_WSGI = {
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,  # also where no length was stated: all of the body is there
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "SCRIPT_NAME": "",
}


# Whoever watches a sale does so most when all other threads are busy.
WATCH_PATHS = FREE | {"/live"}


def _lane(request: ApiRequest) -> Lane:
    if request.environ["PATH_INFO"] in WATCH_PATHS:
        return Lane.WATCH
    return Lane.READS if request.method in READING else Lane.CHANGES
