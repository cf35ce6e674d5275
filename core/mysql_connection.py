"""The driver's connection, without what it costs in a purchase transaction under many threads.

Each system call lets other threads take their turn, and the turn comes back late. The driver makes two for each packet,
of which a row is one and each column's name another, and Python doubles them again to keep time: all that while rows
stay locked.
"""

import socket
import ssl
import struct
from typing import Any

from mysql.connector.connection import MySQLConnection

_READ_BYTES = 32 * 1024


class Connection(MySQLConnection):
    """Reads all that has arrived at once, and does not ask the server for a sign of life before each cursor."""

    def _open_connection(self) -> None:
        super()._open_connection()
        opened = self._socket
        assert opened is not None
        # Not earlier: TLS is set up by then, and reads through a socket that it has made.
        opened.sock = _ReadAhead(opened.sock)  # type: ignore[assignment, arg-type]

    def is_connected(self) -> bool:
        return self._socket is not None

    def ask(self, statement: str, *values: str) -> tuple[list[tuple[str | None, ...]], int]:
        """Send one statement; each `%s` in it is one of `values`. Returns its rows, as text, and how many it changed.

        A third of what a cursor costs, which is made for all types and all ways to fetch. Raises mysql.connector.Error.
        """
        converter = self.converter
        assert converter is not None
        quoted = tuple(converter.quote(converter.escape(value.encode())) for value in values)
        result = self.cmd_query(statement.encode() % quoted)
        if "columns" not in result:
            return [], int(result["affected_rows"])
        rows, _ = self.get_rows(raw=True)
        return [tuple(None if value is None else value.decode() for value in row) for row in rows], 0


class _ReadAhead:
    """A socket as the driver uses it, read in large pieces. Belongs to one connection for its whole life."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._timeout = sock.gettimeout()
        self._arrived = b""
        self._at = 0

    def recv_into(self, buffer: memoryview, size: int) -> int:
        """Fill `buffer` with up to `size` bytes; 0 at the connection's end. Raises what the socket raises."""
        if self._at == len(self._arrived):
            try:
                self._arrived, self._at = self._sock.recv(_READ_BYTES), 0
            except BlockingIOError as error:
                raise TimeoutError("timed out") from error
        piece = self._arrived[self._at : self._at + size]
        self._at += len(piece)
        buffer[: len(piece)] = piece
        return len(piece)

    def settimeout(self, seconds: float | None) -> None:
        """Bound each wait for the server to so many seconds."""
        if seconds == self._timeout:
            return  # the driver says so before each packet
        self._timeout = seconds
        if isinstance(self._sock, ssl.SSLSocket):
            self._sock.settimeout(seconds)
            return
        # By the system itself: Python would ask it twice, first whether it is time.
        self._sock.settimeout(None)
        whole, fraction = divmod(seconds or 0, 1)
        bound = struct.pack("@ll", int(whole), int(fraction * 1_000_000))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bound)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bound)

    def sendall(self, data: bytes) -> None:
        """Send all of `data`. Raises TimeoutError, and what else the socket raises."""
        try:
            self._sock.sendall(data)
        except BlockingIOError as error:
            raise TimeoutError("timed out") from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
