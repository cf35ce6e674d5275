"""The contract's errors, walked code by code as in production."""

import re
import sqlite3
import time
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import update
from werkzeug.exceptions import BadRequest
from werkzeug.test import TestResponse

from app import create_app
from core.catalogue import goods
from core.payments import payments
from core.payments.payment_records import PaymentEvent, PaymentEventType
from models import Sequencer
from resources.http import reasons
from resources.http.problems import FIELD_PROBLEMS, PROBLEMS
from resources.http.reasons import REASONS
from tests.resources.calls import ADDRESS, FAR_AHEAD, OPERATOR, Calls

PAST = "2001-01-01T00:00:00.000Z"
MEMBERS = {"type", "title", "status", "code", "detail", "request_id"}
SECRET_TEXT = "a text that only we should see"
IGNORED = {"resolution": "ignored"}

# The table of the contract, as far as the service goes.
CONTRACT = {
    "malformed_json": 400,
    "bad_request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "goods_not_found": 404,
    "order_not_found": 404,
    "coupon_not_found": 404,
    "shipping_method_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "sale_not_started": 409,
    "sale_ended": 409,
    "sale_paused": 409,
    "sold_out": 409,
    "insufficient_stock": 409,
    "limit_reached": 409,
    "price_changed": 409,
    "order_not_pending": 409,
    "order_not_refundable": 409,
    "payment_already_resolved": 409,
    "has_orders": 409,
    "stock_conflict": 409,
    "version_mismatch": 412,
    "events_pruned": 410,
    "hold_cooldown": 429,
    "rate_limited": 429,
    "validation_failed": 422,
    "idempotency_key_reused": 422,
    "coupon_invalid": 422,
    "coupon_exhausted": 422,
    "coupon_not_applicable": 422,
    "shipping_required": 422,
    "shipping_not_available": 422,
    "internal_error": 500,
    "busy": 503,
    "unavailable": 503,
}
# What an answer carries beside the common members.
OWN_MEMBERS = {
    "sale_not_started": {"starts_at": FAR_AHEAD},
    "insufficient_stock": {"available": 10},
    "limit_reached": {"limit": 2, "already_bought": 1},
    "price_changed": {"quote": None},
    "order_not_pending": {"order_status": "cancelled"},
    "order_not_refundable": {"order_status": "cancelled"},
    "payment_already_resolved": {"resolution": "ignored"},
    "coupon_invalid": {"reason": "unknown"},
    "coupon_exhausted": {"reason": "total_limit"},
    "coupon_not_applicable": {"reason": "min_spend"},
    "shipping_required": {"reason": "shipping_method"},
    "shipping_not_available": {"reason": "unknown"},
    "events_pruned": {"oldest": 3},
    "validation_failed": {"errors": None},
}


class World:
    """An application, and how each of its errors is provoked by a real request."""

    def __init__(self, call: Calls, unreachable: Calls, monkeypatch: pytest.MonkeyPatch, headers: dict) -> None:
        self.call, self.unreachable, self.monkeypatch, self.headers = call, unreachable, monkeypatch, headers

    def send(self, method: str, path: str, by: str | None = None, **options) -> TestResponse:
        options["headers"] = {**self.headers, **options.get("headers", {})}
        return self.call.send(method, path, by, **options)

    def buy(self, goods_id: int, **options) -> TestResponse:
        return self.send("POST", f"/seckill/{goods_id}", "alice", **options)

    def cancelled_order(self) -> str:
        path = f"/orders/{self.call.bought(self.call.create()['id'])['order_no']}/cancel"
        assert self.call.post(path, "alice").status_code == 200
        return path

    def resolved_payment(self) -> str:
        event = PaymentEvent("e", PaymentEventType.SUCCEEDED, "nobody-s", 1, "CNY", "p")
        assert payments.receive(self.call.services.database, event) == "unknown_order"
        path = f"/payments/{self.call.get('/payments', OPERATOR).json['items'][0]['id']}/resolve"
        assert self.call.post(path, OPERATOR, json=IGNORED).status_code == 200
        return path

    def behind_what_was_pruned(self) -> TestResponse:
        self.ordered()
        assert self.send("GET", "/events", OPERATOR).status_code == 200  # which numbers the events
        with self.call.services.database.engine.begin() as connection:
            connection.execute(update(Sequencer).values(pruned_seq=2))
        return self.send("GET", "/events?after=1", OPERATOR)

    def given_up(self) -> int:
        goods_id = self.call.create()["id"]
        for _ in range(self.call.services.settings.HOLD_STRIKES):
            self.call.post(f"/orders/{self.call.bought(goods_id)['order_no']}/cancel", "alice")
        return goods_id

    def paused(self) -> int:
        goods_id = self.call.create()["id"]
        self.call.post(f"/goods/{goods_id}/pause", OPERATOR)
        return goods_id

    def ordered(self, key: str | None = None, **fields) -> int:
        goods_id = self.call.create(**fields)["id"]
        self.call.bought(goods_id, key=key)
        return goods_id

    def with_a_coupon(self, uses: int = 0, **fields) -> TestResponse:
        """Alice's purchase with a coupon that was used so often before."""
        goods_id = self.call.create()["id"]
        self.call.create_coupon(**fields)
        for _ in range(uses):
            self.call.bought(goods_id, "bob", coupon_code="SAVE")
        return self.buy(goods_id, json={"coupon_code": "SAVE"})

    def with_a_bug(self) -> TestResponse:
        def broken(*arguments: object, **named: object) -> None:
            raise KeyError(SECRET_TEXT)

        self.monkeypatch.setattr(goods, "list_page", broken)
        return self.send("GET", "/goods")

    def with_what_the_framework_refuses(self) -> TestResponse:
        def refused(*arguments: object, **named: object) -> None:
            raise BadRequest(SECRET_TEXT)

        self.monkeypatch.setattr(goods, "list_page", refused)
        return self.send("GET", "/goods")

    def behind_a_held_lock(self) -> TestResponse:
        goods_id = self.call.create()["id"]
        settings = self.call.services.settings
        # An application of its own, in which nobody waits for longer than it takes; the others have their time.
        impatient = Calls(create_app(settings.model_copy(update={"PURCHASE_WAIT_SECONDS": 0.3})))
        holder = sqlite3.connect(settings.database_url.database, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        try:
            return impatient.post(f"/seckill/{goods_id}", "alice", headers=self.headers)
        finally:
            holder.close()
            impatient.services.checkout.close(seconds=0)
            impatient.services.database.engine.dispose()

    def over_the_limit(self) -> TestResponse:
        # An application of its own: on the one of all the others nobody is limited.
        settings = self.call.services.settings.model_copy(
            update={"RATE_LIMITS": True, "RATE_LIMIT_PER_ADDRESS": "1/day"}
        )
        limited = Calls(create_app(settings))
        limited.get("/nowhere")
        return limited.get("/goods", headers=self.headers)

    def without_a_database(self) -> TestResponse:
        return self.unreachable.get("/goods/1", headers=self.headers)


PROVOKE: dict[str, Callable[[World], TestResponse]] = {
    "malformed_json": lambda w: w.send("POST", "/goods", OPERATOR, data="{", content_type="application/json"),
    "bad_request": lambda w: w.with_what_the_framework_refuses(),
    "unauthenticated": lambda w: w.send("GET", "/orders"),
    "forbidden": lambda w: w.send("POST", "/goods", "alice", json={}),
    "goods_not_found": lambda w: w.send("GET", "/goods/999"),
    "coupon_not_found": lambda w: w.send("GET", "/coupons/NONE", OPERATOR),
    "shipping_method_not_found": lambda w: w.send("GET", "/shipping-methods/none"),
    "order_not_found": lambda w: w.send("GET", f"/orders/{'0' * 32}", "alice"),
    "not_found": lambda w: w.send("GET", "/nowhere"),
    "method_not_allowed": lambda w: w.send("PUT", "/goods"),
    "body_too_large": lambda w: w.send("POST", "/goods", data=b" " * (64 * 1024 + 1), content_type="application/json"),
    "unsupported_media_type": lambda w: w.send("POST", "/goods", OPERATOR, data="{}", content_type="text/plain"),
    "sale_not_started": lambda w: w.buy(w.call.create(starts_at=FAR_AHEAD)["id"]),
    "sale_ended": lambda w: w.buy(w.call.create(ends_at=PAST)["id"]),
    "sale_paused": lambda w: w.buy(w.paused()),
    "sold_out": lambda w: w.buy(w.call.create(stock=0)["id"]),
    "insufficient_stock": lambda w: w.buy(w.call.create()["id"], json={"quantity": 11}),
    "limit_reached": lambda w: w.buy(w.ordered(per_user_limit=2), json={"quantity": 2}),
    "price_changed": lambda w: w.buy(w.call.create()["id"], json={"expected_total": 99}),
    "coupon_invalid": lambda w: w.buy(w.call.create()["id"], json={"coupon_code": "NONE"}),
    "coupon_exhausted": lambda w: w.with_a_coupon(uses=1, total_limit=1),
    "coupon_not_applicable": lambda w: w.with_a_coupon(min_spend=101),
    "shipping_required": lambda w: w.buy(w.call.create(shippable=True)["id"]),
    "shipping_not_available": lambda w: w.buy(
        w.call.create(shippable=True)["id"], json={"shipping_method": "none", "address": ADDRESS}
    ),
    "order_not_pending": lambda w: w.send("POST", w.cancelled_order(), "alice"),
    "order_not_refundable": lambda w: w.send(
        "POST", w.cancelled_order().replace("cancel", "refund"), OPERATOR, json={"reference": "r"}
    ),
    "payment_already_resolved": lambda w: w.send("POST", w.resolved_payment(), OPERATOR, json=IGNORED),
    "has_orders": lambda w: w.send("DELETE", f"/goods/{w.ordered()}", OPERATOR),
    "stock_conflict": lambda w: w.send("PATCH", f"/goods/{w.call.create()['id']}", OPERATOR, json={"stock_delta": -11}),
    "version_mismatch": lambda w: w.send(
        "PATCH", f"/goods/{w.call.create()['id']}", OPERATOR, json={}, headers={"If-Match": '"9"'}
    ),
    "validation_failed": lambda w: w.send("POST", "/goods", OPERATOR, json={"price": SECRET_TEXT}),
    "idempotency_key_reused": lambda w: w.buy(
        w.ordered(key="k"), json={"quantity": 2}, headers={"Idempotency-Key": "k"}
    ),
    "events_pruned": World.behind_what_was_pruned,
    "hold_cooldown": lambda w: w.buy(w.given_up()),
    "rate_limited": World.over_the_limit,
    "internal_error": World.with_a_bug,
    "busy": World.behind_a_held_lock,
    "unavailable": World.without_a_database,
}


@pytest.fixture
def provoke(
    make_app: Callable[..., Flask], sqlite_uri: str, unreachable_call: Calls, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., TestResponse]:
    """Provokes a code on an application of its own: `provoke("sold_out", {"Accept-Language": "zh"})`."""

    def run(code: str, headers: dict | None = None) -> TestResponse:
        app = make_app(sqlite_uri, PURCHASE_WAIT_SECONDS=30)
        assert not app.testing
        return PROVOKE[code](World(Calls(app), unreachable_call, monkeypatch, headers or {}))

    return run


def test_every_code_is_walked_here_and_has_the_contract_s_status() -> None:
    assert set(PROVOKE) == set(PROBLEMS)
    assert {code: int(problem.status) for code, problem in PROBLEMS.items()} == CONTRACT
    optional = {"hint"}  # of a route that a setting would offer: tests/resources/test_payments.py
    assert {code: set(members) for code, members in OWN_MEMBERS.items()} == {
        code: own for code, problem in PROBLEMS.items() if (own := set(problem.members) - optional)
    }


@pytest.mark.parametrize("code", CONTRACT)
def test_a_provoked_error_has_exactly_the_contract_s_form(provoke: Callable[..., TestResponse], code: str) -> None:
    answer = provoke(code)
    assert answer.status_code == CONTRACT[code]
    assert answer.headers["Content-Type"].partition(";")[0] == "application/problem+json"
    body, own = answer.json, OWN_MEMBERS.get(code, {})
    assert set(body) == MEMBERS | set(own)
    assert body["type"] == f"/problems/{code}"
    assert body["status"] == CONTRACT[code]
    assert body["code"] == code
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert {name: body[name] for name, value in own.items() if value is not None} == {
        name: value for name, value in own.items() if value is not None
    }
    assert SECRET_TEXT not in answer.text
    assert not re.search(r"Traceback|sqlite|mysql|KeyError|SELECT|\.py", answer.text)
    assert answer.headers["Content-Language"] == "en"
    assert "Accept-Language" in answer.headers["Vary"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("code", CONTRACT)
def test_a_provoked_error_is_told_in_chinese_to_who_reads_it(provoke: Callable[..., TestResponse], code: str) -> None:
    answer = provoke(code, {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.1", "X-Request-ID": "my-own.id_1"})
    text = answer.data.decode("utf-8")
    assert PROBLEMS[code].title.zh in text
    assert answer.json["detail"] == reasons.detail(code, answer.json).zh
    assert "\\u" not in text
    assert answer.json["code"] == code
    assert answer.json["request_id"] == answer.headers["X-Request-ID"] == "my-own.id_1"
    assert answer.headers["Content-Language"] == "zh"
    if code == "validation_failed":
        assert {error["detail"] for error in answer.json["errors"]} <= {text.zh for text in FIELD_PROBLEMS.values()}


@pytest.mark.parametrize("code", CONTRACT)
def test_the_type_of_an_error_is_a_page_that_explains_it(sqlite_call: Calls, code: str) -> None:
    answer = sqlite_call.get(f"/problems/{code}")
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    for text in (code, str(CONTRACT[code]), PROBLEMS[code].title.zh, *PROBLEMS[code].members):
        assert text in answer.text


def test_every_reason_is_explained_on_its_code_s_page(sqlite_call: Calls) -> None:
    assert set(REASONS) == {code for code, problem in PROBLEMS.items() if "reason" in problem.members}
    for code, known in REASONS.items():
        page = sqlite_call.get(f"/problems/{code}").text
        for reason, text in known.items():
            assert f"<code>{reason}</code>" in page
            assert text.en in page
            assert text.zh in page


def test_all_texts_are_there_in_both_languages() -> None:
    texts = [text for problem in PROBLEMS.values() for text in (problem.title, problem.detail)]
    texts += [text for reasons in REASONS.values() for text in reasons.values()]
    for text in [*texts, *FIELD_PROBLEMS.values()]:
        assert re.search(r"[\u4e00-\u9fff]", text.zh)
        assert not re.search(r"[\u4e00-\u9fff]", text.en)


@pytest.mark.parametrize("code", ["busy", "unavailable", "rate_limited"])
def test_who_is_to_come_again_is_told_when(provoke: Callable[..., TestResponse], code: str) -> None:
    assert re.fullmatch(r"[1-9]\d{0,4}", provoke(code).headers["Retry-After"])


def test_a_method_that_is_not_allowed_is_answered_with_those_that_are(sqlite_call: Calls) -> None:
    answer = sqlite_call.send("PUT", "/goods/1")
    allowed = {method.strip() for method in answer.headers["Allow"].split(",")}
    assert allowed >= {"GET", "PATCH", "DELETE"}
    assert not allowed & {"PUT", "POST"}


def test_who_is_not_signed_in_is_told_how(provoke: Callable[..., TestResponse]) -> None:
    assert provoke("unauthenticated").headers["WWW-Authenticate"].startswith("Bearer")


def test_a_validation_failure_names_field_code_and_detail(provoke: Callable[..., TestResponse]) -> None:
    errors = provoke("validation_failed").json["errors"]
    assert {error["field"] for error in errors} == {"name", "currency", "price", "stock"}
    for error in errors:
        assert set(error) - {"expected"} == {"field", "code", "detail"}
        assert error["detail"] == FIELD_PROBLEMS[error["code"]].en


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh", "zh"),
        ("zh-TW", "zh"),
        ("zh-Hans-CN", "zh"),
        ("ZH", "zh"),
        ("en-GB,zh;q=0.5", "en"),
        ("zh-CN,en;q=0.5", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en;q=0.5,zh;q=0.6", "zh"),
        ("fr,zh;q=0.5", "zh"),
        ("fr", "en"),
        ("*", "en"),
        ("zh;q=0", "en"),
        (";;;q=x,,é", "en"),
        ("zh;q=nan", "en"),
    ],
)
def test_the_language_is_the_caller_s_choice_and_english_by_default(
    sqlite_call: Calls, header: str, language: str
) -> None:
    answer = sqlite_call.get("/nowhere", environ_overrides={"HTTP_ACCEPT_LANGUAGE": header})
    assert answer.json["title"] == PROBLEMS["not_found"].title.in_language(language)


@pytest.mark.parametrize("given", ["x", "a" * 64, "3f2c-77", "req_1.2"])
def test_the_caller_s_request_id_is_kept(sqlite_call: Calls, given: str) -> None:
    for path in ("/goods", "/nowhere", "/healthz"):
        assert sqlite_call.get(path, headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "a" * 65, "a b", "é", "a\tb", '"quoted"', "<script>", "{}", "a\x7f"])
def test_another_request_id_is_replaced_by_a_new_one(sqlite_call: Calls, given: str) -> None:
    ids = set()
    for _ in range(2):
        answer = sqlite_call.get("/nowhere", environ_overrides={"HTTP_X_REQUEST_ID": given})
        assert re.fullmatch(r"[A-Za-z0-9-]{1,64}", answer.headers["X-Request-ID"])
        assert answer.json["request_id"] == answer.headers["X-Request-ID"] != given
        ids.add(answer.headers["X-Request-ID"])
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/goods/1/2/3", 404),
        ("GET", "/problems/no_such_code", 404),
        ("GET", "/docs/no-such-file", 404),
        ("POST", "/healthz", 405),
        ("DELETE", "/metrics", 405),
        ("POST", "/docs", 405),
        ("POST", "/openapi.json", 405),
        ("POST", "/", 405),
        ("PUT", "/problems/sold_out", 405),
        ("BREW", "/goods", 405),
    ],
)
def test_the_framework_s_own_errors_are_problems_too(sqlite_call: Calls, method: str, path: str, status: int) -> None:
    answer = sqlite_call.get(path, environ_overrides={"REQUEST_METHOD": method})
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert set(answer.json) == MEMBERS
    assert ("Allow" in answer.headers) == (status == 405)


def test_a_bug_is_no_less_a_problem_when_the_application_is_tested(
    sqlite_call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **named: object) -> None:
        raise RuntimeError(SECRET_TEXT)

    monkeypatch.setattr(goods, "list_page", broken)
    sqlite_call.app.testing = True
    sqlite_call.app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = sqlite_call.get("/goods")
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")


def test_a_purchase_behind_a_held_row_is_told_busy_within_its_time_and_bought_nothing(
    make_app: Callable[..., Flask], server_uri: str, server
) -> None:
    call = Calls(make_app(server_uri))  # for what must succeed, however long it takes
    item = call.create()
    # Were it not told within its time, it would wait for the row a hundred times, a second each.
    times = {"PURCHASE_WAIT_SECONDS": 1, "LOCK_WAIT_SECONDS": 1, "DATABASE_TIMEOUT_SECONDS": 20}
    impatient = Calls(make_app(server_uri, TRANSACTION_ATTEMPTS=100, **times))
    holder = server.connect(server_uri.rpartition("/")[2])
    holder.start_transaction()
    cursor = holder.cursor()
    cursor.execute("SELECT id FROM goods WHERE id = %s FOR UPDATE", (item["id"],))
    cursor.fetchall()
    began = time.monotonic()
    answer = impatient.buy(item["id"], key="k")
    seconds = time.monotonic() - began
    holder.close()
    assert (answer.status_code, answer.json["code"]) == (503, "busy")
    assert int(answer.headers["Retry-After"]) >= 1
    assert seconds < 40
    assert call.goods(item["id"]) == item
    assert call.bought(item["id"], key="k")["quantity"] == 1
