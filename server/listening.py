"""The socket on which a worker listens. granian opens it."""

import asyncio
import contextlib
import logging
import os
import socket

# Seconds within which a client has to take something of an answer that waits for it.
SEND_SECONDS = 60
# Seconds that granian may take until it listens, and between two looks whether it does.
_START_SECONDS = 10.0
_LOOK_SECONDS = 0.01

log = logging.getLogger("seckill.server")


async def limit_sending(port: int, seconds: float = SEND_SECONDS, start_seconds: float = _START_SECONDS) -> None:
    """Have the kernel end each connection whose client takes nothing of its answer for so long, or is gone.

    Waits until this process listens on `port`. A connection has the option from the socket that accepts it
    (TCP_USER_TIMEOUT in tcp(7)).
    """
    for _ in range(int(start_seconds / _LOOK_SECONDS)):
        listens = _limit_all(port, seconds)
        await asyncio.sleep(_LOOK_SECONDS)
        if listens:
            _limit_all(port, seconds)  # those that came ahead of the first look, and were not accepted by then
            return
    log.warning("clients that do not take their answers keep their connections: no socket listens on %s", port)


def _limit_all(port: int, seconds: float) -> bool:
    """Set the option of all sockets of this process that have `port`. Returns whether one of them listens."""
    listens = False
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # it is no socket, is closed by now, or has no address
            # Not by a copy of it: closing one of a file would drop all locks that this process has on the file.
            each = socket.socket(fileno=number)
            try:
                if each.getsockname()[1:2] == (port,):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
                    listens |= bool(each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            finally:
                each.detach()
    return listens
