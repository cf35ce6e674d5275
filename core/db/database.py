"""Connections to the database: how they are opened, the settings of each session, and their number."""

import copy
import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import mysql.connector
from sqlalchemy import Connection, Engine, NullPool, Row, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from config import Settings
from core.db import mysql_connection, shares
from core.db.clock import Deadline, deadline_of_request
from core.db.faults import Kind, read
from core.db.idle_sessions import IdleSessions
from core.db.shares import ENDED_BY_SERVER, Share
from core.held import held
from core.ops.metrics import POOL_IN_USE
from core.refusals import Busy, Refusal, Unavailable

# Set by hand, so that the meaning of a statement does not depend on how the server was set up.
_SQL_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION"
log = logging.getLogger("seckill.database")

Answer = TypeVar("Answer")
AnyRow = Row[*tuple[Any, ...]]
WRITES = "seckill_writes"

# The transaction that this thread's reads and transactions join, if there is one (core/idempotency.py).
_joined: ContextVar[Connection | None] = ContextVar("joined", default=None)


def joined() -> Connection | None:
    """The connection of the transaction that this thread's reads and transactions join; None where there is none."""
    return _joined.get()


def joining(connection: Connection) -> AbstractContextManager[None]:
    """Let this thread's reads and transactions within the block join the transaction that `connection` is in."""
    return held(_joined, connection)


_PATIENCE = 3600  # seconds
# The server ends a read a little before the driver times out: the driver gets an answer, and nothing runs on.
_SERVER_SHARE_OF_TIMEOUT = 0.9
_SQLITE_STEPS = 10_000  # between two reads of the clock


def engine_options(settings: Settings, ended_by_server: bool = False) -> dict[str, Any]:
    """Arguments of SQLAlchemy's create_engine() for the database that the settings name.

    `ended_by_server` says which of a worker's two pools it is for (core/db/shares.py).
    """
    # The permits of `Database` bound the connections and observe each caller's deadline; the pool itself never waits.
    options: dict[str, Any] = {
        "pool_size": shares.pool_size(settings, ended_by_server),
        "max_overflow": 0,
        "pool_timeout": 1,
        "pool_reset_on_return": None,  # `transaction.run` ends each transaction
        "pool_use_lifo": True,  # few connections in steady use rather than many idle ones that need a ping
        "hide_parameters": True,  # an error's text goes to the log; keys and users' data must not
    }
    if settings.on_sqlite:
        return options | {"connect_args": {"timeout": settings.PURCHASE_WAIT_SECONDS, "check_same_thread": False}}
    return options | {
        "isolation_level": "READ COMMITTED",
        "connect_args": {
            # The C extension behaves differently on a killed connection and is missing on some machines.
            "use_pure": True,
            # Named, since the driver's default collation is unknown to MariaDB before 11.4.5.
            "charset": "utf8mb4",
            "collation": "utf8mb4_unicode_ci",
            "time_zone": "+00:00",
            "sql_mode": _SQL_MODE,
            # The driver has no default timeouts: a frozen server would block its callers for ever.
            "connection_timeout": settings.DATABASE_TIMEOUT_SECONDS,
            "read_timeout": settings.DATABASE_TIMEOUT_SECONDS,
            "write_timeout": settings.DATABASE_TIMEOUT_SECONDS,
        },
    }


def patient_engine(settings: Settings, seconds: float = _PATIENCE) -> Engine:
    """A separate engine for long work, such as migrations and audits, with `seconds` for each statement.

    Raises what SQLAlchemy raises; its sessions are not set up for purchases.
    """
    options = engine_options(settings) | {"poolclass": NullPool}
    for name in ("pool_size", "max_overflow", "pool_timeout", "pool_use_lifo"):
        options.pop(name, None)
    if not settings.on_sqlite:
        options["connect_args"] |= {"read_timeout": seconds, "write_timeout": seconds}
    engine = create_engine(settings.database_url, **options)
    if not settings.on_sqlite:
        event.listen(engine, "do_connect", _opener(mysql_connection.Connection))
    return engine


class Database:
    """Two engines, one of them for reads only, with a bounded number of connections and the same session settings.

    Each kind of work has its own connections: core/db/shares.py.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        opened_as: type[mysql_connection.Connection] = mysql_connection.Connection,
    ) -> None:
        """`engine` is for all but reads; that for reads is made here and disposed of with it. Opens no connection.

        Connections to a server are `opened_as` this class.
        """
        self.engine = engine
        self.read_engine = create_engine(settings.database_url, **engine_options(settings, ended_by_server=True))
        self.settings = settings
        self.is_sqlite = engine.dialect.name == "sqlite"
        # SQLite admits one writer. Its own wait is a poll that can starve a thread; a lock of the process is fairer.
        self.sqlite_writer = threading.Lock()
        self._logged_at = float("-inf")
        self._idle = IdleSessions(settings.IDLE_TRANSACTION_SECONDS, settings.DATABASE_TIMEOUT_SECONDS)
        self._permits = {share: threading.BoundedSemaphore(size) for share, size in shares.sizes(settings).items()}
        self._in_use = {share: POOL_IN_USE.labels(share) for share in Share}
        self._share: Share | None = None
        for each in (engine, self.read_engine):
            self._listen(each, opened_as)
        event.listen(self.read_engine, "connect", self.limit_sqlite if self.is_sqlite else self.limit_mysql)
        if self.is_sqlite:
            event.listen(self.read_engine, "before_cursor_execute", self._begin_statement)
        event.listen(engine, "engine_disposed", lambda engine: self.read_engine.dispose())

    def _listen(self, engine: Engine, opened_as: type[mysql_connection.Connection]) -> None:
        if not self.is_sqlite:
            event.listen(engine, "do_connect", _opener(opened_as))
            event.listen(engine, "handle_error", _mark_disconnect)
        event.listen(engine, "connect", self.set_up_sqlite if self.is_sqlite else self.set_up_mysql)
        if self.is_sqlite:
            event.listen(engine, "begin", begin_sqlite)
        else:
            self._idle.watch(engine)

    def of(self, share: Share) -> "Database":
        """The same database, restricted to the connections of `share`, in any thread."""
        bound = copy.copy(self)
        bound._share = share  # noqa: SLF001 (of this class)
        return bound

    @contextmanager
    def connect(self, deadline: Deadline) -> Iterator[Connection]:
        """A connection of the thread's share for changes. Waits for one no longer than `deadline`.

        Raises Busy if none is free in time, Unavailable if the database cannot be reached. After an error that is not
        known to leave it clean, the connection is closed: the next statement must not receive a late answer.
        """
        share = self._share or shares.current()
        # The server does not time out changes: on MariaDB that could end a COMMIT as well.
        with self.connect_share(Share.CHANGES if share in ENDED_BY_SERVER else share, deadline) as connection:
            yield connection

    @contextmanager
    def connect_share(self, share: Share, deadline: Deadline) -> Iterator[Connection]:
        """A connection of `share`, whatever the thread's is. Waits, and raises, as `connect` does."""
        permits = self._permits[share]
        if not permits.acquire(timeout=deadline.remaining()):
            raise Busy()
        try:
            try:
                connection = (self.read_engine if share in ENDED_BY_SERVER else self.engine).connect()
            except Exception as error:
                self._log_failure(error)
                raise Unavailable() from error
            with self._in_use[share].track_inprogress(), connection:
                try:
                    yield connection
                except BaseException as error:
                    if not isinstance(error, Refusal) and read(error).kind is not Kind.RERUN:
                        connection.invalidate()
                    raise
        finally:
            permits.release()

    @contextmanager
    def reading(self, deadline: Deadline | None = None) -> Iterator[Connection]:
        """A connection of the thread's share for reads without locks. Waits for one until the deadline, by default the
        request's.

        Raises Busy or Unavailable, never the driver's error for a lost connection. Within a joined transaction it is
        that transaction's connection, and errors are that transaction's to handle.
        """
        own = joined()
        if own is not None:
            yield own
            return
        deadline = deadline or deadline_of_request(self.settings.PURCHASE_WAIT_SECONDS)
        try:
            with self.connect_share(self._share or shares.current(), deadline) as connection:
                yield connection
        # Of a statement, or of the rollback at the end.
        except (DBAPIError, mysql.connector.Error, sqlite3.Error) as error:
            raise self.refusal(error) from error

    def execute(self, connection: Connection, statement: str, numbers: Sequence[int]) -> Iterable[Sequence[Any]]:
        """The rows of one statement, past SQLAlchemy and in no transaction: values as text, or as SQLite has them.

        Each `%s` in the statement (on SQLite each `?`) is one of `numbers`. `connection` is one for reads. Raises what
        the driver raises.
        """
        if self.is_sqlite:
            self._begin_statement(connection)
            opened: Any = connection.connection.dbapi_connection
            return opened.execute(statement, numbers).fetchall()  # type: ignore[no-any-return]
        # The server begins a transaction with each statement, and SQLAlchemy ends none that it does not know.
        with connection.begin() as transaction:
            values = [str(number) for number in numbers]
            rows: Iterable[Sequence[Any]] = sent(connection, lambda opened: opened.execute(statement, *values))[0]
            transaction.rollback()
        return rows

    def refusal(self, error: Exception) -> Exception:
        """The refusal for a failure of the database, after logging its cause; `error` itself if it is none."""
        kind = read(error).kind
        if kind is Kind.OTHER:
            return error
        self._log_failure(error)
        return Busy() if kind is Kind.RERUN else Unavailable()

    def _log_failure(self, error: Exception) -> None:
        # At most once a second: while the database is down, every request fails.
        now = time.monotonic()
        if now - self._logged_at >= 1:
            self._logged_at = now
            cause = error.orig if isinstance(error, DBAPIError) and error.orig else error.__cause__ or error
            log.warning("the database failed a request: %s, error %s", type(cause).__name__, read(error).errno)

    def set_up_mysql(self, dbapi_connection: Any, record: Any) -> None:
        """Limit a new session: how long a statement waits for a row, and how long the session may be silent."""
        with dbapi_connection.cursor() as cursor:
            mariadb = self._is_mariadb(cursor)
            # A frozen process keeps its row locks: only the server can end its session. MySQL has no timeout for idle
            # transactions alone.
            silence = "idle_transaction_timeout" if mariadb else "wait_timeout"
            cursor.execute(
                f"SET SESSION innodb_lock_wait_timeout = {self.settings.LOCK_WAIT_SECONDS:d},"
                f" SESSION {silence} = {self.settings.IDLE_TRANSACTION_SECONDS:d}"
            )
        if not mariadb:
            self._idle.keep(dbapi_connection, record)

    def _is_mariadb(self, cursor: Any) -> bool:
        dialect: Any = self.engine.dialect if self.engine.dialect.server_version_info else self.read_engine.dialect
        if dialect.server_version_info:
            return bool(dialect.is_mariadb)
        cursor.execute("SELECT VERSION()")
        return "mariadb" in str(cursor.fetchone()[0]).lower()

    def limit_mysql(self, dbapi_connection: Any, record: Any) -> None:
        """Let the server end statements of the session that the driver no longer waits for."""
        seconds = self.settings.DATABASE_TIMEOUT_SECONDS * _SERVER_SHARE_OF_TIMEOUT
        with dbapi_connection.cursor() as cursor:
            # MySQL's limit is in milliseconds and for SELECT only; MariaDB's is in seconds and for every statement.
            if self._is_mariadb(cursor):
                cursor.execute(f"SET SESSION max_statement_time = {seconds:.3f}")
            else:
                cursor.execute(f"SET SESSION max_execution_time = {seconds * 1000:.0f}")

    def limit_sqlite(self, dbapi_connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        """End late statements of the session here: SQLite runs in this process."""

        def is_late() -> bool:
            ends_at: float = record.info.get("statement_ends_at", math.inf)
            return time.monotonic() > ends_at

        dbapi_connection.set_progress_handler(is_late, _SQLITE_STEPS)

    def _begin_statement(self, connection: Connection, *of_event: Any) -> None:
        connection.info["statement_ends_at"] = time.monotonic() + self.settings.DATABASE_TIMEOUT_SECONDS

    def set_up_sqlite(self, dbapi_connection: sqlite3.Connection, record: Any) -> None:
        """Give a new connection the journal, the durability and the `lower` that the service counts on."""
        dbapi_connection.isolation_level = None  # the driver begins nothing by itself; `begin_sqlite` does
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            dbapi_connection.cursor().execute(f"PRAGMA {pragma}")  # no statement of a request: it is not traced
        dbapi_connection.create_function("lower", 1, _lower, deterministic=True)


def sent(connection: Connection, send: Callable[[Any], Answer]) -> Answer:
    """What `send` returns, called with the driver's connection, past SQLAlchemy. Raises what `send` raises."""
    # SQLAlchemy has to know of the transaction to end it, and of a connection that is lost: it would send a ROLLBACK,
    # and wait for it as long again.
    assert connection.in_transaction()
    opened: Any = connection.connection.dbapi_connection
    try:
        return send(opened)
    except Exception as error:
        if read(error).kind is not Kind.RERUN:
            connection.invalidate(error)
        raise


def _opener(kind: type[mysql_connection.Connection]) -> Callable[..., mysql_connection.Connection]:
    def connect(
        dialect: Any, record: ConnectionPoolEntry, arguments: Any, options: dict[str, Any]
    ) -> mysql_connection.Connection:
        return mysql_connection.open(options, kind)

    return connect


def _mark_disconnect(context: ExceptionContext) -> None:
    # The driver keeps a connection after a read timeout, and SQLAlchemy does not know that error: the late answer would
    # be taken for the next statement's. The pool's other connections may work; each is judged by its own errors.
    if read(context.original_exception).kind is Kind.LOST:
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False


def _lower(value: str | float | None) -> str | float | None:
    # In place of SQLite's own, which knows the letters of ASCII alone: the servers' know all. Python's `lower` would
    # write a sigma in two ways.
    return value.casefold() if isinstance(value, str) else value


def begin_sqlite(connection: Connection) -> None:
    """Begin a transaction of the kind that its connection was marked for (`WRITES`)."""
    # A writer takes the lock at its start: one that reads first could find its snapshot outdated when it writes.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
