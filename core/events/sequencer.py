"""Numbers events: moves them from the outbox to `events` after the COMMIT of their transaction.

Ids of the outbox are assigned before COMMIT, and transactions commit in another order: a reader that goes by those ids
would miss events that commit late. So one sequencer at a time, over all processes and hosts, numbers them again. A
reader that sees an event can see all with lower numbers. See docs/events.md.

The numbers come from the row of `sequencer`, and each transaction writes that row. A lock alone does not keep two
sequencers apart where the database has two writers: servers that replicate by certification (MySQL Group Replication,
Galera) compare what was written, so only two writes of one row conflict, and the second COMMIT then fails.
AUTO_INCREMENT would not do either: each writer has its own range there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from prometheus_client import Counter
from sqlalchemy import Connection, select, text, update

from core.db.clock import Deadline
from core.db.database import Database
from core.db.transaction import run
from core.ops.metrics import record
from core.purchase.sql import Sql, as_batch, change, fetch, sql_of
from core.refusals import Busy
from models import Sequencer

# Outbox rows numbered in one transaction; each may hold the events of a whole batch of purchases.
ROWS_AT_ONCE = 200
_ROW = 1

NUMBERED = Counter("seckill_events_numbered_total", "Events that got their number.")


@dataclass(frozen=True)
class Statements:
    """The statements in one server's SQL. `waiting` ends with LIMIT, for a number to follow."""

    waiting: str
    number: str
    forget: str


@dataclass(frozen=True)
class Numbered:
    """The result of one transaction: the outbox rows it took, and the events they held."""

    rows: int
    events: int


NOTHING = Numbered(0, 0)


def number(database: Database, seconds: float, wait: bool = True, stopping: Callable[[], bool] = lambda: False) -> int:
    """Number the events committed before this call, for at most `seconds`. Returns how many it numbered.

    If another sequencer is running, it waits for that one, unless `wait` is false. Once `stopping`, it begins no
    further transaction. Raises Busy or Unavailable.
    """
    deadline = Deadline(seconds)
    numbered = 0
    while True:
        done = number_once(database, deadline, wait)
        numbered += done.events
        if done.rows < ROWS_AT_ONCE or deadline.passed or stopping():
            return numbered


def number_once(database: Database, deadline: Deadline, wait: bool = True) -> Numbered:
    """Number the first rows of the outbox, at most ROWS_AT_ONCE, in one transaction. Raises Busy or Unavailable."""
    done = run(database, lambda connection: number_in(connection, wait), deadline)
    if done is None:
        run(database, _make_row, deadline)
        done = run(database, lambda connection: number_in(connection, wait), deadline) or NOTHING
    events = done.events
    record(lambda: NUMBERED.inc(events))
    return done


def number_in(connection: Connection, wait: bool) -> Numbered | None:
    """`number_once` in a transaction of the caller's; None where the sequencer's row does not exist yet."""
    lock = select(Sequencer.last_seq).where(Sequencer.id == _ROW).with_for_update(skip_locked=not wait)
    last = connection.execute(lock).scalar_one_or_none()
    if last is None:
        if connection.execute(select(Sequencer.id)).one_or_none() is None:
            return None
        return NOTHING
    texts = statements(sql_of(connection))
    # Reads without locks: it does not wait for purchases in progress, whose rows it cannot see before their COMMIT.
    waiting = [
        (int(key), int(count), int(newest))
        for key, count, newest in fetch(connection, f"{texts.waiting}{ROWS_AT_ONCE:d}")
    ]
    if not waiting:
        return NOTHING
    # An earlier release used AUTO_INCREMENT: its numbers can be ahead of the row.
    first = seq = max(last, waiting[0][2])
    batch = []
    for key, count, _ in waiting:
        batch.append((key, seq))
        seq += count
    take_numbers(connection, last, seq)
    parameter = as_batch(batch)
    events = change(connection, texts.number, parameter)
    # If the lock were ever lost, two sequencers would number the same rows; only one can delete them.
    if change(connection, texts.forget, parameter) != len(batch):
        raise Busy()
    if events != seq - first:
        raise RuntimeError(f"{events} events got {seq - first} numbers")
    return Numbered(len(batch), events)


def take_numbers(connection: Connection, last: int, seq: int) -> None:
    """Record that numbers up to `seq` are used. Raises Busy if another transaction has used some since `last`."""
    taken = update(Sequencer).where(Sequencer.id == _ROW, Sequencer.last_seq == last).values(last_seq=seq)
    if connection.execute(taken).rowcount != 1:
        raise Busy()


def _make_row(connection: Connection) -> None:
    ignoring = "INSERT OR IGNORE" if connection.dialect.name == "sqlite" else "INSERT IGNORE"
    connection.execute(text(f"{ignoring} INTO sequencer (id) VALUES ({_ROW:d})"))


@cache
def statements(sql: Sql) -> Statements:
    length = "json_array_length" if sql.sqlite else "JSON_LENGTH"
    newest = "(SELECT COALESCE(MAX(seq), 0) FROM events)"
    waiting = f"SELECT id, {length}(events), {newest} FROM outbox ORDER BY id LIMIT "  # noqa: S608 (no input)
    columns = "(seq, type, goods_id, order_no, occurred_at)"
    if sql.sqlite:
        return Statements(
            waiting,
            f"INSERT INTO events {columns} SELECT json_extract(batch.value, '$[1]') + event.key + 1,"  # noqa: S608
            " json_extract(event.value, '$[0]'), json_extract(event.value, '$[1]'), json_extract(event.value, '$[2]'),"
            " outbox.occurred_at FROM json_each(?) batch JOIN outbox ON outbox.id = json_extract(batch.value, '$[0]')"
            " JOIN json_each(outbox.events) event ORDER BY outbox.id, event.key",
            "DELETE FROM outbox WHERE id IN (SELECT json_extract(value, '$[0]') FROM json_each(?))",
        )
    batch = "JSON_TABLE(%s, '$[*]' COLUMNS (id BIGINT PATH '$[0]', before_it BIGINT PATH '$[1]')) batch"
    ascii_text = "CHARACTER SET ascii COLLATE ascii_bin"
    # Row by row through the primary key: a scan would wait for the locked rows of purchases in progress.
    by_id = "STRAIGHT_JOIN outbox FORCE INDEX (PRIMARY) ON outbox.id = batch.id"
    return Statements(
        waiting,
        f"INSERT INTO events {columns} SELECT batch.before_it + event.place, event.type, event.goods_id,"  # noqa: S608
        f" event.order_no, outbox.occurred_at FROM {batch} {by_id} STRAIGHT_JOIN JSON_TABLE(outbox.events, '$[*]'"
        f" COLUMNS (place FOR ORDINALITY, type VARCHAR(32) {ascii_text} PATH '$[0]', goods_id BIGINT PATH '$[1]',"
        f" order_no VARCHAR(32) {ascii_text} PATH '$[2]')) event ORDER BY outbox.id, event.place",
        f"DELETE outbox FROM {batch} {by_id}",
    )
