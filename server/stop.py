"""Stops a worker: when its supervisor signals it or is gone, and as soon as it has answered all requests."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds without a request in hand until the connections that are still open are cut: of clients that have sent half a
# request, or take their answer slowly.
LINGER_SECONDS = 1.0
_LOOK_SECONDS = 0.05


class Stop:
    """Stops this worker on SIGINT or SIGTERM, or when its supervisor is gone, however it went.

    The worker takes no more connections, answers what it has taken up, and ends with code 0. Both signals are blocked
    since before its process began (server/supervisor.py), so none is lost.
    """

    def __init__(
        self,
        stop_accepting: Callable[[], object],
        in_hand: Callable[[], int],
        before_exit: Callable[[], object],
    ) -> None:
        """`in_hand` counts requests without an answer. All three are called from a thread of this object's."""
        self._stop_accepting = stop_accepting
        self._in_hand = in_hand
        self._before_exit = before_exit
        self._stop_requested = threading.Event()
        self._disconnected = threading.Event()
        self._parent = multiprocessing.parent_process()

    def watch(self) -> None:
        """Wait for a signal, and for the end of the supervisor, in threads of their own."""
        for wait in (self._wait_for_parent, self._wait_for_signal):
            threading.Thread(target=wait, daemon=True).start()

    def wait(self) -> None:
        """Wait for the end of the process, if it was signalled to stop: requests may be running whose clients are gone.

        To be called once no connection is open.
        """
        self._disconnected.set()
        while self._stop_requested.is_set():
            time.sleep(_LOOK_SECONDS)

    def _wait_for_parent(self) -> None:
        if self._parent is not None:
            self._parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    def _wait_for_signal(self) -> None:
        signal.sigwait(STOP_SIGNALS)
        self._stop_requested.set()
        try:
            self._stop_accepting()
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
