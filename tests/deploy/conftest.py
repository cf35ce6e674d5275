"""The service behind nginx, and upstreams that are not the service."""

import contextlib
import re
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.nginx import Nginx


def sold(sqlite_uri: str, goods_id: int) -> int:
    """The units of an item that are sold, from the database: what the service shows may be a second old."""
    with contextlib.closing(sqlite3.connect(sqlite_uri.removeprefix("sqlite:///"))) as connection:
        return connection.execute("SELECT sold FROM goods WHERE id = ?", (goods_id,)).fetchone()[0]


@pytest.fixture
def start_nginx(tmp_path: Path) -> Iterator[Callable[..., Nginx]]:
    """Starts nginxes: `start_nginx(service.port, changes={"proxy_buffering on": "proxy_buffering off"})`."""
    running: list[Nginx] = []

    def start(*upstream_ports: int, **options: object) -> Nginx:
        running.append(Nginx(tmp_path / f"nginx-{len(running)}", *upstream_ports, **options))  # type: ignore[arg-type]
        return running[-1]

    yield start
    for nginx in running:
        nginx.stop()


class Upstream:
    """Notes each request that it is sent, and answers all with `answer`; with none it hangs up instead."""

    def __init__(self, answer: bytes) -> None:
        self.requests: list[str] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                request = self._read(connection)
                if request == "stop":
                    return
                self.requests.append(request)
                connection.sendall(self._answer)

    @staticmethod
    def _read(connection: socket.socket) -> str:
        """The whole of a request: its headers, and as many bytes of body as they promise."""
        data = b""
        while True:
            data += connection.recv(65536)
            head, ended, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            if data == b"stop" or (ended and len(body) >= int(length[1] if length else 0)):
                return data.decode()

    def stop(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"stop")
        self._thread.join()
        self._listener.close()


@pytest.fixture
def start_upstream() -> Iterator[Callable[[bytes], Upstream]]:
    running: list[Upstream] = []

    def start(answer: bytes = b"") -> Upstream:
        running.append(Upstream(answer))
        return running[-1]

    yield start
    for upstream in running:
        upstream.stop()
