"""A model of sales in plain Python predicts every answer of the service, whatever is done in whatever order."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from werkzeug.test import TestResponse

from tests.resources.calls import OPERATOR, Calls

PAST, FUTURE = "2001-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"
USERS = st.sampled_from(["alice", "bob"])
KEYS = st.sampled_from([None, None, "k1", "k2"])
QUANTITIES = st.integers(1, 4)
WINDOWS = st.sampled_from([(None, None)] * 4 + [(PAST, FUTURE), (FUTURE, None), (None, PAST)])


@dataclass
class Item:
    """What the model knows of an item."""

    id: int
    price: int
    stock: int
    limit: int | None
    starts_at: str | None
    ends_at: str | None
    sold: int = 0
    paused: bool = False
    version: int = 1
    changes: int = 1

    @property
    def status(self) -> str:
        if self.ends_at == PAST:
            return "ended"
        if self.paused:
            return "paused"
        if self.starts_at == FUTURE:
            return "upcoming"
        return "on_sale" if self.stock else "sold_out"


@dataclass
class Bought:
    """What the model knows of an order."""

    order: dict[str, Any]
    item: Item
    user: str
    quantity: int
    key: str | None
    status: str = "pending"


@dataclass
class Model:
    items: dict[int, Item] = field(default_factory=dict)
    orders: dict[str, Bought] = field(default_factory=dict)
    keys: dict[tuple[str, str], Bought] = field(default_factory=dict)

    def held(self, user: str, item: Item) -> int:
        return sum(
            bought.quantity
            for bought in self.orders.values()
            if bought.user == user and bought.item is item and bought.status == "pending"
        )

    def refusal(self, item: Item, user: str, quantity: int) -> tuple[str, dict[str, Any]] | None:
        """The contract's order: ended, paused, not started, sold out, the limit, the stock."""
        match item.status:
            case "ended":
                return "sale_ended", {}
            case "paused":
                return "sale_paused", {}
            case "upcoming":
                return "sale_not_started", {"starts_at": item.starts_at}
            case "sold_out":
                return "sold_out", {}
        held = self.held(user, item)
        if item.limit is not None and held + quantity > item.limit:
            return "limit_reached", {"limit": item.limit, "already_bought": held}
        if quantity > item.stock:
            return "insufficient_stock", {"available": item.stock}
        return None


def refused(answer: TestResponse, status: int, code: str, **members: Any) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json["code"] == code
    common = {"type", "title", "status", "code", "detail", "request_id"}
    assert {name: value for name, value in answer.json.items() if name not in common} == members


class Sales(RuleBasedStateMachine):
    """Everything that buyers and administrators do to a sale."""

    app: ClassVar[Flask]
    steps: ClassVar[list[str]]

    items = Bundle("items")
    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.call = Calls(self.app)
        self.model = Model()
        # Buyers of their own for each run: the database is shared by all of them.
        self.run = next(_runs)

    def user(self, name: str) -> str:
        return f"{name}-{self.run}"

    @initialize(target=items)
    def begin(self) -> Any:
        """Two ordinary sales, one of them with a limit."""
        return multiple(self.create(2, 6, None, (None, None)), self.create(3, 4, 2, (None, None)))

    @rule(
        target=items,
        price=st.integers(0, 3),
        stock=st.integers(0, 6),
        limit=st.sampled_from([None, None, 1, 2, 5]),
        window=WINDOWS,
    )
    def create(self, price: int, stock: int, limit: int | None, window: tuple) -> int:
        starts_at, ends_at = window
        shown = self.call.create(price=price, stock=stock, per_user_limit=limit, starts_at=starts_at, ends_at=ends_at)
        self.model.items[shown["id"]] = Item(shown["id"], price, stock, limit, starts_at, ends_at)
        return shown["id"]

    @rule(target=orders, goods_id=items, name=USERS, quantity=QUANTITIES, key=KEYS)
    def buy(self, goods_id: int, name: str, quantity: int, key: str | None) -> Any:
        item, user = self.model.items[goods_id], self.user(name)
        answer = self.call.buy(goods_id, user, key, quantity=quantity)
        known = self.model.keys.get((user, key)) if key else None
        if known is not None:
            self.replayed(answer, known, goods_id, quantity)
            return multiple()
        refusal = self.model.refusal(item, user, quantity)
        if refusal is not None:
            self.steps.append(refusal[0])
            refused(answer, 409, refusal[0], **refusal[1])
            return multiple()
        self.steps.append("bought")
        return self.placed(answer, item, user, quantity, key)

    @rule(order_no=orders, quantity=QUANTITIES)
    def retry(self, order_no: str, quantity: int) -> None:
        """Send the request that made an order once more, and then another under its key."""
        bought = self.model.orders[order_no]
        if bought.key is None:
            return
        for asked in (bought.quantity, quantity):
            answer = self.call.buy(bought.item.id, bought.user, bought.key, quantity=asked)
            self.replayed(answer, bought, bought.item.id, asked)

    @rule(goods_id=items, name=USERS, quantity=st.integers(1, 2))
    def buy_until_refused(self, goods_id: int, name: str, quantity: int) -> None:
        item, user = self.model.items[goods_id], self.user(name)
        while self.model.refusal(item, user, quantity) is None and item.sold < 50:
            self.buy(goods_id, name, quantity, None)
        self.buy(goods_id, name, quantity, None)

    def replayed(self, answer: TestResponse, known: Bought, goods_id: int, quantity: int) -> None:
        if (known.item.id, known.quantity) != (goods_id, quantity):
            self.steps.append("idempotency_key_reused")
            refused(answer, 422, "idempotency_key_reused")
            return
        self.steps.append("replay")
        assert answer.status_code == 201
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert answer.json["order_no"] == known.order["order_no"]
        assert answer.json["status"] == known.status

    def placed(self, answer: TestResponse, item: Item, user: str, quantity: int, key: str | None) -> str:
        assert answer.status_code == 201, answer.text
        assert "Idempotent-Replayed" not in answer.headers
        order = answer.json
        expected = {
            "goods_id": item.id,
            "user_id": user,
            "quantity": quantity,
            "unit_price": item.price,
            "total": item.price * quantity,
            "status": "pending",
        }
        assert {name: order[name] for name in expected} == expected
        assert order["order_no"] not in self.model.orders
        bought = Bought(order, item, user, quantity, key)
        self.model.orders[order["order_no"]] = bought
        if key:
            self.model.keys[user, key] = bought
        item.stock -= quantity
        item.sold += quantity
        return order["order_no"]

    @rule(order_no=orders, name=st.sampled_from(["alice", "bob", OPERATOR]))
    def cancel(self, order_no: str, name: str) -> None:
        bought = self.model.orders[order_no]
        by = name if name == OPERATOR else self.user(name)
        answer = self.call.post(f"/orders/{order_no}/cancel", by)
        if by not in (OPERATOR, bought.user):
            refused(answer, 404, "order_not_found")
        elif bought.status != "pending":
            refused(answer, 409, "order_not_pending", order_status=bought.status)
        else:
            self.steps.append("cancelled")
            assert answer.status_code == 200
            bought.status = "cancelled"
            bought.item.stock += bought.quantity
            bought.item.sold -= bought.quantity
            assert answer.json == {**bought.order, "status": "cancelled", "closed_at": answer.json["closed_at"]}
            bought.order = answer.json

    @rule(order_no=orders, name=st.sampled_from(["alice", "bob", OPERATOR]))
    def read_order(self, order_no: str, name: str) -> None:
        bought = self.model.orders[order_no]
        by = name if name == OPERATOR else self.user(name)
        answer = self.call.get(f"/orders/{order_no}", by)
        if by in (OPERATOR, bought.user):
            assert answer.json == bought.order
        else:
            refused(answer, 404, "order_not_found")

    @rule(goods_id=items, delta=st.integers(-6, 6))
    def restock_or_withdraw(self, goods_id: int, delta: int) -> None:
        item = self.model.items[goods_id]
        answer = self.call.patch(f"/goods/{goods_id}", json={"stock_delta": delta})
        if item.stock + delta < 0:
            refused(answer, 409, "stock_conflict")
            return
        item.stock += delta
        self.changed(answer, item, really=delta != 0)

    @rule(goods_id=items, limit=st.sampled_from([None, 1, 3]), window=WINDOWS, price=st.integers(0, 3))
    def change(self, goods_id: int, limit: int | None, window: tuple, price: int) -> None:
        item = self.model.items[goods_id]
        starts_at, ends_at = window
        before = (item.limit, item.starts_at, item.ends_at, item.price)
        item.limit, item.starts_at, item.ends_at, item.price = limit, starts_at, ends_at, price
        body = {"per_user_limit": limit, "starts_at": starts_at, "ends_at": ends_at, "price": price}
        answer = self.call.patch(f"/goods/{goods_id}", json=body)
        self.changed(answer, item, really=before != (limit, starts_at, ends_at, price))

    @rule(goods_id=items, paused=st.sampled_from([False, False, True]))
    def pause_or_resume(self, goods_id: int, paused: bool) -> None:
        item = self.model.items[goods_id]
        answer = self.call.post(f"/goods/{goods_id}/{'pause' if paused else 'resume'}", OPERATOR)
        really, item.paused = item.paused != paused, paused
        self.changed(answer, item, really)
        if paused:
            self.buy(goods_id, "alice", 1, None)

    @rule(goods_id=items, behind=st.integers(-1, 1))
    def change_if_unchanged(self, goods_id: int, behind: int) -> None:
        item = self.model.items[goods_id]
        headers = {"If-Match": f'"{item.version - behind}"'}
        answer = self.call.patch(f"/goods/{goods_id}", json={"stock_delta": 1}, headers=headers)
        if behind:
            refused(answer, 412, "version_mismatch")
            return
        item.stock += 1
        self.changed(answer, item, really=True)

    def changed(self, answer: TestResponse, item: Item, really: bool) -> None:
        assert answer.status_code == 200, answer.text
        item.version += really
        item.changes += really
        self.matches(answer.json, item)

    @rule(price=st.integers(0, 3), name=USERS, ordered=st.booleans())
    def create_and_delete(self, price: int, name: str, ordered: bool) -> None:
        goods_id = self.create(price, 1, None, (None, None))
        if ordered:
            self.buy(goods_id, name, 1, None)
            refused(self.call.delete(f"/goods/{goods_id}"), 409, "has_orders")
            return
        self.steps.append("deleted")
        assert self.call.delete(f"/goods/{goods_id}").status_code == 204
        del self.model.items[goods_id]
        for answer in (self.call.get(f"/goods/{goods_id}"), self.call.buy(goods_id, self.user(name))):
            refused(answer, 404, "goods_not_found")

    def matches(self, shown: dict[str, Any], item: Item) -> None:
        expected = {
            "stock": item.stock,
            "sold": item.sold,
            "status": item.status,
            "price": item.price,
            "per_user_limit": item.limit,
            "starts_at": item.starts_at,
            "ends_at": item.ends_at,
            "version": item.version,
        }
        assert {name: shown[name] for name in expected} == expected

    @invariant()
    def every_item_is_as_the_model_has_it(self) -> None:
        for item in self.model.items.values():
            self.matches(self.call.goods(item.id), item)
            held = sum(
                bought.quantity
                for bought in self.model.orders.values()
                if bought.item is item and bought.status == "pending"
            )
            assert item.sold == held

    def teardown(self) -> None:
        for item in self.model.items.values():
            history = self.call.get(f"/goods/{item.id}/changes?limit=100", OPERATOR).json["items"]
            assert len(history) == item.changes
            listed = self.call.get(f"/orders?goods_id={item.id}&limit=100", OPERATOR).json["items"]
            mine = [bought for bought in self.model.orders.values() if bought.item is item]
            assert listed == [bought.order for bought in reversed(mine)]
            sale = self.call.get(f"/seckill/{item.id}").json
            assert (sale["status"], sale["stock"], sale["sold"], sale["in_progress"]) == (
                item.status,
                item.stock,
                item.sold,
                0,
            )


_runs = itertools.count(1)
OUTCOMES = (
    "bought",
    "replay",
    "idempotency_key_reused",
    "sale_ended",
    "sale_paused",
    "sale_not_started",
    "sold_out",
    "limit_reached",
    "insufficient_stock",
    "cancelled",
    "deleted",
)


def drive(app: Flask, examples: int, steps: int, shrink: bool = True) -> list[str]:
    """Run the model against `app`; returns what happened to the purchases."""
    # The model knows each answer to the unit: none may be a quarter of a second old.
    app.extensions["seckill"].gate.crowd = math.inf
    machine: Any = type("SalesOnThisApp", (Sales,), {"app": app, "steps": []})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=True,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
            suppress_health_check=list(HealthCheck),
        ),
    )
    return machine.steps


def test_the_model_predicts_every_answer_on_sqlite(sqlite_app: Flask) -> None:
    steps = drive(sqlite_app, examples=30, steps=30)
    # What never happened was not tested.
    for happened in OUTCOMES:
        assert steps.count(happened) >= 2, (happened, len(steps))


@pytest.mark.mariadb
def test_the_model_predicts_every_answer_on_mariadb(make_app: Callable[..., Flask], mariadb_uri: str) -> None:
    steps = drive(make_app(mariadb_uri), examples=12, steps=30)
    assert {"bought", "replay", "sold_out"} <= set(steps)


def test_a_model_that_is_wrong_is_found_out(sqlite_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: without the limit in the model, its predictions must fail."""
    monkeypatch.setattr(Model, "held", lambda self, user, item: 0)
    with pytest.raises(AssertionError):
        drive(sqlite_app, examples=30, steps=30, shrink=False)
