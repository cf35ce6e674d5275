"""The history of an item: who changed what, when, from what to what."""

from tests.resources.calls import OPERATOR, Calls, problem


def history(call: Calls, goods_id: int) -> list[dict]:
    answer = call.get(f"/goods/{goods_id}/changes", OPERATOR)
    assert answer.status_code == 200
    assert answer.json["next_cursor"] is None
    return answer.json["items"]


def test_a_creation_tells_every_field_that_was_set(call: Calls) -> None:
    item = call.create(name="键盘", starts_at="2026-11-23T12:00:00.000Z")
    (created,) = history(call, item["id"])
    assert created["action"] == "created"
    assert created["changed_by"] == OPERATOR
    assert created["goods_id"] == item["id"]
    assert created["version"] == 1
    assert created["changed_at"] >= item["created_at"]
    assert created["changes"]["name"] == {"from": None, "to": "键盘"}
    assert created["changes"]["stock"] == {"from": None, "to": 10}
    assert created["changes"]["starts_at"] == {"from": None, "to": "2026-11-23T12:00:00.000Z"}


def test_changes_are_told_newest_first_from_what_to_what(call: Calls) -> None:
    item = call.create(price=5)
    path = f"/goods/{item['id']}"
    call.patch(path, json={"price": 7, "name": "item", "ends_at": "2099-01-01T00:00:00.000Z"})
    call.bought(item["id"])
    call.patch(path, json={"stock_delta": -3})
    call.post(f"{path}/pause", OPERATOR)
    call.post(f"{path}/resume", OPERATOR)
    rows = history(call, item["id"])
    assert [(row["version"], row["action"]) for row in rows] == [
        (5, "resumed"),
        (4, "paused"),
        (3, "updated"),
        (2, "updated"),
        (1, "created"),
    ]
    resumed, paused, withdrawn, repriced, _ = (row["changes"] for row in rows)
    assert resumed == {"paused": {"from": True, "to": False}}
    assert paused == {"paused": {"from": False, "to": True}}
    assert withdrawn == {"stock": {"from": 9, "to": 6}}
    # What was given but is as before is no change.
    assert repriced == {"price": {"from": 5, "to": 7}, "ends_at": {"from": None, "to": "2099-01-01T00:00:00.000Z"}}


def test_what_failed_or_changed_nothing_leaves_no_row(call: Calls) -> None:
    item = call.create(stock=1)
    path = f"/goods/{item['id']}"
    problem(call.patch(path, json={"stock_delta": -2}), 409, "stock_conflict")
    problem(call.patch(path, json={"price": 3}, headers={"If-Match": '"9"'}), 412, "version_mismatch")
    assert call.patch(path, json={"price": item["price"]}).status_code == 200
    assert call.post(f"{path}/resume", OPERATOR).status_code == 200
    call.bought(item["id"])
    assert [row["action"] for row in history(call, item["id"])] == ["created"]


def test_each_item_has_a_history_of_its_own(call: Calls) -> None:
    first, second = call.create(name="one"), call.create(name="two")
    call.patch(f"/goods/{first['id']}", json={"price": 1})
    assert len(history(call, first["id"])) == 2
    assert len(history(call, second["id"])) == 1


def test_the_history_of_an_item_that_is_not_there_is_not_found(call: Calls) -> None:
    problem(call.get("/goods/999/changes", OPERATOR), 404, "goods_not_found")


def test_the_history_of_a_deleted_item_is_kept_but_not_shown(call: Calls) -> None:
    item = call.create(name="short-lived")
    assert call.delete(f"/goods/{item['id']}").status_code == 204
    problem(call.get(f"/goods/{item['id']}/changes", OPERATOR), 404, "goods_not_found")
    assert call.row_counts()[1] == 2
