"""No operation answers 500 because of an error of the database: every known number, on every kind of operation."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from flask import Flask, request
from sqlalchemy import event
from standardwebhooks import Webhook as Signer
from werkzeug.test import TestResponse

import config
from app import ROUTES, create_app
from core.db import transaction
from core.db.fault_table import GROUPS, KNOWN, Kind
from core.db.mysql_connection import Connection
from harness.service import PATIENT
from harness.service import SECRET as TOKENS
from tests.resources.calls import OPERATOR, Calls, without_fast_path
from tests.resources.scenes import SCENES

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBwYXltZW50IHByb3ZpZGVy"
# One of each group, and the driver's are not the server's to tell.
SOME = (1205, 1206, 1637, 3101, 3032, 3100, 3169, 3783, 3797, 1290, 1037, 1038, 1820, 9001)
OF_THE_SERVER = sorted(KNOWN.keys() - {known.number for known in GROUPS["Reported by the driver"]})
UNKNOWN = 1644  # what SIGNAL says where no number is given


class Faulty:
    """An application whose database signals an error number: at every write, read or COMMIT, as asked for."""

    def __init__(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        self.call = Calls(app)
        self._patch = monkeypatch
        self.engine = self.call.services.database.engine
        self.reads: int | None = None
        self.commits: int | None = None
        self._once: int | None = None
        with self.engine.begin() as connection:
            tables = [row[0] for row in connection.exec_driver_sql("SHOW TABLES").all()]
            connection.exec_driver_sql("CREATE TABLE fault (number INT)")
            for number, table in enumerate(tables):
                for moment in ("INSERT", "UPDATE", "DELETE"):
                    connection.exec_driver_sql(
                        f"CREATE TRIGGER fault_{number}_{moment} BEFORE {moment} ON {table} FOR EACH ROW BEGIN"
                        " DECLARE errno INT; SELECT MAX(number) INTO errno FROM fault;"
                        " IF errno IS NOT NULL THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = errno; END IF; END"
                    )
        for engine in (self.engine, self.call.services.database.read_engine):
            event.listen(engine, "before_cursor_execute", self._instead_of_a_read, retval=True)
        execute, commit = Connection.execute, Connection.commit
        monkeypatch.setattr(
            Connection,
            "execute",
            lambda itself, statement, *values: execute(itself, *self._rewritten(statement, values)),
        )

        def commit_or_refuse(itself: Connection) -> None:
            refused, self._once = self.commits or self._once, None
            if refused is None:
                commit(itself)
            else:
                itself.execute(self._signal(refused))

        monkeypatch.setattr(Connection, "commit", commit_or_refuse)

    def fail_writes(self, number: int | None) -> None:
        """Let every INSERT, UPDATE and DELETE fail with `number`, or none any more."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM fault")
            if number is not None:
                connection.exec_driver_sql(f"INSERT INTO fault VALUES ({number})")

    def refuse_next_commit(self, number: int) -> None:
        self._once = number

    @staticmethod
    def _signal(number: int) -> str:
        return f"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {number}"

    def _rewritten(self, statement: str, values: tuple[str, ...]) -> tuple[str, ...]:
        if self.reads is not None and statement.startswith(("SELECT", "(SELECT")):
            return (self._signal(self.reads),)
        return (statement, *values)

    def _instead_of_a_read(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> tuple[str, Any]:
        if self.reads is not None and statement.startswith(("SELECT", "(SELECT")):
            return self._signal(self.reads), ()
        return statement, parameters


def faulty_app(make_app: Callable[..., Flask], uri: str, monkeypatch: pytest.MonkeyPatch, attempts: int) -> Faulty:
    settings: dict[str, object] = {"TRANSACTION_ATTEMPTS": attempts, "PAYMENT_PROVIDER": "test", "SWEEPER": False}
    settings |= {"PAYMENT_WEBHOOK_SECRETS": SECRET, "PUBLISHER": False}
    return Faulty(make_app(uri, **settings), monkeypatch)


@pytest.fixture
def faulty(make_app: Callable[..., Flask], server_uri: str, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    """An application on a real server, whose errors are that server's own. Each transaction is run once."""
    return faulty_app(make_app, server_uri, monkeypatch, attempts=1)


@pytest.fixture
def faulty_again(make_app: Callable[..., Flask], server_uri: str, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    """The same, whose transactions are run twice."""
    return faulty_app(make_app, server_uri, monkeypatch, attempts=2)


class Services:
    """What each operation works on: a fresh order for those that end one."""

    def __init__(self, call: Calls) -> None:
        self.call = call
        self.item = call.create(stock=1000)["id"]
        self.unsold = call.create()["id"]
        self.paused = call.create()["id"]
        assert call.post(f"/goods/{self.paused}/pause", OPERATOR).status_code == 200
        self.coupon = {"code": "TEN", "kind": "percent", "percent": 10}
        self.method = {"code": "post", "name": "Post", "currency": "CNY", "base_fee": 10}
        assert call.post("/coupons", OPERATOR, json=self.coupon).status_code == 201
        assert call.post("/shipping-methods", OPERATOR, json=self.method).status_code == 201
        hook = call.post("/webhooks", OPERATOR, json={"url": "https://example.com/hook"})
        assert hook.status_code == 201, hook.get_json()
        self.hook = hook.get_json()["id"]
        order = call.post(f"/seckill/{self.item}", "alice")
        assert order.status_code == 201
        self.order = order.get_json()["order_no"]

    def report_payment(self, kind: str = "succeeded") -> TestResponse:
        """A payment's event, signed."""
        data = {"order_no": self.order, "amount": 100, "currency": "CNY", "payment_id": "p-1"}
        body = json.dumps({"type": f"payment.{kind}", "data": data})
        now = time.time()
        signature = Signer(SECRET).sign("event-1", datetime.fromtimestamp(int(now), timezone.utc), body)
        headers = {"webhook-id": "event-1", "webhook-timestamp": str(int(now)), "webhook-signature": signature}
        return self.call.post("/payments/webhook", data=body, content_type="application/json", headers=headers)


WRITES: dict[str, Callable[[Services], TestResponse]] = {
    "purchase": lambda s: s.call.post(f"/seckill/{s.item}", "bob"),
    "keyed purchase": lambda s: s.call.post(f"/seckill/{s.item}", "bob", headers={"Idempotency-Key": "k"}),
    "purchase with a coupon": lambda s: s.call.post(f"/seckill/{s.item}", "bob", json={"coupon_code": "TEN"}),
    "cancel": lambda s: s.call.post(f"/orders/{s.order}/cancel", "alice"),
    "pay": lambda s: s.call.post(f"/orders/{s.order}/pay", "alice"),
    "payment event": lambda s: s.report_payment(),
    "event of a failed payment": lambda s: s.report_payment("failed"),
    "event of a refund": lambda s: s.report_payment("refunded"),
    "new goods": lambda s: s.call.post(
        "/goods", OPERATOR, json={"name": "x", "currency": "CNY", "price": 1, "stock": 1}
    ),
    "change of goods": lambda s: s.call.patch(f"/goods/{s.item}", json={"name": "other"}),
    "restock": lambda s: s.call.patch(f"/goods/{s.item}", json={"stock_delta": 5}),
    "pause": lambda s: s.call.post(f"/goods/{s.item}/pause", OPERATOR),
    "resumption": lambda s: s.call.post(f"/goods/{s.paused}/resume", OPERATOR),
    "deletion of goods": lambda s: s.call.delete(f"/goods/{s.unsold}"),
    "new coupon": lambda s: s.call.post("/coupons", OPERATOR, json={**s.coupon, "code": "TWO"}),
    "change of a coupon": lambda s: s.call.patch("/coupons/TEN", json={"total_limit": 5}),
    "new shipping method": lambda s: s.call.post("/shipping-methods", OPERATOR, json={**s.method, "code": "ship"}),
    "change of a shipping method": lambda s: s.call.patch("/shipping-methods/post", json={"base_fee": 5}),
    "new webhook": lambda s: s.call.post("/webhooks", OPERATOR, json={"url": "https://example.com/two"}),
    "change of a webhook": lambda s: s.call.patch(f"/webhooks/{s.hook}", json={"active": False}),
    "deletion of a webhook": lambda s: s.call.delete(f"/webhooks/{s.hook}"),
    "events, which numbers them": lambda s: s.call.get("/events", OPERATOR),
}
READS: dict[str, Callable[[Services], TestResponse]] = {
    "goods": lambda s: s.call.get(f"/goods/{s.item}"),
    "list of goods": lambda s: s.call.get("/goods"),
    "goods' changes": lambda s: s.call.get(f"/goods/{s.item}/changes", OPERATOR),
    "readiness of a sale": lambda s: s.call.get(f"/goods/{s.item}/readiness", OPERATOR),
    "report of a sale": lambda s: s.call.get(f"/goods/{s.item}/report", OPERATOR),
    "state of a sale": lambda s: s.call.get(f"/seckill/{s.item}"),
    "quote": lambda s: s.call.post(f"/seckill/{s.item}/quote", "bob"),
    "order": lambda s: s.call.get(f"/orders/{s.order}", "alice"),
    "list of orders": lambda s: s.call.get("/orders", "alice"),
    "export of orders": lambda s: s.call.get("/orders/export", OPERATOR),
    "coupon": lambda s: s.call.get("/coupons/TEN", OPERATOR),
    "list of coupons": lambda s: s.call.get("/coupons", OPERATOR),
    "list of shipping methods": lambda s: s.call.get("/shipping-methods"),
    "shipping method": lambda s: s.call.get("/shipping-methods/post", OPERATOR),
    "list of payments": lambda s: s.call.get("/payments", OPERATOR),
    "list of webhooks": lambda s: s.call.get("/webhooks", OPERATOR),
    "webhook": lambda s: s.call.get(f"/webhooks/{s.hook}", OPERATOR),
    "deliveries": lambda s: s.call.get(f"/webhooks/{s.hook}/deliveries", OPERATOR),
}
# These need not read, or have what they need in memory.
READ_NOTHING = ("goods", "state of a sale", "new goods", "new coupon", "new shipping method", "new webhook")
# Without a key.
WRITES_NOTHING = ("quotePurchase", "resumeSale")
# Answered whatever the database does, or by a connection of its own (the audit); tried in tests of their own.
ELSEWHERE = ("/healthz", "/readyz", "/metrics", "/live", "/audit")


def expect(answer: TestResponse, number: int, operation: str) -> None:
    answered = (answer.status_code, answer.get_json().get("code"))
    wanted = "busy" if KNOWN[number].kind is Kind.RERUN else "unavailable"
    assert answered == (503, wanted), f"{operation} answered {answered} for {number}"
    assert answer.headers["Retry-After"]


def test_every_number_on_a_purchase_is_busy_or_unavailable_and_nothing_was_bought(faulty: Faulty) -> None:
    services = Services(faulty.call)
    for number in OF_THE_SERVER:
        faulty.fail_writes(number)
        expect(WRITES["keyed purchase"](services), number, "keyed purchase")
    faulty.fail_writes(None)
    assert faulty.call.get("/orders", "bob").get_json()["items"] == []
    # The same request with the same key, as the answer advises.
    assert WRITES["keyed purchase"](services).status_code == 201


def test_some_numbers_on_every_operation_that_writes(faulty: Faulty) -> None:
    services = Services(faulty.call)
    for number in SOME:
        faulty.fail_writes(number)
        for operation, send in WRITES.items():
            expect(send(services), number, operation)
    faulty.fail_writes(None)
    assert faulty.call.get(f"/orders/{services.order}", "alice").get_json()["status"] == "pending"
    assert faulty.call.get(f"/goods/{services.item}").get_json()["stock"] == 999


def test_some_numbers_on_every_operation_with_a_key(faulty: Faulty) -> None:
    scenes = {operation: make(faulty.call) for operation, make in SCENES.items()}
    for number in SOME:
        for operation, scene in scenes.items():
            faulty.fail_writes(number)
            expect(scene.send(faulty.call, key=f"{operation}-{number}"), number, operation)
            if operation not in WRITES_NOTHING:
                unkeyed = faulty.call.send(scene.method, scene.path, scene.by, json=scene.body)
                expect(unkeyed, number, f"{operation} without a key")
            faulty.fail_writes(None)
            faulty.reads = number
            expect(scene.send(faulty.call, key=f"{operation}-{number}-read"), number, operation)
            faulty.reads = None
    for operation, scene in scenes.items():
        # The same request with the same key, as the answer advises: nothing was done before.
        answer = scene.send(faulty.call, key=f"{operation}-{SOME[0]}")
        assert answer.status_code in (200, 201), (operation, answer.text)


def test_every_operation_is_tried_here(make_app: Callable[..., Flask], sqlite_uri: str) -> None:
    app = make_app(sqlite_uri, PAYMENT_PROVIDER="test", PAYMENT_WEBHOOK_SECRETS=SECRET)
    app.wsgi_app = without_fast_path(app.wsgi_app)  # type: ignore[method-assign, arg-type]
    seen: set[tuple[str, str]] = set()
    app.before_request(lambda: seen.add((request.method, str(request.url_rule))))
    call = Calls(app)
    services = Services(call)
    for send in {**WRITES, **READS}.values():
        send(services)
    for make in SCENES.values():
        make(call).send(call)
    operations = {(method, route) for route, resource in ROUTES.items() for method in resource.methods or ()}
    assert {(method, route) for method, route in operations if route not in ELSEWHERE} <= seen


def test_some_numbers_on_every_operation_that_reads(faulty: Faulty) -> None:
    services = Services(faulty.call)
    time.sleep(0.3)  # what is remembered of the goods gets old
    for number in SOME:
        for operation, send in {**WRITES, **READS}.items():
            faulty.reads = number
            answer = send(services)
            faulty.reads = None
            if answer.status_code < 400 and operation in READ_NOTHING:
                continue
            expect(answer, number, operation)


def test_a_number_that_nobody_knows_is_a_bug(faulty: Faulty) -> None:
    services = Services(faulty.call)
    faulty.fail_writes(UNKNOWN)
    assert WRITES["purchase"](services).status_code == 500


def _connection_ids(faulty: Faulty) -> set[int]:
    with faulty.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT id FROM information_schema.processlist WHERE db = DATABASE()").all()
    return {row[0] for row in rows}


CLEAR_NO = [known.number for known in KNOWN.values() if known.kind is Kind.RERUN]


def buy_while_commits_are_refused_once(faulty_again: Faulty) -> None:
    services = Services(faulty_again.call)
    before = _connection_ids(faulty_again)
    for bought, number in enumerate(CLEAR_NO, 1):
        faulty_again.refuse_next_commit(number)
        assert WRITES["purchase"](services).status_code == 201
        assert len(faulty_again.call.get("/orders?limit=100", "bob").get_json()["items"]) == bought
    assert before <= _connection_ids(faulty_again)


def test_a_commit_that_is_refused_once_is_rolled_back_and_run_again_on_its_connection(faulty_again: Faulty) -> None:
    buy_while_commits_are_refused_once(faulty_again)


def test_without_the_rollback_the_run_that_was_refused_is_committed_with_the_next(
    faulty_again: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "roll_back", lambda connection: True)
    with pytest.raises(AssertionError, match="assert 2 == 1"):
        buy_while_commits_are_refused_once(faulty_again)


def test_a_commit_that_is_refused_again_and_again_is_busy_and_leaves_nothing(faulty_again: Faulty) -> None:
    services = Services(faulty_again.call)
    before = _connection_ids(faulty_again)
    for number in CLEAR_NO:
        faulty_again.commits = number
        for operation in ("purchase", "keyed purchase", "cancel", "restock", "change of a coupon"):
            expect(WRITES[operation](services), number, operation)
    faulty_again.commits = None
    assert faulty_again.call.get("/orders", "bob").get_json()["items"] == []
    assert faulty_again.call.get(f"/goods/{services.item}").get_json()["stock"] == 999
    assert WRITES["keyed purchase"](services).status_code == 201
    assert before <= _connection_ids(faulty_again)


def test_a_commit_that_fails_without_a_clear_no_is_looked_up_on_another_connection(faulty_again: Faulty) -> None:
    services = Services(faulty_again.call)
    for number in (3100, 1180, 9001, UNKNOWN):
        before = _connection_ids(faulty_again)
        faulty_again.commits = number
        answer = WRITES["purchase"](services)
        faulty_again.commits = None
        assert answer.status_code == 503, answer.get_json()
        assert not before & _connection_ids(faulty_again)
    assert faulty_again.call.get("/orders", "bob").get_json()["items"] == []
    assert WRITES["purchase"](services).status_code == 201


class Refusing(threading.Thread):
    """A server, or a proxy, that refuses each connection with `number`."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.number = 1040
        self.start()

    def run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            payload = b"\xff" + struct.pack("<H", self.number) + b"#HY000not now"
            with client:
                client.sendall(struct.pack("<I", len(payload)) + payload)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_every_number_that_a_connection_is_refused_with_is_unavailable() -> None:
    refusing = Refusing()
    uri = f"mysql+mysqlconnector://root@127.0.0.1:{refusing.port}/nowhere"
    settings = {"SQLALCHEMY_DATABASE_URI": uri, "SECRET_KEY": TOKENS, "TRANSACTION_ATTEMPTS": 1, **PATIENT}
    call = Calls(create_app(config.load(**settings)))
    try:
        for number in [*OF_THE_SERVER, UNKNOWN]:
            refusing.number = number
            for method, path, by in (("POST", "/seckill/1", "bob"), ("GET", "/orders", "bob")):
                answer = call.send(method, path, by)
                assert (answer.status_code, answer.get_json()["code"]) == (503, "unavailable"), (number, path)
                assert "not now" not in answer.text
    finally:
        refusing.close()
