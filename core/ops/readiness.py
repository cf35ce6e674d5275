"""Checks whether this host can serve, at most once a second for all requests."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from core import threads
from core.db import schema
from core.db.database import Database
from core.db.schema import WrongSchema
from core.db.shares import Share
from core.refusals import Refusal

SECONDS = 1.0  # between two checks, whatever their results

log = logging.getLogger("seckill.readiness")


class Readiness:
    """Shared by all threads of a process."""

    def __init__(
        self,
        database: Database,
        draining: Callable[[], bool],
        has_keys: Callable[[], bool] = lambda: True,
        seconds: float = SECONDS,
    ) -> None:
        """The host is ready if `database` can be reached and has the right schema, and it `has_keys` to verify tokens
        by, unless it is `draining`. A result counts for `seconds`, which may be changed at any time.
        """
        # Connections of its own, so that a busy host is ready all the same.
        self._database = database.of(Share.WATCH)
        self._draining = draining
        self._has_keys = has_keys
        self._lock = threading.Lock()
        self._newest: Future[bool] | None = None
        self._began_at = 0.0
        self.seconds = seconds

    def latest(self) -> "Future[bool]":
        """A future of the result: of less than `seconds` ago, or of the check in progress. It does not wait."""
        with self._lock:
            found = self._newest
            if found is not None and (not found.done() or time.monotonic() - self._began_at < self.seconds):
                return found
            found = self._newest = Future()
            self._began_at = time.monotonic()
        if threads.start("readiness", self._check, found) is None:
            found.set_result(False)
        return found

    def holds(self, found: "Future[bool]") -> bool:
        """Whether the host is ready, by a completed check. A host that is about to stop is never ready."""
        return found.result(0) and not self._draining() and self._has_keys()

    def _check(self, found: "Future[bool]") -> None:
        ready = False
        try:
            with self._database.reading() as connection:
                schema.check(connection)
            ready = True
        except WrongSchema as wrong:
            log.warning("not ready: %s", wrong)
        except Refusal:
            pass  # the database has logged the cause
        except Exception as error:
            log.warning("not ready: the check failed with %s", type(error).__name__)
        finally:
            found.set_result(ready)
