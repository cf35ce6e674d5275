"""A read that nobody waits for any more is ended by the server; what changes something is not."""

import threading
import time
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import Connection, text

from core.db.database import Database
from core.db.shares import Share
from core.ops import audit
from core.refusals import Unavailable
from harness.eventually import eventually

# Would take hours. No SLEEP: MySQL ends that without an error.
ENDLESS = (
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)"
    " SELECT COUNT(*) FROM n a, n b, n c, n d WHERE a.i + b.i + c.i + d.i < 0"
)
RUNNING = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'WITH RECURSIVE%'"
# What the machine may add: others share its two cores.
SLACK_SECONDS = 30.0


@pytest.fixture
def database(make_app: Callable[..., Flask], database_uri: str) -> Database:
    made: Database = make_app(database_uri, DATABASE_TIMEOUT_SECONDS=1).extensions["seckill"].database
    return made


def at_last(read: Callable[[], list[int]]) -> list[int]:
    """What is read once the database answers in time: a second may be short for it."""
    found: list[list[int]] = []

    def is_read() -> bool:
        try:
            found.append(read())
        except Unavailable:
            return False
        return True

    assert eventually(is_read)
    return found[0]


def running(database: Database) -> list[int]:
    """The server's connections on which the endless statement runs."""
    if database.is_sqlite:
        return []

    def read() -> list[int]:
        with database.of(Share.JOBS).reading() as connection:
            return list(connection.scalars(text(RUNNING)))

    return at_last(read)


Execute = Callable[[Database, Connection], object]


def execute(database: Database, connection: Connection) -> object:
    return connection.execute(text(ENDLESS))


def execute_raw(database: Database, connection: Connection) -> object:
    return database.execute(connection, ENDLESS, [])


def read_without_end(database: Database, share: Share, by: Execute = execute) -> None:
    with pytest.raises(Unavailable), database.of(share).reading() as connection:
        by(database, connection)


@pytest.mark.parametrize("by", [execute, execute_raw])
@pytest.mark.parametrize("share", [Share.READS, Share.WATCH])
def test_a_read_without_end_is_told_unavailable_and_ended_by_the_server(
    database: Database, share: Share, by: Execute
) -> None:
    began = time.monotonic()
    readers = [threading.Thread(target=read_without_end, args=(database, share, by)) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert time.monotonic() - began < 1 + SLACK_SECONDS
    until = time.monotonic() + SLACK_SECONDS
    while running(database):
        assert time.monotonic() < until, "it runs on in the server"

    def answers() -> list[int]:
        with database.of(share).reading() as connection:
            return list(connection.scalars(text("SELECT 1")))

    assert at_last(answers) == [1]


def test_without_that_limit_it_runs_on(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite runs in the reader's own thread: nobody would come back")

    def runs_on() -> bool:  # unless the database stood still, and was not even asked
        read_without_end(database, Share.JOBS)
        left = running(database)
        with database.engine.connect() as connection:
            for number in left:
                connection.execute(text(f"KILL {number:d}"))
        return bool(left)

    assert any(runs_on() for _ in range(3))


def test_a_change_and_an_audit_are_not_limited(make_app: Callable[..., Flask], database_uri: str) -> None:
    """The sessions of both say so; a statement of theirs may take as long as a lock or a large table makes it."""
    database: Database = make_app(database_uri, DATABASE_TIMEOUT_SECONDS=60).extensions["seckill"].database
    if database.is_sqlite:
        pytest.skip("a session of SQLite has no such variable")
    names = "'max_execution_time', 'max_statement_time'"
    query = text(f"SHOW SESSION VARIABLES WHERE Variable_name IN ({names})")
    with database.engine.connect() as changing, audit.reading(database.settings) as auditing:
        for connection in (changing, auditing):
            assert [float(value) for name, value in connection.execute(query)] == [0.0]
    with database.read_engine.connect() as reading:
        assert [float(value) for name, value in reading.execute(query)] in ([54.0], [54_000.0])
