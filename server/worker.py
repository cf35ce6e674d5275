"""How a worker stops: when its supervisor says so or is gone, and as soon as it has nothing in hand.

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


def stop_when_told(
    loop: Callable[[], asyncio.AbstractEventLoop | None], in_hand: Callable[[], int], before_exit: Callable[[], object]
) -> None:
    """Stop this worker on SIGINT or SIGTERM, or when its supervisor is gone, however it went.

    It takes no more connections, answers what it has taken up (`in_hand` counts it), and ends with code 0. `loop` is
    granian's event loop, once it runs.
    """
    parent = multiprocessing.parent_process()

    def wait_for_parent() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    def wait_for_signal() -> None:
        signal.sigwait(STOP_SIGNALS)
        running = loop()
        if running is not None:
            running.call_soon_threadsafe(_hand_on)
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < LINGER_SECONDS:
            time.sleep(_LOOK_SECONDS)
            if in_hand():
                idle_since = time.monotonic()
        before_exit()
        os._exit(0)

    for wait in (wait_for_parent, wait_for_signal):
        threading.Thread(target=wait, daemon=True).start()


def _hand_on() -> None:
    """Let granian's handler, in the event loop's thread, have a signal: it takes no more connections."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    signal.raise_signal(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
