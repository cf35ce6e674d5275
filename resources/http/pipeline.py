"""The one way from a request to its answer: the fast path or Flask, and the envelope around both.

As a WSGI application it serves tests and Flask's own tools, where a thread waits for each answer. The event loop's
entrance is dispatch.py.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from core.db.clock import Deadline, deadline_of_request
from resources.fast_path import FastPath, NoFastPath
from resources.http.api_request import ApiRequest
from resources.http.envelope import WITHOUT_BODY, Envelope
from resources.http.errors import reply_to
from resources.http.reply import Headers, Later, Reply

_PHRASES = {int(status): f"{status.value} {status.phrase}" for status in HTTPStatus}


class Pipeline:
    """Answers requests. Shared by all threads of a process."""

    def __init__(
        self, application: WSGIApplication, fast_path: FastPath | NoFastPath, envelope: Envelope, wait_seconds: float
    ) -> None:
        """`application` is Flask's. A request may take `wait_seconds` from its arrival on."""
        self.application = application
        self.fast_path = fast_path
        self.envelope = envelope
        self._wait_seconds = wait_seconds

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        reply = self.reply(environ)
        start_response(_PHRASES.get(reply.status, f"{reply.status} Unknown"), reply.headers)
        return [reply.body] if isinstance(reply.body, bytes) else reply.body

    def reply(self, environ: WSGIEnvironment) -> Reply:
        """The answer to a request. This thread waits for it."""
        request = ApiRequest(environ)
        reply = self.seal(request, self._found(request))
        self.envelope.note(request, reply.status)
        return reply

    def deadline(self) -> Deadline:
        """The deadline of the request that this thread is answering, counted from its arrival."""
        return deadline_of_request(self._wait_seconds)

    def seal(self, request: ApiRequest, answer: Reply | Exception | None) -> Reply:
        """The answer as it is sent. None has Flask answer, in this thread."""
        if answer is None:
            answer = self.by_flask(request)
        if isinstance(answer, Exception):
            answer = reply_to(answer, request)
        return self.envelope.seal(request, answer)

    def _found(self, request: ApiRequest) -> Reply | Exception | None:
        try:
            answer = self.fast_path.answer(request, holds_thread=True)
        except Exception as error:
            return error
        return answer.wait(self.deadline().remaining()) if isinstance(answer, Later) else answer

    def by_flask(self, request: ApiRequest) -> Reply:
        """Flask's answer. Waits for it, but not for the pieces of one that is made while it is sent."""
        started: list[tuple[int, Headers]] = []

        def start_response(status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], object]:
            started[:] = [(int(status[:3]), headers)]
            return _no_write

        with request.in_environ():
            response = self.application(request.environ, start_response)
        pieces = _Pieces(response)
        try:
            first = next(pieces, b"")  # the application may start its response with the first piece only
            status, headers = started[0]
            if status in WITHOUT_BODY or any(name == "Content-Length" for name, _ in headers):
                return Reply(status, headers, first + b"".join(pieces))
        except BaseException:
            pieces.close()
            raise
        return Reply(status, headers, pieces.after(first))


class _Pieces(Iterator[bytes]):
    """The pieces of a response, which is closed after the last one, or by `close`."""

    def __init__(self, response: Iterable[bytes]) -> None:
        self._response = response
        self._pieces = iter(response)

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            self.close()
            raise

    def after(self, first: bytes) -> "_Pieces":
        """The same, with a piece before the others."""
        self._pieces = itertools.chain([first], self._pieces)
        return self

    def close(self) -> None:
        close = getattr(self._response, "close", None)
        if close is not None:
            close()


def _no_write(data: bytes) -> None:
    raise NotImplementedError("responses are iterables here")
