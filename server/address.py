"""Where the service listens."""

import dataclasses
import socket
from dataclasses import dataclass
from typing import Self

from config import InvalidSettings


@dataclass(frozen=True)
class Address:
    """Where and with how many to serve."""

    host: str
    port: int
    workers: int
    threads: int

    @property
    def url(self) -> str:
        """The address to paste into a browser on this host."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def when_free(self) -> Self:
        """The same with the host's IP address, which is all that granian takes.

        Raises InvalidSettings where nobody can listen on it, or somebody does. granian shares the port between workers:
        a second service on it would start, and get half of the requests.
        """
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
                probe.listen(1)
        except OSError as error:
            raise InvalidSettings(f"cannot listen on {self.host}:{self.port}: {error.strerror}") from error
        return dataclasses.replace(self, host=str(place[0]))
