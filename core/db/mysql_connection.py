"""The driver's connection with fewer system calls, since rows stay locked during the calls of a purchase.

Every system call releases the GIL; under load it takes milliseconds to get it back. The driver makes two calls for each
packet (each row and each column name is one), and Python doubles them for the timeouts.
"""

import os
import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from mysql.connector.connection import MySQLConnection
from mysql.connector.constants import ClientFlag
from mysql.connector.network import MySQLSocket
from sqlalchemy.util import asbool

from core.db.mysql_login import Authenticator
from core.db.tls import TLS_FAILED, Protection, TcpSocket, Unprotected, is_local, protection

READ_BYTES = 32 * 1024
# How the server's performance_schema names the connections of this service.
PROGRAM = "flash-sale"


class Connection(MySQLConnection):
    """Reads everything that has arrived at once, and does not ping the server before each cursor.

    Shares its TLS context with the process's other connections, and never sends a password in clear over a network.
    """

    def protection(self) -> Protection:
        """The protection of this connection."""
        return protection(self.sock, is_local(self.sock))

    @property
    def sock(self) -> Any:
        """The socket of this connection, which is open."""
        assert self._socket is not None
        return self._socket.sock

    @property
    def login_plugin(self) -> str:
        """The name of the plugin by which the user has logged in."""
        return self._authenticator.plugin if isinstance(self._authenticator, Authenticator) else ""

    def _get_connection(self) -> MySQLSocket:
        if self._unix_socket:
            return super()._get_connection()
        opened = TcpSocket(host=self.server_host, port=self.server_port, force_ipv6=self._force_ipv6)
        opened.set_connection_timeout(self._connection_timeout)
        return opened

    def _do_handshake(self) -> None:
        super()._do_handshake()
        wanted = [name for name in ("ca", "cert", "verify_cert", "verify_identity") if self._ssl.get(name)]
        if wanted and not self._ssl_disabled and not self._client_flags & ClientFlag.SSL:
            # The driver would continue without TLS, which an attacker in between can bring about.
            raise Unprotected(f"the server takes no TLS, and ssl_{wanted[0]} wants it", errno=TLS_FAILED)

    def _do_auth(self, *arguments: Any, **options: Any) -> bool:
        self._authenticator = Authenticator(unix_socket=bool(self._unix_socket))
        return super()._do_auth(*arguments, **options)

    def _open_connection(self) -> None:
        # The driver would send a trace's id with each statement, also to MariaDB, which takes no such thing.
        self.otel_context_propagation = False
        super()._open_connection()
        opened = self._socket
        assert opened is not None
        # Not earlier: the TLS handshake replaces the socket.
        opened.sock = ReadAhead(opened.sock)  # type: ignore[assignment, arg-type]

    def _add_default_conn_attrs(self) -> None:
        # The driver's own has the host's release looked up by a command, in the first request and without a time limit.
        self._conn_attrs.update(
            {"_client_name": "mysql-connector-python", "_pid": str(os.getpid()), "program_name": PROGRAM}
        )

    def is_connected(self) -> bool:
        return self._socket is not None

    def execute(self, statement: str, *values: str) -> tuple[list[tuple[str | None, ...]], int]:
        """Send one statement; each `%s` in it is one of `values`. Returns its rows, as text, and how many it changed.

        It costs a third of a cursor, which handles all types and fetch modes. Raises mysql.connector.Error.
        """
        result = self.cmd_query(self._filled(statement, values))
        if "columns" not in result:
            return [], int(result["affected_rows"])
        rows, _ = self.get_rows(raw=True)
        return [tuple(None if value is None else value.decode() for value in row) for row in rows], 0

    def execute_all(self, changes: Sequence[tuple[str, Sequence[str]]]) -> list[int]:
        """Send several statements, none of which returns rows, with their values, in one packet.

        The server carries them out in their order, up to the first that fails. Returns how many rows each changed.
        Raises mysql.connector.Error.
        """
        packet = b";".join(self._filled(statement, values) for statement, values in changes)
        return [int(result["affected_rows"]) for result in self.cmd_query_iter(packet)]

    def _filled(self, statement: str, values: Sequence[str]) -> bytes:
        converter = self.converter
        assert converter is not None
        return statement.encode() % tuple(converter.quote(converter.escape(value.encode())) for value in values)


def open(options: Mapping[str, Any], kind: type[Connection] = Connection) -> Connection:
    """Open a connection with the options of a URL; those about TLS may be text.

    Raises mysql.connector.Error, and ValueError or AttributeError for unknown options.
    """
    given = {name: value for name, value in options.items() if name != "use_pure"}
    for name in ("ssl_disabled", "ssl_verify_cert", "ssl_verify_identity"):
        if name in given:
            given[name] = asbool(given[name])  # the driver takes the text "false" for true
    for name in ("tls_versions", "tls_ciphersuites"):
        if isinstance(given.get(name), str):
            given[name] = [each.strip() for each in given[name].strip("[]").split(",")]
    return kind(**given)


class ReadAhead:
    """The socket of one connection, with the methods that the driver calls, read in large pieces."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._timeout = sock.gettimeout()
        self._arrived = b""
        self._at = 0

    def recv_into(self, buffer: memoryview, size: int) -> int:
        """Fill `buffer` with up to `size` bytes; 0 at the connection's end. Raises what the socket raises."""
        if self._at == len(self._arrived):
            try:
                self._arrived, self._at = self._sock.recv(READ_BYTES), 0
            except BlockingIOError as error:
                raise TimeoutError("timed out") from error
        piece = self._arrived[self._at : self._at + size]
        self._at += len(piece)
        buffer[: len(piece)] = piece
        return len(piece)

    def gettimeout(self) -> float | None:
        """The seconds that each wait for the server may take."""
        return self._timeout

    def settimeout(self, seconds: float | None) -> None:
        """Bound each wait for the server to `seconds`."""
        if seconds == self._timeout:
            return  # the driver calls this before each packet
        self._timeout = seconds
        if isinstance(self._sock, ssl.SSLSocket):
            self._sock.settimeout(seconds)
            return
        # By a socket option: with settimeout, Python makes an extra system call, poll, before each read and write.
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
