"""A proxy that changes statements on their way to MySQL or MariaDB, so that the server does something else."""

import re
import socket
import threading
from collections.abc import Callable

from sqlalchemy.engine import make_url

_QUERY = 3
# With query attributes, which MySQL knows and MariaDB does not, two numbers stand ahead of the text.
_ATTRIBUTES = b"\x00\x01"
FOUND_ROWS = 0x2
SEVERAL_STATEMENTS = 0x10000

Change = Callable[[str], str]


class LyingProxy:
    """`change` gets each statement and returns what is sent instead. `forget` are capabilities to be forgotten."""

    def __init__(self, port: int, change: Change, forget: int = 0) -> None:
        self._server_port = port
        self._change = change
        self._forget = forget
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def address(self, uri: str) -> str:
        """The database address `uri`, by way of this proxy and without TLS."""
        url = make_url(uri).set(port=self._port).update_query_dict({"ssl_disabled": "true"})
        return url.render_as_string(hide_password=False)

    def close(self) -> None:
        for end in self._sockets:
            _shut(end)
        for thread in list(self._threads):
            thread.join()
        for end in self._sockets:
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                return
            self._sockets += [client, server]
            for pump in (self._to_server, self._to_client):
                thread = threading.Thread(target=pump, args=(client, server))
                self._threads.append(thread)
                thread.start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        first = True
        stream = client.makefile("rb")
        try:
            while header := stream.read(4):
                payload = stream.read(int.from_bytes(header[:3], "little"))
                payload = self._greeting(payload) if first else self._statement(payload)
                first = False
                server.sendall(len(payload).to_bytes(3, "little") + header[3:] + payload)
        except OSError:
            pass
        finally:
            stream.close()
            _shut(server)

    def _greeting(self, payload: bytes) -> bytes:
        capabilities = int.from_bytes(payload[:4], "little") & ~self._forget
        return capabilities.to_bytes(4, "little") + payload[4:]

    def _statement(self, payload: bytes) -> bytes:
        if payload[:1] != bytes([_QUERY]):
            return payload
        ahead = payload[1:3] if payload[1:3] == _ATTRIBUTES else b""
        return payload[:1] + ahead + self._change(payload[1 + len(ahead) :].decode()).encode()

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := server.recv(65536):
                client.sendall(data)
        except OSError:
            pass
        _shut(client)


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def without(pattern: str, only_with: str = "", instead: str = "") -> Change:
    """Takes what `pattern` matches out of statements, or puts `instead` there, where they match `only_with`."""
    return lambda statement: re.sub(pattern, instead, statement) if re.search(only_with, statement) else statement
