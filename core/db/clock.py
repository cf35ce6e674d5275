"""The database's clock, which alone decides whether a sale is open, and deadlines by this process's clock."""

import time
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from models import UtcTime

# strftime's %f has three decimals, SQLAlchemy's stored times six: the zeros keep them comparable as text.
_SQLITE_NOW = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class utc_now(FunctionElement[datetime]):
    """The moment at which the statement began."""

    type = UtcTime()
    inherit_cache = True


class utc_now_after_wait(FunctionElement[datetime]):
    """The moment at which the row is read, after any wait for its lock; needs the session's time zone at UTC."""

    type = UtcTime()
    inherit_cache = True


@compiles(utc_now)
def _utc_now(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    return now_in(compiler.dialect.name)


@compiles(utc_now_after_wait)
def _utc_now_after_wait(element: utc_now_after_wait, compiler: SQLCompiler, **kw: Any) -> str:
    return now_after_wait_in(compiler.dialect.name)


def now_in(dialect: str) -> str:
    """`utc_now` as text for statements that are written as text."""
    return _SQLITE_NOW if dialect == "sqlite" else "UTC_TIMESTAMP(3)"


def ago_in(dialect: str) -> str:
    """The moment so many seconds before `now_in`, as text; the seconds are a parameter, written as text."""
    if dialect == "sqlite":
        return "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || ? || ' seconds')"
    return "(UTC_TIMESTAMP(3) - INTERVAL %s SECOND)"


def now_after_wait_in(dialect: str) -> str:
    """`utc_now_after_wait` as text for statements that are written as text."""
    return _SQLITE_NOW if dialect == "sqlite" else "SYSDATE(3)"


def database_now(connection: Connection) -> datetime:
    """The database's time, in UTC."""
    return connection.execute(select(utc_now())).scalar_one()


def iso(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, the format of all times in the API. `moment` is in UTC."""
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


def utc(written: str | None) -> datetime | None:
    """The time that is `written`, as the database has it; None for None."""
    return None if written is None else datetime.fromisoformat(written).replace(tzinfo=timezone.utc)


class Deadline:
    """A moment of this process's monotonic clock at which waiting ends."""

    __slots__ = ("end",)

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    @classmethod
    def at(cls, end: float) -> "Deadline":
        """The deadline at this moment of the monotonic clock, in seconds."""
        deadline = cls.__new__(cls)
        deadline.end = end
        return deadline

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.end - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.remaining() == 0.0


_of_request: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def begin_request(deadline: Deadline | None) -> None:
    """Set the deadline of the request that this thread handles; None: it handles no request."""
    _of_request.set(deadline)


def deadline_of_request(seconds: float) -> Deadline:
    """The deadline of the request that this thread handles, counted from its arrival; else one in `seconds`."""
    return _of_request.get() or Deadline(seconds)
