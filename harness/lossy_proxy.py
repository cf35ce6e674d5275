"""An HTTP proxy in front of the service that loses requests and answers, as networks do."""

import http.client
import random
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

# What becomes of a request: it is lost, or it is received and its answer is lost, or neither.
REQUEST = "request"
ANSWER = "answer"
Fate = Callable[[str, str], str | None]

_PATIENCE_SECONDS = 40
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})


def losing(share: float, seed: int, of: str = "/seckill/", method: str = "POST") -> Fate:
    """Loses `share` of the requests or their answers, by lot, of those to `of`."""
    chance = random.Random(seed)
    lock = threading.Lock()

    def fate(given: str, path: str) -> str | None:
        if given != method or not path.startswith(of):
            return None  # without a lot: how many of these come is by chance, and the lots of the others are not to be
        with lock:
            lost, kind = chance.random() < share, chance.choice((REQUEST, ANSWER, ANSWER))
        return kind if lost else None

    return fate


class LossyProxy:
    """Passes requests on to 127.0.0.1:`port`, which may be set anew. `lost` counts what was lost,
    `received` the requests that the service has answered.

    A browser itself sends a request anew that gets no answer on a connection that it had used before. With
    `keep_alive` off there is no such connection: the page has to send it anew.
    """

    def __init__(self, port: int, fate: Fate, keep_alive: bool = True) -> None:
        self.port = port
        self.keep_alive = keep_alive
        self.fate = fate
        self.lost = {REQUEST: 0, ANSWER: 0}
        self.received = 0
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "LossyProxy":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: LossyProxy
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE_SECONDS

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fate = self.owner.fate(self.command, self.path)
        if fate is not None:
            self.owner.lost[fate] += 1
        if fate == REQUEST:
            self.close_connection = True
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.owner.port, timeout=_PATIENCE_SECONDS)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            self.owner.received += 1
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # the service is not there, or went away
            return
        finally:
            connection.close()
        if fate == ANSWER:
            self.close_connection = True
            return
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        if not self.owner.keep_alive:
            self.send_header("Connection", "close")
        if answer.status != 304:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = do_OPTIONS = _pass_on

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True  # the browser went away

    def log_message(self, format: str, *args: object) -> None:
        pass
