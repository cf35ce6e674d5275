"""What the layer ahead of Flask does on the wire, under a real server."""

import socket
import time
from collections.abc import Callable

import requests

from core.purchase.sale_cache import HOT_REQUESTS
from harness.service import Service


def _answer(connection: socket.socket) -> bytes:
    """The head and the body of one answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536) or _ended()
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536) or _ended()
    return head + body


def _ended() -> bytes:
    raise AssertionError("the connection was closed")


def _buy(goods_id: int, length: int) -> bytes:
    return (
        f"POST /seckill/{goods_id} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def test_a_body_that_comes_after_its_head_does_not_end_the_connection_of_who_is_refused(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri)
    goods_id = service.create_goods(stock=0)
    refused_ahead = 0
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(100 * HOT_REQUESTS):
            connection.sendall(_buy(goods_id, 14))
            time.sleep(0.002)
            connection.sendall(b'{"quantity":1}')
            # Without a token: Flask says 401, and only the sale cache `sold_out`.
            refused_ahead += b"sold_out" in _answer(connection)
            if refused_ahead == 5:
                break
        for body in (b'{"quantity":1}' + b" " * 60_000, b""):
            connection.sendall(_buy(goods_id, len(body)) + body)
            assert b"request_id" in _answer(connection)
    assert refused_ahead
    figures = requests.get(f"{service.url}/metrics", timeout=20).text
    assert "seckill_cached_refusals_total" in figures


def test_who_is_over_the_limit_keeps_the_connection_whoever_says_so(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri, RATE_LIMITS="on", RATE_LIMIT_PER_ADDRESS="1/day")
    requests.get(f"{service.url}/goods", timeout=60)
    body = b'{"quantity":1}'
    to_flask = _buy(1, len(body))  # without a token
    ahead = to_flask.replace(
        b"Host: x", f"Host: x\r\nAuthorization: {service.headers('alice')['Authorization']}".encode()
    )
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for head in (to_flask, ahead) * 10:
            connection.sendall(head)
            time.sleep(0.005)
            connection.sendall(body)
            assert b"rate_limited" in _answer(connection)
