"""A cable between the service and its database that is cut at a COMMIT."""

import socket
import threading
import time
from enum import Enum

from sqlalchemy.engine import make_url

_HEADER_BYTES = 4
# MySQL puts the number of query attributes, none, and of their sets ahead of a statement.
_COMMITS = (b"\x03COMMIT", b"\x03\x00\x01COMMIT")


class Cut(Enum):
    """When the cable is cut."""

    BEFORE = "the server never hears of the COMMIT"
    AFTER = "the server commits, its answer is lost"
    LATE = "the client is cut off first, the server commits a little later"


class Proxy:
    """Passes bytes to a server and back. `cut_next` cuts the next connection that commits, once."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._cut: Cut | None = None
        self._passing = 0
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        # How long a commit that comes LATE is kept back: until then, or until somebody who looked for its effect
        # meanwhile was answered. Whoever reads orders counts: no background job is to run.
        self.late_seconds = 0.7
        self._is_late = False
        self._was_looked_for = threading.Event()
        self.cuts = 0
        self._threads[0].start()

    def address(self, uri: str) -> str:
        """The database address `uri`, by way of this proxy, and without TLS: the proxy reads what passes."""
        url = make_url(uri).set(port=self.port).update_query_dict({"ssl_disabled": "true"})
        return url.render_as_string(hide_password=False)

    def cut_next(self, cut: Cut, passing: int = 0) -> None:
        """Cut at the next COMMIT after so many that may pass."""
        with self._lock:
            self._cut, self._passing = cut, passing

    def close(self) -> None:
        _shut(self._listener)
        for end in self._sockets:
            _shut(end)
        for thread in list(self._threads):
            thread.join()
        for end in [self._listener, *self._sockets]:
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                return
            self._sockets += [client, server]
            states = threading.Event(), threading.Event()
            for pump, ends in ((self._to_server, (client, server)), (self._to_client, (server, client))):
                thread = threading.Thread(target=pump, args=(*ends, *states))
                self._threads.append(thread)
                thread.start()

    def _to_server(
        self, client: socket.socket, server: socket.socket, deaf: threading.Event, looks: threading.Event
    ) -> None:
        while data := _received(client):
            if self._is_late and b"FROM orders" in data:
                looks.set()
            cut = self._take_cut() if data[_HEADER_BYTES:].startswith(_COMMITS) else None
            if cut is Cut.BEFORE:
                break
            if cut is Cut.AFTER:
                deaf.set()
            if cut is Cut.LATE:
                deaf.set()
                self._was_looked_for.clear()
                self._is_late = True
                _shut(client)
                self._was_looked_for.wait(self.late_seconds)
                self._is_late = False
                _sent(server, data)
                # The server is left the time to read it.
                time.sleep(0.5)
                break
            if not _sent(server, data):
                break
        if not deaf.is_set():
            _shut(client)
        _shut(server)

    def _to_client(
        self, server: socket.socket, client: socket.socket, deaf: threading.Event, looks: threading.Event
    ) -> None:
        while data := _received(server):
            # Asked before the client has this: it may look at once, and be taken for answered.
            is_answer = looks.is_set()
            if deaf.is_set() or not _sent(client, data):
                break
            if is_answer:
                self._was_looked_for.set()
        _shut(client)

    def _take_cut(self) -> Cut | None:
        with self._lock:
            if self._passing:
                self._passing -= 1
                return None
            cut, self._cut = self._cut, None
            self.cuts += cut is not None
            return cut


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except OSError:
        return b""


def _sent(end: socket.socket, data: bytes) -> bool:
    try:
        end.sendall(data)
    except OSError:
        return False
    return True


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
