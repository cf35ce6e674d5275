"""What a database error means for the transaction it hit, told by its number.

By number, not by class: mysql-connector raises 1213 as InternalError and 1205 as DatabaseError.
"""

import sqlite3
from dataclasses import dataclass
from enum import Enum

from sqlalchemy.exc import DBAPIError

# Rolled back by the server, or to be rolled back whole, and then worth another run:
# 1213 deadlock, 1205 lock wait timeout, 1020 row changed since the snapshot (MariaDB).
_RERUN = frozenset({1213, 1205, 1020})
# A duplicate key. Two requests for different items can meet on one (user, idempotency key).
_DUPLICATE = frozenset({1062})
# The connection is lost, refused or unfit: server gone (2002-2013, 2048, 2055), closed for silence (4031, 1927),
# too many connections (1040, 1203, 1226), shutting down or killed (1047, 1053, 1317), read-only after a failover
# (1290, 1836), the driver's own read, write and connect timeouts (3024), and its "connection not available" (-1).
_LOST = frozenset(
    {
        -1,
        1040,
        1047,
        1053,
        1203,
        1226,
        1290,
        1317,
        1836,
        1927,
        2002,
        2003,
        2005,
        2006,
        2013,
        2014,
        2048,
        2055,
        3024,
        4031,
    }
)
# Refused at the door: wrong user, password, database or grant.
DENIED = frozenset({1044, 1045, 1049, 1698})


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
    if errno in _RERUN or errno in _DUPLICATE:
        return Fault(Kind.RERUN, str(errno))
    return Fault(Kind.LOST if errno in _LOST else Kind.OTHER, str(errno))


def _read_sqlite(error: sqlite3.Error) -> Fault:
    code = getattr(error, "sqlite_errorcode", 0)
    name = getattr(error, "sqlite_errorname", "none")
    # The low byte is the primary code; the rest only says more of it.
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or code == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
        return Fault(Kind.RERUN, name)
    if code & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY):
        return Fault(Kind.LOST, name)
    return Fault(Kind.OTHER, name)
