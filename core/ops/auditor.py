"""Audits that are requested over HTTP: one at a time on a host, and none without an end."""

import fcntl
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from config import Settings
from core.db.clock import Deadline
from core.ops import audit, latest_audit
from core.ops.audit import CannotAudit, Report
from core.ops.host_memory import HostMemory
from core.ops.latest_audit import LatestAudit
from core.refusals import Busy, Unavailable

SECONDS = 60
# For an audit and what is made of it. The console and the proxy wait longer.
REPORT_SECONDS = 100
_RETRY_AFTER = 5

log = logging.getLogger("seckill.audit")


class Auditor:
    """Shared by all threads of a process."""

    def __init__(self, settings: Settings, host: HostMemory) -> None:
        self._settings = settings
        self._host = host  # kept, so that its file stays open
        self._lock = threading.Lock()  # the lock of the file is the process's

    def run(self, seconds: float = SECONDS) -> Report:
        """Audit the whole database.

        Raises Busy while another audit or report is made on this host, and Unavailable where the database cannot be
        read to the end in so many seconds.
        """
        with self.alone():
            return self._run(seconds)

    @contextmanager
    def audited(self) -> Iterator[tuple[Report, Deadline]]:
        """An audit, and the deadline of what is made of it within the block: nothing else is audited meanwhile.

        Raises as `run` does.
        """
        deadline = Deadline(REPORT_SECONDS)
        with self.alone():
            yield self._run(SECONDS), deadline

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nothing is audited on this host within the block. Raises Busy while an audit or report is made."""
        if not self._lock.acquire(blocking=False):
            raise Busy(_RETRY_AFTER)
        try:
            try:
                fcntl.lockf(self._host.audit_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Busy(_RETRY_AFTER) from None
            try:
                yield
            finally:
                fcntl.lockf(self._host.audit_file, fcntl.LOCK_UN)
        finally:
            self._lock.release()

    def latest(self, seconds_old: float) -> LatestAudit | None:
        """The newest audit of this host, where it is not older than that."""
        latest = latest_audit.read(self._host.audit_file)
        return None if latest is None or time.monotonic() - latest.began > seconds_old else latest

    def _run(self, seconds: float) -> Report:
        began = time.monotonic()
        try:
            report = audit.run(self._settings, seconds=seconds)
        except CannotAudit as error:
            log.warning("the audit was not finished: %s", error)
            raise Unavailable() from error
        latest_audit.write(self._host.audit_file, LatestAudit.of(began, report))
        return report
