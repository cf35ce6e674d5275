"""How a worker stops: when its supervisor says so or is gone, and as soon as it has nothing in hand.

granian's own way loses signals. Its handler is Python's, which runs when the main thread gets to it, and that thread
waits in a lock: a signal that arrives just before the wait is noticed with the next one only. A third signal that comes
while requests are answered blocks the process for good.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

from granian import _signals
from granian._granian import WorkerSignal

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds without a request in hand until the connections that are still open are cut: of clients that have sent half a
# request, or take their answer slowly.
LINGER_SECONDS = 1.0
_LOOK_SECONDS = 0.05

log = logging.getLogger("seckill.server")


def hold_signals() -> None:
    """Keep SIGINT and SIGTERM waiting for `stop_when_told`. To be called before the worker starts a thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


@contextlib.contextmanager
def told_if_it_fails() -> Iterator[None]:
    """While a worker starts: what fails is one line of the log, and the worker ends."""
    try:
        yield
    except Exception as error:
        log.exception("a worker could not start: %s: %s", type(error).__name__, error)
        sys.exit(1)


def stop_when_told(in_hand: Callable[[], int], before_exit: Callable[[], object]) -> None:
    """Stop this worker on SIGINT or SIGTERM, or when its supervisor is gone, however it went.

    It takes no more connections, answers what it has taken up (`in_hand` counts it), and ends with code 0.
    """
    parent = multiprocessing.parent_process()
    stop = WorkerSignal()
    # granian waits for this signal and sets none of its own.
    _signals.set_sync_signals = lambda: stop

    def wait_for_parent() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    def wait_for_signal() -> None:
        signal.sigwait(STOP_SIGNALS)
        stop.set()  # once: granian's channel holds one, and to send another can block
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < LINGER_SECONDS:
            time.sleep(_LOOK_SECONDS)
            if in_hand():
                idle_since = time.monotonic()
        before_exit()
        os._exit(0)

    for wait in (wait_for_parent, wait_for_signal):
        threading.Thread(target=wait, daemon=True).start()
