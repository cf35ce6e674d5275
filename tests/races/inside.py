"""The database seen from inside: who works on an item, who waits for its row, which slots are free."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from harness.database_server import DatabaseServer
from tests.kernel_sockets import inodes

# InnoDB renews its list of transactions only for a reader who left it alone for 0.1 seconds.
SAMPLE_SECONDS = 0.12
# For a service whose transactions are counted: those of its background jobs change rows too, and are no purchases.
NO_BACKGROUND_JOBS = {"PUBLISHER": "off", "SWEEPER": "off"}


def until(question: Callable[[], Any], seconds: float) -> Any:
    """Ask until the answer is true, and return it. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not so within {seconds} seconds"
        time.sleep(0.02)


class Inside:
    """A look at one database of a server that the tests started."""

    def __init__(self, server: DatabaseServer, uri: str) -> None:
        self.server = server
        self.database = make_url(uri).database

    def query(self, statement: str, *values: object) -> list[Any]:
        """The rows of one statement, which commits by itself."""
        connection = self.server.connect(self.database)
        try:
            cursor = connection.cursor()
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.with_rows else []
        finally:
            connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Callable[..., list[Any]]]:
        """A transaction of the test's own, rolled back at the end: yields what executes a statement in it."""
        connection = self.server.connect(self.database)
        cursor = connection.cursor()

        def execute(statement: str, *values: object) -> list[Any]:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.with_rows else []

        try:
            execute("BEGIN")
            yield execute
            execute("ROLLBACK")
        finally:
            connection.close()

    @contextmanager
    def row_held(self, goods_id: int) -> Iterator[None]:
        """Hold the item's row: whoever has a slot now waits for it."""
        with self.transaction() as execute:
            execute("SELECT id FROM goods WHERE id = %s FOR UPDATE", goods_id)
            yield

    def waiting(self, statement: str = "%") -> list[int]:
        """The connections of the service that wait for a row, those alone whose statement is LIKE `statement`.

        Figures of sales, which each worker stores once a second, are left out: they may wait for one another.
        """
        time.sleep(SAMPLE_SECONDS)
        rows = self.query(
            "SELECT trx.trx_mysql_thread_id FROM information_schema.INNODB_TRX trx"
            " JOIN information_schema.PROCESSLIST process ON process.ID = trx.trx_mysql_thread_id"
            " WHERE process.DB = %s AND trx.trx_state = 'LOCK WAIT'"
            " AND process.INFO LIKE %s AND process.INFO NOT LIKE 'INSERT INTO sale_figures%'",
            self.database,
            statement,
        )
        return [row[0] for row in rows]

    def slot_holder(self, goods_id: int) -> int:
        """The connection that holds a slot of the item: whom a reader of its slots waits for. To be called when one is.

        That a transaction has changed rows shows nothing: one that stores figures of sales has too.
        """
        slots = "SELECT slot FROM purchase_slots WHERE goods_id = %s FOR UPDATE"
        blocking = "SELECT blocking_pid FROM sys.innodb_lock_waits WHERE waiting_pid = %s"
        with self.transaction() as execute, ThreadPoolExecutor(1) as threads:
            (reader,) = execute("SELECT CONNECTION_ID()")[0]
            reading = threads.submit(execute, slots, goods_id)
            try:
                found = until(lambda: self.query(blocking, reader) or reading.done(), 30)
                assert found is not True, "nobody holds a slot any more"
                return int(found[0][0])
            finally:
                self.query(f"KILL QUERY {reader}")
                reading.exception()

    def free_slots(self, goods_id: int) -> int:
        """How many of the item's slots nobody holds at this moment."""
        with self.transaction() as execute:
            return len(execute("SELECT slot FROM purchase_slots WHERE goods_id = %s FOR UPDATE SKIP LOCKED", goods_id))

    def worker_of(self, connection_id: int, pids: list[int]) -> int:
        """The process among `pids` that has this connection open."""
        (host,) = self.query("SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = %s", connection_id)[0]
        connected = inodes(int(host.rpartition(":")[2]), self.server.port)
        for pid in pids:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                    found = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
                    if found and found[1] in connected:
                        return pid
        raise AssertionError("no worker has this connection")

    def drop_unique_key(self) -> None:
        """Take away the index that keeps a user's key to one order."""
        self.query(
            "ALTER TABLE orders DROP INDEX orders_user_key, ADD INDEX orders_user_key (user_id, idempotency_key)"
        )

    def drop_stock_check(self) -> None:
        """Take away the check that keeps stock from falling below zero."""
        self.query("ALTER TABLE goods DROP CONSTRAINT goods_stock_not_negative")
