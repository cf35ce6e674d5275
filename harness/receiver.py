"""A subscriber of the tests' own: an HTTP server on loopback that keeps what it was sent, as it came."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.serving import serving


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Act = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, **headers: str) -> Act:
    """Answer so and nothing more."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return act


@dataclass
class Receiver:
    """`act` answers each request; requests are in `received`, in the order in which they came."""

    url: str
    port: int
    act: Act = field(default_factory=lambda: status(204))
    received: list[Received] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[str]:
        return [request.id for request in self.received]


@contextmanager
def receiving(**options: Any) -> Iterator[Receiver]:
    """A receiver while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            receiver.received.append(Received(self.path, headers, body))
            receiver.came.set()
            try:
                receiver.act(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the sender has had enough

        def do_GET(self) -> None:
            receiver.received.append(Received(self.path, dict(self.headers), b""))
            status(200)(self)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook", server.server_port, **options)
    with serving(server):
        yield receiver
