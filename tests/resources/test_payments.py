"""Paying by a call where no money is asked for, and the operator's list of payments."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from core.payments import payments
from core.payments.payment_records import PaymentEvent
from tests.resources.calls import OPERATOR, Calls, problem, wrong_fields
from tests.resources.test_metrics import figures, rise
from tests.resources.whole_database import rows


@pytest.fixture
def app(make_app: Callable[..., Flask], database_uri: str) -> Flask:
    return make_app(database_uri, PAYMENT_PROVIDER="test")


@pytest.fixture
def sqlite_app(make_app: Callable[..., Flask], sqlite_uri: str) -> Flask:
    return make_app(sqlite_uri, PAYMENT_PROVIDER="test")


def pay(call: Calls, order: dict[str, Any], by: str | None = "alice", **options: Any) -> Any:
    return call.post(f"/orders/{order['order_no']}/pay", by, **options)


def test_the_owner_pays_by_a_call_once(call: Calls) -> None:
    order = call.bought(call.create()["id"])
    answer = pay(call, order)
    assert answer.status_code == 200
    paid = answer.json
    assert paid == {**order, "status": "paid", "paid_at": paid["paid_at"]}
    assert order["purchased_at"] <= paid["paid_at"] < order["expires_at"]
    assert call.get(f"/orders/{order['order_no']}", "alice").json == paid
    assert problem(pay(call, order), 409, "order_not_pending")["order_status"] == "paid"
    cancel = call.post(f"/orders/{order['order_no']}/cancel", "alice")
    assert problem(cancel, 409, "order_not_pending")["order_status"] == "paid"
    goods = call.goods(order["goods_id"])
    assert (goods["stock"], goods["sold"]) == (9, 1)
    (listed,) = call.get("/payments", OPERATOR).json["items"]
    assert (listed["order_no"], listed["amount"], listed["outcome"]) == (order["order_no"], 100, "paid")


def test_a_cancelled_and_an_overdue_order_are_paid_no_more(call: Calls) -> None:
    item = call.create()
    cancelled, overdue = call.bought(item["id"]), call.bought(item["id"])
    call.post(f"/orders/{cancelled['order_no']}/cancel", "alice")
    call.make_overdue(overdue["order_no"])
    before = rows(call.services.database.engine)
    assert problem(pay(call, cancelled), 409, "order_not_pending")["order_status"] == "cancelled"
    assert problem(pay(call, overdue), 409, "order_not_pending")["order_status"] == "expired"
    assert rows(call.services.database.engine) == before


@pytest.mark.parametrize("by", ["bob", OPERATOR])
def test_nobody_but_its_owner_pays_an_order(sqlite_call: Calls, by: str) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    before = rows(sqlite_call.services.database.engine)
    problem(pay(sqlite_call, order, by), 404, "order_not_found")
    assert rows(sqlite_call.services.database.engine) == before


@pytest.mark.parametrize("order_no", ["0" * 32, "-1", "x", "9" * 40, "%00", "0" * 31 + "G"])
def test_an_order_that_cannot_be_is_not_found(sqlite_call: Calls, order_no: str) -> None:
    problem(sqlite_call.post(f"/orders/{order_no}/pay", "alice"), 404, "order_not_found")


def test_it_takes_no_fields(sqlite_call: Calls) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    assert wrong_fields(pay(sqlite_call, order, json={"amount": 1})) == {"amount": "unknown_field"}
    problem(pay(sqlite_call, order, data=b"{", content_type="application/json"), 400, "malformed_json")
    assert pay(sqlite_call, order, json={}).status_code == 200


@pytest.mark.parametrize(
    ("settings", "offered"),
    [
        ({}, False),
        ({"PAYMENT_PROVIDER": "webhook"}, False),
        ({"DEBUG": True, "PAYMENT_PROVIDER": "webhook"}, False),
        ({"DEBUG": True}, True),
        ({"PAYMENT_PROVIDER": "test"}, True),
    ],
)
def test_who_pays_by_a_call_is_for_the_settings_to_say(
    make_app: Callable[..., Flask], sqlite_uri: str, settings: dict[str, Any], offered: bool
) -> None:
    call = Calls(make_app(sqlite_uri, **settings))
    order = call.bought(call.create()["id"])
    if offered:
        assert pay(call, order).status_code == 200
    else:
        problem(pay(call, order, None, data=b"{"), 404, "not_found")
        assert "SECKILL_PAYMENT_PROVIDER" in problem(pay(call, order), 404, "not_found")["hint"]
        chinese = pay(call, order, headers={"Accept-Language": "zh"})
        assert "SECKILL_PAYMENT_PROVIDER" in problem(chinese, 404, "not_found")["hint"]
        assert "hint" not in problem(call.get("/nowhere"), 404, "not_found")
        assert call.get(f"/orders/{order['order_no']}", "alice").json["status"] == "pending"


def report_payment(call: Calls, number: int, order_no: str, amount: int = 1) -> str:
    event = PaymentEvent(f"evt_{number}", "payment.succeeded", order_no, amount, "CNY", f"pay_{number}")
    return payments.receive(call.services.database, event)


def test_the_list_pages_newest_first(call: Calls) -> None:
    for number in range(5):
        assert report_payment(call, number, f"nobody-{number % 2}") == "unknown_order"
    seen, cursor = [], ""
    for _ in range(3):
        page = call.get(f"/payments?limit=2{cursor}", OPERATOR).json
        seen += [row["event_id"] for row in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"evt_{number}" for number in (4, 3, 2, 1, 0)]
    assert page["next_cursor"] is None
    narrowed = call.get("/payments?order_no=nobody-1&outcome=unknown_order", OPERATOR).json["items"]
    assert [row["event_id"] for row in narrowed] == ["evt_3", "evt_1"]
    assert call.get("/payments?outcome=mismatch", OPERATOR).json == {"items": [], "next_cursor": None}


def test_a_cursor_is_good_for_its_own_filters_alone(sqlite_call: Calls) -> None:
    for number in range(2):
        report_payment(sqlite_call, number, "nobody")
    cursor = sqlite_call.get("/payments?limit=1", OPERATOR).json["next_cursor"]
    answer = sqlite_call.get(f"/payments?limit=1&outcome=paid&cursor={cursor}", OPERATOR)
    assert wrong_fields(answer) == {"cursor": "invalid_cursor"}


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("outcome=lost", {"outcome": "invalid_value"}),
        ("colour=red", {"colour": "unknown_field"}),
        ("order_no=", {"order_no": "invalid_format"}),
        ("limit=0", {"limit": "out_of_range"}),
        ("outcome=paid&outcome=failed", {"outcome": "repeated"}),
    ],
)
def test_a_wrong_filter_is_named(sqlite_call: Calls, query: str, wrong: dict[str, str]) -> None:
    assert wrong_fields(sqlite_call.get(f"/payments?{query}", OPERATOR)) == wrong


def test_each_event_is_counted_once_by_its_outcome(sqlite_call: Calls) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    before = figures(sqlite_call)
    for number in (1, 1, 2):
        report_payment(sqlite_call, number, order["order_no"], 99)
    pay(sqlite_call, order)
    pay(sqlite_call, order)
    after = figures(sqlite_call)
    counted = {name: rise(before, after, "seckill_payments_total", outcome=name) for name in ("mismatch", "paid")}
    assert counted == {"mismatch": 2, "paid": 1}
