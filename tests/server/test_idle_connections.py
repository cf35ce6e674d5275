"""Connections are closed on which a client says nothing, or not all that it began to say, or takes no answer."""

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.database_server import free_port
from harness.service import Service
from server.listening import SEND_SECONDS, limit_sending
from tests.kernel_sockets import inodes

# Three times what a client may take for its headers, and once more what it may take for a body.
PATIENCE_SECONDS = 90
# Answers of some 300 KB each, more in all than the kernel keeps for a client.
UNREAD = b"GET /openapi.json HTTP/1.1\r\nHost: shop\r\n\r\n"
LONG = 200
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


def has_connection(service: Service, client: socket.socket) -> bool:
    """Whether the service has the client's connection, by the kernel's table: one that is given up says nothing."""
    return bool(inodes(service.port, client.getsockname()[1]))


@pytest.mark.long
def test_a_client_that_takes_no_answer_loses_its_connection(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri)
    began = time.monotonic()  # ahead of the first answer, from which the service counts
    with connect(service, UNREAD * LONG) as client:
        end = began + 3 * SEND_SECONDS
        assert has_connection(service, client)
        while has_connection(service, client):
            assert time.monotonic() < end, "it keeps its connection"
            time.sleep(0.5)
        assert time.monotonic() - began > SEND_SECONDS - 5, "it was closed for another reason"


def files_of(one: socket.socket) -> int:
    """How many of this process's files are the socket. Of others, threads of earlier tests may open and close some."""
    inode, count = os.fstat(one.fileno()).st_ino, 0
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # it is closed by now
            count += os.fstat(number).st_ino == inode and stat.S_ISSOCK(os.fstat(number).st_mode)
    return count


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_kernel_ends_a_connection_whose_client_takes_nothing(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as listening, socket.socket(family) as client:
        before = files_of(listening)
        asyncio.run(limit_sending(listening.getsockname()[1], seconds=1))
        assert files_of(listening) == before == 1
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listening.getsockname())
        accepted, _ = listening.accept()
        accepted.settimeout(PATIENCE_SECONDS)
        with accepted, pytest.raises(OSError, match="timed out") as ended:
            accepted.sendall(b"x" * 10**8)
        assert ended.value.errno == errno.ETIMEDOUT


def test_the_locks_of_a_file_outlast_the_look_for_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "locked"
    look = f"import fcntl; fcntl.lockf(open({str(path)!r}, 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with path.open("w") as file, socket.create_server(("127.0.0.1", 0)) as listening:
        fcntl.lockf(file, fcntl.LOCK_EX)
        asyncio.run(limit_sending(listening.getsockname()[1]))
        other = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert "BlockingIOError" in other.stderr


def test_a_port_that_nobody_listens_on_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(limit_sending(free_port(), start_seconds=0.1))
    (record,) = [record for record in caplog.records if record.name == "seckill.server"]
    assert "no socket listens" in record.getMessage()


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
