"""Measures how long /healthz takes while the database is frozen and requests wait for it.

    .venv/bin/python -m bench.frozen [REQUESTS] [TRIES]

Starts the service with its defaults, but for RATE_LIMITS=off, on a MySQL of its own, and stops that MySQL's process.
Sends REQUESTS requests (1000), each over a connection of its own: purchases, `GET /goods/<id>` and `GET /orders` in
turn. Asks for /healthz once right after them, and then TRIES times (100), each over a new connection. Prints the time
of the first answer, and the median and the maximum of the others. Raises RuntimeError where a request was answered
meanwhile: they wait PURCHASE_WAIT_SECONDS, so there must not be too many tries.
"""

import contextlib
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.contenders import THREADS, WORKERS
from bench.servers import BenchMySQL
from harness.service import Service
from load.slow_connections import allow_descriptors
from server.loopback import reach_directly

_ANSWER_SECONDS = 60
_PAUSE_SECONDS = 0.02  # between two tries
_SPARE_DESCRIPTORS = 200
_BODY = '{"quantity":1}'
_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def main(requests: int = 1000, tries: int = 100) -> None:
    reach_directly()
    allow_descriptors(requests + _SPARE_DESCRIPTORS)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        database = BenchMySQL(directory / "mysql")
        stack.callback(database.stop)
        database.start()
        uri = database.create_database("frozen")
        service = Service(uri, directory / "service.log", workers=WORKERS, threads=THREADS)
        stack.callback(service.stop)
        goods_id = service.create_goods(stock=10**6)
        texts = [_text(goods_id, number, service.token(f"buyer-{number}")) for number in range(requests)]
        connections = [stack.enter_context(_connect(service.port)) for _ in texts]
        database.freeze()
        stack.callback(database.thaw)
        for connection, text in zip(connections, texts, strict=True):
            connection.sendall(text)
        first = _seconds_of_a_try(service.port)
        found = []
        for _ in range(tries):
            time.sleep(_PAUSE_SECONDS)
            found.append(_seconds_of_a_try(service.port))
        if answered := sum(not _waits(connection) for connection in connections):
            raise RuntimeError(f"{answered} of {requests} requests were answered meanwhile")
    print(
        f"/healthz: {first * 1000:.1f} ms right after {requests} requests; while they wait, {tries} times, "
        f"median {statistics.median(found) * 1000:.1f} ms, maximum {max(found) * 1000:.1f} ms"
    )


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS)


def _text(goods_id: int, number: int, token: str) -> bytes:
    """The request of that number, as it goes over the wire."""
    begun, body = {
        0: (f"POST /seckill/{goods_id}", _BODY),
        1: (f"GET /goods/{goods_id}", ""),
        2: ("GET /orders", ""),
    }[number % 3]
    headers = ["Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    if body:
        headers += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([f"{begun} HTTP/1.1", *headers, "", body]).encode()


def _seconds_of_a_try(port: int) -> float:
    began = time.perf_counter()
    with _connect(port) as connection:
        connection.sendall(_HEALTH)
        status = connection.recv(4096).split()[1]
        seconds = time.perf_counter() - began
    if status != b"200":
        raise RuntimeError(f"/healthz answered {status!r}")
    return seconds


def _waits(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    return False


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
