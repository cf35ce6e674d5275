"""The service with a guard taken out: what the twin of a race test runs against.

    python -m harness.without_guard no_row_lock acknowledge_before_commit

Where it can, it rewrites the SQL on its way to the driver, so that it does not depend on how the code is cut.
It also widens the window in which the missing guard is missed: a twin has to fail every time.
"""

import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import serve
from harness import load_without_guard, payment_without_guard, sale_cache_without_guard
from harness.rewriting import after as _after
from harness.rewriting import locks, without_locks
from harness.rewriting import rewrite as _rewrite

SLOW_USER = "slow-holder"
# Longer than any bound that a test holds a purchase to.
HOLD_SECONDS = 30
_WINDOW = 0.02


def _locks_goods(statement: str) -> bool:
    return "FROM goods" in statement and locks(statement)


def _writes_orders(statement: str) -> bool:
    return statement.startswith("INSERT INTO orders")


def no_row_lock() -> None:
    """The item's row is read without a lock, and its stock taken without a condition."""

    def change(connection: Any, statement: str, parameters: Any) -> str:
        if _locks_goods(statement):
            return without_locks(statement)
        if _writes_orders(statement):
            time.sleep(_WINDOW)
        if statement.startswith("UPDATE goods"):
            return re.sub(r"(goods\.)?\bstock >= ", "1000000000 >= ", statement)
        return statement

    _rewrite(change)


def no_coupon_lock() -> None:
    """Coupons are read without a lock, and counted without a condition."""

    def change(connection: Any, statement: str, parameters: Any) -> str:
        if "JOIN coupons" in statement and locks(statement):
            return without_locks(statement)
        if statement.startswith("INSERT INTO coupon_uses"):
            time.sleep(8 * _WINDOW)  # long enough for another batch to be led beside it
        if statement.startswith("UPDATE") and "coupons" in statement:
            return re.sub(r"<=? coupons\.total_limit", "< 1000000000 + coupons.total_limit", statement)
        return statement

    _rewrite(change)


def no_idempotency_key_lock() -> None:
    """The row of an idempotency key is read without a lock, and written without a condition."""

    def change(connection: Any, statement: str, parameters: Any) -> str:
        if "FROM idempotency_keys" in statement and locks(statement):
            return without_locks(statement)
        if statement.startswith("UPDATE idempotency_keys"):
            return statement.replace("idempotency_keys.status IS NULL", "1 = 1")
        return statement

    _rewrite(change)


def no_sqlite_transaction() -> None:
    """Statements on SQLite commit one by one, no check of the table holds them, and no check at the start notices."""
    import core.db.database
    from core.db import server_proof
    from core.db.database import Database

    server_proof.prove = lambda settings: None

    set_up = Database.set_up_sqlite

    def careless(self: Any, dbapi_connection: Any, record: Any) -> None:
        set_up(self, dbapi_connection, record)
        dbapi_connection.execute("PRAGMA ignore_check_constraints = ON")

    Database.set_up_sqlite = careless
    core.db.database.begin_sqlite = lambda connection: None
    no_row_lock()


def no_slots() -> None:
    """Slots are read, not locked: everybody gets one."""

    def change(connection: Any, statement: str, parameters: Any) -> str:
        return without_locks(statement) if "purchase_slots" in statement else statement

    _rewrite(change)


def no_known_orders() -> None:
    """Nobody looks for the order that stands under a key."""
    from core.purchase import statements

    standing = statements.standing
    statements.standing = lambda connection, keys, *rest: standing(connection, [], *rest)


def slow_to_order() -> None:
    """Only slow: some time passes between the look for a key's order and the order's INSERT."""

    def change(connection: Any, statement: str, parameters: Any) -> str:
        if _writes_orders(statement):
            time.sleep(0.3)
        return statement

    _rewrite(change)


def no_status_condition() -> None:
    """An order is cancelled whatever its status."""

    def change(connection: Any, statement: str, parameters: Any) -> str:
        if not statement.startswith("UPDATE orders"):
            return statement
        return re.sub(
            r"orders\.status IN (\((?:[^()]|%\(\w+\)s)*\))", r"(orders.id > 0 OR orders.status IN \1)", statement
        )

    _rewrite(change)


def sleep_by_waiting() -> None:
    """No guard is missing: libfaketime 0.9.10 fails the call by which time.sleep waits, and leaves this one alone."""
    time.sleep = lambda seconds: threading.Event().wait(seconds) and None


def host_clock() -> None:
    """This host's clock decides, not the database's."""

    def change(connection: Any, statement: str, parameters: Any) -> str:
        here = datetime.now(timezone.utc).strftime("TIMESTAMP'%Y-%m-%d %H:%M:%S.%f'")
        return statement.replace("UTC_TIMESTAMP(3)", here).replace("SYSDATE(3)", here)

    _rewrite(change)


def commit_halfway() -> None:
    """The orders are committed before the stock is taken."""

    def change(connection: Any, statement: str, parameters: Any) -> str:
        if statement.startswith("UPDATE goods"):
            with connection.connection.cursor() as cursor:
                cursor.execute("COMMIT")
            time.sleep(_WINDOW)
        return statement

    _rewrite(change)


def acknowledge_before_commit() -> None:
    """A purchase is answered a little before its COMMIT."""
    import core.db.transaction

    run_once = core.db.transaction.run_once

    def hasty(database: Any, work: Any, deadline: Any) -> Any:
        results: queue.Queue[Any] = queue.Queue()

        def announce(connection: Any) -> Any:
            result = work(connection)
            results.put(result)
            if isinstance(result, list):  # of outcomes: other transactions keep their pace
                time.sleep(0.5)
            return result

        def background() -> None:
            try:
                results.put(run_once(database, announce, deadline))
            except BaseException as error:
                results.put(error)

        thread = threading.Thread(target=background)
        thread.start()
        first = results.get()
        if not isinstance(first, list):
            thread.join()
            first = results.get() if not results.empty() else first
        if isinstance(first, BaseException):
            raise first
        return first

    core.db.transaction.run_once = hasty


def crash_loop_ends() -> None:
    """The supervisor takes two deaths within 5.5 seconds for a crash loop, and replaces no more."""
    from server.supervisor import Supervisor

    record_end = Supervisor.record_end
    died_at: dict[int, float] = {}

    def once(self: Any, worker: Any, process: Any) -> None:
        record_end(self, worker, process)
        now = time.monotonic()
        if now - died_at.get(worker.part, 0.0) < 5.5:
            worker.next_try = float("inf")
        died_at[worker.part] = now

    Supervisor.record_end = once  # type: ignore[method-assign]


def supervisor_fails() -> None:
    """The supervisor has a fault, in the moment in which it is to replace a worker."""
    from server.supervisor import Supervisor

    def record_end(self: Any, worker: Any, process: Any) -> None:
        raise LookupError

    Supervisor.record_end = record_end  # type: ignore[method-assign]


def hold_slow_user() -> None:
    """No guard is out: the purchase of SLOW_USER stays in its transaction, with its slot and its row."""

    def hold(connection: Any, statement: str, parameters: Any) -> None:
        if _writes_orders(statement) and SLOW_USER in repr(parameters):
            time.sleep(HOLD_SECONDS)

    _after(hold)


def socket_outlives_worker() -> None:
    """The connection of SLOW_USER is shared with a process that lives on when the worker is killed."""

    def share(connection: Any, statement: str, parameters: Any) -> None:
        if not _writes_orders(statement) or SLOW_USER not in repr(parameters):
            return
        kept = connection.connection.dbapi_connection.sock.fileno()
        if os.fork() == 0:
            # Not the port that the worker listens on, only this socket.
            os.closerange(3, kept)
            os.closerange(kept + 1, 4096)
            time.sleep(35)
            os._exit(0)

    _after(share)


def one_item_first() -> None:
    """The queue serves the item with the smallest number first, whichever request arrived first."""
    from core.purchase.queue import PurchaseQueue

    add = PurchaseQueue.add

    def unfair(self: Any, entry: Any, now: float) -> None:
        add(self, entry, now)
        entry.number += entry.request.goods_id * 10**12

    PurchaseQueue.add = unfair  # type: ignore[method-assign]


WITHOUT_GUARD: dict[str, Callable[[], None]] = {
    without_guard.__name__: without_guard
    for without_guard in (
        no_row_lock,
        no_coupon_lock,
        no_idempotency_key_lock,
        no_sqlite_transaction,
        no_slots,
        no_known_orders,
        slow_to_order,
        no_status_condition,
        sleep_by_waiting,
        host_clock,
        commit_halfway,
        acknowledge_before_commit,
        crash_loop_ends,
        supervisor_fails,
        socket_outlives_worker,
        hold_slow_user,
        one_item_first,
        *payment_without_guard.WITHOUT_GUARD,
        *load_without_guard.WITHOUT_GUARD,
        *sale_cache_without_guard.WITHOUT_GUARD,
    )
}


def main(names: list[str]) -> None:
    start = serve.serve_until_stopped

    def without_guards(*arguments: Any) -> None:
        # Workers and the process that prepares the database are forked from here, and inherit it.
        for name in names:
            WITHOUT_GUARD[name]()
        start(*arguments)

    serve.serve_until_stopped = without_guards
    serve.main()


if __name__ == "__main__":
    main(sys.argv[1:])
