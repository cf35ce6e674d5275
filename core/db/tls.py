"""TLS to the database: one context for all connections of a process, and the protection of a connection.

Making a context that verifies certificates takes tens of milliseconds, most of it to read the system's certificates.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mysql.connector.errors import ConnectionTimeoutError, InterfaceError
from mysql.connector.network import MySQLTCPSocket

from core.name_lookup import NameLookup

# The driver's own, of the C client.
TLS_FAILED = 2026
PASSWORD_IN_CLEAR = 2061
_NOT_REACHED = 2003
_UNKNOWN_HOST = 2005

_names = NameLookup()
_CONNECT_SECONDS = 10.0  # where no time-out is stated
_KEPT = 16  # contexts; renewed certificates make new ones
_VERSIONS: Mapping[str, ssl.TLSVersion] = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


class Unprotected(InterfaceError):
    """A connection would be less protected than the settings demand. The text says why, for operators."""


@dataclass(frozen=True)
class Protection:
    """The protection of a connection. `cipher` is empty without TLS; `local` is a Unix socket or a loopback address."""

    cipher: str
    verified: bool
    host_verified: bool
    local: bool


def protection(sock: Any, local: bool) -> Protection:
    """The protection of a connected socket: one of Python's, or an object with its methods."""
    if not callable(getattr(sock, "cipher", None)):
        return Protection("", False, False, local)
    context: ssl.SSLContext = sock.context
    verified = context.verify_mode is ssl.CERT_REQUIRED
    name, version, _ = sock.cipher()
    return Protection(f"{version} {name}", verified, verified and context.check_hostname, local)


def is_local(sock: Any) -> bool:
    """Whether the other end is on this host, by a Unix socket or a loopback address."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return True
    return is_loopback(sock.getpeername()[0])


def is_loopback(host: str) -> bool:
    """Whether a server that sees a client as `host`, a name or an IP address, is on the client's host."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host in ("localhost", "localhost.localdomain")
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


class TlsFile(NamedTuple):
    """The name and version of a file, so that a renewed certificate is read again."""

    name: str
    modified_ns: int
    size: int


class TlsOptions(NamedTuple):
    """What the address of a database says about TLS."""

    ca: TlsFile | None
    cert: TlsFile | None
    key: TlsFile | None
    verify_cert: bool
    verify_identity: bool
    versions: tuple[str, ...]
    cipher_suites: tuple[str, ...]


def make_context(options: TlsOptions) -> ssl.SSLContext:
    """A TLS context of these options. Raises Unprotected if they do not work."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Without verification, the host's name in a certificate proves nothing.
    verify = options.verify_cert or options.verify_identity
    context.check_hostname = options.verify_identity
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    try:
        if options.versions:
            context.minimum_version = _VERSIONS[min(options.versions)]
            context.maximum_version = _VERSIONS[max(options.versions)]
        if options.cipher_suites and max(options.versions, default="") == "TLSv1.2":
            context.set_ciphers(":".join(options.cipher_suites))  # those of TLS 1.3 cannot be excluded
        if options.ca:
            context.load_verify_locations(options.ca.name)  # and no other: a public authority issues to anyone
        elif verify:
            context.load_default_certs()
        if options.cert:
            context.load_cert_chain(options.cert.name, options.key.name if options.key else None)
    except (OSError, ssl.SSLError, KeyError) as error:
        raise Unprotected(f"the TLS options of the address do not work: {error}", errno=TLS_FAILED) from error
    return context


class Contexts:
    """The newest TLS contexts, by their options. Shared by all threads of a process."""

    def __init__(self, make: Callable[[TlsOptions], ssl.SSLContext] = make_context) -> None:
        self.make = make
        self._kept: dict[TlsOptions, ssl.SSLContext] = {}
        self._making = threading.Lock()

    def of(self, options: TlsOptions) -> ssl.SSLContext:
        """The context of these options, made where it is not there yet. Raises Unprotected if they do not work."""
        with self._making:
            if options not in self._kept:
                while len(self._kept) >= _KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[options] = self.make(options)
            return self._kept[options]


contexts = Contexts()


class TcpSocket(MySQLTCPSocket):
    """The driver's socket, with a bound on the look-up of the host's name, a shared TLS context, and TCP_NODELAY."""

    def open_connection(self) -> None:
        """Open it. The time-out of the connection is for the look-up and the TCP connection together.

        Raises what the driver raises.
        """
        name, stated = self.server_host, self._connection_timeout
        seconds = _CONNECT_SECONDS if stated is None else stated
        began = time.monotonic()
        self.server_host = self.look_up(seconds)
        left = max(0.1, seconds - (time.monotonic() - began))
        self.set_connection_timeout(left)  # type: ignore[arg-type]  # a socket's time-out may be a fraction
        try:
            super().open_connection()
        finally:
            self.server_host = name
            self.set_connection_timeout(stated)
        assert self.sock is not None
        # TLS cuts a long statement into pieces of 16 KiB. The kernel would keep the last one back until the server has
        # confirmed the others, 40 ms later: rows stay locked meanwhile.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def look_up(self, seconds: float) -> str:
        """One of the host's addresses: of IPv6 with `force_ipv6`, else of IPv4, if there is one of that kind."""
        host, port = self.server_host, self.server_port
        try:
            found = _names.addresses(host, port, seconds)
        except TimeoutError as error:
            raise ConnectionTimeoutError(errno=_NOT_REACHED, values=(host, port, str(error))) from error
        except OSError as error:
            raise InterfaceError(errno=_UNKNOWN_HOST, values=(host, error.strerror or str(error))) from error
        return next((address for address in found if (":" in address) is self.force_ipv6), found[0])

    def build_ssl_context(
        self,
        ssl_ca: str | None = None,
        ssl_cert: str | None = None,
        ssl_key: str | None = None,
        ssl_verify_cert: bool | None = False,
        ssl_verify_identity: bool | None = False,
        tls_versions: list[str] | None = None,
        tls_cipher_suites: list[str] | None = None,
    ) -> ssl.SSLContext:
        """The context for these options of the URL. Raises Unprotected if they do not work."""
        return contexts.of(
            TlsOptions(
                _file(ssl_ca),
                _file(ssl_cert),
                _file(ssl_key),
                bool(ssl_verify_cert),
                bool(ssl_verify_identity),
                tuple(tls_versions or ()),
                tuple(tls_cipher_suites or ()),
            )
        )

    def switch_to_ssl(self, ssl_context: Any, host: str) -> None:
        """Start TLS. Raises Unprotected if the certificate does not match, InterfaceError for all other failures."""
        try:
            super().switch_to_ssl(ssl_context, host)
        except InterfaceError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                reason = error.__cause__.verify_message
                raise Unprotected(f"the server's certificate is refused: {reason}", errno=TLS_FAILED) from error
            if isinstance(error.__cause__, ssl.SSLError):
                raise Unprotected(f"TLS failed: {error.__cause__.reason}", errno=TLS_FAILED) from error
            raise


def _file(name: str | None) -> TlsFile | None:
    if not name:
        return None
    try:
        found = Path(name).stat()
    except OSError as error:
        raise Unprotected(f"{name} cannot be read: {error.strerror}", errno=TLS_FAILED) from error
    return TlsFile(name, found.st_mtime_ns, found.st_size)
