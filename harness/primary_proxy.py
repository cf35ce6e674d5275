"""One address that leads to the primary of a group, as HAProxy with the check of deploy/is_primary.sql does.

    python -m harness.primary_proxy <port to listen on> <port of a member> …

In a process of its own: the threads of a test would hold up its connections.
"""

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import mysql.connector
from sqlalchemy.engine import make_url

from config import ROOT
from harness.database_server import free_port

_CHECK = (ROOT / "deploy" / "is_primary.sql").read_text()
_INTERVAL_SECONDS = 0.2
# A member that does not answer a query for so long is frozen. To open a connection can take longer on a busy machine.
_CHECK_SECONDS = 2
_CONNECT_SECONDS = 5
_READ_BYTES = 64 * 1024


class PrimaryProxy:
    """The proxy's process, as a test starts and stops it."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", __name__, str(self.port), *map(str, ports)]
        self._process = subprocess.Popen(command, cwd=ROOT)
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise RuntimeError("the proxy does not start")
            time.sleep(0.05)

    def address(self, uri: str) -> str:
        """The database address `uri`, by way of this proxy."""
        return make_url(uri).set(port=self.port).render_as_string(hide_password=False)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class _Follower:
    """Asks every member again and again whether it is the primary, and passes connections to the one that is."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._is_primary = dict.fromkeys(ports, False)
        self._primary: int | None = None
        self._open: dict[asyncio.StreamWriter, int] = {}
        for port in ports:
            threading.Thread(target=self._poll, args=(port,), daemon=True).start()

    def _poll(self, port: int) -> None:
        connection = None
        while True:
            try:
                if connection is None:
                    connection = mysql.connector.connect(
                        host="127.0.0.1",
                        port=port,
                        user="root",
                        use_pure=True,
                        autocommit=True,
                        ssl_disabled=True,
                        connection_timeout=_CONNECT_SECONDS,
                        read_timeout=_CHECK_SECONDS,
                        write_timeout=_CHECK_SECONDS,
                    )
                cursor = connection.cursor()
                cursor.execute(_CHECK)
                self._is_primary[port] = cursor.fetchall() == [(1,)]
                cursor.close()
            except Exception:  # whatever it is, the member is not usable
                self._is_primary[port] = False
                if connection is not None:
                    with contextlib.suppress(Exception):
                        # Not close(), which would wait for a frozen server.
                        connection._socket.sock.close()  # noqa: SLF001 (the driver's)
                connection = None
            time.sleep(_INTERVAL_SECONDS)

    async def follow(self) -> None:
        """Choose the primary, and cut off those who are connected to another member."""
        while True:
            # A former primary that thaws takes itself for one until it learns of the others: who is chosen stays.
            if self._primary is None or not self._is_primary[self._primary]:
                self._primary = next((port for port, yes in self._is_primary.items() if yes), None)
            for writer, port in list(self._open.items()):
                if port != self._primary:
                    writer.transport.abort()
            await asyncio.sleep(_INTERVAL_SECONDS / 4)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = self._primary
        upstream = None
        try:
            if port is not None:
                their_reader, upstream = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 1)
                self._open |= {writer: port, upstream: port}
                await asyncio.gather(_pump(reader, upstream), _pump(their_reader, writer))
        except (OSError, TimeoutError):
            pass
        finally:
            for end in (writer, upstream):
                if end is not None:
                    self._open.pop(end, None)
                    end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_READ_BYTES):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def _main(port: int, members: Sequence[int]) -> None:
    follower = _Follower(members)
    async with await asyncio.start_server(follower.serve, "127.0.0.1", port):
        await follower.follow()


if __name__ == "__main__":
    own, *others = map(int, sys.argv[1:])
    asyncio.run(_main(own, others))
