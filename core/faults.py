"""What a database error means for the transaction it hit, told by its number.

By number, not by class: mysql-connector raises 1213 as InternalError and 1205 as DatabaseError.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from sqlalchemy.exc import DBAPIError

# Rolled back by the server, or to be rolled back whole, and then worth another run:
# 1213 deadlock, 1205 lock wait timeout, 1020 row changed since the snapshot (MariaDB), 3101 refused at COMMIT by the
# group (MySQL's group replication).
_RERUN = frozenset({1213, 1205, 1020, 3101})
# A duplicate key. Two requests for different items can meet on one (user, idempotency key).
_DUPLICATE = frozenset({1062})
# The connection is lost, refused or unfit, or the server cannot work now.
_LOST = frozenset(
    {
        *(2002, 2003, 2005, 2006, 2013, 2014, 2048, 2055, -1),  # the driver lost it, or never had it
        *(1152, 1158, 1159, 1160, 1161, 1184, 1927, 4031),  # the server lost it or closed it for its silence
        *(1040, 1129, 1130, 1135, 1203, 1226),  # too many connections, or a host that is shut out
        *(1047, 1053, 1077, 1080, 1317, 1792),  # stopping, not ready, or a statement that was killed
        *(1290, 1836),  # read-only, as after a failover
        *(1021, 1030, 1041, 1114, 1180),  # out of disk or memory, or an error of the storage engine
        *(1969, 3024),  # a statement over the server's time limit; 3024 is the driver's own time-out too
    }
)
# Refused at the door, and why: wrong user, password, database or grant.
DENIED: Mapping[int, str] = {
    1044: "the user may not use the database",
    1045: "the database refused the user or the password",
    1049: "the server has no such database; make it with CREATE DATABASE",
    1698: "the database refused the user",
}


LOCK_WAIT_TIMEOUT = "1205"
# Only the text of 1180 tells what the COMMIT failed with. 149 is a deadlock, rolled back: so a member of a group ends a
# transaction that is in the way of another which the group has committed.
_FAILED_COMMIT, _DEADLOCK = 1180, "error 149"


class Kind(Enum):
    RERUN = "rerun"
    LOST = "lost"
    OTHER = "other"


@dataclass(frozen=True)
class Fault:
    """A database error, read: its kind, and its number as a label for the metrics."""

    kind: Kind
    errno: str


def read(error: BaseException) -> Fault:
    """Say what `error` means. Anything that is not a database error is OTHER."""
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
    if errno in _RERUN or errno in _DUPLICATE:
        return Fault(Kind.RERUN, str(errno))
    return Fault(Kind.LOST if errno in _LOST else Kind.OTHER, str(errno))


def _read_sqlite(error: sqlite3.Error) -> Fault:
    code = getattr(error, "sqlite_errorcode", 0)
    name = getattr(error, "sqlite_errorname", "none")
    # The low byte is the primary code; the rest only says more of it.
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or code == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
        return Fault(Kind.RERUN, name)
    # Interrupted: a read that took longer than anybody waits for it (core/database.py).
    lost = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)
    if code & 0xFF in (*lost, sqlite3.SQLITE_INTERRUPT):
        return Fault(Kind.LOST, name)
    return Fault(Kind.OTHER, name)
