"""Connections to one host that are kept and used again, for many requests in one event loop."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_MOST_BYTES = 1 << 20  # of an answer


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Lost(Exception):
    """No whole answer came."""


class Connections:
    """Requests to `host`, each on a connection that no other request uses at the time."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: list[_Streams] = []

    async def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request that is safe to send twice: a kept connection may have been closed meanwhile. Raises Lost."""
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        host = f"[{self._host}]" if ":" in self._host else self._host
        request = (
            f"POST {path} HTTP/1.1\r\nHost: {host}:{self._port}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode()
        )
        while self._idle:
            with suppress(Lost):
                return await self._exchange(self._idle.pop(), request + body)
        try:
            streams = await asyncio.open_connection(self._host, self._port)
        except OSError as error:
            raise Lost from error
        return await self._exchange(streams, request + body)

    async def _exchange(self, streams: _Streams, request: bytes) -> Answer:
        reader, writer = streams
        kept = False
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            length = int(headers["content-length"])
            if length > _MOST_BYTES:
                raise Lost
            answer = Answer(int(head[0].split()[1]), headers, await reader.readexactly(length))
            kept = headers.get("connection", "").lower() != "close"
        except (OSError, EOFError, asyncio.LimitOverrunError, ValueError, KeyError, IndexError) as error:
            raise Lost from error
        finally:
            if not kept:
                writer.close()
        self._idle.append(streams)
        return answer

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
