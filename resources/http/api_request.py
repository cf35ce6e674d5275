"""A request as the pipeline sees it: one object for the fast path, for Flask, and for the log line."""

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from wsgiref.types import WSGIEnvironment

from core.tokens import Identity, Tokens
from resources.http import body
from resources.http.callers import identity

_KEY = "seckill.request"
_PLAIN_ID = re.compile(r"[A-Za-z0-9._:+/=@-]{1,64}")


class ApiRequest:
    """One request, from its arrival to its log line. Belongs to one thread at a time."""

    __slots__ = (
        "_body",
        "_identity",
        "began",
        "caller",
        "code",
        "counted",
        "environ",
        "id",
        "length",
        "method",
        "route",
    )

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.began = time.perf_counter()
        self.id = _request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        self.length = body.stated_length(environ)  # of the body in bytes; None where the request does not state it
        self.route = "none"  # the pattern of the route, once it is known
        self.caller: Identity | None = None  # whom the log names
        self.code: str | None = None  # of the problem that is answered
        self.counted = False  # by the limits on callers
        self._body: bytes | None = None
        self._identity: tuple[Identity | None] | None = None

    @contextmanager
    def in_environ(self) -> Iterator[None]:
        """Let `of` find this request while the block runs.

        It is removed afterwards: the request and its environment would otherwise refer to each other, and both be left
        to the garbage collector.
        """
        self.environ[_KEY] = self
        try:
            yield
        finally:
            del self.environ[_KEY]

    @classmethod
    def of(cls, environ: WSGIEnvironment) -> "ApiRequest":
        """The request that Flask answers in `environ`. Raises KeyError for one that did not come by the pipeline."""
        found: ApiRequest = environ[_KEY]
        return found

    def header(self, name: str) -> str | None:
        """The value of a header by its name, such as `If-Match`; several are joined by commas."""
        value: str | None = self.environ.get(environ_name(name))
        return value

    def identity(self, tokens: Tokens) -> Identity | None:
        """The caller whose token is valid, if there is one. Verified once."""
        if self._identity is None:
            self._identity = (identity(self.environ, tokens),)
        return self._identity[0]

    def body(self) -> bytes:
        """The body, or as much of it as shows that it is too long. Can still be read from the environment."""
        if self._body is None:
            length = 0 if self.length is None and not self._ends_by_itself() else self.length
            at_most = body.READ_AT_MOST if length is None else min(length, body.READ_AT_MOST)
            self._body = self.environ["wsgi.input"].read(at_most) if at_most else b""
            self.environ["wsgi.input"] = BytesIO(self._body)
        return self._body

    def _ends_by_itself(self) -> bool:
        return "HTTP_TRANSFER_ENCODING" in self.environ or bool(self.environ.get("wsgi.input_terminated"))


@lru_cache(maxsize=100)
def environ_name(name: str) -> str:
    """The name under which the environment has a header of ours."""
    return f"HTTP_{name.upper().replace('-', '_')}"


def _request_id(given: str) -> str:
    """The id that the caller gave, or a new one where it is not 1 to 64 plain characters."""
    if _PLAIN_ID.fullmatch(given):
        return given
    # Only to distinguish requests. Anything safer is a system call, which releases the GIL.
    return f"{random.getrandbits(128):032x}"
