"""Orders: read by who may, and cancelled once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.orders.orders import Viewer
from resources import orders
from tests.resources.calls import OPERATOR, Calls, problem


def stock(call: Calls, goods_id: int) -> tuple[int, int]:
    item = call.goods(goods_id)
    return item["stock"], item["sold"]


def test_an_order_is_for_its_owner_and_for_administrators(call: Calls) -> None:
    order = call.bought(call.create()["id"])
    path = f"/orders/{order['order_no']}"
    assert call.get(path, "alice").json == order
    assert call.get(path, OPERATOR).json == order


def request_somebody_else_s_order(call: Calls) -> None:
    order = call.bought(call.create()["id"])
    path = f"/orders/{order['order_no']}"
    nowhere = f"/orders/{'0' * 32}"

    def without_id(answer) -> dict:
        return {name: value for name, value in answer.json.items() if name != "request_id"}

    for method, suffix in [("GET", ""), ("POST", "/cancel")]:
        for user in ("bob", "Alice", "alice "):
            strange, absent = (call.send(method, place + suffix, user) for place in (path, nowhere))
            problem(strange, 404, "order_not_found")
            assert without_id(strange) == without_id(absent)
    assert call.get(path, "alice").json["status"] == "pending"


def test_somebody_else_s_order_is_as_if_it_were_not_there(call: Calls) -> None:
    request_somebody_else_s_order(call)


def test_where_everybody_may_see_all_orders_it_is_there(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "viewer_of", lambda caller: Viewer(caller.user_id, is_admin=True))
    with pytest.raises(AssertionError, match=r'^\(200, .*"user_id":"alice"'):
        request_somebody_else_s_order(call)


@pytest.mark.parametrize(
    "order_no", ["-1", "1" * 40, "0", "x", "A" * 32, "0" * 31, "%00" * 32, "' OR '1'='1", "%FF", "0" * 32 + "%0A"]
)
def test_a_number_that_cannot_exist_is_not_found(sqlite_call: Calls, order_no: str) -> None:
    for by in ("alice", OPERATOR):
        problem(sqlite_call.get(f"/orders/{order_no}", by), 404, "order_not_found")
        problem(sqlite_call.post(f"/orders/{order_no}/cancel", by), 404, "order_not_found")


@pytest.mark.parametrize("by", ["alice", OPERATOR])
def test_a_pending_order_is_cancelled_once_and_its_units_come_back_once(call: Calls, by: str) -> None:
    item = call.create()
    order = call.bought(item["id"], quantity=4)
    answer = call.post(f"/orders/{order['order_no']}/cancel", by)
    assert answer.status_code == 200
    expected = {**order, "status": "cancelled", "closed_at": answer.json["closed_at"]}
    assert answer.json == expected
    assert answer.json["closed_at"] >= order["purchased_at"]
    assert stock(call, item["id"]) == (10, 0)
    refused = call.post(f"/orders/{order['order_no']}/cancel", by)
    assert problem(refused, 409, "order_not_pending")["order_status"] == "cancelled"
    assert stock(call, item["id"]) == (10, 0)
    assert call.get(f"/orders/{order['order_no']}", "alice").json == expected


@pytest.mark.parametrize("status", ["paid", "expired", "refund_due"])
def test_an_order_in_another_state_is_not_cancelled(call: Calls, status: str) -> None:
    item = call.create()
    order = call.bought(item["id"], quantity=4)
    call.set_order(order["order_no"], status=status)
    refused = call.post(f"/orders/{order['order_no']}/cancel", "alice")
    assert problem(refused, 409, "order_not_pending")["order_status"] == status
    assert stock(call, item["id"]) == (6, 4)


def test_an_overdue_order_has_expired_whether_it_was_swept_or_not(call: Calls) -> None:
    item = call.create()
    order = call.bought(item["id"])
    call.make_overdue(order["order_no"])
    shown = call.get(f"/orders/{order['order_no']}", "alice").json
    assert shown["status"] == "expired"
    assert shown["closed_at"] == shown["expires_at"]
    refused = call.post(f"/orders/{order['order_no']}/cancel", "alice")
    assert problem(refused, 409, "order_not_pending")["order_status"] == "expired"
    listed = call.get("/orders?status=expired", "alice").json["items"]
    assert listed == [shown]
    assert call.get("/orders?status=pending", "alice").json["items"] == []


def test_fifty_cancels_at_once_give_the_units_back_once(call: Calls) -> None:
    item = call.create()
    order = call.bought(item["id"], quantity=4)
    start = threading.Barrier(20)

    def cancel() -> int:
        start.wait()
        return Calls(call.app).post(f"/orders/{order['order_no']}/cancel", "alice").status_code

    with ThreadPoolExecutor(20) as threads:
        answers = sorted(future.result() for future in [threads.submit(cancel) for _ in range(20)])
    assert answers == [200] + [409] * 19
    assert stock(call, item["id"]) == (10, 0)


def test_a_cancel_takes_no_fields(sqlite_call: Calls) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    answer = sqlite_call.post(f"/orders/{order['order_no']}/cancel", "alice", json={"status": "paid"})
    problem(answer, 422, "validation_failed")
    assert sqlite_call.get(f"/orders/{order['order_no']}", "alice").json == order


def test_the_list_has_a_buyer_s_own_orders_newest_first_and_an_administrator_s_has_all(call: Calls) -> None:
    item = call.create()
    mine = [call.bought(item["id"]) for _ in range(3)]
    theirs = call.bought(item["id"], "bob")
    assert call.get("/orders", "alice").json["items"] == mine[::-1]
    assert call.get("/orders", "bob").json["items"] == [theirs]
    assert call.get("/orders", "carol").json == {"items": [], "next_cursor": None}
    assert call.get("/orders", OPERATOR).json["items"] == [theirs, *mine[::-1]]
    assert call.get("/orders?user_id=alice", OPERATOR).json["items"] == mine[::-1]
    assert call.get("/orders?sort=purchased_at", "alice").json["items"] == mine


def test_a_buyer_cannot_ask_for_another_s_orders(sqlite_call: Calls) -> None:
    for user in ("bob", "alice"):
        answer = sqlite_call.get(f"/orders?user_id={user}", "alice")
        problem(answer, 422, "validation_failed")


def test_orders_are_filtered_by_item_and_by_status(call: Calls) -> None:
    first, second = call.create(), call.create()
    one, two = call.bought(first["id"]), call.bought(second["id"])
    cancelled = call.post(f"/orders/{two['order_no']}/cancel", "alice").json
    assert call.get(f"/orders?goods_id={first['id']}", "alice").json["items"] == [one]
    assert call.get("/orders?status=pending", "alice").json["items"] == [one]
    assert call.get("/orders?status=cancelled", "alice").json["items"] == [cancelled]
    assert call.get(f"/orders?status=pending&goods_id={second['id']}", "alice").json["items"] == []
    assert call.get("/orders?status=paid", OPERATOR).json["items"] == []
