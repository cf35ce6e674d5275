"""Slow clients: connections that send a request byte by byte, and connections that send nothing at all."""

import contextlib
import resource
import select
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

_BODY = b'{"quantity": 1}'
# Bytes of a slow body; JSON may begin with as much space as one likes.
_BODY_BYTES = 600
# Seconds between two bytes of a slow client: within the time-outs of nginx and of the service.
_PAUSE_SECONDS = 1.0
# Descriptors that a process needs besides these connections.
_SPARE_DESCRIPTORS = 500


@dataclass(frozen=True)
class Sizes:
    """How many slow clients of each kind."""

    slow_headers: int = 0
    slow_bodies: int = 0
    idle: int = 0

    @property
    def all(self) -> int:
        return self.slow_headers + self.slow_bodies + self.idle


class SlowConnections:
    """Holds its connections to `address` (host, port) open while it is entered.

    The slow ones send a purchase, a POST to `path` with `headers`, one byte a second.
    """

    def __init__(self, address: tuple[str, int], sizes: Sizes, path: str, headers: Mapping[str, str]) -> None:
        self._address = address
        self._sizes = sizes
        begun = f"POST {path} HTTP/1.1\r\nHost: {address[0]}\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._headers_begun = f"{begun}X-Slow: ".encode()
        self._body_begun = (
            f"{begun}{lines}Content-Type: application/json\r\nContent-Length: {_BODY_BYTES}\r\n\r\n"
        ).encode()
        self._slow: list[socket.socket] = []
        self._bodies: list[socket.socket] = []
        self._idle: list[socket.socket] = []
        self._spaces_sent = 0
        self._sending = threading.Lock()
        self._leave = threading.Event()
        self._drip = threading.Thread(target=self._send_drops, daemon=True)

    def __enter__(self) -> "SlowConnections":
        allow_descriptors(self._sizes.all + _SPARE_DESCRIPTORS)
        self._idle += [self._connect(b"") for _ in range(self._sizes.idle)]
        self._slow += [self._connect(self._headers_begun) for _ in range(self._sizes.slow_headers)]
        self._bodies += [self._connect(self._body_begun) for _ in range(self._sizes.slow_bodies)]
        self._drip.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave.set()
        self._drip.join()
        for client in self._clients:
            client.close()

    @property
    def _clients(self) -> list[socket.socket]:
        return [*self._slow, *self._bodies, *self._idle]

    def _connect(self, begun: bytes) -> socket.socket:
        client = socket.create_connection(self._address, timeout=10)
        client.sendall(begun)
        return client

    def _send_drops(self) -> None:
        while not self._leave.wait(_PAUSE_SECONDS):
            with self._sending:
                self._spaces_sent += 1
                for clients, drop in ((self._slow, b"x"), (self._bodies, b" ")):
                    for client in clients:
                        with contextlib.suppress(OSError):  # turned away: `waiting` counts them out
                            client.sendall(drop)

    def waiting(self) -> int:
        """How many are still connected and have neither been answered nor turned away."""
        poll = select.poll()
        for client in self._clients:
            poll.register(client, select.POLLIN | select.POLLHUP | select.POLLERR)
        return self._sizes.all - len(poll.poll(0))

    def finish_bodies(self) -> list[int]:
        """Let those with slow bodies send the rest at once; returns the status that each is answered with."""
        with self._sending:
            rest = b" " * (_BODY_BYTES - self._spaces_sent - len(_BODY)) + _BODY
            finished, self._bodies = self._bodies, []
            for client in finished:
                client.sendall(rest)
        statuses = []
        for client in finished:
            statuses.append(int(client.recv(64).split(b" ")[1]))
            client.close()
        self._sizes = Sizes(self._sizes.slow_headers, 0, self._sizes.idle)
        return statuses


def allow_descriptors(count: int) -> None:
    """Let this process open `count` files. Raises OSError where the host's hard limit is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise OSError(f"{count} open files are needed, the hard limit is {hard}: see `ulimit -n`")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
