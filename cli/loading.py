"""How the application is loaded, which takes a second.

To be imported ahead of all else; `done` is called after the last import. Meanwhile there are no garbage collections,
since all that is loaded stays: they take a sixth of a command's time. Later ones would walk through all of it as well,
and in a worker, which is forked, copy each page that they write into.

A signal ends the process at once: SIGINT without a traceback, and both SIGINT and SIGTERM also as process 1 of a
container, for which the kernel drops a signal that has no handler. What runs for long says later how it stops.
"""

import contextlib
import gc
import os
import signal
from types import FrameType


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


_at_once = _end if os.getpid() == 1 else signal.SIG_DFL
_was_enabled = gc.isenabled()
gc.disable()
with contextlib.suppress(ValueError):  # only the main thread may; elsewhere somebody else sees to signals
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _at_once)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _at_once)


def done() -> None:
    """Have collections again, and keep what is loaded by now out of them. SIGINT raises KeyboardInterrupt again."""
    gc.freeze()
    if _was_enabled:
        gc.enable()
    with contextlib.suppress(ValueError):
        if signal.getsignal(signal.SIGINT) is _at_once:
            signal.signal(signal.SIGINT, signal.default_int_handler)
