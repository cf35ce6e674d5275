"""A person's data is found, handed over and erased, whole; the audit stays clean, beside a running sale too."""

import json
import threading
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect, select, text

from core.ops import audit
from core.payments import payments
from core.payments.payment_records import PaymentEvent, PaymentEventType
from core.people import erasure, records
from core.services import Services
from models import Base, IdempotencyKey, Order
from tests.core.selling import Selling
from tests.resources.calls import ADDRESS, OPERATOR, Calls
from tests.test_cli import as_json, run

PERSON = '王芳 "x"'
SECRETS = (PERSON, json.dumps(PERSON)[1:-1], "Nanjing", "138-0000", "her-own-key", "call her")


def report_payment(services: Services, order: dict[str, Any], name: str) -> None:
    event = PaymentEvent(name, PaymentEventType.SUCCEEDED, order["order_no"], order["total"], order["currency"], name)
    payments.receive(services.database, event)


def everywhere(app: Flask) -> str:
    """All that the database has, as text."""
    with app.extensions["seckill"].database.reading() as connection:
        tables = [table for table in inspect(connection).get_table_names() if table in Base.metadata.tables]
        rows = [row for table in tables for row in connection.execute(text(f"SELECT * FROM {table}"))]
    return "\n".join(
        str(cell) + " " + str(cell).encode().decode("unicode_escape", "replace") for row in rows for cell in row
    )


def bought_and_done(app: Flask) -> tuple[Calls, dict[str, Any]]:
    """A shop in which the person has bought, paid, cancelled, been an operator, and others beside them."""
    call, services = Calls(app), app.extensions["seckill"]
    item = call.create(shippable=True, stock=100, per_user_limit=3)
    other = call.create(name="other", stock=100)
    call.create_coupon("TEN", per_user_limit=2)
    method = {"code": "post", "name": "Post", "currency": "CNY", "base_fee": 5}
    assert call.post("/shipping-methods", OPERATOR, json=method).status_code == 201
    chosen = {"shipping_method": "post", "address": ADDRESS, "coupon_code": "TEN"}

    def buy(goods: dict[str, Any], by: str, key: str, **body: Any) -> dict[str, Any]:
        answer = call.post(f"/seckill/{goods['id']}", by, json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        return answer.json

    paid, cancelled = (buy(item, PERSON, f"her-own-key-{number}", **chosen) for number in range(2))
    refunded = buy(item, PERSON, "her-own-key-2", shipping_method="post", address=ADDRESS)
    for order in (paid, refunded):
        report_payment(services, order, f"p-{order['order_no']}")
    report_payment(services, paid, "p-again")
    key = {"Idempotency-Key": "her-own-key-9"}
    assert call.post(f"/orders/{cancelled['order_no']}/cancel", PERSON, headers=key).status_code == 200
    key = {"Idempotency-Key": "the-operator's"}
    refund = f"/orders/{refunded['order_no']}/refund"
    assert call.post(refund, OPERATOR, json={"reference": "r-1"}, headers=key).status_code == 200
    (owed,) = call.get("/payments?resolved=false", OPERATOR).json["items"]
    done = {"resolution": "refunded", "note": "call her first"}
    resolve = f"/payments/{owed['id']}/resolve"
    assert call.post(resolve, OPERATOR, json=done, headers={"Idempotency-Key": "b"}).status_code == 200
    bought = buy(other, "bob", "bobs")
    with services.database.engine.begin() as connection:
        for statement in (
            "UPDATE goods_changes SET changed_by = :who WHERE goods_id = :other",
            "UPDATE payments SET resolved_by = :who WHERE resolution IS NOT NULL",
            "UPDATE orders SET cancelled_by = :who, status = 'pending' WHERE order_no = :bob",
        ):
            values = {"who": PERSON, "other": other["id"], "bob": bought["order_no"]}
            connection.execute(text(statement), {k: v for k, v in values.items() if f":{k}" in statement})
    return call, paid


def test_everything_of_a_person_is_found_exported_and_erased(app: Flask) -> None:
    call, paid = bought_and_done(app)
    found = as_json(app, "person", "find", "--user", PERSON)
    assert found == {
        "orders": 3,
        "unpaid_orders": 0,
        "coupon_uses": 2,
        "payments": 3,
        "stored_answers": 1,
        "cancelled_orders": 1,
        "resolved_payments": found["resolved_payments"],
        "item_changes": 1,
    }
    assert found["resolved_payments"] >= 1
    exported = [json.loads(line) for line in run(app, "person", "export", "--user", PERSON).stdout.splitlines()]
    kinds = [record["kind"] for record in exported]
    assert (kinds.count("order"), kinds.count("payment"), kinds.count("stored_answer")) == (3, 3, 1)
    assert exported[0]["address"] == ADDRESS | {"line2": None} or exported[0]["address"]["name"] == ADDRESS["name"]
    operators = ("resolved_by", "note")  # of payments: what operators wrote is not the person's
    assert not [record for record in exported if any(name in record for name in operators)]
    before = as_json(app, "audit")
    assert before["ok"], before

    erased = as_json(app, "person", "erase", "--user", PERSON, "--yes")
    assert (erased["orders"], erased["payments"], erased["unpaid_orders"]) == (
        3,
        2,
        0,
    )  # notes of the refund and of the resolution
    assert erased["stored_answers"] >= 3  # their own, and those of the operator's refund and resolution
    stored = everywhere(app)
    for secret in SECRETS:
        assert secret not in stored, secret
    assert set(as_json(app, "person", "find", "--user", PERSON).values()) == {0}
    after = as_json(app, "audit")
    assert after["ok"], after
    assert after["money"] == before["money"]
    assert set(as_json(app, "person", "erase", "--user", PERSON, "--yes").values()) == {0}

    (order,) = [row for row in call.get("/orders", OPERATOR).json["items"] if row["order_no"] == paid["order_no"]]
    assert (order["address"], order["user_id"][:7], order["total"]) == (None, "erased-", paid["total"])
    assert call.get(f"/orders/{paid['order_no']}", PERSON).status_code == 404
    events = call.get("/events?limit=100", OPERATOR).json["items"]
    owners = {event["data"]["user_id"] for event in events if event["order_no"] == paid["order_no"]}
    assert owners == {order["user_id"]}
    again = call.post(f"/orders/{paid['order_no']}/refund", OPERATOR, json={"reference": "r-2"})
    assert again.status_code == 200  # what is left can still be worked with
    assert as_json(app, "audit")["ok"]


def test_unpaid_orders_are_left_until_they_are_over(sqlite_app: Flask) -> None:
    selling = Selling(sqlite_app.extensions["seckill"])
    order = selling.bought(selling.item())
    left = run(sqlite_app, "person", "erase", "--user", "alice", "--yes", "--json")
    assert left.exit_code == 3
    assert json.loads(left.stdout)["unpaid_orders"] == 1
    assert selling.row(order).user_id == "alice"
    selling.make_overdue(order)
    run(sqlite_app, "sweep")
    assert run(sqlite_app, "person", "erase", "--user", "alice", "--yes").exit_code == 0
    assert selling.row(order).user_id.startswith("erased-")
    assert selling.row(order).address is None


def test_an_erasure_is_not_begun_by_mistake(sqlite_app: Flask) -> None:
    assert run(sqlite_app, "person", "erase", "--user", "alice").exit_code == 1
    assert run(sqlite_app, "person", "erase", "--user", "a\nb", "--yes").exit_code == 2


def test_one_that_was_interrupted_is_finished_by_the_next(
    app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought_and_done(app)
    for step in ("_forget_answers", "_mend_answers", "_rename"):
        with monkeypatch.context() as patch:
            patch.setattr(erasure, step, lambda *arguments: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                erasure.erase(services.database, PERSON)
        assert audit.run(services.settings).clean
    erasure.erase(services.database, PERSON)
    stored = everywhere(app)
    for secret in SECRETS:
        assert secret not in stored, secret


def test_beside_a_sale_limits_coupons_and_audit_hold(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "ORDERS_AT_ONCE", 3)
    selling = Selling(services)
    item = selling.item(stock=1000, per_user_limit=1000, price=100)
    selling.coupon("MANY", total_limit=1000, per_user_limit=500)
    done = threading.Event()
    bought: list[Any] = []
    failed: list[BaseException] = []

    def sell() -> None:
        try:
            for number in range(40):
                order = selling.bought(item, coupon="MANY")
                money = order.order_no, order.total, "CNY"
                event = PaymentEvent(f"e{number}", PaymentEventType.SUCCEEDED, *money, f"p{number}")
                if number % 3 == 0:  # late money
                    selling.make_overdue(order)
                assert payments.receive(services.database, event) == "paid"
                bought.append(order)
        except BaseException as error:
            failed.append(error)
        finally:
            done.set()

    seller = threading.Thread(target=sell)
    seller.start()
    erased = 0
    while not done.is_set():
        erased += erasure.erase(services.database, "alice").orders
    seller.join()
    assert not failed, failed
    erased += erasure.erase(services.database, "alice").orders
    assert erased == len(bought) == 40
    report = audit.run(services.settings)
    assert report.clean, [result for result in report.results if result.count]
    with services.database.reading() as connection:
        owners = set(connection.execute(select(Order.user_id)).scalars())
    assert all(owner.startswith("erased-") for owner in owners)


def test_no_column_of_a_person_is_forgotten() -> None:
    """Each column that may name a user is known here: a new one is to be added to core/people first."""
    names = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.name.endswith(("_by", "user_id", "address", "idempotency_key", "note", "body"))
    }
    assert names == {
        "orders.user_id",
        "orders.address",
        "orders.idempotency_key",
        "orders.cancelled_by",
        "coupon_uses.user_id",
        "payments.note",
        "payments.resolved_by",
        "idempotency_keys.user_id",
        "idempotency_keys.idempotency_key",
        "idempotency_keys.body",
        "goods_changes.changed_by",
    }
    assert {f"{table.name}.{column.key}" for table, column in records.OPERATORS.values()} < names
    assert IdempotencyKey.__tablename__ == "idempotency_keys"
