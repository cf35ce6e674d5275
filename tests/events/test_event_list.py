"""`GET /events`: what happened, listed in order, whole, and as it was."""

import pytest

from core.events.event_log import as_object, find_all
from core.events.sequencer import number
from tests.resources.calls import OPERATOR, Calls, wrong_fields


def events(call: Calls, query: str = "limit=100") -> list[dict]:
    answer = call.get(f"/events?{query}", OPERATOR)
    assert answer.status_code == 200, answer.text
    return answer.json["items"]


def listed(call: Calls) -> list[tuple[str, str | None]]:
    return [(event["type"], event["order_no"]) for event in events(call)]


def test_before_anything_happens_there_is_nothing(call: Calls) -> None:
    call.create()
    assert call.get("/events", OPERATOR).json == {"items": [], "next_cursor": None}


def test_purchases_and_cancellations_are_told_with_what_they_did_to_the_stock(call: Calls) -> None:
    item = call.create(stock=2)
    first, second = call.bought(item["id"], "alice"), call.bought(item["id"], "bob")
    call.post(f"/orders/{first['order_no']}/cancel", "alice")
    third = call.bought(item["id"], "carol")
    assert listed(call) == [
        ("order.placed", first["order_no"]),
        ("order.placed", second["order_no"]),
        ("goods.sold_out", None),
        ("order.cancelled", first["order_no"]),
        ("goods.restocked", None),
        ("order.placed", third["order_no"]),
        ("goods.sold_out", None),
    ]
    assert {event["goods_id"] for event in events(call)} == {item["id"]}


def test_a_refusal_happened_to_nobody(call: Calls) -> None:
    item = call.create(stock=1, per_user_limit=1)
    call.bought(item["id"])
    before = listed(call)
    call.buy(item["id"])
    call.buy(item["id"], "bob")
    call.post(f"/orders/{'0' * 32}/cancel", "alice")
    assert listed(call) == before


def test_an_order_s_event_has_what_never_changes_of_it_and_no_address(call: Calls) -> None:
    item = call.create(name="键盘", stock=5)
    order = call.bought(item["id"], quantity=2)
    call.patch(f"/goods/{item['id']}", json={"price": 1, "name": "other"})
    (event,) = events(call)
    assert event == {
        "seq": event["seq"],
        "id": f"evt_{event['seq']}",
        "type": "order.placed",
        "occurred_at": order["purchased_at"],
        "goods_id": item["id"],
        "order_no": order["order_no"],
        "data": {
            name: order[name]
            for name in (
                *("order_no", "goods_id", "user_id", "quantity", "currency", "unit_price"),
                *("subtotal", "discount", "shipping_fee", "total", "coupon_code"),
            )
        },
    }


def test_an_item_s_event_names_it(call: Calls) -> None:
    item = call.create(name="键盘", stock=1)
    call.bought(item["id"])
    assert events(call)[-1]["data"] == {"goods_id": item["id"], "name": "键盘"}


def test_pages_follow_one_another_without_a_gap_and_end_with_null(call: Calls) -> None:
    item = call.create(stock=100)
    numbers = [call.bought(item["id"], f"user-{n}")["order_no"] for n in range(7)]
    found: list[dict] = []
    cursor = "0"
    while cursor is not None:
        page = call.get(f"/events?after={cursor}&limit=3", OPERATOR).json
        assert page["next_cursor"] in (None, str(page["items"][-1]["seq"]))
        found += page["items"]
        cursor = page["next_cursor"]
    assert [event["order_no"] for event in found] == numbers
    assert [event["seq"] for event in found] == sorted({event["seq"] for event in found})
    # `cursor` is another name for it.
    assert events(call, f"cursor={found[2]['seq']}&limit=100") == found[3:]


def test_a_puller_goes_on_from_its_last_number(call: Calls) -> None:
    item = call.create(stock=100)
    call.bought(item["id"])
    last = events(call)[-1]["seq"]
    assert events(call, f"after={last}") == []
    order = call.bought(item["id"], "bob")
    assert [event["order_no"] for event in events(call, f"after={last}")] == [order["order_no"]]


def test_more_rows_than_are_numbered_at_once_come_in_order(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.events.sequencer.ROWS_AT_ONCE", 3)
    item = call.create(stock=100)
    numbers = [call.bought(item["id"], f"user-{n}")["order_no"] for n in range(8)]
    assert number(call.services.database, 60) == 8
    assert [event["order_no"] for event in events(call)] == numbers


def test_events_are_found_by_their_numbers(call: Calls) -> None:
    item = call.create(stock=100)
    call.bought(item["id"])
    (event,) = events(call)
    found = find_all(call.services.database, [event["seq"], 999])
    assert {seq: as_object(row) for seq, row in found.items()} == {event["seq"]: event}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after=", "after"),
        (f"after={2**63}", "after"),
        (f"after={'1' * 40}", "after"),
        ("after=1&after=2", "after"),
        ("cursor=made-up", "cursor"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("sort=seq", "sort"),
        ("type=order.placed", "type"),
    ],
)
def test_a_query_that_is_not_understood_is_a_422_that_names_it(sqlite_call: Calls, query: str, field: str) -> None:
    assert set(wrong_fields(sqlite_call.get(f"/events?{query}", OPERATOR))) == {field}


def test_the_largest_number_there_can_be_is_behind_all(sqlite_call: Calls) -> None:
    sqlite_call.bought(sqlite_call.create()["id"])
    assert events(sqlite_call, f"after={2**63 - 1}") == []
