"""Sessions that idle stay open, and those that fall silent in a transaction are ended: on MySQL by one time-out."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import mysql.connector
import pytest
from flask import Flask
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from core.db import transaction
from core.db.clock import Deadline
from core.db.database import Database
from core.db.idle_sessions import PARKED_SECONDS, IdleSessions, Session
from core.db.shares import Share
from core.refusals import Unavailable
from harness.database_server import DatabaseServer
from tests.no_threads import no_more_threads

SILENCE = 1  # seconds
CONNECTIONS = 4
TRIES = 4
NAME = "idle sessions"


class Watched:
    """A service's database, and a look at its sessions from outside."""

    def __init__(self, app: Flask, server: DatabaseServer) -> None:
        self.database: Database = app.extensions["seckill"].database
        self.server = server
        self.name = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).database

    def use_all(self) -> None:
        """Take out several connections at once, of both pools, and bring them back."""
        with ExitStack() as held:
            for _ in range(CONNECTIONS // 2):
                held.enter_context(self.database.connect(Deadline(20)))
                held.enter_context(self.database.of(Share.READS).reading(Deadline(20)))

    def ids(self) -> set[int]:
        return {
            row[0] for row in self.execute("SELECT id FROM information_schema.processlist WHERE db = %s", self.name)
        }

    def time_outs(self) -> set[int]:
        """The `wait_timeout` of each session, on MySQL."""
        query = (
            "SELECT variable_value FROM performance_schema.variables_by_thread"
            " JOIN performance_schema.threads USING (thread_id)"
            " WHERE variable_name = 'wait_timeout' AND processlist_db = %s"
        )
        return {int(row[0]) for row in self.execute(query, self.name)}

    def outlast(self, times: int) -> None:
        """Until the server has ended so many silent sessions, one after another, for the same time-out."""
        for _ in range(times):
            witness = self.server.connect()
            cursor = witness.cursor()
            cursor.execute(f"SET SESSION wait_timeout = {SILENCE}")
            number = witness.connection_id
            until(lambda n=number: not self.execute("SELECT 1 FROM information_schema.processlist WHERE id = %s", n))
            witness.close()

    def execute(self, statement: str, *values: Any) -> list[Any]:
        connection = self.server.connect()
        cursor = connection.cursor()
        cursor.execute(statement, values)
        rows = cursor.fetchall()
        connection.close()
        return rows


def until(state: Callable[[], Any], seconds: float = 60, otherwise: str = "it does not come to that") -> Any:
    deadline = time.monotonic() + seconds
    while not (seen := state()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
    return seen


@pytest.fixture
def watched(make_app: Callable[..., Flask], server_uri: str, server: DatabaseServer) -> Watched:
    return Watched(make_app(server_uri, IDLE_TRANSACTION_SECONDS=SILENCE, LOCK_WAIT_SECONDS=1), server)


def parked(watched: Watched) -> set[int]:
    """The sessions, once all have the long time-out.

    Where this process stands still for the short one, the server closes some: others are opened, and waited for.
    """

    def all_parked() -> set[int]:
        ids = watched.ids()
        if len(ids) < CONNECTIONS:
            watched.use_all()
        elif watched.time_outs() == {PARKED_SECONDS} and watched.ids() == ids:
            return ids
        return set()

    found: set[int] = until(all_parked)
    return found


def fault(watched: Watched) -> str | None:
    """What became of sessions that idled for several time-outs; None where they are the same."""
    watched.use_all()
    before = watched.ids()
    if len(before) != CONNECTIONS:
        return f"there are {len(before)} sessions"
    watched.outlast(3)
    if watched.ids() != before:
        return "sessions were closed"
    watched.use_all()
    return None if watched.ids() == before else "sessions were opened anew"


def stay_open(watched: Watched) -> None:
    # Where a thread stands still for a whole time-out, the server is right to close them: once more.
    faults = list(itertools.takewhile(bool, (fault(watched) for _ in range(TRIES))))
    assert len(faults) < TRIES, ", ".join(map(str, faults))


def test_sessions_that_idle_for_several_time_outs_are_the_same_afterwards(watched: Watched) -> None:
    stay_open(watched)


def test_a_connection_is_opened_though_no_thread_can_keep_it_open(watched: Watched) -> None:
    with no_more_threads():
        until(lambda: watched.use_all() or watched.ids())  # the server may have closed them by the look
    watched.use_all()
    stay_open(watched)


@pytest.mark.mysql
def test_without_the_thread_that_keeps_them_open_they_are_not(
    make_app: Callable[..., Flask], mysql_uri: str, mysql: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IdleSessions, "keep_open", lambda self: None)
    with pytest.raises(AssertionError, match="sessions were closed"):
        stay_open(Watched(make_app(mysql_uri, IDLE_TRANSACTION_SECONDS=SILENCE), mysql))


def locks_are_free(watched: Watched) -> bool:
    connection = watched.server.connect(watched.name)
    cursor = connection.cursor()
    try:
        cursor.execute("SELECT number FROM locked FOR UPDATE NOWAIT")
        cursor.fetchall()
    except mysql.connector.Error as error:
        if error.errno not in (1205, 3572):
            raise
        return False
    finally:
        connection.close()
    return True


def fall_silent_in_a_transaction(watched: Watched) -> None:
    """What a frozen worker does: it holds a row and says nothing. Soon after the time-out the row is free."""
    connection = watched.server.connect(watched.name)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE locked (number INT)")
    cursor.execute("INSERT INTO locked VALUES (1)")
    connection.commit()
    connection.close()
    assert any(is_ended(watched) for _ in range(TRIES)), "the row was free before anybody looked"


def is_ended(watched: Watched) -> bool:
    """Whether the server ended the session that held the row; False if it did so before the first look.

    For that this thread must have stood still for a time-out.
    """
    if not watched.server.mariadb:
        parked(watched)
    silent = watched.database.connect(Deadline(60))
    connection = silent.__enter__()
    try:
        try:
            connection.exec_driver_sql("SELECT number FROM locked FOR UPDATE").all()
        except DBAPIError:
            return False
        if locks_are_free(watched):
            return False
        until(lambda: locks_are_free(watched), SILENCE + 15, "the row stays locked")
        return True
    finally:
        connection.invalidate()  # as it is after the error that its next statement meets
        silent.__exit__(None, None, None)


def test_a_session_that_has_idled_and_then_falls_silent_in_a_transaction_is_ended(watched: Watched) -> None:
    fall_silent_in_a_transaction(watched)


@pytest.mark.mysql
def test_with_the_long_time_out_left_in_place_it_is_not(
    make_app: Callable[..., Flask], mysql_uri: str, mysql: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave_parked(self: IdleSessions, session: Session) -> bool:
        with session.lock:  # the thread may be reading an answer on it
            session.idle_since = None
        return False

    monkeypatch.setattr(IdleSessions, "wake_parked", leave_parked)
    with pytest.raises(AssertionError, match="the row stays locked"):
        fall_silent_in_a_transaction(Watched(make_app(mysql_uri, IDLE_TRANSACTION_SECONDS=SILENCE), mysql))


@pytest.mark.mysql
def test_a_session_that_died_while_it_idled_is_replaced(
    make_app: Callable[..., Flask], mysql_uri: str, mysql: DatabaseServer
) -> None:
    watched = Watched(make_app(mysql_uri, IDLE_TRANSACTION_SECONDS=SILENCE), mysql)
    before = parked(watched)
    connection = mysql.connect()
    for number in before:
        connection.cursor().execute(f"KILL {number}")
    connection.close()
    until(lambda: not watched.ids())
    until(lambda: watched.use_all() or len(watched.ids()) == CONNECTIONS)
    assert not watched.ids() & before


@pytest.fixture
def own_mysql(tmp_path: Any) -> Iterator[DatabaseServer]:
    from harness.mysql import MySQL

    server = MySQL(tmp_path / "server")
    server.start()
    yield server
    server.stop()


@pytest.mark.mysql
def test_a_frozen_server_costs_a_request_no_more_than_its_own_time_out(
    make_app: Callable[..., Flask], own_mysql: DatabaseServer
) -> None:
    seconds = 8
    limits = {"IDLE_TRANSACTION_SECONDS": SILENCE, "DATABASE_TIMEOUT_SECONDS": seconds, "LOCK_WAIT_SECONDS": 1}
    watched = Watched(make_app(own_mysql.create_database("shop"), **limits), own_mysql)
    watched.use_all()
    own_mysql.freeze()
    try:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            transaction.run(watched.database, lambda connection: connection.exec_driver_sql("SELECT 1"), Deadline(1))
        assert time.monotonic() - began < 2 * seconds, "it waited a second time"
    finally:
        own_mysql.thaw()
    watched.use_all()


def keepers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == NAME}


@pytest.mark.mysql
def test_there_is_one_thread_a_service_and_none_once_all_is_closed(
    make_app: Callable[..., Flask], mysql_uri: str, mysql: DatabaseServer
) -> None:
    others = keepers()  # of services that other tests have left open
    watched = Watched(make_app(mysql_uri, IDLE_TRANSACTION_SECONDS=SILENCE), mysql)
    watched.use_all()
    (keeper,) = keepers() - others
    assert keeper.daemon
    watched.database.engine.dispose()
    until(lambda: not keeper.is_alive())
