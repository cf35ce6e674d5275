"""`/payments/webhook`: who proves to be the payment provider, and what it may tell."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

import config
from app import create_app
from examples.payment_provider import Event, Provider, new_secret
from examples.payment_provider.provider import SUCCEEDED
from harness.database_server import free_port
from harness.service import SECRET
from tests.resources.calls import OPERATOR, Calls, problem, wrong_fields
from tests.resources.whole_database import rows

PATH = "/payments/webhook"
JSON = "application/json"
KEY, EARLIER, FOREIGN = new_secret(), new_secret(), new_secret()
ID = "evt_1"
MINUTES = 60


def provider(secret: str = KEY) -> Provider:
    return Provider("http://127.0.0.1/", secret)


def headers(body: bytes, event_id: str = ID, age: float = 0, secret: str = KEY) -> dict[str, str]:
    """What proves `body`, signed `age` seconds ago."""
    signed_at = datetime.now(timezone.utc) - timedelta(seconds=age)
    return provider(secret).signature_headers(event_id, body, signed_at)


@pytest.fixture
def app(make_app: Callable[..., Flask], database_uri: str) -> Flask:
    return make_app(database_uri, PAYMENT_WEBHOOK_SECRETS=(EARLIER, KEY), DEBUG=False)


@pytest.fixture
def sqlite_app(make_app: Callable[..., Flask], sqlite_uri: str) -> Flask:
    return make_app(sqlite_uri, PAYMENT_WEBHOOK_SECRETS=(EARLIER, KEY))


def event_of(order: dict[str, Any], **changed: Any) -> Event:
    return Event(SUCCEEDED, order["order_no"], order["total"], order["currency"], "pay_1", ID, **changed)


def send_event(call: Calls, body: bytes, signed: dict[str, str], content_type: str = JSON) -> TestResponse:
    return call.post(PATH, data=body, headers=signed, content_type=content_type)


def report_payment(call: Calls, order: dict[str, Any], **changed: Any) -> TestResponse:
    """A signed event, of which data or whole fields are changed."""
    data = {"order_no": order["order_no"], "amount": order["total"], "currency": "CNY", "payment_id": "pay_1"}
    value = {"type": SUCCEEDED, "data": data | changed.pop("data", {}), **changed}
    body = json.dumps(value).encode()
    return send_event(call, body, headers(body))


def status(call: Calls, order: dict[str, Any]) -> str:
    return call.get(f"/orders/{order['order_no']}", OPERATOR).json["status"]


def test_a_signed_event_pays_the_order_and_is_listed(call: Calls) -> None:
    order = call.bought(call.create()["id"])
    body = event_of(order).body
    for _ in range(3):
        answer = send_event(call, body, headers(body))
        assert (answer.status_code, answer.json) == (200, {"event_id": ID, "outcome": "paid"})
    paid = call.get(f"/orders/{order['order_no']}", "alice").json
    assert paid == {**order, "status": "paid", "paid_at": paid["paid_at"]}
    (listed,) = call.get("/payments", OPERATOR).json["items"]
    assert listed == {
        "id": listed["id"],
        "event_id": ID,
        "type": SUCCEEDED,
        "order_no": order["order_no"],
        "payment_id": "pay_1",
        "amount": 100,
        "currency": "CNY",
        "outcome": "paid",
        "received_at": listed["received_at"],
        **dict.fromkeys(("resolution", "note", "resolved_at", "resolved_by")),
    }
    assert call.goods(order["goods_id"])["sold"] == 1


def _hmac(secret: str, event_id: str, timestamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def test_a_signature_made_by_hand_as_the_specification_has_it_is_good(sqlite_call: Calls) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    data = f'{{"order_no":"{order["order_no"]}","amount":100,"currency":"CNY","payment_id":"p","more":{{}}}}'
    body = f'{{ "type":"payment.succeeded","timestamp":"…","data":{data}}}\n'.encode()
    now = str(int(time.time()))
    signed = {"webhook-id": ID, "webhook-timestamp": now, "webhook-signature": f"v1,{_hmac(KEY, ID, now, body)}"}
    assert send_event(sqlite_call, body, signed).json["outcome"] == "paid"


def _changed(name: str, change: Callable[[str], str]) -> Callable[[bytes], tuple[bytes, dict[str, str]]]:
    """A call whose header `name` was changed after it was signed."""

    def make(body: bytes) -> tuple[bytes, dict[str, str]]:
        signed = headers(body)
        return body, {**signed, name: change(signed[name])}

    return make


def _without(name: str) -> Callable[[bytes], tuple[bytes, dict[str, str]]]:
    return lambda body: (body, {key: value for key, value in headers(body).items() if key != name})


def _signed_for(event_id: str) -> Callable[[bytes], tuple[bytes, dict[str, str]]]:
    """A call that is signed as it should be, under an id that is none."""
    return lambda body: (body, headers(body, event_id))


def _at(write: Callable[[int], str]) -> Callable[[bytes], tuple[bytes, dict[str, str]]]:
    """A call whose timestamp is written in another way, and signed as it is written."""

    def make(body: bytes) -> tuple[bytes, dict[str, str]]:
        stamp = write(int(time.time()))
        signed = {"webhook-id": ID, "webhook-timestamp": stamp}
        return body, {**signed, "webhook-signature": f"v1,{_hmac(KEY, ID, stamp, body)}"}

    return make


def _flipped(body: bytes) -> bytes:
    return body[:-3] + bytes([body[-3] ^ 1]) + body[-2:]


_SIGNATURE = "webhook-signature"
UNPROVEN: dict[str, Callable[[bytes], tuple[bytes, dict[str, str]]]] = {
    "nothing": lambda body: (body, {}),
    "an altered byte": lambda body: (_flipped(body), headers(body)),
    "a byte more": lambda body: (body + b" ", headers(body)),
    "a byte less": lambda body: (body[:-1], headers(body)),
    "another amount": lambda body: (body.replace(b"100", b"001"), headers(body)),
    "reserialised": lambda body: (json.dumps(json.loads(body), separators=(",", ":")).encode(), headers(body)),
    "other order of fields": lambda body: (json.dumps(json.loads(body), sort_keys=True).encode(), headers(body)),
    "no body": lambda body: (b"", headers(body)),
    "not UTF-8": lambda body: (b"\xff" + body, headers(body)),
    "stale": lambda body: (body, headers(body, age=5 * MINUTES + 20)),
    "very old": lambda body: (body, headers(body, age=25 * 365 * 24 * 60 * MINUTES)),
    "from the future": lambda body: (body, headers(body, age=-5 * MINUTES - 20)),
    "an hour ahead": lambda body: (body, headers(body, age=-60 * MINUTES)),
    "another time": _changed("webhook-timestamp", lambda stamp: str(int(stamp) - 1)),
    "a time with spaces": _at(lambda now: f" {now} "),
    "a time with a sign": _at(lambda now: f"+{now}"),
    "a time with a zero": _at(lambda now: f"0{now}"),
    "a time with a fraction": _at(lambda now: f"{now}.0"),
    "a time in milliseconds": _at(lambda now: f"{now}000"),
    "a time in words": _at(lambda now: "now"),
    "a time that is not a number": _at(lambda now: "nan"),
    "a time without end": _at(lambda now: "9" * 400),
    "no time": _without("webhook-timestamp"),
    "no id": _without("webhook-id"),
    "an empty id": _signed_for(""),
    "an id too long": _signed_for("x" * 256),
    "an id with a space": _signed_for("a b"),
    "another id": _changed("webhook-id", lambda event_id: "evt_2"),
    "no signature": _without(_SIGNATURE),
    "an empty signature": _changed(_SIGNATURE, lambda given: ""),
    "a signature without its version": _changed(_SIGNATURE, lambda given: given.removeprefix("v1,")),
    "a version without its signature": _changed(_SIGNATURE, lambda given: "v1,"),
    "the version alone": _changed(_SIGNATURE, lambda given: "v1"),
    "v1a alone": _changed(_SIGNATURE, lambda given: given.replace("v1,", "v1a,")),
    "v2": _changed(_SIGNATURE, lambda given: given.replace("v1,", "v2,")),
    "a signature cut off": _changed(_SIGNATURE, lambda given: given[:-2]),
    "a signature and more": _changed(_SIGNATURE, lambda given: f"{given}A"),
    "separated by a comma": _changed(_SIGNATURE, lambda given: f"v1,AAAA,{given}"),
    "no base64": _changed(_SIGNATURE, lambda given: "v1,\u00e9\u00e9\u00e9"),
    "a wrong secret": lambda body: (body, headers(body, secret=FOREIGN)),
    "the secret as text": lambda body: (
        body,
        headers(body, secret=f"whsec_{base64.b64encode(KEY.encode()).decode()}"),
    ),
}


@pytest.mark.parametrize("make", UNPROVEN.values(), ids=UNPROVEN.keys())
def test_what_proves_nothing_changes_nothing(
    sqlite_call: Calls, make: Callable[[bytes], tuple[bytes, dict[str, str]]]
) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    before = rows(sqlite_call.services.database.engine)
    body, signed = make(event_of(order).body)
    answer = send_event(sqlite_call, body, signed)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "StandardWebhooks"
    assert rows(sqlite_call.services.database.engine) == before


def test_nothing_is_proven_to_a_service_on_a_server_either(make_app: Callable[..., Flask], server_uri: str) -> None:
    call = Calls(make_app(server_uri, PAYMENT_WEBHOOK_SECRETS=(KEY,)))
    order = call.bought(call.create()["id"])
    before = rows(call.services.database.engine)
    for make in UNPROVEN.values():
        problem(send_event(call, *make(event_of(order).body)), 401, "unauthenticated")
    assert rows(call.services.database.engine) == before
    body = event_of(order).body
    assert send_event(call, body, headers(body)).json["outcome"] == "paid"


@pytest.mark.parametrize("age", [4 * MINUTES + 40, -4 * MINUTES - 40])
def test_five_minutes_are_tolerated_either_way(call: Calls, age: int) -> None:
    order = call.bought(call.create()["id"])
    body = event_of(order).body
    assert send_event(call, body, headers(body, age=age)).json["outcome"] == "paid"


@pytest.mark.parametrize("secret", [KEY, EARLIER], ids=["the new one", "the earlier one"])
def test_any_of_the_secrets_proves_it_while_one_is_replaced(sqlite_call: Calls, secret: str) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    body = event_of(order).body
    assert send_event(sqlite_call, body, headers(body, secret=secret)).json["outcome"] == "paid"


def test_one_good_signature_of_several_is_enough(sqlite_call: Calls) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    body = event_of(order).body
    bad = headers(body, secret=FOREIGN)[_SIGNATURE]
    signed = headers(body)
    given = f"v1a,AAAA {bad} {signed[_SIGNATURE]} v1,"
    assert send_event(sqlite_call, body, {**signed, _SIGNATURE: given}).json["outcome"] == "paid"


@pytest.mark.parametrize(
    "changed",
    [{"timestamp": "2026-11-23T12:00:00Z"}, {"data": {"customer": {"name": "张三"}, "fee": 1.5}}, {"id": None}],
)
def test_a_provider_may_add_fields_of_its_own(sqlite_call: Calls, changed: dict[str, Any]) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    assert report_payment(sqlite_call, order, **changed).json["outcome"] == "paid"


@pytest.mark.parametrize("data", [{}, None, [], "x", {"order_no": 5}, {"amount": -1}])
def test_events_of_other_types_are_taken_and_ignored(sqlite_call: Calls, data: Any) -> None:
    sqlite_call.bought(sqlite_call.create()["id"])
    before = rows(sqlite_call.services.database.engine)
    body = json.dumps({"type": "payment.disputed", "data": data}).encode()
    answer = send_event(sqlite_call, body, headers(body))
    assert (answer.status_code, answer.json) == (200, {"event_id": ID, "outcome": "ignored"})
    assert rows(sqlite_call.services.database.engine) == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b'{"type": 1, "type": 2}', b'{"type": NaN}'])
def test_what_is_signed_and_no_json_object_is_malformed(sqlite_call: Calls, body: bytes) -> None:
    problem(send_event(sqlite_call, body, headers(body)), 400, "malformed_json")


NEEDED = {"order_no", "amount", "currency", "payment_id"}


@pytest.mark.parametrize("name", sorted(NEEDED))
@pytest.mark.parametrize("value", [None, True, [], {}, 1.5, "", "a b", "x" * 256, "é"])
def test_a_wrong_field_is_refused_by_its_name(sqlite_call: Calls, name: str, value: Any) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    before = rows(sqlite_call.services.database.engine)
    assert set(wrong_fields(report_payment(sqlite_call, order, data={name: value}))) == {f"data.{name}"}
    assert rows(sqlite_call.services.database.engine) == before


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({}, {"type": "missing", "data": "missing"}),
        ({"type": SUCCEEDED}, {"data": "missing"}),
        ({"type": SUCCEEDED, "data": None}, {"data": "missing"}),
        ({"type": SUCCEEDED, "data": []}, {"data": "wrong_type"}),
        ({"type": SUCCEEDED, "data": {}}, {f"data.{name}": "missing" for name in NEEDED}),
        ({"type": None, "data": {}}, {"type": "wrong_type"} | {f"data.{name}": "missing" for name in NEEDED}),
        ({"type": 7, "data": 7}, {"type": "wrong_type", "data": "wrong_type"}),
    ],
)
def test_all_missing_and_wrong_fields_are_listed_at_once(
    sqlite_call: Calls, value: dict[str, Any], wrong: dict[str, str]
) -> None:
    body = json.dumps(value).encode()
    assert wrong_fields(send_event(sqlite_call, body, headers(body))) == wrong


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount", -1),
        ("amount", 2**63),
        ("amount", "100"),
        ("currency", "cny"),
        ("currency", "CNYX"),
        ("order_no", "x" * 65),
    ],
)
def test_values_out_of_bounds_are_refused(sqlite_call: Calls, name: str, value: Any) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    assert set(wrong_fields(report_payment(sqlite_call, order, data={name: value}))) == {f"data.{name}"}


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"data": {"amount": 99}}, "mismatch"),
        ({"data": {"currency": "XYZ"}}, "mismatch"),
        ({"data": {"order_no": "nobody's"}}, "unknown_order"),
        ({"type": "payment.failed"}, "failed"),
    ],
)
def test_what_does_not_fit_is_taken_recorded_and_shown_to_the_operator(
    call: Calls, changed: dict[str, Any], outcome: str
) -> None:
    order = call.bought(call.create()["id"])
    answer = report_payment(call, order, **changed)
    assert (answer.status_code, answer.json["outcome"]) == (200, outcome)
    assert status(call, order) == "pending"
    (listed,) = call.get(f"/payments?outcome={outcome}", OPERATOR).json["items"]
    assert listed["event_id"] == ID
    assert call.get("/payments?outcome=paid", OPERATOR).json["items"] == []


LARGE = b" " * (64 * 1024 + 1)


def test_what_is_checked_first(sqlite_call: Calls) -> None:
    problem(sqlite_call.send("PUT", PATH, data=LARGE), 405, "method_not_allowed")
    problem(send_event(sqlite_call, LARGE, headers(LARGE), "text/plain"), 413, "body_too_large")
    problem(send_event(sqlite_call, LARGE, {}), 413, "body_too_large")
    problem(send_event(sqlite_call, b"{", headers(b"{"), "text/plain"), 415, "unsupported_media_type")
    problem(send_event(sqlite_call, b"{", {}), 401, "unauthenticated")
    problem(send_event(sqlite_call, b"{", headers(b"{", age=9999)), 401, "unauthenticated")
    problem(send_event(sqlite_call, b"{", headers(b"{")), 400, "malformed_json")
    problem(send_event(sqlite_call, b"{}", headers(b"{}")), 422, "validation_failed")


def test_a_body_of_just_the_bound_is_taken(sqlite_call: Calls) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    body = event_of(order).body.ljust(64 * 1024)
    assert send_event(sqlite_call, body, headers(body)).json["outcome"] == "paid"


@pytest.mark.parametrize("payment_provider", ["", "test", "webhook"])
def test_without_a_secret_there_is_no_such_route(
    make_app: Callable[..., Flask], sqlite_uri: str, payment_provider: str
) -> None:
    call = Calls(make_app(sqlite_uri, PAYMENT_PROVIDER=payment_provider))
    for body in (b"{}", LARGE):
        found = problem(send_event(call, body, headers(body)), 404, "not_found")
        assert "SECKILL_PAYMENT_WEBHOOK_SECRETS" in found["hint"]


@pytest.mark.parametrize("payment_provider", ["", "test", "webhook"])
def test_with_a_secret_it_is_open_whatever_the_provider(
    make_app: Callable[..., Flask], sqlite_uri: str, payment_provider: str
) -> None:
    call = Calls(make_app(sqlite_uri, PAYMENT_PROVIDER=payment_provider, PAYMENT_WEBHOOK_SECRETS=(KEY,)))
    order = call.bought(call.create()["id"])
    body = event_of(order).body
    assert send_event(call, body, headers(body)).json["outcome"] == "paid"


def test_a_bad_signature_is_refused_with_the_database_away() -> None:
    uri = f"mysql+mysqlconnector://root@127.0.0.1:{free_port()}/nowhere"
    settings = config.load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET, PAYMENT_WEBHOOK_SECRETS=(KEY,))
    call = Calls(create_app(settings))
    problem(send_event(call, b"{}", headers(b"{}", secret=FOREIGN)), 401, "unauthenticated")
    answer = send_event(call, b"{}", headers(b"{}"))
    problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.fixture
def limited(make_app: Callable[..., Flask], sqlite_uri: str) -> Calls:
    """An application that takes three requests a minute from an address."""
    limits = {"RATE_LIMITS": True, "RATE_LIMIT_PER_ADDRESS": "3/minute"}
    return Calls(make_app(sqlite_uri, PAYMENT_WEBHOOK_SECRETS=(EARLIER, KEY), **limits))


def test_what_the_provider_signed_is_never_limited(limited: Calls) -> None:
    body = b'{"type": "payment.created"}'
    for number in range(10):
        for secret in (KEY, EARLIER):
            assert send_event(limited, body, headers(body, f"evt_{number}", secret=secret)).status_code == 200
    assert [limited.get("/goods").status_code for _ in range(4)] == [200, 200, 200, 429]  # none of these was counted
    assert send_event(limited, body, headers(body)).status_code == 200


def send_event_from(number: str, call: Calls, body: bytes, signed: dict[str, str], path: str = PATH) -> TestResponse:
    there = {"REMOTE_ADDR": f"10.0.0.{number}"}
    return call.post(path, data=body, headers=signed, content_type=JSON, environ_overrides=there)


def test_calls_that_no_provider_signed_count_like_any(limited: Calls) -> None:
    body = b'{"type": "payment.created"}'
    signed = headers(body)
    wrong = [
        headers(body, secret=FOREIGN),
        headers(body + b" "),
        {},
        signed | {"webhook-id": "evt_2"},
        signed | {"webhook-timestamp": "x"},
        headers(body, age=24 * 60 * MINUTES),
    ]
    for signed in wrong:
        address = str(wrong.index(signed))
        statuses = [send_event_from(address, limited, body, signed).status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429], signed
    # A signature speaks for its own route alone, and for a body that can be read.
    elsewhere = [send_event_from("9", limited, body, signed, "/coupons").status_code for _ in range(4)]
    assert elsewhere == [401, 401, 401, 429]
    large = b" " * 70_000
    too_large = [send_event_from("10", limited, large, headers(large)).status_code for _ in range(4)]
    assert too_large == [413, 413, 413, 429]
