"""A model of sales in plain Python predicts every answer of the service, whatever is done in whatever order."""

import itertools
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from core.db.clock import iso
from core.orders import expiry
from core.payments import payments
from core.payments.payment_records import PaymentEvent, PaymentEventType
from tests.contract.sales_choices import USERS, refused
from tests.contract.sales_model import ABROAD, HOLD_STRIKES, Bought, Model
from tests.contract.sales_operator import Operated
from tests.resources.calls import OPERATOR

ANYBODY = st.sampled_from(["alice", "bob", OPERATOR])
ENDS = st.sampled_from(
    [
        ("cancel",),
        ("cancel", "money"),
        ("cancel", "money", "money"),
        ("cancel", "cancel", "pay"),
        ("pay",),
        ("pay", "cancel", "money"),
        ("money", "pay"),
        ("too much money", "money"),
        ("lapse",),
        ("lapse", "pay", "cancel"),
        ("lapse", "money", "money"),
        ("lapse", "sweep", "money"),
        ("lapse and sweep", "cancel", "money"),
        ("lapse and sweep",),
        ("refund",),
        ("cancel", "money", "refund"),
        ("pay", "refund", "money", "cancel"),
        ("money", "restock", "refund", "refund event"),
        ("cancel", "money", "restock", "money"),
        ("lapse", "money", "refund event", "refund"),
        ("pay", "refund event", "restock"),
    ]
)
ONE_HOUR = 3600
# It takes a minute on a machine of its own.
pytestmark = pytest.mark.timeout(600)
_events = itertools.count(1)


class Sales(Operated):
    """And how orders end."""

    def begin_orders(self) -> None:
        """What few of the runs come to by chance."""
        goods_id = self.create(2, 6, None, (None, None), False)
        for ends in (
            ("pay", "restock"),
            ("pay", "refund"),
            ("cancel", "money", "restock"),
            ("cancel", "money", "refund"),
        ):
            order_no = self.buy(goods_id, "alice", 1, None)
            assert isinstance(order_no, str)
            self.end(order_no, ends, "alice")
        shipped = self.create(3, 5, None, (None, None), True)
        for delivery in ((None, None), ("local", ABROAD)):
            self.buy(shipped, "alice", 1, None, delivery)

    def caller(self, bought: Bought, name: str) -> tuple[str, bool]:
        """Who makes the request for an order, and whether they own it."""
        by = name if name == OPERATOR else self.user(name)
        return by, by == bought.user

    def moved(self, bought: Bought, shown: dict[str, Any], **times: Any) -> None:
        """The order is shown as it was, but for its status and the times that are given."""
        assert shown == {**bought.order, "status": bought.status, **times}
        bought.order = shown

    def cancel(self, order_no: str, name: str) -> None:
        bought = self.model.orders[order_no]
        by, is_owner = self.caller(bought, name)
        answer = self.call.post(f"/orders/{order_no}/cancel", by)
        if not is_owner and by != OPERATOR:
            refused(answer, 404, "order_not_found")
        elif bought.status != "pending":
            refused(answer, 409, "order_not_pending", order_status=bought.status)
            if not bought.swept:  # that it has expired is noted
                self.model.give_back(bought)
        else:
            self.steps.append("cancelled")
            assert answer.status_code == 200
            bought.status, bought.given_up = "cancelled", is_owner
            self.model.give_back(bought)
            self.moved(bought, answer.json, closed_at=answer.json["closed_at"])
            assert answer.json["closed_at"] is not None

    def pay(self, order_no: str, name: str) -> None:
        """By the provider for trials: the owner's call is the money."""
        bought = self.model.orders[order_no]
        by, is_owner = self.caller(bought, name)
        answer = self.call.post(f"/orders/{order_no}/pay", by)
        if not is_owner:
            refused(answer, 404, "order_not_found")
        elif bought.status != "pending":
            refused(answer, 409, "order_not_pending", order_status=bought.status)
        else:
            self.steps.append("paid")
            assert answer.status_code == 200, answer.text
            bought.status = "paid"
            self.moved(bought, answer.json, paid_at=answer.json["paid_at"])
            assert answer.json["paid_at"] is not None

    def let_lapse(self, order_no: str, swept: bool) -> None:
        bought = self.model.orders[order_no]
        if bought.status != "pending":
            return
        self.steps.append("expired")
        over = self.call.now() - timedelta(seconds=1)
        self.call.set_order(order_no, expires_at=over)
        bought.status, bought.swept = "expired", False
        shown = self.call.get(f"/orders/{order_no}", bought.user).json
        self.moved(bought, shown, expires_at=iso(over), closed_at=iso(over))
        if swept:
            self.sweep()

    def sweep(self) -> None:
        expiry.sweep(self.call.services.database)
        for bought in self.model.orders.values():
            if not bought.swept:
                self.model.give_back(bought)

    def money_comes(self, order_no: str, short: int) -> None:
        """By a provider, whatever the order's state; sent twice."""
        bought = self.model.orders[order_no]
        was = bought.status
        outcome = "mismatch" if short else self.model.money(bought)
        number = f"{self.run}-{next(_events)}"
        event = PaymentEvent(
            number, PaymentEventType.SUCCEEDED, order_no, bought.order["total"] + short, "CNY", f"payment-{number}"
        )
        for _ in range(2):
            assert payments.receive(self.call.services.database, event) == outcome
        self.steps.append(f"money {outcome}" + (" late" if (was, outcome) == ("expired", "paid") else ""))
        shown = self.call.get(f"/orders/{order_no}", bought.user).json
        times = {}
        if bought.status != was and bought.status == "paid":
            times = {"paid_at": shown["paid_at"], "closed_at": None}
            assert shown["paid_at"] is not None
        self.moved(bought, shown, **times)

    def refund(self, order_no: str, restock: bool) -> None:
        """By the operator; sent twice."""
        bought = self.model.orders[order_no]
        was = bought.status
        refunded = self.model.refund(bought, restock)
        body = {"reference": f"r-{self.run}-{next(_events)}", "restock": restock}
        for _ in range(2):
            answer = self.call.post(f"/orders/{order_no}/refund", OPERATOR, json=body)
            if not refunded:
                refused(answer, 409, "order_not_refundable", order_status=was)
                continue
            assert answer.status_code == 200, answer.text
            self.refunded(bought, answer.json, body["reference"], restock and was == "paid")
        self.steps += [f"refunded {was}" + (" with restock" if restock else "")] if refunded else []

    def refunded(self, bought: Bought, shown: dict[str, Any], reference: str, restocked: bool) -> None:
        times = {"refunded_at": shown["refunded_at"], "refund_reference": reference}
        if restocked:
            times["closed_at"] = shown["refunded_at"]
        assert shown["refunded_at"] is not None
        self.moved(bought, shown, **times)

    def report_refund(self, order_no: str) -> None:
        """By a provider, under an id of its own; sent twice."""
        bought = self.model.orders[order_no]
        refunded = self.model.refund(bought, restock=False)
        number = f"{self.run}-{next(_events)}"
        event = PaymentEvent(
            number, PaymentEventType.REFUNDED, order_no, bought.order["total"], "CNY", f"refund-{number}"
        )
        outcome = "refunded" if refunded else "mismatch"
        for _ in range(2):
            assert payments.receive(self.call.services.database, event) == outcome
        self.steps.append(f"refund event {outcome}")
        shown = self.call.get(f"/orders/{order_no}", bought.user).json
        if refunded:
            self.refunded(bought, shown, event.payment_id, restocked=False)
        else:
            self.moved(bought, shown)

    @rule(order_no=Operated.orders, ends=ENDS, name=ANYBODY)
    def end(self, order_no: str, ends: tuple[str, ...], name: str) -> None:
        """Do one thing after another to an order; the last one by anybody."""
        owner = self.model.orders[order_no].user.partition("-")[0]
        for place, how in enumerate(ends):
            by = name if place == len(ends) - 1 else owner
            match how:
                case "cancel":
                    self.cancel(order_no, by)
                case "pay":
                    self.pay(order_no, by)
                case "lapse" | "lapse and sweep":
                    self.let_lapse(order_no, swept=how != "lapse")
                case "sweep":
                    self.sweep()
                case "money" | "too much money":
                    self.money_comes(order_no, short=int(how != "money"))
                case "refund" | "restock":
                    self.refund(order_no, restock=how == "restock")
                case "refund event":
                    self.report_refund(order_no)

    @rule(
        target=Operated.orders,
        goods_id=Operated.items,
        name=USERS,
        code=st.one_of(st.none(), Operated.coupons),
        ends=ENDS,
    )
    def buy_and_end(self, goods_id: int, name: str, code: str | None, ends: tuple[str, ...]) -> Any:
        order_no = self.buy(goods_id, name, 1, None, code=code)
        if isinstance(order_no, str):
            self.end(order_no, ends, name)
        return order_no

    @rule(goods_id=Operated.items, name=USERS)
    def give_up_often(self, goods_id: int, name: str) -> None:
        for _ in range(HOLD_STRIKES):
            order_no = self.buy(goods_id, name, 1, None)
            if isinstance(order_no, str):
                self.cancel(order_no, name)
        self.buy(goods_id, name, 1, None)

    @rule(order_no=Operated.orders, name=ANYBODY)
    def read_order(self, order_no: str, name: str) -> None:
        bought = self.model.orders[order_no]
        by, is_owner = self.caller(bought, name)
        answer = self.call.get(f"/orders/{order_no}", by)
        if is_owner or by == OPERATOR:
            assert answer.json == bought.order
        else:
            refused(answer, 404, "order_not_found")


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
    "paid",
    "expired",
    "bought with a coupon",
    "quoted",
    "price_changed",
    "shipping_required shipping_method",
    "shipping_not_available not_shippable",
    "shipping_not_available region",
    "coupon_invalid unknown",
    "coupon_invalid inactive",
    "coupon_not_applicable min_spend",
    "coupon_not_applicable no_shipping",
    "coupon_exhausted total_limit",
    "coupon_exhausted per_user_limit",
    "money paid",
    "money paid late",
    "money refund_due",
    "money already_paid",
    "money mismatch",
    "bought for nothing",
    "refunded paid",
    "refunded paid with restock",
    "refunded refund_due",
    "refunded refund_due with restock",
    "refund event refunded",
    "refund event mismatch",
)


def drive(app: Flask, examples: int, steps: int, shrink: bool = True) -> list[str]:
    """Run the model against `app`; returns what happened to the purchases."""
    # The model knows each answer to the unit: none may be a quarter of a second old.
    app.extensions["seckill"].sale_cache.hot_requests = math.inf
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


@pytest.fixture
def make_shop(make_app: Callable[..., Flask]) -> Callable[..., Flask]:
    """An application with the provider for trials, on a database; who gives up too much waits for so many seconds."""
    return lambda uri, cooldown: make_app(
        uri, PAYMENT_PROVIDER="test", HOLD_COOLDOWN_SECONDS=cooldown, HOLD_STRIKES=HOLD_STRIKES
    )


def test_the_model_predicts_every_answer_on_sqlite(make_shop: Callable[..., Flask], sqlite_uri: str) -> None:
    steps = drive(make_shop(sqlite_uri, 0), examples=80, steps=40)
    # What never happened was not tested.
    assert [happened for happened in OUTCOMES if happened not in steps] == []


def test_the_model_predicts_who_has_to_wait(make_shop: Callable[..., Flask], sqlite_uri: str) -> None:
    steps = drive(make_shop(sqlite_uri, ONE_HOUR), examples=20, steps=40)
    assert steps.count("hold_cooldown") >= 2


def test_the_model_predicts_every_answer_on_a_server(make_shop: Callable[..., Flask], server_uri: str) -> None:
    steps = drive(make_shop(server_uri, 0), examples=15, steps=30)
    assert {"bought", "bought with a coupon", "replay", "sold_out"} <= set(steps)


@pytest.mark.parametrize(
    ("name", "wrong", "mistake"),
    [
        ("held", lambda self, user, item: 0, "limit_reached"),
        ("used", lambda self, code, user=None: 0, r"assert \d+ == 0"),
        ("give_back", lambda self, bought: None, r"\{'stock': \d+\} != \{'stock': \d+\}"),
    ],
)
def test_a_model_that_is_wrong_is_found_out(
    make_shop: Callable[..., Flask],
    sqlite_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    wrong: Any,
    mistake: str,
) -> None:
    """The twin: without the limit, or coupons, or what comes back, in the model, its predictions must fail."""
    monkeypatch.setattr(Model, name, wrong)
    with pytest.raises(AssertionError, match=mistake):
        drive(make_shop(sqlite_uri, 0), examples=30, steps=30, shrink=False)
