"""Tests the database's locks, which purchases rely on, with two connections on rows of its own.

A server can accept a statement and do something else: TiDB drops FOR UPDATE if SKIP LOCKED is added, two nodes of a
Galera cluster do not block each other, MySQL up to 8.0.20 turns a JSON null into the text `null`. Nothing reports this,
and units would be sold twice. The test needs no more than the service's own grants, and well under a second.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import Any

from mysql.connector import Error as DriverError
from sqlalchemy import Connection, Engine, delete, insert, select, text
from sqlalchemy.exc import DatabaseError, DBAPIError

from config import Settings
from core.db import faults
from core.db.clock import database_now
from core.db.database import WRITES, Database, patient_engine
from core.purchase.sql import Sql, as_batch, fetch, sql_of
from models import ServerProof

# How long a statement is left waiting for a lock before that counts as waiting.
WAIT_SECONDS = 0.1
_SQLITE_BUSY_SECONDS = 20
# Rows of a proof whose process was killed are removed by a later one.
_FORGOTTEN_AFTER = timedelta(hours=1)
_LOCK_WAIT_TIMEOUT = 1205
_DUPLICATE_KEY = 1062
_CHECK_VIOLATED = frozenset({3819, 4025})
_LOCK, _LOCKING_JOIN = "SELECT … FOR UPDATE", "a join with FOR UPDATE"
_READ = "SELECT units FROM server_proof WHERE run = :run AND number = :number"
_WRITE = "UPDATE server_proof SET units = :units WHERE run = :run AND number = :number"
_FIRST_FREE = (
    "SELECT number FROM server_proof FORCE INDEX (PRIMARY) WHERE run = :run AND number >= :number"
    " ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED"
)


class BrokenPromise(Exception):
    """The server does not do what a statement says, or refuses it; the text describes it, in one line."""


def prove(settings: Settings) -> None:
    """Raise BrokenPromise if the database breaks a promise, or DBAPIError if it cannot be used.

    Any number of hosts may run it at once, beside a running sale. It leaves no rows behind. What one that failed could
    not remove, a later one removes.
    """
    ends_at = time.monotonic() + _SQLITE_BUSY_SECONDS
    while True:
        try:
            return _prove(settings)
        except DBAPIError as error:
            # The first change to WAL does not wait for a lock, which another process may hold while it starts.
            busy = str(getattr(error.orig, "sqlite_errorname", "")).startswith("SQLITE_BUSY")
            if not busy or time.monotonic() > ends_at:
                raise
            time.sleep(0.05)


def _prove(settings: Settings) -> None:
    engine = patient_engine(settings, settings.DATABASE_TIMEOUT_SECONDS)
    Database(engine, settings)  # sets its sessions up as the service's
    run = secrets.token_hex(16)
    try:
        with engine.connect() as first, engine.connect() as second:
            if settings.on_sqlite:
                _prove_sqlite(first, second, run)
                return
            for connection in (first, second):
                connection.exec_driver_sql("SET SESSION innodb_lock_wait_timeout = 1")
                connection.rollback()
            with _rows(first, run):
                _Proof(engine, first, second, run).all()
    finally:
        engine.dispose()


@contextmanager
def _rows(connection: Connection, run: str) -> Iterator[None]:
    """Three rows of a run, removed at the end."""
    now = database_now(connection)
    forgotten = select(ServerProof.run).where(ServerProof.made_at < now - _FORGOTTEN_AFTER).distinct()
    for old in connection.scalars(forgotten).all():  # a read without locks first: it waits for no row
        connection.execute(delete(ServerProof).where(ServerProof.run == old))
    numbers = range(1, 4)
    connection.execute(
        insert(ServerProof).values([{"run": run, "number": n, "mark": n, "units": 1, "made_at": now} for n in numbers])
    )
    connection.commit()
    try:
        yield
    except BaseException:
        with suppress(DBAPIError):  # the first failure is the one to be told; a later proof removes them
            _remove(connection, run)
        raise
    _remove(connection, run)


def _remove(connection: Connection, run: str) -> None:
    connection.rollback()  # also where the session was lost: another one is opened
    connection.execute(delete(ServerProof).where(ServerProof.run == run))
    connection.commit()


class _Proof:
    """Each promise in turn, on the rows 1 to 3 of `run`, which have one unit each. Each ends its transactions."""

    def __init__(self, engine: Engine, first: Connection, second: Connection, run: str) -> None:
        self._engine = engine
        self._first = first
        self._second = second
        self._run = run
        self._sql: Sql = sql_of(first)
        join = (
            f"{self._sql.select} held.number, held.units FROM {self._sql.batch('order_no', 'number')}"
            f" JOIN {self._sql.by_index('server_proof held', 'PRIMARY')}"
            f" ON held.run = batch.order_no AND held.number = batch.number{self._sql.lock_of('held')}"
        )
        # The two joins of a purchase: of its coupons, which waits, and of its slots, which does not.
        self._waiting_join, self._skipping_join = join, f"{join} SKIP LOCKED"

    def all(self) -> None:
        for what, promise in (
            ("READ COMMITTED, ROLLBACK or UPDATE", self._read_committed),
            ("a CHECK or a unique key", self._constraints),
            ("JSON_TABLE", self._json_null),
            ("several statements in one packet", self._several_statements),
            ("SYSDATE() or SLEEP()", self._clock),
            # Those that wait first: what skips is tried on rows that they have locked.
            (_LOCK, lambda: self._blocks(_LOCK, self._read_locked)),
            (_LOCKING_JOIN, lambda: self._blocks(_LOCKING_JOIN, self._join_locked)),
            (f"{_LOCK} SKIP LOCKED", self._skip_locked),
            (f"{_LOCKING_JOIN} SKIP LOCKED", self._locking_join),
        ):
            try:
                with _refusal_is_named(what):
                    promise()
            finally:
                for connection in (self._first, self._second):
                    if not connection.invalidated:
                        connection.rollback()

    def _execute(self, connection: Connection, statement: str, **values: int) -> Any:
        return connection.execute(text(statement), {"run": self._run, **values})

    def _read(self, connection: Connection, number: int, lock: str = "") -> int:
        return self._found(self._execute(connection, f"{_READ}{lock}", number=number).scalars().all())

    @staticmethod
    def _found(units: Sequence[Any]) -> int:
        """The units of the one row that was asked for."""
        if not units:
            raise BrokenPromise("a connection does not find a row that was committed: two servers, or one that lags")
        if len(units) > 1:
            raise BrokenPromise("a row is found twice by its primary key")
        return int(units[0])

    def _read_locked(self, connection: Connection, number: int) -> int:
        return self._read(connection, number, " FOR UPDATE")

    def _join_locked(self, connection: Connection, number: int) -> int:
        rows = fetch(connection, self._waiting_join, as_batch([[self._run, number]]))
        return self._found([units for _, units in rows])

    def _read_committed(self) -> None:
        before = self._read(self._second, 3)
        self._execute(self._first, _WRITE, number=3, units=before + 1)
        if self._read(self._second, 3) != before:
            raise BrokenPromise("a transaction reads what another has not committed (READ UNCOMMITTED)")
        self._first.commit()
        if self._read(self._second, 3) != before + 1:
            raise BrokenPromise(
                "a transaction does not read what another has committed since it began (not READ COMMITTED)"
            )
        self._second.rollback()
        self._execute(self._first, _WRITE, number=3, units=before)
        self._first.rollback()
        if self._read(self._second, 3) != before + 1:
            raise BrokenPromise("ROLLBACK leaves a change in place")
        if self._execute(self._second, _WRITE, number=3, units=before + 1).rowcount != 1:
            raise BrokenPromise("an UPDATE counts the rows that it changed and not those that it found")

    def _constraints(self) -> None:
        for statement, numbers, broken in (
            (
                "INSERT INTO server_proof (run, number, mark, units, made_at)"
                " SELECT run, 4, mark, units, made_at FROM server_proof WHERE run = :run AND number = 1",
                {_DUPLICATE_KEY},
                "a unique key takes a second row with the same values",
            ),
            (
                "UPDATE server_proof SET units = -1 WHERE run = :run AND number = 1",
                _CHECK_VIOLATED,
                "a CHECK takes a row that violates it",
            ),
        ):
            try:
                self._execute(self._first, statement)
            except DBAPIError as error:
                if _errno(error) not in numbers:
                    raise
            else:
                raise BrokenPromise(broken)
            self._first.rollback()

    def _json_null(self) -> None:
        batch = f"SELECT batch.coupon_code FROM {self._sql.batch('coupon_code')}"  # noqa: S608 (names of our own)
        ((value,),) = fetch(self._begun(self._first), batch, as_batch([[None]]))
        if value is not None:
            raise BrokenPromise(f"a JSON null in JSON_TABLE is {value!r} and not NULL")

    def _several_statements(self) -> None:
        """What a batch changes is sent in one packet."""
        opened: Any = self._begun(self._first).connection.dbapi_connection
        change = _WRITE.replace(":run", "%s").replace(":number", "%s").replace(":units", "%s")
        changes = [(change, (units, self._run, number)) for units, number in (("2", "3"), ("-1", "2"), ("7", "1"))]
        try:
            opened.execute_all(changes)
        except DriverError as error:
            if error.errno not in _CHECK_VIOLATED:
                raise BrokenPromise(f"several statements in one packet are refused ({error.errno})") from error
        else:
            raise BrokenPromise("of several statements in one packet it says nothing of one that fails")
        units = [self._read(self._first, number) for number in (1, 3)]
        if units != [1, 2]:
            raise BrokenPromise("of several statements in one packet it carries out what stands behind one that fails")
        self._first.rollback()

    def _clock(self) -> None:
        row = self._first.exec_driver_sql("SELECT SYSDATE(6), SLEEP(0.01), SYSDATE(6)").one()
        if row[0] == row[2]:
            raise BrokenPromise("SYSDATE() stands still within a statement (sysdate-is-now)")

    def _skip_locked(self) -> None:
        self._read_locked(self._first, 1)
        with _waiting_is("SKIP LOCKED waits for a locked row"):
            had = self._execute(self._second, _FIRST_FREE, number=1).scalar()
        if had != 2:
            raise BrokenPromise(
                f"FOR UPDATE SKIP LOCKED {'returns a locked row' if had == 1 else 'skips a row that is free'}"
            )
        with _waiting_is("SKIP LOCKED waits for a locked row"):
            had = self._execute(self._first, _FIRST_FREE, number=2).scalar()
        if had != 3:
            raise BrokenPromise(
                f"FOR UPDATE SKIP LOCKED {'locks nothing' if had == 2 else 'locks more rows than it returns'}"
            )

    def _locking_join(self) -> None:
        self._read_locked(self._first, 1)
        with _waiting_is("a join with SKIP LOCKED waits for a locked row"):
            wanted = as_batch([[self._run, 1], [self._run, 2]])
            had = [int(number) for number, _ in fetch(self._begun(self._second), self._skipping_join, wanted)]
        if had != [2]:
            raise BrokenPromise(
                f"a join with FOR UPDATE SKIP LOCKED {'returns a locked row' if 1 in had else 'skips a free row'}"
            )
        with _waiting_is("SKIP LOCKED waits for a locked row"):
            free = self._execute(self._first, _FIRST_FREE, number=2).scalar()
        if free != 3:
            what = "locks nothing" if free == 2 else "locks rows that it does not name"
            raise BrokenPromise(f"a join with FOR UPDATE SKIP LOCKED {what}")

    def _blocks(self, what: str, read: Callable[[Connection, int], int]) -> None:
        """Both sides lock by `read`: the second has to wait, and to read what the first has written meanwhile."""
        before = read(self._begun(self._first), 1)
        answers: list[int | BaseException] = []
        answered = threading.Event()

        def wait() -> None:
            try:
                answers.append(read(self._begun(self._second), 1))
            except BaseException as error:
                answers.append(error)
            answered.set()

        waiter = threading.Thread(target=wait, daemon=True)
        waiter.start()
        early = answered.wait(WAIT_SECONDS)
        self._execute(self._first, _WRITE, number=1, units=before + 1)
        self._first.commit()
        waiter.join()
        (answer,) = answers
        if isinstance(answer, BaseException):
            if _errno(answer) == _LOCK_WAIT_TIMEOUT:
                return  # it waited, for longer than meant: this host is busy
            raise answer
        if early or answer != before + 1:
            raise BrokenPromise(f"{what} does not wait for a row that another transaction has locked")

    @staticmethod
    def _begun(connection: Connection) -> Connection:
        if not connection.in_transaction():
            connection.begin()
        return connection


@contextmanager
def _refusal_is_named(what: str) -> Iterator[None]:
    """Raise BrokenPromise for a statement that the server does not take, and DBAPIError for whatever else it raises."""
    try:
        yield
    except (DBAPIError, DriverError) as error:
        if faults.read(error).kind is faults.Kind.OTHER:
            # Without the server's own words: they can quote names and values.
            raise BrokenPromise(f"it refuses {what} ({_errno(error)})") from error
        if isinstance(error, DBAPIError):
            raise
        raise DatabaseError(None, None, error) from error  # of a statement that went past SQLAlchemy


@contextmanager
def _waiting_is(broken: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if _errno(error) != _LOCK_WAIT_TIMEOUT:
            raise
        raise BrokenPromise(broken) from error


def _errno(error: BaseException) -> object:
    return getattr(error.orig if isinstance(error, DBAPIError) else error, "errno", None)


def _prove_sqlite(first: Connection, second: Connection, run: str) -> None:
    mode = first.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    first.rollback()
    if mode != "wal":
        raise BrokenPromise(f"the journal is in mode {mode} and not WAL, which needs a local file system")
    with ExitStack() as stack:
        writer = first.execution_options(**{WRITES: True})
        second.exec_driver_sql("PRAGMA busy_timeout = 0")
        second.rollback()
        stack.callback(writer.rollback)
        row = {"run": run, "number": 1, "mark": 1, "units": 1, "made_at": database_now(writer)}
        writer.execute(insert(ServerProof).values(row))
        if second.scalars(select(ServerProof.number).where(ServerProof.run == run)).all():
            raise BrokenPromise("a transaction reads what another has not committed")
        second.rollback()
        try:
            second.execution_options(**{WRITES: True}).exec_driver_sql("SELECT 1")
        except DBAPIError as error:
            if getattr(error.orig, "sqlite_errorname", "") != "SQLITE_BUSY":
                raise
        else:
            raise BrokenPromise("BEGIN IMMEDIATE lets a second writer in: the file system keeps no locks")
        finally:
            second.rollback()
        for values, broken in (
            (row | {"number": 2}, "a unique key takes a second row with the same values"),
            (row | {"number": 3, "mark": 3, "units": -1}, "a CHECK takes a row that violates it"),
        ):
            try:
                writer.execute(insert(ServerProof).values(values))
            except DBAPIError as error:
                if not str(getattr(error.orig, "sqlite_errorname", "")).startswith("SQLITE_CONSTRAINT"):
                    raise
            else:
                raise BrokenPromise(broken)
