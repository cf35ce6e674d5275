"""Everything that administrators do to items and coupons, and buyers to orders: the model predicts each answer."""

import itertools
from typing import Any, ClassVar

from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from sqlalchemy import select
from werkzeug.test import TestResponse

from core.ops import audit
from models import Coupon as CouponRow
from models import Goods
from tests.contract.sales_choices import (
    DELIVERIES,
    EXPECTED,
    FITTING,
    KEYS,
    LIMITS,
    QUANTITIES,
    UNFITTING,
    USERS,
    WINDOWS,
    refused,
)
from tests.contract.sales_model import IN_CHINA, METHODS, Bought, Coupon, Item, Model, Refusal
from tests.resources.calls import OPERATOR, Calls

_runs = itertools.count(1)


class Purchases(RuleBasedStateMachine):
    """Items, coupons, quotes and purchases."""

    app: ClassVar[Flask]
    steps: ClassVar[list[str]]

    items = Bundle("items")
    coupons = Bundle("coupons")
    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.call = Calls(self.app)
        self.model = Model(cooldown=self.call.services.settings.HOLD_COOLDOWN_SECONDS > 0)
        # Buyers and coupons of their own for each run: the database is shared by all of them.
        self.run = next(_runs)
        for method in METHODS.values():
            regions = None if method.region is None else [method.region]
            body = {"code": method.code, "name": method.code, "base_fee": method.base_fee, "regions": regions}
            body |= {"additional_fee": method.additional_fee, "free_from": method.free_from}
            assert self.call.post("/shipping-methods", OPERATOR, json=body).status_code in (201, 422)

    def user(self, name: str) -> str:
        return f"{name}-{self.run}"

    def begin_orders(self) -> None:
        """For those who know how orders end."""

    @initialize(target=items)
    def begin(self) -> Any:
        """Three ordinary sales, one of them with a limit, one of what is shipped."""
        self.begin_orders()
        return multiple(
            self.create(2, 6, None, (None, None), False),
            self.create(3, 4, 2, (None, None), False),
            self.create(3, 5, None, (None, None), True),
        )

    @initialize(target=coupons)
    def begin_coupons(self) -> Any:
        return multiple(
            self.create_coupon("percent", 50, None, None, None, 2, None),
            self.create_coupon("free_shipping", 0, None, None, None, None, 1),
        )

    @rule(
        target=items,
        price=st.integers(0, 3),
        stock=st.integers(0, 6),
        limit=LIMITS,
        window=WINDOWS,
        shippable=st.booleans(),
    )
    def create(self, price: int, stock: int, limit: int | None, window: tuple, shippable: bool) -> int:
        starts_at, ends_at = window
        shown = self.call.create(
            price=price, stock=stock, per_user_limit=limit, starts_at=starts_at, ends_at=ends_at, shippable=shippable
        )
        self.model.items[shown["id"]] = Item(shown["id"], price, stock, limit, starts_at, ends_at, shippable)
        return shown["id"]

    @rule(
        target=coupons,
        kind=st.sampled_from(["percent", "amount", "free_shipping"]),
        value=st.sampled_from([1, 3, 15, 50, 100]),
        max_discount=st.sampled_from([None, 1]),
        min_spend=st.sampled_from([None, None, 4]),
        goods_id=st.one_of(st.none(), items),
        total_limit=LIMITS,
        per_user_limit=LIMITS,
    )
    def create_coupon(
        self,
        kind: str,
        value: int,
        max_discount: int | None,
        min_spend: int | None,
        goods_id: int | None,
        total_limit: int | None,
        per_user_limit: int | None,
    ) -> str:
        goods_ids = None if goods_id is None else [goods_id]
        maximum = max_discount if kind == "percent" else None
        code = f"C{self.run}-{len(self.model.coupons)}"
        coupon = Coupon(code, kind, value, maximum, min_spend, goods_ids, total_limit, per_user_limit)
        self.model.coupons[code] = coupon
        body = {name: getattr(coupon, name) for name in ("min_spend", "goods_ids", "total_limit", "per_user_limit")}
        worth = {} if kind == "free_shipping" else {kind: value, "max_discount": maximum}
        self.call.create_coupon(code, kind=kind, **body, **worth)
        return code

    @rule(
        code=coupons,
        goods_id=items,
        name=USERS,
        active=st.sampled_from([True, True, False]),
        total_limit=LIMITS,
        per_user_limit=LIMITS,
    )
    def change_coupon(
        self, code: str, goods_id: int, name: str, active: bool, total_limit: int | None, per_user_limit: int | None
    ) -> None:
        """Change a coupon, and buy with it."""
        coupon = self.model.coupons[code]
        coupon.active, coupon.total_limit, coupon.per_user_limit = active, total_limit, per_user_limit
        body = {"active": active, "total_limit": total_limit, "per_user_limit": per_user_limit}
        assert self.call.patch(f"/coupons/{code}", json=body).status_code == 200
        self.buy(goods_id, name, 2, None, code=code)

    def choices(self, item: Item, delivery: tuple[str | None, dict | None], code: str | None) -> dict[str, Any]:
        if delivery is FITTING:
            delivery = ("post", IN_CHINA) if item.shippable else (None, None)
        chosen = {"shipping_method": delivery[0], "address": delivery[1], "coupon_code": code}
        return {name: value for name, value in chosen.items() if value is not None}

    @rule(
        target=orders,
        goods_id=items,
        name=USERS,
        quantity=QUANTITIES,
        key=KEYS,
        code=st.one_of(st.none(), coupons),
        expected=EXPECTED,
    )
    def buy_what_fits(self, **arguments: Any) -> Any:
        order_no = self.buy(**arguments)
        if isinstance(order_no, str):
            self.retry(order_no, arguments["quantity"])
        return order_no

    @rule(
        target=orders,
        goods_id=items,
        name=USERS,
        quantity=QUANTITIES,
        key=KEYS,
        delivery=st.one_of(st.just(FITTING), UNFITTING),
        code=st.one_of(st.just("NOBODY-S"), st.none(), coupons),
        expected=EXPECTED,
    )
    def buy_with_whatever(self, **arguments: Any) -> Any:
        return self.buy(**arguments)

    def buy(
        self,
        goods_id: int,
        name: str,
        quantity: int,
        key: str | None,
        delivery: tuple = FITTING,
        code: str | None = None,
        expected: str | None = None,
    ) -> Any:
        item, user = self.model.items[goods_id], self.user(name)
        choices = self.choices(item, delivery, code)
        price = self.model.price(item, user, quantity, choices)
        if expected is not None:
            total = price["total"] if isinstance(price, dict) else 0
            choices["expected_total"] = total + (expected == "wrong")
        answer = self.call.buy(goods_id, user, key, quantity=quantity, **choices)
        known = self.model.keys.get((user, key)) if key else None
        if known is not None:
            self.replayed(answer, known, goods_id, quantity, choices)
            return multiple()
        refusal = self.model.refusal(item, user, quantity) or (price if isinstance(price, tuple) else None)
        if refusal is None and expected == "wrong":
            assert isinstance(price, dict)
            self.steps.append("price_changed")
            self.quoted(answer.json["quote"], item, quantity, price, choices)
            refused(answer, 409, "price_changed", quote=answer.json["quote"])
            return multiple()
        if refusal is not None:
            return self.turned_away(answer, refusal)
        assert isinstance(price, dict)
        return self.placed(answer, item, user, quantity, key, choices, price)

    def turned_away(self, answer: TestResponse, refusal: Refusal) -> Any:
        status, code, members = refusal
        self.steps.append(" ".join([code, *([members["reason"]] if "reason" in members else [])]))
        refused(answer, status, code, **members)
        return multiple()

    @rule(goods_id=items, name=USERS, quantity=QUANTITIES, delivery=DELIVERIES, code=st.one_of(st.none(), coupons))
    def quote(self, goods_id: int, name: str, quantity: int, delivery: tuple, code: str | None) -> None:
        item, user = self.model.items[goods_id], self.user(name)
        choices = self.choices(item, delivery, code)
        price = self.model.price(item, user, quantity, choices, to_buy=False)
        answer = self.call.quote(goods_id, user, quantity=quantity, **choices)
        if isinstance(price, tuple):
            self.turned_away(answer, price)
        else:
            self.steps.append("quoted")
            assert answer.status_code == 200, answer.text
            self.quoted(answer.json, item, quantity, price, choices)
            self.buy(goods_id, name, quantity, None, delivery, code, "wrong")

    def quoted(self, shown: dict[str, Any], item: Item, quantity: int, price: dict, choices: dict[str, Any]) -> None:
        expected = {"unit_price": item.price, "quantity": quantity, **price}
        assert {name: shown[name] for name in expected} == expected
        assert (shown["coupon"] or {}).get("code") == choices.get("coupon_code")
        assert [method["code"] for method in shown["shipping_methods"]] == (list(METHODS) if item.shippable else [])

    @rule(order_no=orders, quantity=QUANTITIES)
    def retry(self, order_no: str, quantity: int) -> None:
        """Send the request that made an order once more, and then others under its key."""
        bought = self.model.orders[order_no]
        if bought.key is None:
            return
        for units, more in ((bought.quantity, {}), (quantity, {}), (bought.quantity, {"expected_total": 77})):
            choices = bought.choices | more
            answer = self.call.buy(bought.item.id, bought.user, bought.key, quantity=units, **choices)
            self.replayed(answer, bought, bought.item.id, units, choices)

    @rule(goods_id=items, name=USERS, quantity=st.integers(1, 2), code=st.one_of(st.none(), coupons))
    def buy_until_refused(self, goods_id: int, name: str, quantity: int, code: str | None) -> None:
        bought = len(self.model.orders)
        self.buy(goods_id, name, quantity, None, code=code)
        while len(self.model.orders) > bought and self.model.items[goods_id].sold < 50:
            bought = len(self.model.orders)
            self.buy(goods_id, name, quantity, None, code=code)

    def replayed(
        self, answer: TestResponse, known: Bought, goods_id: int, quantity: int, choices: dict[str, Any]
    ) -> None:
        if (known.item.id, known.quantity, known.choices) != (goods_id, quantity, choices):
            self.steps.append("idempotency_key_reused")
            refused(answer, 422, "idempotency_key_reused")
            return
        self.steps.append("replay")
        assert answer.status_code == 201
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert answer.json == known.order

    def placed(
        self,
        answer: TestResponse,
        item: Item,
        user: str,
        quantity: int,
        key: str | None,
        choices: dict[str, Any],
        price: dict[str, int],
    ) -> str:
        assert answer.status_code == 201, answer.text
        assert "Idempotent-Replayed" not in answer.headers
        order = answer.json
        expected = {
            "goods_id": item.id,
            "user_id": user,
            "quantity": quantity,
            "unit_price": item.price,
            **price,
            **{name: choices.get(name) for name in ("coupon_code", "shipping_method")},
            "address": choices.get("address") if item.shippable else None,
            "status": "pending" if price["total"] else "paid",
            "paid_at": None if price["total"] else order["purchased_at"],
        }
        assert {name: order[name] for name in expected} == expected
        assert order["order_no"] not in self.model.orders
        self.steps.append("bought" if "coupon_code" not in choices else "bought with a coupon")
        self.steps += [] if price["total"] else ["bought for nothing"]
        bought = Bought(order, item, user, quantity, key, choices, order["status"])
        self.model.orders[order["order_no"]] = bought
        if key:
            self.model.keys[user, key] = bought
        item.stock -= quantity
        item.sold += quantity
        return order["order_no"]

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
    def every_item_and_coupon_is_as_the_model_has_it(self) -> None:
        # Past HTTP, after each of thousands of steps; answers are compared at the changes and at the end.
        items, coupons = self.model.items, self.model.coupons
        with self.call.services.database.reading() as connection:
            rows = connection.execute(select(Goods.id, Goods.stock, Goods.sold).where(Goods.id.in_(items))).all()
            used = connection.execute(select(CouponRow.code, CouponRow.used).where(CouponRow.code.in_(coupons))).all()
        there = {row.id: (row.stock, row.sold) for row in rows}
        assert there == {item.id: (item.stock, item.sold) for item in items.values()}, "stock is not as predicted"
        for item in items.values():
            held = sum(bought.quantity for bought in self.model.orders.values() if bought.item is item and bought.holds)
            assert item.sold == held, "what orders hold is not as predicted"
        uses = {code: self.model.used(code) for code in coupons}
        assert {row.code: row.used for row in used} == uses, "uses of coupons are not as predicted"

    def teardown(self) -> None:
        for code in self.model.coupons:
            assert self.call.get(f"/coupons/{code}", OPERATOR).json["used"] == self.model.used(code)
        for item in self.model.items.values():
            self.matches(self.call.goods(item.id), item)
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
        report = audit.run(self.call.services.settings)
        assert [result for result in report.results if result.count] == []
