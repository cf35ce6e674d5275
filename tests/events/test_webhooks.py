"""`/webhooks`: subscriptions as administrators keep them, and their logs."""

import base64
import json
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from core.db.clock import Deadline
from core.events import webhooks
from core.events.publisher import Publisher
from harness.receiver import Receiver, status
from tests.resources.calls import OPERATOR, Calls, problem, wrong_fields

URL = "https://93.184.216.34/hooks"


def log(call: Calls, webhook_id: int, query: str = "") -> list[dict]:
    answer = call.get(f"/webhooks/{webhook_id}/deliveries{query}", OPERATOR)
    assert answer.status_code == 200, answer.text
    return answer.json["items"]


def test_a_subscription_s_secret_is_shown_once(call: Calls) -> None:
    answer = call.post("/webhooks", OPERATOR, json={"url": URL})
    assert answer.status_code == 201
    made = answer.json
    assert answer.headers["Location"] == f"/webhooks/{made['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Cache-Control"] == "no-store"
    prefix, _, key = made.pop("secret").partition("_")
    assert (prefix, len(base64.b64decode(key, validate=True))) == ("whsec", 32)
    assert (made["url"], made["types"], made["active"], made["version"]) == (URL, None, True, 1)
    for answer in (
        call.get(f"/webhooks/{made['id']}", OPERATOR),
        call.patch(f"/webhooks/{made['id']}", json={}),
    ):
        assert answer.json == made
    assert call.get("/webhooks", OPERATOR).json == {"items": [made], "next_cursor": None}


def test_every_subscription_has_a_secret_of_its_own(call: Calls) -> None:
    assert len({call.create_webhook()["secret"] for _ in range(5)}) == 5


def test_a_subscription_that_the_caller_has_is_not_sent_again(call: Calls) -> None:
    path = f"/webhooks/{call.create_webhook()['id']}"
    etag = call.get(path, OPERATOR).headers["ETag"]
    assert etag == '"1"'
    answer = call.get(path, OPERATOR, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data) == (304, b"")
    call.patch(path, json={"active": False})
    assert call.get(path, OPERATOR, headers={"If-None-Match": etag}).status_code == 200


def test_a_subscription_is_changed_and_its_version_counts(call: Calls) -> None:
    made = call.create_webhook(types=["order.paid"])
    path = f"/webhooks/{made['id']}"
    changed = call.patch(path, json={"active": False, "types": None, "url": f"{URL}/2"}, headers={"If-Match": '"1"'})
    assert changed.status_code == 200
    assert changed.headers["ETag"] == '"2"'
    expected = {"active": False, "types": None, "url": f"{URL}/2", "version": 2}
    assert {name: changed.json[name] for name in expected} == expected
    assert call.patch(path, json={"active": False}).json["version"] == 2
    problem(call.patch(path, json={"active": True}, headers={"If-Match": '"1"'}), 412, "version_mismatch")
    problem(call.delete(path, headers={"If-Match": '"1"'}), 412, "version_mismatch")
    assert call.delete(path, headers={"If-Match": '"2"'}).status_code == 204
    problem(call.get(path, OPERATOR), 404, "not_found")
    assert call.get("/webhooks", OPERATOR).json["items"] == []


@pytest.mark.parametrize("key", ["999", "0", "-1", "1.0", "x", "9" * 19, "1" * 40])
def test_what_is_not_there_is_not_found(sqlite_call: Calls, key: str) -> None:
    made = sqlite_call.create_webhook()
    for method, path in [
        ("GET", f"/webhooks/{key}"),
        ("PATCH", f"/webhooks/{key}"),
        ("DELETE", f"/webhooks/{key}"),
        ("GET", f"/webhooks/{key}/deliveries"),
        ("POST", f"/webhooks/{key}/deliveries/1/retry"),
        ("POST", f"/webhooks/{made['id']}/deliveries/{key}/retry"),
    ]:
        options = {"json": {}} if method in ("PATCH", "POST") else {}
        problem(sqlite_call.send(method, path, OPERATOR, **options), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"url": "missing"}),
        ({"url": None}, {"url": "wrong_type"}),
        ({"url": 1}, {"url": "wrong_type"}),
        ({"url": ""}, {"url": "too_short"}),
        ({"url": f"https://shop.example/{'x' * 2000}"}, {"url": "too_long"}),
        ({"url": "shop.example"}, {"url": "invalid_format"}),
        ({"url": "https://user:pass@shop.example/"}, {"url": "invalid_format"}),
        ({"url": "http://93.184.216.34/"}, {"url": "forbidden_target"}),
        ({"url": "https://127.0.0.1/"}, {"url": "forbidden_target"}),
        ({"url": "https://[::ffff:10.0.0.1]/"}, {"url": "forbidden_target"}),
        ({"url": "https://localhost:8000/"}, {"url": "forbidden_target"}),
        ({"url": URL, "types": []}, {"types": "too_short"}),
        ({"url": URL, "types": ["order.placed"] * 2}, {"types": "repeated"}),
        ({"url": URL, "types": ["order.made"]}, {"types.0": "invalid_value"}),
        ({"url": URL, "types": "order.placed"}, {"types": "wrong_type"}),
        ({"url": URL, "active": None}, {"active": "wrong_type"}),
        ({"url": URL, "active": 1}, {"active": "wrong_type"}),
        ({"url": URL, "secret": "whsec_x"}, {"secret": "unknown_field"}),
        ({"url": URL, "version": 3}, {"version": "unknown_field"}),
        ({"url": URL, "after_seq": 0}, {"after_seq": "unknown_field"}),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_made_or_changed(sqlite_call: Calls, body: dict, expected: dict) -> None:
    made = sqlite_call.create_webhook()
    made.pop("secret")
    assert wrong_fields(sqlite_call.post("/webhooks", OPERATOR, json=body)) == expected
    if body:
        assert wrong_fields(sqlite_call.patch(f"/webhooks/{made['id']}", json=body)) == expected
    assert sqlite_call.get("/webhooks", OPERATOR).json["items"] == [made]


def test_there_is_an_end_to_subscriptions(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST", 3)
    for _ in range(3):
        call.create_webhook()
    assert wrong_fields(call.post("/webhooks", OPERATOR, json={"url": URL})) == {"url": "too_many"}
    assert call.delete("/webhooks/2").status_code == 204
    call.create_webhook()


def test_the_list_comes_in_pages_and_by_whether_they_are_active(call: Calls) -> None:
    for number in range(5):
        call.create_webhook(active=number % 2 == 0)
    first = call.get("/webhooks?limit=3", OPERATOR).json
    rest = call.get(f"/webhooks?limit=3&cursor={first['next_cursor']}", OPERATOR).json
    assert [item["id"] for item in first["items"] + rest["items"]] == [1, 2, 3, 4, 5]
    assert rest["next_cursor"] is None
    assert [item["id"] for item in call.get("/webhooks?active=false", OPERATOR).json["items"]] == [2, 4]
    assert wrong_fields(call.get(f"/webhooks?active=false&cursor={first['next_cursor']}", OPERATOR)) == {
        "cursor": "invalid_cursor"
    }


def test_a_log_tells_each_event_newest_first_and_by_its_status(
    private_call: Calls, publisher: Publisher, receiver: Receiver
) -> None:
    hook, other = (private_call.create_webhook(receiver.url)["id"] for _ in range(2))
    item = private_call.create(stock=2)
    order = private_call.bought(item["id"])
    assert log(private_call, hook) == []
    publisher.turn()
    publisher.finish()
    receiver.act = status(500)
    private_call.post(f"/orders/{order['order_no']}/cancel", "alice")
    publisher.turn()
    publisher.finish()
    failed, delivered = log(private_call, hook)
    assert delivered == {
        "id": delivered["id"],
        "event_id": "evt_1",
        "type": "order.placed",
        "status": "delivered",
        "attempts": 1,
        "last_status": 204,
        "last_error": None,
        "created_at": delivered["created_at"],
        "last_attempt_at": delivered["delivered_at"],
        "next_attempt_at": None,
        "delivered_at": delivered["delivered_at"],
    }
    columns = ("event_id", "type", "status", "attempts", "last_status", "last_error", "delivered_at")
    assert [failed[name] for name in columns] == ["evt_2", "order.cancelled", "pending", 1, 500, "status", None]
    assert failed["next_attempt_at"] > failed["last_attempt_at"] >= failed["created_at"]
    assert log(private_call, hook, "?status=delivered") == [delivered]
    assert log(private_call, hook, "?status=failed") == []
    page = private_call.get(f"/webhooks/{hook}/deliveries?limit=1", OPERATOR).json
    assert page["items"] == [failed]
    assert log(private_call, hook, f"?limit=1&cursor={page['next_cursor']}") == [delivered]
    # A cursor leads on in its own log alone.
    answer = private_call.get(f"/webhooks/{other}/deliveries?cursor={page['next_cursor']}", OPERATOR)
    assert wrong_fields(answer) == {"cursor": "invalid_cursor"}
    assert wrong_fields(private_call.get(f"/webhooks/{hook}/deliveries?status=lost", OPERATOR)) == {
        "status": "invalid_value"
    }


def test_a_delivery_is_sent_once_more_when_somebody_asks(
    private_call: Calls, publisher: Publisher, receiver: Receiver
) -> None:
    hook, other = (private_call.create_webhook(receiver.url, types=["order.placed"])["id"] for _ in range(2))
    private_call.bought(private_call.create()["id"])
    publisher.turn()
    publisher.finish()
    (delivered,) = log(private_call, hook)
    path = f"/webhooks/{hook}/deliveries/{delivered['id']}/retry"
    assert private_call.post(path, OPERATOR).json["status"] == "pending"
    publisher.turn()
    publisher.finish()
    assert receiver.ids == ["evt_1"] * 3
    assert log(private_call, hook)[0]["attempts"] == 2
    problem(private_call.post(path.replace(f"/{hook}/", f"/{other}/", 1), OPERATOR), 404, "not_found")


def test_the_log_goes_with_the_subscription(
    private_call: Calls, publisher: Publisher, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "DELETED_AT_ONCE", 2)
    hook, other = (private_call.create_webhook(receiver.url)["id"] for _ in range(2))
    item = private_call.create(stock=100)
    for number in range(5):
        private_call.bought(item["id"], f"user-{number}")
    publisher.turn()
    publisher.finish()
    assert private_call.delete(f"/webhooks/{hook}").status_code == 204
    # At once, however long its log: no row of that is touched in the request.
    assert stored_deliveries(private_call) == 10
    problem(private_call.get(f"/webhooks/{hook}/deliveries", OPERATOR), 404, "not_found")
    publisher.turn()
    assert stored_deliveries(private_call) == 5
    assert len(log(private_call, other)) == 5
    assert not webhooks.delete_removed_logs(private_call.services.database)


def stored_deliveries(call: Calls) -> int:
    with call.services.database.reading() as connection:
        return connection.exec_driver_sql("SELECT COUNT(*) FROM webhook_deliveries").scalar()


def signed_with(request: Any, *secrets: str) -> list[bool]:
    """Which of the secrets the request's signature holds for."""

    def holds(secret: str) -> bool:
        try:
            Verifier(secret).verify(request.body, request.headers)
        except WebhookVerificationError:
            return False
        return True

    return [holds(secret) for secret in secrets]


def test_while_a_secret_is_replaced_both_sign(private_call: Calls, publisher: Publisher, receiver: Receiver) -> None:
    made = private_call.create_webhook(receiver.url)
    path = f"/webhooks/{made['id']}"
    item = private_call.create(stock=100)["id"]

    def next_call() -> Any:
        private_call.bought(item)
        publisher.turn()
        publisher.finish()
        return receiver.received[-1]

    answer = private_call.post(f"{path}/secret", OPERATOR, json={"keep_hours": 1}, headers={"If-Match": '"1"'})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    first, second = made["secret"], answer.json["secret"]
    assert first != second
    assert answer.json["old_secret_ends_at"] is not None
    assert {"secret", "old_secret"} & private_call.get(path, OPERATOR).json.keys() == set()
    assert signed_with(next_call(), first, second) == [True, True]
    # The hour is over.
    with private_call.services.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE webhooks SET old_secret_ends_at = '2001-01-01 00:00:00.000'")
    assert signed_with(next_call(), first, second) == [False, True]
    # Without a change-over: a secret that others have seen ends at once.
    third = private_call.post(f"{path}/secret", OPERATOR, json={"keep_hours": 0}).json
    assert third["old_secret_ends_at"] is None
    assert signed_with(next_call(), first, second, third["secret"]) == [False, False, True]
    fourth = private_call.post(f"{path}/secret", OPERATOR).json["secret"]
    assert signed_with(next_call(), second, third["secret"], fourth) == [False, True, True]


def test_a_rotation_is_checked_like_any_change(call: Calls) -> None:
    path = f"/webhooks/{call.create_webhook()['id']}/secret"
    problem(call.post(path, OPERATOR, headers={"If-Match": '"7"'}), 412, "version_mismatch")
    assert wrong_fields(call.post(path, OPERATOR, json={"keep_hours": 169})) == {"keep_hours": "out_of_range"}
    problem(call.post("/webhooks/999/secret", OPERATOR), 404, "not_found")
    problem(call.post(path, "alice"), 403, "forbidden")


def test_a_subscription_over_a_long_backlog_is_sent_nothing_of_it(
    private_call: Calls, publisher: Publisher, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.events.sequencer.ROWS_AT_ONCE", 2)
    monkeypatch.setattr("core.events.event_log.ROWS_AT_ONCE", 2)
    item = private_call.create(stock=100)["id"]
    for number in range(9):
        private_call.bought(item, f"before-{number}")
    private_call.create_webhook(receiver.url)
    after = private_call.bought(item, "after")["order_no"]
    while publisher.turn():
        pass
    publisher.finish()
    assert [json.loads(request.body)["order_no"] for request in receiver.received] == [after]


def test_where_the_backlog_is_too_long_to_number_in_time_nobody_is_subscribed(
    private_call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = private_call.create(stock=100)["id"]
    for number in range(9):
        private_call.bought(item, f"before-{number}")
    monkeypatch.setattr("core.events.sequencer.ROWS_AT_ONCE", 2)
    monkeypatch.setattr("core.events.event_log.ROWS_AT_ONCE", 2)
    monkeypatch.setattr("core.events.event_log.deadline_of_request", lambda seconds: Passing())
    answer = private_call.post("/webhooks", OPERATOR, json={"url": "https://93.184.216.34/hooks"})
    problem(answer, 503, "busy")
    assert private_call.get("/webhooks", OPERATOR).json["items"] == []


class Passing(Deadline):
    """A deadline that is over when one transaction has been made."""

    checks = 0

    def __init__(self) -> None:
        super().__init__(20)

    passed = property(lambda self: self.count_checks() > 1)

    def count_checks(self) -> int:
        self.checks += 1
        return self.checks
