"""Background jobs of a process, each repeated in its own thread."""

import logging
import random
import threading
import time
from collections.abc import Callable

from core.db import shares
from core.db.shares import Share
from core.refusals import Refusal

log = logging.getLogger("seckill.background_jobs")


def start(name: str, seconds: float, work: Callable[[], object]) -> threading.Thread:
    """Repeat `work`, with `seconds` between one end and the next start.

    The thread ends with the process only: errors are logged, at most once a second. Call it after the process was
    forked.
    """

    def keep_on() -> None:
        shares.use(Share.JOBS)
        logged_at = float("-inf")
        # The jobs of processes that started together should not coincide each time.
        time.sleep(random.uniform(0, seconds))  # noqa: S311 (no secret)
        while True:
            try:
                work()
            except Exception as error:
                if time.monotonic() - logged_at >= 1:
                    logged_at = time.monotonic()
                    # A refusal needs no traceback.
                    known = isinstance(error, Refusal)
                    log.warning("%s failed: %s", name, error if known else "", exc_info=None if known else error)
            time.sleep(seconds)

    thread = threading.Thread(target=keep_on, name=name, daemon=True)
    thread.start()
    return thread
