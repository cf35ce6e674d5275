"""Keeps the pool's idle MySQL sessions open, while the server ends those that fall silent within a transaction.

A frozen worker keeps its row locks, and only the server can end its session. MariaDB has a timeout for idle
transactions. MySQL has `wait_timeout` only, which would also close every session that is unused for a moment, and
opening one costs as much as tens of statements. So a session in use has a short `wait_timeout`. A background thread
gives idle sessions a long one, and the short one is set again before the next use. That statement also serves as the
ping that a session needs after a pause.
"""

import threading
import time
from typing import Any

from mysql.connector.errors import ReadTimeoutError
from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from core import threads
from core.refusals import Unavailable

PING_AFTER_SECONDS = 1.0
# The server keeps the sessions of a host that has vanished for at most this long.
PARKED_SECONDS = 600
_REFRESH_SECONDS = PARKED_SECONDS / 3
_LAST_WORD_SECONDS = 0.1
_SESSION = "session"


class Session:
    """One connection of the driver's. Its lock is held while a statement of this module runs on it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.lock = threading.Lock()
        self.idle_since: float | None = None  # None while it is in use
        self.parked_at: float | None = None
        self.failed: Exception | None = None

    def is_to_be_parked(self, after: float) -> bool:
        """Whether it has idled for `after` seconds with its short time-out, or long enough to be refreshed."""
        since, parked = self.idle_since, self.parked_at
        if since is None or self.failed is not None:
            return False
        now = time.monotonic()
        return now - since >= after if parked is None else now - parked >= _REFRESH_SECONDS

    def set_timeout(self, seconds: int) -> None:
        """Let the server close the session after `seconds` of silence. Raises mysql.connector.Error."""
        self.connection.cmd_query(f"SET SESSION wait_timeout = {seconds:d}")
        self.parked_at = time.monotonic() if seconds == PARKED_SECONDS else None


class IdleSessions:
    """The sessions of the watched pools. A session in use may be silent for `silence` seconds."""

    def __init__(self, silence: int, patience: float) -> None:
        """`patience` bounds, in seconds, how long taking a session out waits for the thread's statement on it."""
        self._silence = silence
        self._patience = patience
        self._sessions: dict[int, Session] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, engine: Engine) -> None:
        """Watch the sessions of the engine's pool. Opens no connection."""
        event.listen(engine, "checkin", _note_return)
        event.listen(engine, "checkout", self._wake)
        event.listen(engine, "close", self._forget)

    def keep(self, connection: Any, record: ConnectionPoolEntry) -> None:
        """Keep a session, whose `wait_timeout` is `silence`, open whenever it idles."""
        session = Session(connection)
        record.info[_SESSION] = session
        with self._lock:
            self._sessions[id(connection)] = session
            # Without it the server ends the session sooner; the next connection tries again.
            self._thread = threads.keep(self._thread, "idle sessions", self.keep_open)

    def keep_open(self) -> None:
        """Give idle sessions the long `wait_timeout`, until there is no session left. Runs in a thread of its own."""
        while True:
            # Often enough to reach each session in time, even on a busy machine.
            time.sleep(self._silence / 8)
            with self._lock:
                sessions = list(self._sessions.values())
                if not sessions:
                    self._thread = None
                    return
            for session in sessions:
                if session.is_to_be_parked(self._silence / 4) and session.lock.acquire(blocking=False):
                    try:
                        if session.is_to_be_parked(self._silence / 4):
                            session.set_timeout(PARKED_SECONDS)
                    except Exception as error:
                        session.failed = error  # raised when it is taken out next
                    finally:
                        session.lock.release()

    def _wake(self, connection: Any, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
        """Before a session is used: check that it is alive, and set its short `wait_timeout`."""
        returned_at = record.info.get("returned_at")
        session: Session | None = record.info.get(_SESSION)
        try:
            if session is not None and self.wake_parked(session):
                return
            # A connection in steady use needs no ping; an idle one may have been closed by the server.
            if returned_at is not None and time.monotonic() - returned_at > PING_AFTER_SECONDS:
                connection.cmd_ping()
        except ReadTimeoutError as error:
            # The server is reachable but does not answer: a new connection would only add a second wait.
            record.invalidate(error)
            raise Unavailable() from error
        except Exception as error:
            raise DisconnectionError from error  # the pool opens another

    def wake_parked(self, session: Session) -> bool:
        """Take a session out of the thread's care, and set its short `wait_timeout` if it has the long one.

        Returns whether it had.

        Raises ReadTimeoutError where the thread's statement on it takes too long, and what went wrong in that thread.
        """
        if not session.lock.acquire(timeout=self._patience):
            raise ReadTimeoutError()
        try:
            session.idle_since = None
            if session.failed is not None:
                raise session.failed
            if session.parked_at is None:
                return False
            session.set_timeout(self._silence)
            return True
        finally:
            session.lock.release()

    def _forget(self, connection: Any, record: ConnectionPoolEntry) -> None:
        with self._lock:
            session = self._sessions.pop(id(connection), None)
        if session is not None:
            session.lock.acquire(timeout=_LAST_WORD_SECONDS)  # for good: it is not used any more


def _note_return(connection: Any, record: ConnectionPoolEntry) -> None:
    now = record.info["returned_at"] = time.monotonic()
    session: Session | None = record.info.get(_SESSION)
    if session is not None and session.connection is connection:
        session.idle_since = now
