"""Classifies database errors by their effect on the transaction, by error number.

By number, not by class: mysql-connector raises 1213 as InternalError and 1205 as DatabaseError.
"""

import sqlite3
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from core.db.fault_table import DENIED, KNOWN, MISSING_GRANT, Kind

__all__ = ["DENIED", "LOCK_WAIT_TIMEOUT", "MISSING_GRANT", "Fault", "Kind", "read"]

LOCK_WAIT_TIMEOUT = "1205"
# Of the standard: the first two characters of SQLSTATE, for numbers that the table does not have.
_BY_SQLSTATE = {"08": Kind.LOST, "40": Kind.RERUN}
# "Statement completion unknown": it may have happened.
_UNKNOWN_COMPLETION = "40003"
# Only the text of 1180 has the error that COMMIT failed with. 149 is a deadlock, rolled back: a member of a group ends
# transactions this way that conflict with one that the group has committed.
_FAILED_COMMIT, _DEADLOCK = 1180, "error 149"


class TooLate(Exception):
    """A statement was not executed before its latest time: the transaction may be run again."""


@dataclass(frozen=True)
class Fault:
    """The kind of a database error, and its number as a label for the metrics."""

    kind: Kind
    errno: str


def read(error: BaseException) -> Fault:
    """Classify `error`. Anything that is not a database error is OTHER."""
    if isinstance(error, TooLate):
        return Fault(Kind.RERUN, "late")
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        return _read_sqlite(original)
    errno = getattr(original, "errno", None)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Fault(Kind.LOST, str(errno))
    if not isinstance(errno, int) or isinstance(original, OSError):
        return Fault(Kind.OTHER, "none")
    if errno == _FAILED_COMMIT and _DEADLOCK in str(getattr(original, "msg", "")):
        return Fault(Kind.RERUN, str(errno))
    if errno in KNOWN:
        return Fault(KNOWN[errno].kind, str(errno))
    state = getattr(original, "sqlstate", None) or ""
    if state == _UNKNOWN_COMPLETION:
        return Fault(Kind.LOST, str(errno))
    return Fault(_BY_SQLSTATE.get(state[:2], Kind.OTHER), str(errno))


def _read_sqlite(error: sqlite3.Error) -> Fault:
    code = getattr(error, "sqlite_errorcode", 0)
    name = getattr(error, "sqlite_errorname", "none")
    # The low byte is the primary code; the rest only refines it.
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or code == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
        return Fault(Kind.RERUN, name)
    # Interrupted: a read that exceeded its time limit (core/db/database.py).
    lost = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)
    if code & 0xFF in (*lost, sqlite3.SQLITE_INTERRUPT):
        return Fault(Kind.LOST, name)
    return Fault(Kind.OTHER, name)
