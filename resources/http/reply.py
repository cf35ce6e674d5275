"""The answer to a request as both entrances send it, before the envelope (envelope.py) adds what all answers have."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

from core.json_text import to_json_bytes
from core.refusals import Refusal

JSON = "application/json"
Headers = list[tuple[str, str]]


class Reply(NamedTuple):
    """An answer: its status, its own headers, and its body, or the pieces of one that is made while it is sent."""

    status: int
    headers: Headers
    body: bytes | Iterable[bytes] = b""


Make = Callable[[Future[Any]], "Reply | Exception | None"]


class Later(NamedTuple):
    """An answer that is there once `future` is done.

    `make` turns the future, when it is done, into the reply, or into the error that is to be answered; None hands the
    request on to Flask. It must not block, and returns errors instead of raising them: many requests may share one.
    `late` is answered if the future is not done by the request's deadline; None if the future keeps the deadline.
    """

    future: Future[Any]
    make: Make
    late: Refusal | None = None

    def wait(self, seconds: float) -> "Reply | Exception | None":
        """Wait for the answer; at most so many seconds, where the future keeps no deadline."""
        try:
            self.future.exception(None if self.late is None else seconds)
        except TimeoutError:
            return self.late
        return self.make(self.future)


def json_reply(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer in JSON; an answer without content has none."""
    body = b"" if status == 204 else to_json_bytes(data)
    return Reply(status, [("Content-Type", JSON), *(headers or {}).items()], body)


def reply_of(returned: Any) -> Reply:
    """What a method of a resource returned: a Reply, or data, alone or with a status and with headers.

    Raises TypeError for None: a method that forgot its answer.
    """
    if returned is None:
        raise TypeError("nothing was returned")
    if isinstance(returned, Reply):
        return returned
    if isinstance(returned, tuple):
        return json_reply(*returned)
    return json_reply(returned)
