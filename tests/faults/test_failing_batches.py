"""A batch with requests for several items fails, on a real server: at each step of the transaction."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import mysql.connector
import pytest
from flask import Flask
from sqlalchemy import event

from core.catalogue import goods
from core.db.clock import Deadline
from core.db.mysql_connection import Connection
from core.ops import audit
from core.purchase import batch
from core.purchase.batcher import Batcher
from core.purchase.decide import Outcome, Placed, PurchaseRequest
from core.purchase.queue import JoinLate, PurchaseQueue
from core.purchase.slots import Caps
from core.refusals import Unavailable
from core.services import Services
from harness.database_server import DatabaseServer
from harness.rewriting import one_by_one
from resources.http.context import EXTENSION
from tests.core.purchase.fake_settler import until
from tests.faults.proxy import Cut, Proxy
from tests.races.inside import Inside

PATIENCE = 60  # seconds
NO_ITEM = 10**6
BUYERS = 6
ALL_CHANGES = "all changes of a batch, which are sent together"


class Counter:
    """A batcher on a real database, with requests for two items that are one batch."""

    def __init__(self, services: Services, inside: Inside) -> None:
        self.services = services
        self.inside = inside
        caps = Caps(services.database, 2)
        self.items = [self._put_up() for _ in range(2)]
        for item in self.items:  # makes the slots
            batch.serve(services.database, caps, [PurchaseRequest(item, "first")], Deadline(PATIENCE))
        self._gathered = threading.Event()
        self.sizes: list[int] = []

        def settle(
            requests: Sequence[PurchaseRequest], deadline: Deadline, patient: bool, join_late: JoinLate
        ) -> list[Outcome | None]:
            self.sizes.append(len(requests))
            if requests[0].goods_id == NO_ITEM:
                assert self._gathered.wait(PATIENCE)
            return batch.serve(services.database, caps, list(requests), deadline, patient, join_late)

        self.batcher: Batcher[Outcome] = Batcher(
            settle, PurchaseQueue(1000, PATIENCE), batch_max=100, workers=1, grace_seconds=PATIENCE
        )

    def _put_up(self) -> int:
        fields = {"name": "item", "currency": "CNY", "price": 5, "stock": 100}
        return goods.create(self.services.database, "t", fields).id

    def buy(self, user: str, item: int) -> Future[Outcome]:
        return self.batcher.submit(PurchaseRequest(item, user), Deadline(PATIENCE))

    def buy_together(self) -> list[Future[Outcome]]:
        """Purchases of both items, all in one batch, which begins after this."""
        self._gathered.clear()
        self.buy("nobody", NO_ITEM)
        until(lambda: bool(self.sizes))
        futures = [self.buy(f"buyer-{number}", self.items[number % 2]) for number in range(BUYERS)]
        self._gathered.set()
        return futures

    def assert_each_bought_once(self, buyers: list[Future[Outcome]]) -> None:
        outcomes = [buyer.result(PATIENCE) for buyer in buyers]
        placed = {outcome.order.order_no for outcome in outcomes if isinstance(outcome, Placed)}
        assert len(placed) == BUYERS
        orders = {row[0] for row in self.inside.query("SELECT order_no FROM orders WHERE user_id <> 'first'")}
        assert orders == placed
        self.assert_sound()

    def assert_sound(self) -> None:
        assert self.batcher.close(PATIENCE)
        assert self.sizes[:2] == [1, BUYERS]
        assert audit.run(self.services.settings).clean


@pytest.fixture
def proxy(server: DatabaseServer) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def counter(make_app: Callable[..., Flask], proxy: Proxy, own_uri: str, inside: Inside) -> Iterator[Counter]:
    services: Services = make_app(proxy.address(own_uri)).extensions[EXTENSION]
    yield Counter(services, inside)
    # Ahead of the proxy's end, so that no connection is closed at a cut cable.
    services.database.engine.dispose()


@contextmanager
def once(moment: str, statement: str, act: Callable[[Connection], None]) -> Iterator[None]:
    """Act at the next statement of a batch that begins so, `before` or `after` it."""
    acted: list[str] = []
    execute, execute_all = Connection.execute, Connection.execute_all

    def execute_all_and_act(self: Connection, changes: Sequence[tuple[str, Sequence[str]]]) -> list[int]:
        if statement is not ALL_CHANGES:
            return one_by_one(self, changes)
        first = not acted
        acted.append(statement)
        if first and moment == "before":
            act(self)
        counts = execute_all(self, changes)
        if first and moment == "after":
            act(self)
        return counts

    def execute_and_act(self: Connection, text: str, *values: str) -> Any:
        is_it = not acted and text.startswith(statement)
        if is_it:
            acted.append(text)
        if is_it and moment == "before":
            act(self)
        answer = execute(self, text, *values)
        if is_it and moment == "after":
            act(self)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "execute", execute_and_act)
        patch.setattr(Connection, "execute_all", execute_all_and_act)
        yield
    assert acted, f"there was no {statement}"


STEPS = [
    ("before", "SELECT JSON_ARRAY(id, name"),
    ("after", "INSERT INTO orders"),
    ("after", "UPDATE goods"),
    ("before", ALL_CHANGES),
    ("after", ALL_CHANGES),
]


@pytest.mark.parametrize(("moment", "statement"), STEPS)
def test_a_connection_lost_before_commit_costs_nobody_their_order(
    counter: Counter, inside: Inside, moment: str, statement: str
) -> None:
    def kill(connection: Connection) -> None:
        inside.query(f"KILL {connection.connection_id}")

    with once(moment, statement, kill):
        counter.assert_each_bought_once(counter.buy_together())


def test_a_connection_lost_between_two_changes_of_a_packet_costs_nobody_their_order(
    counter: Counter, inside: Inside
) -> None:
    """The last change waits for a table that somebody has locked; those before it have been answered."""
    waiting = "SELECT id FROM information_schema.processlist WHERE info LIKE '%INTO outbox%' AND state LIKE 'Waiting%'"
    holder = inside.server.connect(inside.database)
    try:
        holder.cursor().execute("LOCK TABLES outbox WRITE")
        buyers = counter.buy_together()
        found: list[tuple[int]] = []
        until(lambda: found.extend(inside.query(waiting)) or found)
        inside.query(f"KILL {found[0][0]}")
        until(lambda: set(inside.query(waiting)) - {found[0]})  # it has been run again, on another connection
        holder.cursor().execute("UNLOCK TABLES")
        counter.assert_each_bought_once(buyers)
    finally:
        holder.close()


@pytest.mark.parametrize(("moment", "statement"), STEPS)
def test_an_unexpected_error_undoes_the_batch_and_all_are_served_in_smaller_ones(
    counter: Counter, moment: str, statement: str
) -> None:
    def fail(connection: Connection) -> None:
        raise ZeroDivisionError

    with once(moment, statement, fail):
        counter.assert_each_bought_once(counter.buy_together())
    assert counter.sizes == [1, 6, 3, 3]


def test_when_a_worker_dies_after_the_insert_nobody_has_bought_and_the_queue_goes_on(
    counter: Counter, inside: Inside
) -> None:
    def end(connection: Connection) -> None:
        raise SystemExit

    with once("after", "INSERT INTO orders", end):
        buyers = counter.buy_together()
        errors = [type(buyer.exception(PATIENCE)) for buyer in buyers]
    assert errors == [Unavailable] * BUYERS
    assert inside.query("SELECT COUNT(*) FROM orders") == [(2,)]
    assert isinstance(counter.buy("later", counter.items[0]).result(PATIENCE), Placed)
    counter.assert_sound()


def test_a_commit_that_is_refused_is_run_again(counter: Counter) -> None:
    refused: list[bool] = []

    def refuse(connection: Any) -> None:
        if not refused and len(counter.sizes) == 2:
            refused.append(True)
            connection.connection.dbapi_connection.rollback()
            raise mysql.connector.errors.InternalError(errno=1213, msg="refused at COMMIT")

    event.listen(counter.services.database.engine, "commit", refuse)
    counter.assert_each_bought_once(counter.buy_together())
    assert refused


@pytest.mark.parametrize("cut", Cut)
def test_a_commit_without_an_answer_is_found_out_for_all(counter: Counter, proxy: Proxy, cut: Cut) -> None:
    def cut_the_commit(connection: Connection) -> None:
        proxy.cut_next(cut)

    with once("after", "UPDATE goods", cut_the_commit):
        counter.assert_each_bought_once(counter.buy_together())
    assert proxy.cuts == 1


def test_while_nobody_can_tell_whether_a_commit_happened_none_of_them_is_told_busy(
    counter: Counter, proxy: Proxy, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody_knows(connection: Any, outcomes: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(batch, "was_committed", nobody_knows)
    with once("after", "UPDATE goods", lambda connection: proxy.cut_next(Cut.AFTER)):
        buyers = counter.buy_together()
        assert {type(buyer.exception(PATIENCE)) for buyer in buyers} == {Unavailable}
    assert inside.query("SELECT COUNT(*) FROM orders") == [(2 + BUYERS,)]
    counter.assert_sound()
