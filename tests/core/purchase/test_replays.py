"""One look-up for all requests with a key at a closed sale."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from app import create_app
from config import load
from core.catalogue import goods
from core.db.clock import Deadline
from core.db.mysql_connection import Connection
from core.orders import order_life
from core.orders.orders import Viewer
from core.purchase import batch
from core.purchase.decide import Outcome, Placed, PurchaseRequest, Refused, Replayed
from core.purchase.replays import SaleOpen, look_up
from core.purchase.slots import Caps
from core.refusals import Unavailable
from core.services import Services
from harness.database_server import free_port
from harness.service import SECRET
from tests.resources.calls import LONG_AGO


def put_up(services: Services, **fields: Any) -> int:
    row = goods.create(services.database, "t", {"name": "x", "currency": "CNY", "price": 100, "stock": 1, **fields})
    return row.id


def buy(services: Services, *requests: PurchaseRequest) -> list[Outcome | None]:
    return batch.serve(services.database, Caps(services.database, 2), list(requests), Deadline(60))


def seen(services: Services, *requests: PurchaseRequest) -> list[Outcome | SaleOpen | None]:
    return look_up(services.database, requests, Deadline(60))


def code_of(outcome: object) -> str:
    return outcome.refusal.code if isinstance(outcome, Refused) else type(outcome).__name__


def number_of(outcome: object) -> str:
    assert isinstance(outcome, Placed | Replayed)
    return outcome.order.order_no


@pytest.fixture
def questions(services: Services, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SELECTs that are sent to the database, by whatever way, as they are sent."""
    sent: list[str] = []

    def note(statement: str) -> None:
        if statement.lstrip("( ").startswith("SELECT"):
            sent.append(statement)

    cmd_query = Connection.cmd_query

    def noting(self: Any, query: Any, *rest: Any, **named: Any) -> Any:
        note(query if isinstance(query, str) else bytes(query).decode())
        return cmd_query(self, query, *rest, **named)

    if services.database.is_sqlite:
        event.listen(services.database.engine, "before_cursor_execute", lambda *sent: note(sent[2]))
    monkeypatch.setattr(Connection, "cmd_query", noting)
    return sent


def test_a_new_key_at_a_sold_out_item_is_told_so(services: Services) -> None:
    item = put_up(services, stock=0)
    assert [code_of(one) for one in seen(services, PurchaseRequest(item, "alice", 1, "k"))] == ["sold_out"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"ends_at": LONG_AGO}, "sale_ended"),
        ({"starts_at": LONG_AGO.replace(year=2099)}, "sale_not_started"),
        ({"stock": 0}, "sold_out"),
    ],
)
def test_each_closed_sale_has_its_own_refusal(services: Services, fields: dict[str, Any], code: str) -> None:
    (outcome,) = seen(services, PurchaseRequest(put_up(services, **fields), "alice", 1, "k"))
    assert isinstance(outcome, Refused)
    assert outcome.refusal.code == code
    assert outcome.refusal.details == ({"starts_at": "2099-01-01T00:00:00.000Z"} if code == "sale_not_started" else {})


def test_a_paused_sale_and_an_item_that_is_gone_are_told_of(services: Services) -> None:
    item = put_up(services)
    goods.set_paused(services.database, "t", item, True, None)
    requests = PurchaseRequest(item, "alice", 1, "k"), PurchaseRequest(999, "alice", 1, "k")
    assert [code_of(one) for one in seen(services, *requests)] == ["sale_paused", "goods_not_found"]
    assert code_of(*seen(services, requests[1])) == "goods_not_found"


def test_the_winner_s_key_gives_the_order_as_it_now_stands(services: Services) -> None:
    item = put_up(services)
    request = PurchaseRequest(item, "alice", 1, "k")
    (placed,) = buy(services, request)
    (again,) = seen(services, request)
    assert isinstance(again, Replayed)
    assert isinstance(placed, Placed)
    assert again.order == placed.order
    order_life.cancel(services.database, Viewer("alice", False), placed.order.order_no)
    buy(services, PurchaseRequest(item, "bob"))
    (later,) = seen(services, request)
    assert isinstance(later, Replayed)
    assert (later.order.order_no, later.order.status) == (placed.order.order_no, "cancelled")


def test_an_unpaid_order_whose_time_is_over_is_shown_as_expired(services: Services) -> None:
    item = put_up(services)
    request = PurchaseRequest(item, "alice", 1, "k")
    buy(services, request)
    with services.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET expires_at = '2001-01-01 00:00:00.000000'")
    (again,) = seen(services, request)
    assert isinstance(again, Replayed)
    assert again.order.status == "expired"


def test_another_request_under_the_key_is_told_so(services: Services) -> None:
    item, other = put_up(services, stock=2), put_up(services, stock=0)
    buy(services, PurchaseRequest(item, "alice", 2, "k"))
    requests = [
        PurchaseRequest(item, "alice", 1, "k"),
        PurchaseRequest(other, "alice", 2, "k"),
        PurchaseRequest(item, "bob", 2, "k"),
        PurchaseRequest(item, "alice", 2, "K"),
        PurchaseRequest(item, "alice", 2),
    ]
    assert [code_of(one) for one in seen(services, *requests)] == ["idempotency_key_reused"] * 2 + ["sold_out"] * 3


def test_a_request_whose_sale_is_open_by_now_is_to_be_queued_as_a_purchase(services: Services) -> None:
    closed, item = put_up(services, stock=0), put_up(services, stock=5)
    bought = PurchaseRequest(item, "alice", 1, "k")
    buy(services, bought)
    requests = [PurchaseRequest(item, "bob", 1, "k"), PurchaseRequest(closed, "bob", 1, "k"), bought]
    assert [code_of(one) for one in seen(services, *requests)] == ["SaleOpen", "sold_out", "SaleOpen"]
    assert goods.find(services.database, item).sold == 1


def test_all_are_looked_up_together(services: Services, questions: list[str]) -> None:
    items = [put_up(services, stock=4) for _ in range(5)]
    won = [PurchaseRequest(item, f"winner-{n}", 1, f"k-{n}") for item in items for n in range(4)]
    # A key is a user's: the same one at the next item is another request.
    won = [PurchaseRequest(one.goods_id, f"{one.user_id}-{one.goods_id}", 1, one.idempotency_key) for one in won]
    placed = buy(services, *won)
    lost = [PurchaseRequest(items[n % 5], f"loser-{n}", 1, f"k-{n}") for n in range(40)]
    mixed = [request for pair in zip(won, lost[:20], strict=True) for request in pair] + lost[20:]
    questions.clear()
    outcomes = seen(services, *mixed)
    assert len(questions) == 3, "the items, the keys, the orders"
    assert [code_of(one) for one in outcomes] == ["Replayed", "sold_out"] * 20 + ["sold_out"] * 20
    assert [number_of(one) for one in outcomes[:40:2]] == [number_of(one) for one in placed]
    assert not [statement for statement in questions if "FOR UPDATE" in statement]
    questions.clear()
    seen(services, *lost)
    assert len(questions) == 2


def test_an_order_that_is_won_between_the_two_reads_is_found(
    make_app: Callable[..., Flask], server_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    services: Services = make_app(server_uri).extensions["seckill"]
    item = put_up(services, stock=0)
    request = PurchaseRequest(item, "alice", 1, "k")
    looking = True
    cmd_query = Connection.cmd_query

    def win(self: Any, query: Any, *rest: Any, **named: Any) -> Any:
        """After the first read, whichever that is: sold out before and after, and yet there is an order."""
        nonlocal looking
        answer = cmd_query(self, query, *rest, **named)
        text = query if isinstance(query, str) else bytes(query).decode()
        if looking and re.search("FROM goods|orders_user_key", text):
            looking = False
            goods.change(services.database, "t", item, {}, 1, None)
            assert [code_of(one) for one in buy(services, request)] == ["Placed"]
        return answer

    monkeypatch.setattr(Connection, "cmd_query", win)
    assert [code_of(one) for one in seen(services, request)] == ["Replayed"]
    assert not looking


def test_without_a_database_nobody_is_told_anything_but_unavailable() -> None:
    uri = f"mysql+mysqlconnector://root@127.0.0.1:{free_port()}/nowhere"
    services: Services = create_app(load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET)).extensions["seckill"]
    with pytest.raises(Unavailable):
        seen(services, PurchaseRequest(1, "alice", 1, "k"))


def test_names_and_keys_of_all_characters_are_found_again(services: Services) -> None:
    # Every character that may stand in them, JSON's and SQL's own among them.
    keys = "".join(map(chr, range(0x21, 0x7F)))
    longest = ['"' * 64, "\\" * 64]
    users = [*longest, keys[:64], keys[31:], "\\\"'%s{}", "买家 \U0001f600 é\u2028", "null", "e\u0301 "]
    item = put_up(services, stock=len(users) + 1, per_user_limit=1)
    requests = [PurchaseRequest(item, user, 1, "\\" * 255 if user in longest else keys) for user in users]
    orders = list(map(number_of, buy(services, *requests)))
    assert [code_of(outcome) for outcome in buy(services, *(PurchaseRequest(item, user) for user in users))] == (
        ["limit_reached"] * len(users)
    )
    number_of(*buy(services, PurchaseRequest(item, "the last")))
    for again in (buy(services, *requests), seen(services, *requests)):
        assert [code_of(outcome) for outcome in again] == ["Replayed"] * len(users)
        assert list(map(number_of, again)) == orders
