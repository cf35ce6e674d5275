"""Refunds of orders and payments that are resolved, by calls of an administrator."""

from typing import Any

import pytest

from core.payments import payments
from core.payments.payment_records import PaymentEvent, PaymentEventType
from tests.resources.calls import OPERATOR, Calls, problem, wrong_fields


def report_payment(call: Calls, order: dict[str, Any], number: int = 1, **changed: Any) -> str:
    fields = {"order_no": order["order_no"], "amount": order["total"], "currency": "CNY", **changed}
    event = PaymentEvent(
        event_id=f"evt_{number}", type=PaymentEventType.SUCCEEDED, payment_id=f"pay_{number}", **fields
    )
    return payments.receive(call.services.database, event)


def paid(call: Calls, **fields: Any) -> dict[str, Any]:
    order = call.bought(call.create(**fields)["id"])
    assert report_payment(call, order) == "paid"
    return call.get(f"/orders/{order['order_no']}", "alice").json


def refund(call: Calls, order: dict[str, Any], by: str | None = OPERATOR, **body: Any) -> Any:
    return call.post(f"/orders/{order['order_no']}/refund", by, json=body)


@pytest.mark.parametrize("restock", [True, False])
def test_a_refund_is_shown_with_the_order(call: Calls, restock: bool) -> None:
    order = paid(call, per_user_limit=1)
    answer = refund(call, order, reference="退款 117", restock=restock)
    assert answer.status_code == 200, answer.text
    shown = answer.json
    noted = {"status": "refunded", "refund_reference": "退款 117", "refunded_at": shown["refunded_at"]}
    assert shown == {**order, **noted, "closed_at": shown["refunded_at"] if restock else None}
    assert shown["refunded_at"] >= order["paid_at"]
    assert call.get(f"/orders/{order['order_no']}", "alice").json == shown
    assert call.get("/orders?status=refunded", "alice").json["items"] == [shown]
    again = refund(call, order, reference="退款 117", restock=restock)
    assert (again.status_code, again.json) == (200, shown)
    assert problem(refund(call, order, reference="118"), 409, "order_not_refundable")["order_status"] == "refunded"
    goods = call.goods(order["goods_id"])
    assert (goods["stock"], goods["sold"]) == ((10, 0) if restock else (9, 1))
    assert call.buy(order["goods_id"]).status_code == (201 if restock else 409)
    kinds = [event["type"] for event in call.get("/events", OPERATOR).json["items"]]
    assert kinds[:3] == ["order.placed", "order.paid", "order.refunded"]


def test_what_a_refund_needs(sqlite_call: Calls) -> None:
    order = paid(sqlite_call)
    for by, status, code in ((None, 401, "unauthenticated"), ("alice", 403, "forbidden")):
        problem(refund(sqlite_call, order, by, reference="r"), status, code)
    assert wrong_fields(refund(sqlite_call, order)) == {"reference": "missing"}
    wrong: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"reference": None}, {"reference": "wrong_type"}),
        ({"reference": ""}, {"reference": "too_short"}),
        ({"reference": "r" * 256}, {"reference": "too_long"}),
        ({"reference": "r", "restock": 1}, {"restock": "wrong_type"}),
        ({"reference": "r", "amount": 1}, {"amount": "unknown_field"}),
    ]
    for body, errors in wrong:
        assert wrong_fields(refund(sqlite_call, order, **body)) == errors
    for order_no in ("0" * 32, "-1", "9" * 40):
        problem(refund(sqlite_call, {"order_no": order_no}, reference="r"), 404, "order_not_found")
    assert sqlite_call.get(f"/orders/{order['order_no']}", "alice").json == order


@pytest.mark.parametrize("resolution", ["refunded", "accepted", "ignored"])
def test_a_payment_is_resolved_once(call: Calls, resolution: str) -> None:
    order = paid(call)
    assert report_payment(call, order, 2, amount=7) == "mismatch"
    (row,) = call.get("/payments?resolved=false", OPERATOR).json["items"]
    untouched = ("resolution", "note", "resolved_at", "resolved_by")
    assert [row[name] for name in untouched] == [None] * 4
    path = f"/payments/{row['id']}/resolve"
    answer = call.post(path, OPERATOR, json={"resolution": resolution, "note": "by bank"})
    assert answer.status_code == 200, answer.text
    noted = {"resolution": resolution, "note": "by bank", "resolved_by": OPERATOR}
    assert answer.json == {**row, **noted, "resolved_at": answer.json["resolved_at"]}
    assert answer.json["resolved_at"] >= row["received_at"]
    assert call.get("/payments?resolved=true", OPERATOR).json["items"] == [answer.json]
    assert call.get("/payments?resolved=false", OPERATOR).json["items"] == []
    again = call.post(path, OPERATOR, json={"resolution": "ignored"})
    assert problem(again, 409, "payment_already_resolved")["resolution"] == resolution


def test_what_a_resolution_needs(sqlite_call: Calls) -> None:
    order = paid(sqlite_call)
    (row,) = sqlite_call.get("/payments", OPERATOR).json["items"]
    path = f"/payments/{row['id']}/resolve"
    assert wrong_fields(sqlite_call.post(path, OPERATOR, json={})) == {"resolution": "missing"}
    assert wrong_fields(sqlite_call.post(path, OPERATOR, json={"resolution": "lost"})) == {
        "resolution": "invalid_value"
    }
    problem(sqlite_call.post(path, "alice", json={"resolution": "ignored"}), 403, "forbidden")
    for number in (row["id"] + 1, "-1", "0", "9" * 40, "x"):
        problem(
            sqlite_call.post(f"/payments/{number}/resolve", OPERATOR, json={"resolution": "ignored"}), 404, "not_found"
        )
    refused = sqlite_call.post(path, OPERATOR, json={"resolution": "ignored"})
    assert problem(refused, 409, "payment_already_resolved")["resolution"] == "accepted"
    assert sqlite_call.get(f"/orders/{order['order_no']}", "alice").json == order


def test_what_costs_nothing_is_answered_as_paid_and_replayed_so(call: Calls) -> None:
    item = call.create(price=0, per_user_limit=1)
    order = call.buy(item["id"], key="k").json
    assert (order["status"], order["total"], order["paid_at"]) == ("paid", 0, order["purchased_at"])
    replayed = call.buy(item["id"], key="k")
    assert (replayed.status_code, replayed.json) == (201, order)
    kinds = [event["type"] for event in call.get("/events", OPERATOR).json["items"]]
    assert kinds == ["order.placed", "order.paid"]
