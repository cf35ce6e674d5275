"""Rows that are read past SQLAlchemy, over a connection that stays open, on each database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timezone
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from core.catalogue import goods
from core.db import shares
from core.db.clock import Deadline, begin_request
from core.db.database import Database
from core.db.shares import Share
from core.db.text_query import TextQuery
from core.refusals import Busy
from harness.eventually import eventually
from models import Goods
from tests.resources.calls import FAR_AHEAD, OPERATOR, Calls

ALL = {
    "name": "键盘 “100 %”",
    "description": "two\nlines 🙂 \\ %s ' \"",
    "image_url": "https://shop.example/a.png",
    "list_price": 300,
    "starts_at": "2026-11-11T12:00:00.120Z",
    "ends_at": FAR_AHEAD,
    "per_user_limit": 3,
    "order_limit": 5,
    "shippable": True,
}


@pytest.fixture
def call(app: Flask) -> Calls:
    return Calls(app)


@pytest.fixture
def database(call: Calls) -> Database:
    return call.services.database.of(Share.WATCH)


@pytest.fixture
def reader(database: Database) -> Iterator[goods.Reader]:
    made = goods.Reader(database)
    yield made
    made.rest()


def test_the_rows_are_those_that_sqlalchemy_reads(call: Calls, database: Database, reader: goods.Reader) -> None:
    ids = [call.create(price=200)["id"], call.create(price=200, **ALL)["id"]]
    call.post(f"/goods/{ids[0]}/pause", OPERATOR)
    with database.reading() as connection:
        expected = goods.read_all(connection, ids)
    rows = reader.read([*ids, 10**15])
    assert [row.id for row in rows] == ids
    for row, other in zip(rows, expected, strict=True):
        found, wanted = row._asdict(), other._asdict()
        assert found.pop("now") >= wanted.pop("now")
        assert found == wanted
        assert {name: type(value) for name, value in found.items()} == {name: type(wanted[name]) for name in wanted}
    assert rows[0].paused is True
    assert rows[1].starts_at.tzinfo is timezone.utc
    assert reader.read([]) == []


def test_no_transaction_is_left_open(call: Calls, database: Database) -> None:
    item = call.create()["id"]
    with database.reading() as connection:
        opened: Any = connection.connection.dbapi_connection
        assert TextQuery(select(Goods.id)).read(database, connection, [item])[0].id == item
        assert not opened.in_transaction


def test_the_cache_gives_its_connection_back_when_nobody_asks(call: Calls, database: Database) -> None:
    item = call.create()["id"]
    assert call.get(f"/seckill/{item}").status_code == 200
    pool: Any = database.read_engine.pool
    assert eventually(lambda: not call.services.sale_cache.watching)
    assert pool.checkedout() == 0


def test_each_read_has_what_was_committed_before_it(call: Calls, reader: goods.Reader) -> None:
    item = call.create(stock=5)["id"]
    for stock in (5, 4, 3):
        assert reader.read([item])[0].stock == stock
        assert call.buy(item, "buyer").status_code == 201


def test_the_connection_stays_open_until_there_is_nothing_to_read(call: Calls, database: Database) -> None:
    item = call.create()["id"]
    taken = []
    event.listen(database.read_engine, "checkout", lambda *of_event: taken.append(1))
    reader = goods.Reader(database)
    for _ in range(3):
        reader.read([item])
    assert len(taken) == 1
    reader.rest()
    reader.read([item])
    assert len(taken) == 2
    reader.rest()


def test_after_an_error_another_connection_is_used(
    call: Calls, database: Database, reader: goods.Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = call.create()["id"]
    reader.read([item])
    closed = []
    event.listen(database.read_engine, "close", lambda *of_event: closed.append(1))
    execute = Database.execute
    with monkeypatch.context() as broken:
        broken.setattr(
            Database, "execute", lambda self, opened, text, ids: execute(self, opened, "SELECT * FROM nowhere", [])
        )
        with pytest.raises(Exception, match="nowhere"):
            reader.read([item])
    assert closed  # what it was in the middle of is not known
    assert [row.id for row in reader.read([item])] == [item]


def test_who_finds_no_connection_is_told_busy(make_app: Callable[..., Flask], sqlite_uri: str) -> None:
    call = Calls(make_app(sqlite_uri))
    database = call.services.database.of(Share.WATCH)
    item = call.create()["id"]
    with ExitStack() as stack:
        for _ in range(shares.sizes(database.settings)[Share.WATCH]):
            stack.enter_context(database.reading())
        reader = goods.Reader(database)
        begin_request(Deadline(0.1))
        try:
            with pytest.raises(Busy):
                reader.read([item])
        finally:
            begin_request(None)
    assert [row.id for row in reader.read([item])] == [item]
    reader.rest()
