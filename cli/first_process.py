"""SIGTERM ends a command that is the first process of a container, as it ends any other.

The kernel drops a signal for process 1 that has no handler. Loading the application takes seconds on a busy host, and a
container can be stopped meanwhile. To be imported ahead of all else; commands that run for long and serve.py say later
how they stop.
"""

import os
import signal
from types import FrameType


def _end(signum: int, frame: FrameType | None) -> None:
    os._exit(128 + signum)


if os.getpid() == 1 and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
    signal.signal(signal.SIGTERM, _end)
