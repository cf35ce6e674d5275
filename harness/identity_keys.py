"""Signing keys of an identity provider, their public key set, and an HTTP server that publishes it."""

import base64
import contextlib
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from harness.serving import serving

ISSUER = "https://login.example/"
AUDIENCE = "shop"


def made(algorithm: str, bits: int = 2048) -> Any:
    """A new private key for `algorithm`."""
    match algorithm:
        case "RS256":
            return rsa.generate_private_key(65537, bits)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


@dataclass
class SigningKey:
    """A key pair of the provider."""

    algorithm: str
    kid: str | None
    private: Any = None

    def __post_init__(self) -> None:
        if self.private is None:
            self.private = made(self.algorithm)

    def jwk(self, **members: object) -> dict[str, Any]:
        """The public key, as a key set lists it."""
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        named = {} if self.kid is None else {"kid": self.kid}
        return {
            **json.loads(algorithm.to_jwk(self.private.public_key())),
            "use": "sig",
            "alg": self.algorithm,
            **named,
        } | members

    def token(self, headers: dict[str, Any] | None = None, **claims: object) -> str:
        """A good token of alice's, but for `claims` (None takes one out) and `headers`."""
        usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(time.time()) + 3600}
        given = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        named = {} if self.kid is None else {"kid": self.kid}
        return jwt.encode(given, self.private, self.algorithm, headers={**named, **(headers or {})})


def key_set(*keys: SigningKey) -> bytes:
    """The key set of `keys`."""
    return json.dumps({"keys": [key.jwk() for key in keys]}).encode()


def raw(header: str, payload: str, sign: Callable[[bytes], bytes]) -> str:
    """A token of parts that no library would write."""
    parts = [base64.urlsafe_b64encode(part.encode()).rstrip(b"=") for part in (header, payload)]
    return b".".join([*parts, base64.urlsafe_b64encode(sign(b".".join(parts))).rstrip(b"=")]).decode()


@dataclass
class Publisher:
    """Publishes `body` at `url`, or does what `act` does; `requested` has the path of each request."""

    url: str
    body: bytes = b"{}"
    act: Callable[[BaseHTTPRequestHandler], None] | None = None
    requested: list[str] = field(default_factory=list)


@contextmanager
def publishing(body: bytes = b"{}", tls: ssl.SSLContext | None = None) -> Iterator[Publisher]:
    """A publisher on loopback while the block lasts, over TLS where there is a context for it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher.requested.append(self.path)
            try:
                if publisher.act is not None:
                    publisher.act(self)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(publisher.body)))
                self.end_headers()
                self.wfile.write(publisher.body)
            except OSError:
                self.close_connection = True  # the reader has had enough

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def finish_request(self, request: Any, client_address: Any) -> None:
            if tls is None:
                super().finish_request(request, client_address)
                return
            with contextlib.suppress(OSError), tls.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    publisher = Publisher(f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}/keys", body)
    with serving(server):
        yield publisher
