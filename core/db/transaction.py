"""Runs transactions. `run_once` alone begins, commits and rolls back; `run` retries, within bounds.

docs/locking.md has the rules of locking.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client import Counter
from sqlalchemy import Connection

from core.db.clock import Deadline, deadline_of_request
from core.db.database import WRITES, Database, joined
from core.db.faults import LOCK_WAIT_TIMEOUT, Kind, read
from core.refusals import Busy, Unavailable

Result = TypeVar("Result")

log = logging.getLogger("seckill.transaction")

RERUNS = Counter(
    "seckill_transaction_reruns_total",
    "Transactions that were rolled back and run again, by the error's number.",
    ["errno"],
)

_FIRST_PAUSE = 0.002  # seconds before the second run; doubles each time
_LONGEST_PAUSE = 0.1


@dataclass
class _Unanswered(Exception, Generic[Result]):
    """The answer to a COMMIT was lost. The transaction would have returned `result`."""

    result: Result


def run(
    database: Database,
    work: Callable[[Connection], Result],
    deadline: Deadline,
    was_committed: Callable[[Connection, Result], bool] | None = None,
    rerun_lock_waits: bool = True,
) -> Result:
    """Run `work` in one transaction and commit it.

    It is retried after a deadlock, a lock wait timeout (unless `rerun_lock_waits` is off), a duplicate key, or a
    connection lost before COMMIT, up to TRANSACTION_ATTEMPTS times and not past `deadline`. If the answer to a COMMIT
    is lost, `was_committed` finds out, on another connection, whether that run was committed.

    Raises Busy (nothing was done), Unavailable (it may have been), and what else `work` raises.

    Within a joined transaction (`joining` in database.py), `work` becomes a part of it: the outer `run` commits or
    retries the whole.
    """
    outer = joined()
    if outer is not None:
        return work(outer)
    for attempt in range(database.settings.TRANSACTION_ATTEMPTS):
        if deadline.passed:
            raise Busy()
        if attempt:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
            # Jitter: two transactions that collided should not collide again.
            time.sleep(min(random.uniform(0, pause), deadline.remaining()))  # noqa: S311 (no secret)
        try:
            return run_once(database, work, deadline)
        except _Unanswered as unanswered:
            if was_committed is None:
                raise Unavailable() from unanswered.__cause__
            if _look_up(database, lambda connection, r=unanswered.result: was_committed(connection, r), deadline):  # type: ignore[misc]
                result: Result = unanswered.result
                return result
            if deadline.passed:
                raise Busy() from unanswered.__cause__  # it was not committed: nothing was done
        except Exception as error:  # a deadlock (1213) and all else that fault_table.py calls RERUN or LOST: once more
            fault = read(error)
            if fault.kind is Kind.OTHER:
                raise
            given_up = fault.errno == LOCK_WAIT_TIMEOUT and not rerun_lock_waits
            if given_up or deadline.passed or attempt == database.settings.TRANSACTION_ATTEMPTS - 1:
                raise database.refusal(error) from error
            RERUNS.labels(fault.errno).inc()
    raise Busy()


def run_once(database: Database, work: Callable[[Connection], Result], deadline: Deadline) -> Result:
    """Run `work` in one transaction and commit it, without a retry. Raises what `work` and the database raise."""
    committed: list[Result] = []
    try:
        _work_and_commit(database, work, deadline, committed)
    except Exception as error:
        if not committed:
            raise
        # It is committed, whatever failed afterwards.
        log.warning("after COMMIT was answered: %s", type(error).__name__)
    return committed[0]


def _work_and_commit(
    database: Database, work: Callable[[Connection], Result], deadline: Deadline, committed: list[Result]
) -> None:
    """Append the result to `committed` as soon as COMMIT is answered."""
    if database.is_sqlite and not database.sqlite_writer.acquire(timeout=deadline.remaining()):
        raise Busy()
    try:
        with database.connect(deadline) as connection:
            if database.is_sqlite:
                # Not through SQLAlchemy, which would first begin a transaction, whose lock another process may hold.
                limit = int(deadline.remaining() * 1000)
                connection.connection.cursor().execute(f"PRAGMA busy_timeout = {limit}")
            connection = connection.execution_options(**{WRITES: True})
            with connection.begin() as transaction:
                result = work(connection)
                try:
                    transaction.commit()
                except Exception as error:
                    commit_refused = database.is_sqlite or read(error).kind is Kind.RERUN
                    # Roll back here: SQLAlchemy considers the transaction ended, and the pool resets nothing. A
                    # connection without a clear answer to COMMIT must not be reused.
                    if not commit_refused or not roll_back(connection):
                        connection.invalidate()
                    if commit_refused:
                        raise
                    # Any other error is no answer: only the database knows whether it was committed.
                    raise _Unanswered(result) from error
                committed.append(result)
    finally:
        if database.is_sqlite:
            database.sqlite_writer.release()


def roll_back(connection: Connection) -> bool:
    """Roll back without SQLAlchemy. Returns whether the database confirmed it."""
    try:
        connection.connection.rollback()
    except Exception as error:
        log.warning("a ROLLBACK failed: %s", type(error).__name__)
        return False
    return True


def _look_up(database: Database, question: Callable[[Connection], bool], deadline: Deadline) -> bool:
    """Run the query `question` until the database answers. Raises Unavailable at the deadline."""
    # At least once, even past the deadline: an answer is worth one more connection.
    while True:
        try:
            with database.connect(Deadline(database.settings.DATABASE_TIMEOUT_SECONDS)) as connection:
                return question(connection)
        except Exception as error:
            # An error that is not the connection's would occur again.
            is_permanent = read(error).kind is Kind.OTHER and not isinstance(error, (Busy, Unavailable))
            if deadline.passed or is_permanent:
                raise Unavailable() from error
            time.sleep(min(0.05, deadline.remaining()))


def run_with_default_deadline(database: Database, work: Callable[[Connection], Result]) -> Result:
    """Run `work` in one transaction with the request's deadline and the default retries."""
    return run(database, work, deadline_of_request(database.settings.PURCHASE_WAIT_SECONDS))
