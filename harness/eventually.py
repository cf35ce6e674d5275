"""Waiting for a state, however long a busy machine takes to get there."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60


def eventually(happened: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether `happened` comes true; returns as soon as it does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.02)
    return False
