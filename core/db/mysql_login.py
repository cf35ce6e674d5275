"""Logs in to MySQL without revealing the password.

`caching_sha2_password` sends a proof of the password, which needs no protection, once the server has cached it. Before
that, the server needs the password itself: through TLS or a Unix socket, or encrypted with the server's RSA key. The
driver sends it in clear if there is no TLS. The server's key cannot be distinguished from an attacker's, so it is used
on a loopback address only.
"""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from mysql.connector.authentication import MySQLAuthenticator
from mysql.connector.plugins import MySQLAuthPlugin
from mysql.connector.plugins.caching_sha2_password import MySQLCachingSHA2PasswordAuthPlugin
from mysql.connector.plugins.mysql_clear_password import MySQLClearPasswordAuthPlugin
from mysql.connector.plugins.sha256_password import MySQLSHA256PasswordAuthPlugin

from core.db.tls import PASSWORD_IN_CLEAR, Protection, Unprotected, is_local, protection

_SEND_PASSWORD = b"\x04"
_REQUEST_PUBLIC_KEY = b"\x02"
_PACKET_HEADER = 5  # bytes: length, number, and the byte that says "more data"


class Authenticator(MySQLAuthenticator):
    """The driver's authenticator, whose plugins know the protection of the connection."""

    def __init__(self, unix_socket: bool) -> None:
        self._strategy: MySQLAuthPlugin | None = None
        self._unix_socket = unix_socket
        self._seed = b""
        self.protection = Protection("", False, False, False)
        super().__init__()

    def authenticate(self, sock: Any, handshake: Any, *arguments: Any, **options: Any) -> bytes:
        """Log in. Raises Unprotected if that would reveal the password, and what the driver raises."""
        self.protection = protection(sock.sock, is_local(sock.sock))
        self._seed = bytes(handshake["auth_data"] or b"")
        return super().authenticate(sock, handshake, *arguments, **options)

    @property
    def plugin(self) -> str:
        """The name of the plugin by which the user logs in."""
        return self._strategy.name if self._strategy else ""

    # The driver makes plugins in two places, and each time keeps them here.
    @property
    def _auth_strategy(self) -> MySQLAuthPlugin | None:
        return self._strategy

    @_auth_strategy.setter
    def _auth_strategy(self, plugin: MySQLAuthPlugin | None) -> None:
        if isinstance(plugin, MySQLCachingSHA2PasswordAuthPlugin) and not self.ssl_enabled and not self._unix_socket:
            plugin = _Sha2WithoutTls(plugin, self._seed, self.protection.local)
        elif isinstance(plugin, MySQLSHA256PasswordAuthPlugin) and not self.ssl_enabled:
            # The server may also request this for an unknown user.
            raise Unprotected(
                "the server wants the password itself (sha256_password), which would travel in clear:"
                " check the user's name, and use TLS (no ssl_disabled in the address, and a certificate in the server)",
                errno=PASSWORD_IN_CLEAR,
            )
        elif isinstance(plugin, MySQLClearPasswordAuthPlugin) and not (
            self.protection.local or self.protection.verified
        ):
            # Any server can request it: an impostor would get the password.
            raise Unprotected(
                "the server asks for the password in clear (mysql_clear_password), and its certificate is not verified:"
                " add ssl_ca and ssl_verify_cert=true to the address",
                errno=PASSWORD_IN_CLEAR,
            )
        self._strategy = plugin


class _Sha2WithoutTls(MySQLCachingSHA2PasswordAuthPlugin):
    """`caching_sha2_password` over an unprotected connection."""

    def __init__(self, plugin: MySQLCachingSHA2PasswordAuthPlugin, seed: bytes, local: bool) -> None:
        super().__init__(plugin._username, plugin._password, ssl_enabled=False)  # noqa: SLF001 (nothing public has them)
        self._local = local
        self._seed = seed  # replaced if the server requests this plugin only after its greeting

    def auth_response(self, auth_data: bytes, **kwargs: Any) -> bytes | None:
        """The proof of the password for the server's random bytes."""
        if auth_data and len(auth_data) > 1:
            self._seed = auth_data
            return self._scramble(auth_data)
        return None

    def auth_more_response(self, sock: Any, auth_data: bytes, **kwargs: Any) -> bytes:
        """Continue after the proof. Raises Unprotected if the server needs the password, which may not be sent."""
        if bytes(auth_data) != _SEND_PASSWORD:
            return bytes(sock.recv())  # the proof was enough
        if not self._local:
            raise Unprotected(
                "the server wants the password itself (caching_sha2_password), which would travel in clear:"
                " use TLS (no ssl_disabled in the address, and a certificate in the server)",
                errno=PASSWORD_IN_CLEAR,
            )
        sock.send(_REQUEST_PUBLIC_KEY)
        key = _key(bytes(sock.recv()))
        password = self._password.encode() + b"\x00"
        seed = self._seed[:20]
        mixed = bytes(byte ^ seed[place % len(seed)] for place, byte in enumerate(password))
        oaep = padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)  # noqa: S303 (the protocol's; safe in OAEP)
        sock.send(key.encrypt(mixed, oaep))
        return bytes(sock.recv())


def _key(packet: bytes) -> rsa.RSAPublicKey:
    try:
        key = load_pem_public_key(packet[_PACKET_HEADER:])
    except ValueError:
        key = None
    if isinstance(key, rsa.RSAPublicKey):
        return key
    raise Unprotected("the server has no RSA key for caching_sha2_password: use TLS", errno=PASSWORD_IN_CLEAR)
