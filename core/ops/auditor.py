"""Audits for those who ask over HTTP: one at a time on a host, and none without an end."""

import fcntl
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from config import Settings
from core.ops import audit
from core.ops.audit import CannotAudit, Report
from core.ops.checks.check import Check
from core.ops.host_memory import HostMemory
from core.refusals import Busy, Unavailable

SECONDS = 60

log = logging.getLogger("seckill.audit")


class Auditor:
    """Shared by all threads of a process."""

    def __init__(self, settings: Settings, host: HostMemory) -> None:
        self._settings = settings
        self._host = host  # kept, so that its file stays open
        self._lock = threading.Lock()  # the lock of the file is the process's
        self._latest: tuple[float, Report] | None = None

    def run(self, seconds: int = SECONDS) -> Report:
        """Audit the whole database.

        Raises Busy while another audit is made on this host, and Unavailable where the database cannot be read to the
        end in so many seconds.
        """
        ends_at = time.monotonic() + seconds

        def go_on(check: Check) -> None:
            if time.monotonic() > ends_at:
                raise CannotAudit(f"it took over {seconds} s")

        with self._alone():
            began = time.monotonic()
            try:
                report = audit.run(self._settings, go_on, seconds)
            except CannotAudit as error:
                log.warning("the audit was not finished: %s", error)
                raise Unavailable() from error
            self._latest = began, report
            return report

    def latest(self, seconds_old: float) -> Report | None:
        """The newest report of this process, where it is not older than that."""
        latest = self._latest
        return None if latest is None or time.monotonic() - latest[0] > seconds_old else latest[1]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise Busy()
        try:
            try:
                fcntl.lockf(self._host.audit_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Busy() from None
            try:
                yield
            finally:
                fcntl.lockf(self._host.audit_file, fcntl.LOCK_UN)
        finally:
            self._lock.release()
