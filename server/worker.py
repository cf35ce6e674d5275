"""Stops a worker: when its supervisor says so or is gone, and as soon as it has answered all requests.

Each signal that granian's own handler gets goes into a channel that holds few, and blocks the event loop once it is
full. So a thread of ours takes the signals, and hands on the first alone.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds without a request in hand until the connections that are still open are cut: of clients that have sent half a
# request, or take their answer slowly.
LINGER_SECONDS = 1.0
_LOOK_SECONDS = 0.05

log = logging.getLogger("seckill.server")


def hold_signals() -> None:
    """Keep SIGINT and SIGTERM waiting for `Stop`. To be called before the worker starts a thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


@contextlib.contextmanager
def told_if_it_fails() -> Iterator[None]:
    """While a worker starts: what fails is one line of the log, and the worker ends."""
    try:
        yield
    except Exception as error:
        log.exception("a worker could not start: %s: %s", type(error).__name__, error)
        sys.exit(1)


class Stop:
    """Stops this worker on SIGINT or SIGTERM, or when its supervisor is gone, however it went.

    The worker takes no more connections, answers what it has taken up, and ends with code 0.
    """

    def __init__(
        self,
        loop: Callable[[], asyncio.AbstractEventLoop | None],
        in_hand: Callable[[], int],
        before_exit: Callable[[], object],
    ) -> None:
        """`loop` is granian's event loop, once it runs; `in_hand` counts requests without an answer."""
        self._loop = loop
        self._in_hand = in_hand
        self._before_exit = before_exit
        self._told = threading.Event()
        self._disconnected = threading.Event()
        self._parent = multiprocessing.parent_process()

    def watch(self) -> None:
        """Wait for a signal, and for the end of the supervisor, in threads of their own."""
        for wait in (self._wait_for_parent, self._wait_for_signal):
            threading.Thread(target=wait, daemon=True).start()

    def wait(self) -> None:
        """Wait for the end of the process, if it was told to stop: requests may be running whose clients are gone.

        To be called once no connection is open.
        """
        self._disconnected.set()
        while self._told.is_set():
            time.sleep(_LOOK_SECONDS)

    def _wait_for_parent(self) -> None:
        if self._parent is not None:
            self._parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    def _wait_for_signal(self) -> None:
        signal.sigwait(STOP_SIGNALS)
        self._told.set()
        try:
            loop = self._loop()
            if loop is not None:
                loop.call_soon_threadsafe(_hand_on)
            idle_since = time.monotonic()
            while time.monotonic() - idle_since < LINGER_SECONDS:
                time.sleep(_LOOK_SECONDS)
                if self._in_hand():
                    idle_since = time.monotonic()
                elif self._disconnected.is_set():
                    break
            self._before_exit()
        finally:
            os._exit(0)


def _hand_on() -> None:
    """Let granian's handler, in the event loop's thread, have a signal: it takes no more connections."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    signal.raise_signal(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
