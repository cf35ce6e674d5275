"""Connections on which a client says nothing, or not all that it began to say, are closed."""

import socket
import time
from collections.abc import Callable

import pytest

from harness.service import Service

# Three times what a client may take for its headers, and once more what it may take for a body.
PATIENCE_SECONDS = 90
GET = b"GET /healthz HTTP/1.1\r\nHost: shop\r\n\r\n"


def connect(service: Service, sent: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS)
    client.sendall(sent)
    return client


def until_closed(client: socket.socket) -> bytes:
    """Receive until the service closes the connection. Raises TimeoutError if it does not."""
    received = b""
    end = time.monotonic() + PATIENCE_SECONDS
    with client:
        while time.monotonic() < end:
            piece = client.recv(65536)
            if not piece:
                return received
            received += piece
    raise TimeoutError


def test_clients_that_are_silent_lose_their_connections(start_service: Callable[..., Service], sqlite_uri: str) -> None:
    service = start_service(sqlite_uri)
    answers = {
        b"": 0,
        GET[:-9]: 0,  # half of the headers
        GET: 1,  # nothing more
        GET * 2: 2,
        GET + GET[:-9]: 1,  # half of the next headers
    }
    clients = {sent: connect(service, sent) for sent in answers}
    assert {sent: until_closed(client).count(b"HTTP/1.1 200 ") for sent, client in clients.items()} == answers


@pytest.mark.long
def test_a_client_whose_body_does_not_come_is_told_busy_and_loses_its_connection(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri)
    token = service.headers("alice")["Authorization"].encode()
    head = b"POST /seckill/1 HTTP/1.1\r\nHost: shop\r\nAuthorization: " + token + b"\r\n"
    body = b"Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"
    received = until_closed(connect(service, head + body))
    assert received.startswith(b"HTTP/1.1 503 ")
    assert b'"code":"busy"' in received
