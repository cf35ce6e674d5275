"""A group in which every member takes writes: what holds there too, and by what.

A lock of one member does not reach the others. Two transactions that wrote the same row are told apart at COMMIT: the
second is refused (3101).
"""

import dataclasses
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import Connection

from core.db.clock import Deadline
from core.db.database import Database
from core.db.transaction import run
from core.events import event_log, sequencer
from core.refusals import Refusal
from harness.group import Group, Member
from harness.service import Service
from tests.races.buyers import assert_audit_clean, outcomes
from tests.races.inside import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

WRITERS, WRITES = 3, 40
RESTOCKED = "INSERT INTO outbox (occurred_at, events) VALUES (UTC_TIMESTAMP(3), '{}')"


@pytest.fixture(scope="module")
def writers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """A group of two members that both take writes."""
    group = Group(tmp_path_factory.mktemp("writers"), count=2, single_primary=False)
    try:
        group.start()
        yield group
    finally:
        group.stop()


@pytest.fixture
def name(writers: Group, request: pytest.FixtureRequest) -> str:
    """A new database on all members."""
    made = re.sub(r"\W", "_", request.node.name)[:40]
    writers.members[0].create_database(made)
    return made


def address(member: Member, name: str) -> str:
    return f"mysql+mysqlconnector://root@127.0.0.1:{member.port}/{name}"


@pytest.fixture
def databases(writers: Group, name: str, make_app: Callable[..., Flask]) -> list[Database]:
    """The same database as the service sees it through each member."""
    found = []
    for member in writers.members:
        until(lambda member=member: member.execute(f"SHOW DATABASES LIKE '{name}'"), 20)
        app = make_app(address(member, name), PURCHASE_WAIT_SECONDS=20, DATABASE_TIMEOUT_SECONDS=20)
        found.append(app.extensions["seckill"].database)
    sequencer.number(found[0], 10)  # makes the row
    writers.wait_until_equal("SELECT id, last_seq FROM sequencer", name)
    return found


def write(member: Member, name: str, *goods_ids: int, beside: str = "") -> None:
    """Commit a transaction on `member` that leaves one row in the outbox, with an event of each of these items."""
    connection = member.connect(name)
    cursor = connection.cursor()
    cursor.execute("BEGIN")
    cursor.execute(RESTOCKED.format(json.dumps([["goods.restocked", each, None] for each in goods_ids])))
    if beside:
        cursor.execute(beside)
    cursor.execute("COMMIT")
    connection.close()


class Puller:
    """Follows the events through one member, by the last number that it has."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.after = 0
        self.seen: list[int] = []
        self.numbers: list[int] = []

    def pull(self) -> bool:
        """Whether there was something. A refusal is nothing."""
        try:
            found = event_log.list_after(self._database, self.after, 100).items
        except Refusal:
            return False
        for row in found:
            self.seen.append(row.goods_id)
            self.numbers.append(row.seq)
            self.after = row.seq
        return bool(found)


def number_on_both_and_follow(writers: Group, name: str, databases: list[Database]) -> list[int]:
    """Two sequencers at once, one a member: the first begins first and commits last. Returns what a puller saw.

    The second member does not have the first one's row of the outbox yet: both would delete it, and conflict by that.
    """
    one, two = writers.members
    taken, go_on = threading.Event(), threading.Event()

    def slowly(connection: Connection) -> sequencer.Numbered | None:
        done = sequencer.number_in(connection, True)
        taken.set()
        assert go_on.wait(60)
        return done

    held_up = two.connect(name)
    held_up.cursor().execute("LOCK TABLES webhooks READ")  # so the second member cannot apply what writes there
    write(
        one,
        name,
        1,
        beside="INSERT INTO webhooks (url, secret, after_seq, created_at, updated_at)"
        " VALUES ('https://shop.example', '', 0, NOW(), NOW())",
    )
    first = threading.Thread(target=run, args=(databases[0], slowly, Deadline(60)))
    first.start()
    assert taken.wait(30)
    write(two, name, 2)
    puller = Puller(databases[1])
    assert puller.pull()
    assert puller.seen == [2]
    go_on.set()
    first.join(60)
    held_up.cursor().execute("UNLOCK TABLES")
    writers.wait_until_equal("SELECT seq, goods_id FROM events ORDER BY seq", name)
    while puller.pull():
        pass
    rows = one.execute("SELECT goods_id FROM events", name)
    assert sorted(row[0] for row in rows) == [1, 2]
    return puller.seen


def test_a_puller_misses_nothing_of_two_sequencers_at_once(
    writers: Group, name: str, databases: list[Database]
) -> None:
    seen = number_on_both_and_follow(writers, name, databases)
    assert Counter(seen) == {1: 1, 2: 1}


def only_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sequencer lock its row without writing it, and AUTO_INCREMENT give the numbers."""
    texts = sequencer.statements

    def by_auto_increment(sql: sequencer.Sql) -> sequencer.Statements:
        given = texts(sql)
        changed = given.number.replace("batch.before_it + event.place", "NULL")
        assert changed != given.number
        return dataclasses.replace(given, number=changed)

    monkeypatch.setattr(sequencer, "statements", by_auto_increment)
    monkeypatch.setattr(sequencer, "take_numbers", lambda connection, last, seq: None)


def test_with_a_sequencer_that_only_locks_it_misses_one(
    writers: Group, name: str, databases: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    only_lock(monkeypatch)
    assert number_on_both_and_follow(writers, name, databases) == [2]


def test_pullers_follow_many_writers_on_both_members(writers: Group, name: str, databases: list[Database]) -> None:
    done = threading.Event()
    failed: list[BaseException] = []

    def keep_writing(member: Member, first: int) -> None:
        for each in range(first, first + WRITES):
            write(member, name, each)

    def keep_numbering(database: Database) -> None:
        while not done.is_set():
            try:
                sequencer.number(database, 5, wait=False)
            except Refusal:
                pass
            except BaseException as error:
                failed.append(error)
                return

    numbers = range(WRITERS * len(writers.members))
    writing = [
        threading.Thread(target=keep_writing, args=(writers.members[n % 2], 1 + n * WRITES), name=f"writer-{n}")
        for n in numbers
    ]
    helpers = [threading.Thread(target=keep_numbering, args=(database,)) for database in databases]
    for thread in (*writing, *helpers):
        thread.start()
    pullers = [Puller(database) for database in databases]
    while any(thread.is_alive() for thread in writing):
        for puller in pullers:
            puller.pull()
    done.set()
    for thread in helpers:
        thread.join()
    assert not failed
    wanted = len(numbers) * WRITES
    deadline = time.monotonic() + 60
    while any(len(puller.seen) < wanted for puller in pullers):
        assert time.monotonic() < deadline, [len(puller.seen) for puller in pullers]
        for puller in pullers:
            puller.pull()
    for puller in pullers:
        assert Counter(puller.seen) == Counter(range(1, wanted + 1))
        assert puller.numbers == list(range(1, wanted + 1))


def test_stock_limits_and_keys_hold_with_a_service_on_each_member(
    writers: Group, name: str, databases: list[Database], start_service: Callable[..., Service]
) -> None:
    services = [start_service(address(member, name), workers=1, PURCHASE_WAIT_SECONDS=20) for member in writers.members]
    item = services[0].create_goods(stock=40, per_user_limit=2)
    coupon = services[0].create_coupon(total_limit=10)
    until(lambda: writers.wait_until_equal("SELECT COUNT(*) FROM coupons", name) == [(1,)], 30)
    answers = []

    def keep_buying(number: int) -> None:
        # Everybody is at both members, under the same keys.
        for count in range(4):
            for service in services:
                choices = {"coupon_code": coupon} if number % 2 else {}
                answer = service.buy(item, f"user-{number}", key=f"key-{count}", timeout=60, **choices)
                answers.append(answer)

    threads = [threading.Thread(target=keep_buying, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = outcomes(answers)
    assert "internal_error" not in counted, counted
    rows = writers.wait_until_equal("SELECT stock, sold FROM goods", name)
    orders = writers.members[0].execute("SELECT user_id, SUM(quantity) FROM orders GROUP BY user_id", name)
    stock, sold = rows[0]
    assert stock + sold == 40
    assert sum(bought for _, bought in orders) == sold > 0
    assert max(bought for _, bought in orders) <= 2
    numbers = {answer.json()["order_no"] for answer in answers if answer.status_code == 201}
    assert len(numbers) == writers.members[1].execute("SELECT COUNT(*) FROM orders", name)[0][0]
    for service in services:
        assert_audit_clean(service)
