"""`Idempotency-Key` on every POST and PATCH: one effect, the first answer again, and nothing else under the key."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from core import idempotency
from core.ops import audit
from core.orders import order_life
from core.refusals import Refusal, Unavailable
from models import IdempotencyKey, Order, db
from tests.resources.calls import OPERATOR, Calls, problem, wrong_fields
from tests.resources.scenes import GOODS, SCENES, WITH_KEYS_OF_THEIR_OWN, changing_operations, goods_path


@pytest.fixture
def call(make_app: Callable[..., Flask], database_uri: str) -> Calls:
    return Calls(make_app(database_uri, PAYMENT_PROVIDER="test"))


@pytest.fixture
def sqlite_call(make_app: Callable[..., Flask], sqlite_uri: str) -> Calls:
    return Calls(make_app(sqlite_uri, PAYMENT_PROVIDER="test"))


def everything(call: Calls) -> dict[str, list[Any]]:
    """All rows of all tables but the keys."""
    tables = [table for table in db.metadata.sorted_tables if table.name != IdempotencyKey.__tablename__]
    with call.services.database.reading() as connection:
        return {table.name: [tuple(row) for row in connection.execute(table.select())] for table in tables}


def make_older(call: Calls, age: timedelta) -> None:
    """Let the keys have been kept for `age` longer."""
    with call.services.database.engine.begin() as connection:
        for row in connection.execute(select(IdempotencyKey.id, IdempotencyKey.kept_at)).all():
            older = update(IdempotencyKey).where(IdempotencyKey.id == row.id)
            connection.execute(older.values(kept_at=row.kept_at - age))


def own_headers(answer: TestResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "X-Request-ID"}


def test_every_changing_operation_is_tried_here() -> None:
    assert {operation.id for operation in changing_operations()} == SCENES.keys() | WITH_KEYS_OF_THEIR_OWN


@pytest.mark.parametrize("operation_id", SCENES)
def test_the_same_request_under_a_key_has_its_effect_once_and_the_first_answer_again(
    call: Calls, operation_id: str
) -> None:
    scene = SCENES[operation_id](call)
    first = scene.send(call)
    assert first.status_code in (200, 201), first.text
    assert "Idempotent-Replayed" not in first.headers
    then = everything(call)
    for _ in range(2):
        again = scene.send(call)
        assert (again.status_code, again.data) == (first.status_code, first.data)
        assert own_headers(again) == {**own_headers(first), "Idempotent-Replayed": "true"}
    problem(scene.send(call, **scene.other), 422, "idempotency_key_reused")
    assert everything(call) == then


@pytest.mark.parametrize("operation_id", SCENES)
@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "é", "a\x7f"])
def test_a_key_that_is_none_is_a_422_and_nothing_is_done(sqlite_call: Calls, operation_id: str, key: str) -> None:
    scene = SCENES[operation_id](sqlite_call)
    before = everything(sqlite_call)
    assert "Idempotency-Key" in wrong_fields(scene.send(sqlite_call, key))
    assert everything(sqlite_call) == before


def test_without_the_guard_a_restock_that_is_sent_again_is_booked_twice(
    call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "once", lambda database, request, act, prepare: (act(), False))
    scene = SCENES["changeGoods"](call)
    assert [scene.send(call).json["stock"] for _ in range(2)] == [10, 15]


def test_a_key_is_its_user_s_alone(call: Calls) -> None:
    item = call.create()["id"]
    order = call.bought(item, "alice")["order_no"]
    other = call.bought(item, "bob")["order_no"]
    assert call.post(f"/orders/{order}/cancel", "alice", headers={"Idempotency-Key": "k"}).status_code == 200
    assert call.post(f"/orders/{other}/cancel", "bob", headers={"Idempotency-Key": "k"}).status_code == 200
    # Somebody else's answer is never given, whatever the key.
    problem(call.post(f"/orders/{order}/cancel", "bob", headers={"Idempotency-Key": "k2"}), 404, "order_not_found")


def test_a_purchase_and_a_change_do_not_meet_under_one_key(call: Calls) -> None:
    item = call.create()["id"]
    order = call.bought(item, key="k")["order_no"]
    cancelled = call.post(f"/orders/{order}/cancel", "alice", headers={"Idempotency-Key": "k"})
    assert (cancelled.status_code, cancelled.json["status"]) == (200, "cancelled")
    assert "Idempotent-Replayed" not in cancelled.headers
    again = call.buy(item, key="k")
    assert (again.status_code, again.json["status"]) == (201, "cancelled")


def test_the_same_request_is_the_same_however_it_is_written(call: Calls) -> None:
    path, headers = goods_path(call), {"Idempotency-Key": "k", "Content-Type": "application/json"}
    first = call.patch(path, data='{"price": 7, "stock_delta": 5}', headers=headers)
    again = call.patch(path, data=' {"stock_delta":5,\n"price":7}', headers=headers)
    assert (again.data, again.headers["Idempotent-Replayed"]) == (first.data, "true")
    # What is left out stays as it is: that is another request than to set it.
    problem(call.patch(path, json={"price": 7}, headers={"Idempotency-Key": "k"}), 422, "idempotency_key_reused")
    created = call.post("/goods", OPERATOR, json=GOODS, headers={"Idempotency-Key": "n"})
    again = call.post("/goods", OPERATOR, json={**GOODS, "description": ""}, headers={"Idempotency-Key": "n"})
    assert again.data == created.data
    order = call.bought(created.json["id"])["order_no"]
    for number, options in enumerate(({}, {"json": {}})):
        answer = call.post(f"/orders/{order}/cancel", "alice", headers={"Idempotency-Key": "c"}, **options)
        assert ("Idempotent-Replayed" in answer.headers) == bool(number)


def test_a_change_that_names_a_version_is_given_again_though_the_version_is_another(call: Calls) -> None:
    path = goods_path(call)
    headers = {"Idempotency-Key": "k", "If-Match": '"1"'}
    first = call.patch(path, json={"stock_delta": 5}, headers=headers)
    assert (first.status_code, first.json["version"]) == (200, 2)
    again = call.patch(path, json={"stock_delta": 5}, headers=headers)
    assert (again.status_code, again.data) == (200, first.data)
    other = call.patch(path, json={"stock_delta": 5}, headers={"Idempotency-Key": "k", "If-Match": '"2"'})
    problem(other, 422, "idempotency_key_reused")
    problem(
        call.patch(path, json={"stock_delta": 5}, headers={"Idempotency-Key": "k2", "If-Match": '"1"'}),
        412,
        "version_mismatch",
    )


def test_a_refusal_is_not_stored(call: Calls) -> None:
    path, headers = goods_path(call), {"Idempotency-Key": "k"}
    before = everything(call)
    for _ in range(2):
        problem(call.patch(path, json={"stock_delta": -6}, headers=headers), 409, "stock_conflict")
    assert everything(call) == before
    call.patch(path, json={"stock_delta": 1})
    taken = call.patch(path, json={"stock_delta": -6}, headers=headers)
    assert (taken.status_code, taken.json["stock"]) == (200, 0)
    assert "Idempotent-Replayed" not in taken.headers
    # Nor does it hold the key: another request may have it. One that had its effect keeps it.
    problem(call.patch(path, json={"stock_delta": -7}, headers={"Idempotency-Key": "f"}), 409, "stock_conflict")
    assert call.patch(path, json={"stock_delta": 2}, headers={"Idempotency-Key": "f"}).json["stock"] == 2
    problem(call.patch(path, json={"stock_delta": 3}, headers={"Idempotency-Key": "f"}), 422, "idempotency_key_reused")


def refuse_to_cancel_an_overdue_order(call: Calls, headers: dict[str, str]) -> None:
    item, code = call.create(), call.create_coupon(kind="amount", amount=10)["code"]
    order = call.bought(item["id"], coupon_code=code)["order_no"]
    call.make_overdue(order)
    for _ in range(2):
        answer = call.post(f"/orders/{order}/cancel", "alice", headers=headers)
        problem(answer, 409, "order_not_pending")
        assert answer.json["order_status"] == "expired"
        assert "Idempotent-Replayed" not in answer.headers
    with call.services.database.reading() as connection:
        assert connection.execute(select(Order.status).where(Order.order_no == order)).scalar_one() == "expired"
    assert (call.goods(item["id"])["stock"], call.goods(item["id"])["sold"]) == (10, 0)
    assert call.get(f"/coupons/{code}", OPERATOR).json["used"] == 0
    assert audit.run(call.services.settings).clean


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
def test_an_order_that_is_overdue_gives_its_units_back_though_its_cancellation_is_refused(
    call: Calls, headers: dict[str, str]
) -> None:
    refuse_to_cancel_an_overdue_order(call, headers)
    # The key is free still.
    other = call.create()["id"]
    order = call.bought(other)["order_no"]
    assert call.post(f"/orders/{order}/cancel", "alice", headers=headers).json["status"] == "cancelled"


def test_were_the_refusal_as_any_other_its_units_would_wait_for_the_sweep(
    call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_life, "RefusalWithEffect", Refusal)
    with pytest.raises(AssertionError, match="'pending' == 'expired'"):
        refuse_to_cancel_an_overdue_order(call, {"Idempotency-Key": "k"})


def test_the_answer_is_given_for_24_hours_by_the_database_s_clock(call: Calls) -> None:
    scene = SCENES["changeGoods"](call)
    first = scene.send(call)
    make_older(call, timedelta(hours=23, minutes=59))
    assert scene.send(call).data == first.data
    make_older(call, timedelta(minutes=1))
    later = scene.send(call)
    assert (later.status_code, later.json["stock"]) == (200, 15)
    assert "Idempotent-Replayed" not in later.headers
    assert scene.send(call).data == later.data
    make_older(call, timedelta(hours=24))
    assert scene.send(call, json={"stock_delta": 1}).json["stock"] == 16


def test_keys_that_are_older_are_forgotten_in_pieces(call: Calls) -> None:
    path = goods_path(call)
    for number in range(5):
        call.patch(path, json={"stock_delta": 1}, headers={"Idempotency-Key": f"old-{number}"})
    make_older(call, timedelta(hours=24))
    call.patch(path, json={"stock_delta": 1}, headers={"Idempotency-Key": "new"})
    assert idempotency.prune(call.services.database, lambda: True) == 0
    assert idempotency.prune(call.services.database, at_once=2) == 5
    with call.services.database.reading() as connection:
        assert connection.execute(select(IdempotencyKey.idempotency_key)).scalars().all() == ["new"]
    assert idempotency.prune(call.services.database) == 0


def test_what_fails_half_way_leaves_neither_effect_nor_answer(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    item = call.create()["id"]
    order = call.bought(item)["order_no"]
    before = everything(call)
    cancel = order_life.cancel

    def fail_after(*arguments: Any) -> Any:
        cancel(*arguments)
        raise Unavailable()

    monkeypatch.setattr(order_life, "cancel", fail_after)
    headers = {"Idempotency-Key": "k"}
    problem(call.post(f"/orders/{order}/cancel", "alice", headers=headers), 503, "unavailable")
    assert everything(call) == before
    monkeypatch.undo()
    assert call.post(f"/orders/{order}/cancel", "alice", headers=headers).json["status"] == "cancelled"
    assert call.goods(item)["stock"] == 10


def test_the_checks_of_who_asks_come_ahead_of_the_key(call: Calls) -> None:
    scene = SCENES["changeGoods"](call)
    scene.send(call)
    problem(scene.send(call, by="alice"), 403, "forbidden")
    problem(scene.send(call, by=None), 401, "unauthenticated")
    assert call.send("PATCH", scene.path, OPERATOR, data=b"{", content_type="application/json").status_code == 400
