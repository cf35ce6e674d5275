"""Serves with a server of the standard library, in a thread, for the time of a `with` block."""

from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from threading import Thread

_LOOK_SECONDS = 0.05  # between two looks whether to end


@contextmanager
def serving(server: BaseServer) -> Iterator[None]:
    """Answer requests to `server`; at the end it is shut down and its socket is closed."""
    thread = Thread(target=server.serve_forever, args=(_LOOK_SECONDS,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
