"""Events are numbered after their COMMIT: whoever follows the numbers misses none and sees none twice."""

import itertools
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Select, func, select

from config import ROOT
from core.db.clock import Deadline
from core.db.database import Database
from core.db.transaction import run_with_default_deadline
from core.events import sequencer
from core.refusals import Busy
from harness.database_server import DatabaseServer
from harness.service import environment
from models import Event, Outbox, Sequencer
from tests.resources.calls import OPERATOR, Calls

WRITE = "INSERT INTO outbox (occurred_at, events) VALUES (UTC_TIMESTAMP(3), %s)"
WRITERS, WRITES = 6, 40
# Longer than the holder of a lock may stand still on a busy machine.
LOCK_SECONDS = 20


@pytest.fixture
def call(make_app: Callable[..., Flask], server_uri: str) -> Calls:
    patient = {"LOCK_WAIT_SECONDS": LOCK_SECONDS, "DATABASE_TIMEOUT_SECONDS": 30, "PURCHASE_WAIT_SECONDS": 40}
    return Calls(make_app(server_uri, IDLE_TRANSACTION_SECONDS=30, **patient))


class Writer:
    """A transaction that has written to the outbox, and is committed when it is told to."""

    def __init__(self, server: DatabaseServer, uri: str) -> None:
        self.connection = server.connect(uri.rpartition("/")[2])

    def write(self, *goods_ids: int) -> None:
        self.connection.start_transaction()
        rows = [["goods.restocked", goods_id, None] for goods_id in goods_ids]
        self.connection.cursor().execute(WRITE, (json.dumps(rows),))

    def commit(self) -> None:
        self.connection.commit()


class Puller:
    """Follows `GET /events` by the last number it has."""

    def __init__(self, call: Calls) -> None:
        self.call, self.after, self.seen = call, 0, []

    def pull(self) -> list[int]:
        answer = self.call.get(f"/events?after={self.after}&limit=100", OPERATOR)
        assert answer.status_code == 200, answer.text
        found = [event["goods_id"] for event in answer.json["items"]]
        if found:
            self.after = answer.json["items"][-1]["seq"]
        self.seen += found
        return found


class NaivePuller:
    """Follows the ids of the outbox itself: what a puller would do if nobody numbered."""

    def __init__(self, call: Calls) -> None:
        self.call, self.after, self.seen = call, 0, []

    def pull(self) -> list[int]:
        query = select(Outbox.id, Outbox.events).where(Outbox.id > self.after).order_by(Outbox.id)
        with self.call.services.database.reading() as connection:
            rows = connection.execute(query).all()
        found = [goods_id for row in rows for _, goods_id, _ in row.events]
        self.after = max([self.after, *(row.id for row in rows)])
        self.seen += found
        return found


def commit_out_of_order(puller: Any, server: DatabaseServer, uri: str) -> None:
    slow, quick = Writer(server, uri), Writer(server, uri)
    slow.write(1, 2)
    quick.write(3)
    quick.commit()
    assert puller.pull() == [3]
    slow.commit()
    assert puller.pull() == [1, 2]
    quick.write(4)
    quick.commit()
    assert puller.pull() == [4]
    assert puller.pull() == []


def test_a_puller_misses_nothing_that_commits_late(call: Calls, server: DatabaseServer, server_uri: str) -> None:
    commit_out_of_order(Puller(call), server, server_uri)


def test_by_the_ids_of_the_outbox_it_would(call: Calls, server: DatabaseServer, server_uri: str) -> None:
    with pytest.raises(AssertionError, match=r"assert \[\] == \[1, 2\]"):
        commit_out_of_order(NaivePuller(call), server, server_uri)


def follow_many_writers(
    puller: Any, server: DatabaseServer, uri: str, beside: Callable[[], object] | None = None
) -> None:
    """Writers whose transactions stay open for a while by chance, and a puller who follows them meanwhile."""
    done = threading.Event()

    def keep_writing(writer: Writer, chance: random.Random, first: int) -> None:
        for number in range(first, first + WRITES):
            writer.write(number)
            time.sleep(chance.choice((0, 0, 0.001, 0.02)))
            writer.commit()

    def keep_on(work: Callable[[], object]) -> None:
        while not done.is_set():
            work()

    writing = [
        threading.Thread(target=keep_writing, args=(Writer(server, uri), random.Random(n), 1 + n * WRITES))
        for n in range(WRITERS)
    ]
    helpers = [threading.Thread(target=keep_on, args=(beside,)) for _ in range(2) if beside]
    for thread in (*writing, *helpers):
        thread.start()
    while any(thread.is_alive() for thread in writing):
        puller.pull()
    done.set()
    for thread in helpers:
        thread.join()
    while puller.pull():
        pass
    assert Counter(puller.seen) == Counter(range(1, 1 + WRITERS * WRITES))


def test_a_puller_follows_many_writers_while_others_number_too(
    call: Calls, server: DatabaseServer, server_uri: str
) -> None:
    database = call.services.database
    follow_many_writers(Puller(call), server, server_uri, lambda: sequencer.number(database, 60, wait=False))


def test_by_the_ids_of_the_outbox_many_writers_are_not_followed(
    call: Calls, server: DatabaseServer, server_uri: str
) -> None:
    puller = NaivePuller(call)
    with pytest.raises(AssertionError, match="Counter"):
        follow_many_writers(puller, server, server_uri)
    assert set(puller.seen) < set(range(1, 1 + WRITERS * WRITES))


def test_events_of_one_transaction_and_of_one_writer_keep_their_order(
    call: Calls, server: DatabaseServer, server_uri: str
) -> None:
    writer, puller = Writer(server, server_uri), Puller(call)
    batches = [range(first, first + 40) for first in range(1, 2000, 40)]
    for batch in batches:
        writer.write(*batch)
        writer.commit()
    while puller.pull():
        pass
    assert puller.seen == [number for batch in batches for number in batch]


def number_together(
    database: Database, monkeypatch: pytest.MonkeyPatch, together: threading.Barrier | None = None
) -> list[Exception]:
    """Let three sequencers number the same outbox at once, each slow; returns what went wrong.

    With `together` nobody changes anything before two of them have looked.
    """
    change, looks = sequencer.change, itertools.count()

    def slowly(connection: Any, statement: str, *values: str) -> int:
        if together is not None and next(looks) < together.parties:
            together.wait(60)
        changed = change(connection, statement, *values)
        time.sleep(0.1)
        return changed

    monkeypatch.setattr(sequencer, "change", slowly)
    errors: list[Exception] = []

    def work() -> None:
        try:
            sequencer.number_once(database, Deadline(60))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def numbered(database: Database) -> list[int]:
    with database.reading() as connection:
        return list(connection.scalars(select(Event.goods_id).order_by(Event.seq)))


def fill(server: DatabaseServer, uri: str, count: int) -> list[int]:
    writer = Writer(server, uri)
    for number in range(count):
        writer.write(number)
        writer.commit()
    return list(range(count))


def test_sequencers_that_meet_number_one_after_the_other(
    call: Calls, server: DatabaseServer, server_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = fill(server, server_uri, 30)
    assert number_together(call.services.database, monkeypatch) == []
    assert numbered(call.services.database) == written


def test_without_the_lock_they_get_in_each_other_s_way_and_number_nothing_twice(
    call: Calls, server: DatabaseServer, server_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequencer.number(call.services.database, 60)  # makes the row
    written = fill(server, server_uri, 30)
    monkeypatch.setattr(Select, "with_for_update", lambda self, **options: self)
    errors = number_together(call.services.database, monkeypatch, threading.Barrier(2))
    assert {type(error) for error in errors} == {Busy}
    # The second guard: only one can take the rows away.
    assert numbered(call.services.database) == written


def test_a_sequencer_that_need_not_wait_leaves_the_work_to_the_one_that_is_at_it(
    call: Calls, server: DatabaseServer, server_uri: str
) -> None:
    fill(server, server_uri, 3)
    database = call.services.database
    sequencer.number_once(database, Deadline(60))
    fill(server, server_uri, 3)
    other = server.connect(server_uri.rpartition("/")[2])
    other.start_transaction()
    cursor = other.cursor()
    cursor.execute("SELECT id FROM sequencer FOR UPDATE")
    cursor.fetchall()
    assert sequencer.number(database, 60, wait=False) == 0
    other.rollback()
    assert sequencer.number(database, 60, wait=False) == 3


def test_a_puller_waits_for_the_sequencer_that_is_at_work(call: Calls, server: DatabaseServer, server_uri: str) -> None:
    puller = Puller(call)
    fill(server, server_uri, 3)
    taken, go_on = threading.Event(), threading.Event()

    def slowly(connection: Any) -> None:
        sequencer.number_in(connection, True)
        taken.set()
        go_on.wait(20)

    fill(server, server_uri, 1)
    sequencer.number_once(call.services.database, Deadline(60))
    fill(server, server_uri, 2)
    other = threading.Thread(target=run_with_default_deadline, args=(call.services.database, slowly))
    other.start()
    assert taken.wait(60)
    threading.Timer(0.3, go_on.set).start()
    # All rows are taken away, but not yet for others: what they tell was committed before this request.
    assert puller.pull() == [0, 1, 2, 0, 0, 1]
    other.join()


def test_purchases_and_the_sequencer_do_not_wait_for_each_other(
    call: Calls, server: DatabaseServer, server_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = call.create(stock=100)
    call.bought(item["id"])
    open_one = Writer(server, server_uri)
    open_one.write(7)
    change, bought = sequencer.change, []

    def and_buy(connection: Any, statement: str, *values: str) -> int:
        changed = change(connection, statement, *values)
        bought.append(call.bought(item["id"], f"user-{len(bought)}"))
        return changed

    monkeypatch.setattr(sequencer, "change", and_buy)
    # Who waited for a lock in vain would come too late to try again, and be refused.
    assert sequencer.number_once(call.services.database, Deadline(LOCK_SECONDS - 1)).events == 1
    assert len(bought) == 2
    open_one.commit()


DIE = """
import os, signal, sys, time
import config
from app import create_app
from core.events import sequencer
from core.db.clock import Deadline
step = int(sys.argv[1])
def die(): os.kill(os.getpid(), signal.SIGKILL); time.sleep(60)
change, calls = sequencer.change, []
def dying(connection, statement, *values):
    if step == len(calls): die()
    calls.append(statement)
    return change(connection, statement, *values)
sequencer.change = dying
work = sequencer.number_in
def worked(*arguments):
    done = work(*arguments)
    if step == 2: die()
    return done
sequencer.number_in = worked
app = create_app(config.load())
sequencer.number_once(app.extensions["seckill"].database, Deadline(20))
die()
"""


@pytest.mark.parametrize("step", [0, 1, 2, 3], ids=["read", "numbered", "taken away", "committed"])
def test_whoever_is_killed_at_any_step_leaves_nothing_lost_or_doubled(
    call: Calls, server: DatabaseServer, server_uri: str, step: int
) -> None:
    sequencer.number(call.services.database, 60)
    written = fill(server, server_uri, 5)
    died = subprocess.run(
        [sys.executable, "-c", DIE, str(step)], cwd=ROOT, env=environment(server_uri), timeout=60, check=False
    )
    assert died.returncode == -signal.SIGKILL
    assert (numbered(call.services.database) == written) is (step == 3)
    sequencer.number(call.services.database, 60)
    assert numbered(call.services.database) == written
    with call.services.database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(Outbox)) == 0


def test_a_transaction_that_is_rolled_back_never_happened(call: Calls, server: DatabaseServer, server_uri: str) -> None:
    undone, puller = Writer(server, server_uri), Puller(call)
    undone.write(1)
    undone.connection.rollback()
    fill(server, server_uri, 2)
    assert puller.pull() == [0, 1]


def test_numbers_that_were_rolled_back_are_given_again(call: Calls, server: DatabaseServer, server_uri: str) -> None:
    puller = Puller(call)
    fill(server, server_uri, 2)
    puller.pull()
    last = puller.after

    def numbered_and_undone(connection: Any) -> None:
        sequencer.number_in(connection, True)
        raise ValueError("given up")

    fill(server, server_uri, 2)
    with pytest.raises(ValueError, match="given up"):
        run_with_default_deadline(call.services.database, numbered_and_undone)
    assert puller.pull() == [0, 1]
    assert puller.after == last + 2


def test_each_numbering_writes_the_row_that_it_locks(call: Calls, server: DatabaseServer, server_uri: str) -> None:
    database = call.services.database
    fill(server, server_uri, 3)
    sequencer.number(database, 60)
    assert last_given(database) == 3
    Writer(server, server_uri).write(7)  # not committed: nothing to number, nothing to write
    assert sequencer.number(database, 60) == 0
    fill(server, server_uri, 2)
    sequencer.number(database, 60)
    assert last_given(database) == 5


def last_given(database: Database) -> int:
    with database.reading() as connection:
        return connection.execute(select(Sequencer.last_seq)).scalar_one()


def give_numbers_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another writer give a number between this sequencer's lock and its write, as an unlocked row allows."""
    take = sequencer.take_numbers

    def taken_meanwhile(connection: Any, last: int, seq: int) -> None:
        take(connection, last, last + 1)
        take(connection, last, seq)

    monkeypatch.setattr(sequencer, "take_numbers", taken_meanwhile)


def test_numbers_that_were_given_meanwhile_are_not_given_again(
    call: Calls, server: DatabaseServer, server_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = fill(server, server_uri, 2)
    with monkeypatch.context() as patched:
        give_numbers_elsewhere(patched)
        with pytest.raises(Busy):
            sequencer.number_once(call.services.database, Deadline(60))
    assert numbered(call.services.database) == []
    sequencer.number(call.services.database, 60)
    assert numbered(call.services.database) == written


def test_numbers_go_on_behind_those_of_an_earlier_release(call: Calls, server: DatabaseServer, server_uri: str) -> None:
    database = call.services.database
    sequencer.number(database, 60)
    connection = server.connect(server_uri.rpartition("/")[2])
    connection.cursor().execute(
        "INSERT INTO events (seq, type, goods_id, occurred_at) VALUES (41, 'goods.restocked', 0, UTC_TIMESTAMP(3))"
    )
    fill(server, server_uri, 1)
    sequencer.number(database, 60)
    with database.reading() as reader:
        assert list(reader.scalars(select(Event.seq).order_by(Event.seq))) == [41, 42]
    assert last_given(database) == 42
