"""What many clients want while the database is late is read once: an item's row, and whether this host is ready."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, event

from core.db.database import Database
from core.ops import readiness
from core.ops.host_memory import HostMemory
from core.ops.readiness import Readiness
from core.purchase.sale_cache import SaleCache
from tests.resources.calls import Calls, problem

CLIENTS = 32
SOON = 60.0


@pytest.fixture
def host() -> HostMemory:
    return HostMemory()


@pytest.fixture
def late(
    make_app: Callable[..., Flask], database_uri: str, host: HostMemory, monkeypatch: pytest.MonkeyPatch
) -> Iterator["Late"]:
    made = Late(Calls(make_app(database_uri, host)))
    execute = Database.execute

    def execute_late(database: Database, connection: Connection, statement: str, numbers: Sequence[int]) -> object:
        rows = execute(database, connection, statement, numbers)
        made.hold(statement)
        return rows

    monkeypatch.setattr(Database, "execute", execute_late)
    yield made
    made.goes.set()
    made.call.services.sale_cache.quiet_reads = 1
    made.until(lambda: not made.call.services.sale_cache.watching)


class Late:
    """A database whose answers to some statements can be held up, and a count of these statements."""

    def __init__(self, call: Calls) -> None:
        self.call = call
        self.item = call.create()["id"]
        self.goes = threading.Event()
        self.goes.set()
        self.queries = 0
        self.late_for = "FROM goods"
        for engine in (call.services.database.engine, call.services.database.read_engine):
            event.listen(engine, "after_cursor_execute", lambda connection, cursor, text, *rest: self.hold(text))

    def hold(self, statement: str) -> None:
        if self.late_for in statement:
            self.queries += 1
            assert self.goes.wait(60)

    def until(self, question: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SOON
        while not question():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def get(self, path: str) -> Any:
        return Calls(self.call.app).get(path)

    @contextmanager
    def many_clients(self, path: str) -> Iterator[Any]:
        """So many requests at once; yields the futures of their answers."""
        with ThreadPoolExecutor(CLIENTS) as threads:
            yield [threads.submit(self.get, path) for _ in range(CLIENTS)]


def read_once(late: Late) -> None:
    """Many clients read an item while the sale cache's own read is late: how many of them reach the database."""
    sale_cache = late.call.services.sale_cache
    late.goes.clear()
    sale_cache.hot_requests = 0
    with late.many_clients(f"/seckill/{late.item}") as answers:
        # All have asked: they wait for the row, or stand before the database themselves.
        late.until(lambda: sale_cache.sizes["waiting"] + late.queries >= CLIENTS or late.queries > 2)
        queries = late.queries
        late.goes.set()
        states = [answer.result(SOON) for answer in answers]
    assert [state.status_code for state in states] == [200] * CLIENTS
    assert {state.json["stock"] for state in states} == {10}
    assert queries <= 2, "many read the same row"


def test_while_the_cache_s_read_is_late_the_row_is_read_once_for_all(late: Late) -> None:
    read_once(late)


def test_without_waiting_for_it_everybody_reads_the_row(late: Late, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SaleCache, "look", SaleCache.seen)
    with pytest.raises(AssertionError, match="many read the same row"):
        read_once(late)


def test_the_cache_s_reader_waits_for_nobody_s_connection(late: Late) -> None:
    """Everybody else's are in use, and each waits for the database."""
    late.call.services.sale_cache.hot_requests = 10**9
    late.goes.clear()
    late.late_for = "FROM orders"
    with ThreadPoolExecutor(CLIENTS) as threads:
        lists = [threads.submit(lambda: Calls(late.call.app).get("/orders", "alice")) for _ in range(CLIENTS)]
        late.until(lambda: late.queries == late.call.services.settings.DATABASE_READ_POOL_SIZE)
        late.call.services.sale_cache.hot_requests = 0
        assert late.get(f"/seckill/{late.item}").status_code == 200
        assert late.get("/readyz").status_code == 200
        late.goes.set()
        assert {one.result(SOON).status_code for one in lists} == {200}


def look_once_a_second(late: Late) -> None:
    late.late_for = "alembic_version"
    late.queries = 0
    began = time.monotonic()
    for _ in range(200):
        assert late.get("/readyz").status_code == 200
    seconds = time.monotonic() - began
    # Each look is two statements that name the table, or one.
    assert late.queries <= 2 * (seconds + 2), "each of them looks"


def test_readiness_is_looked_up_at_most_once_a_second(late: Late) -> None:
    look_once_a_second(late)


def test_with_no_memory_each_request_looks(late: Late) -> None:
    late.call.services.readiness.seconds = 0
    with pytest.raises(AssertionError, match="each of them looks"):
        look_once_a_second(late)


def test_all_who_ask_meanwhile_share_one_check(late: Late, monkeypatch: pytest.MonkeyPatch) -> None:
    late.late_for = "alembic_version"
    late.goes.clear()
    readiness = late.call.services.readiness
    latest, asked = readiness.latest, list[int]()

    def noted() -> "Future[bool]":
        found = latest()
        asked.append(1)
        return found

    monkeypatch.setattr(readiness, "latest", noted)
    with late.many_clients("/readyz") as answers:
        # One that asks once the check has ended, and is a second old, begins another.
        late.until(lambda: len(asked) == CLIENTS and late.queries == 1)
        late.goes.set()
        assert {answer.result(SOON).status_code for answer in answers} == {200}
    assert late.queries <= 2


def test_a_bad_outcome_is_remembered_as_well_and_for_a_second(late: Late, monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[float] = []

    def fail(connection: Any) -> None:
        checks.append(time.monotonic())
        raise readiness.WrongSchema("not this one")

    monkeypatch.setattr(readiness.schema, "check", fail)
    late.call.services.readiness.seconds = 3600
    for _ in range(20):
        problem(late.get("/readyz"), 503, "unavailable")
    assert len(checks) == 1
    monkeypatch.undo()
    late.call.services.readiness.seconds = 0
    assert late.get("/readyz").status_code == 200


def test_a_host_that_drains_says_so_at_once(late: Late, host: HostMemory) -> None:
    assert late.get("/readyz").status_code == 200
    host.draining = True
    problem(late.get("/readyz"), 503, "unavailable")
    host.draining = False
    assert late.get("/readyz").status_code == 200


def test_a_check_without_end_is_waited_for_until_the_deadline(make_app: Callable[..., Flask], sqlite_uri: str) -> None:
    app = make_app(sqlite_uri, PURCHASE_WAIT_SECONDS=0.3)
    call, goes = Calls(app), threading.Event()
    event.listen(call.services.database.read_engine, "before_cursor_execute", lambda *rest: goes.wait(60))
    for _ in range(2):
        problem(call.get("/readyz"), 503, "unavailable")
    goes.set()
    assert isinstance(call.services.readiness, Readiness)
