"""Refunds against late payments, cancellations and the expiry sweep: each cent ends up in exactly one line."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, case, select, update

from core.db.clock import database_now
from core.ops import audit
from core.ops.checks import money
from core.orders import expiry, order_life, orders
from core.orders.orders import OrderView, Viewer
from core.payments import payment_records, payments, refunds
from core.payments.payment_records import PaymentEvent, PaymentEventType
from core.refusals import Refusal
from core.services import Services
from models import Order, Payment, PaymentOutcome
from tests.core.selling import Selling
from tests.races.buyers import at_once, fails_soon

ROUNDS = 5
TOTAL = 90
# What the calls may come to: `busy` is none of it, nor an error of the program.
ANSWERS = {"order_not_pending", "order_not_refundable", "cancelled", "refunded", "swept", *PaymentOutcome}
STATES = ("pending", "pending", "ending", "overdue", "expired", "cancelled", "paid", "refund_due")


@pytest.fixture
def services(make_app: Callable[..., Flask], server_uri: str) -> Services:
    patient = {"LOCK_WAIT_SECONDS": 20, "DATABASE_TIMEOUT_SECONDS": 25, "PURCHASE_WAIT_SECONDS": 60}
    return make_app(server_uri, HOLD_COOLDOWN_SECONDS=0, TRANSACTION_ATTEMPTS=50, **patient).extensions["seckill"]


class Money:
    """Orders in every state, the events of their payments and refunds, and the outcomes."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.selling = Selling(services)
        self.code = self.selling.coupon()
        self.outcomes: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._received: set[str] = set()

    def order(self, item: int, state: str) -> OrderView:
        order = self.selling.bought(item, coupon=self.code)
        if state == "ending":
            self.selling.set_end(self.selling.now() + timedelta(milliseconds=100), order)
        elif state in ("overdue", "expired"):
            self.selling.make_overdue(order)
        elif state in ("cancelled", "refund_due"):
            self.cancel(order)
        if state == "expired":
            self.sweep()
        elif state in ("paid", "refund_due"):
            assert self.report_payment(order, "before") == state
        return order

    def report_payment(self, order: OrderView, payment: str, kind: str = PaymentEventType.SUCCEEDED) -> str:
        payment_id = f"{order.order_no}-{payment}"
        if kind == PaymentEventType.SUCCEEDED:
            self._received.add(payment_id)
        number = f"evt-{next(self._numbers)}"
        event = PaymentEvent(number, kind, order.order_no, order.total, order.currency, payment_id)
        return payments.receive(self.services.database, event)

    def cancel(self, order: OrderView) -> str:
        return order_life.cancel(self.services.database, Viewer("alice", False), order.order_no).status

    def refund(self, order: OrderView, reference: str, restock: bool) -> str:
        return refunds.refund(self.services.database, "operator", order.order_no, reference, restock).status

    def sweep(self) -> str:
        expiry.sweep(self.services.database)
        return "swept"

    def calls(self, order: OrderView) -> list[Callable[[], str]]:
        return [
            lambda: self.report_payment(order, "a"),
            lambda: self.report_payment(order, "a"),
            lambda: self.report_payment(order, "b"),
            lambda: self.report_payment(order, "a", PaymentEventType.REFUNDED),
            lambda: self.report_payment(order, "before", PaymentEventType.REFUNDED),
            lambda: self.cancel(order),
            lambda: self.refund(order, "r-1", True),
            lambda: self.refund(order, "r-2", False),
        ]

    def all_at_once(self, calls: list[Callable[[], str]]) -> None:
        def outcome(call: Callable[[], str]) -> str:
            try:
                return call()
            except Refusal as refusal:
                return refusal.code
            except RuntimeError as error:  # what the guards that are left raise in a twin
                return str(error)

        self.outcomes.update(at_once([lambda call=call: outcome(call) for call in calls]))

    def assert_each_cent_is_in_one_line(self) -> None:
        report = audit.run(self.services.settings)
        broken = [result.check.name for result in report.results if result.count]
        assert not broken, f"broken: {broken}"
        lines = sum(case((line, 1), else_=0) for line in (money.KEPT, money.GIVEN_BACK, money.TO_GIVE_BACK))
        with self.services.database.reading() as connection:
            amiss = connection.execute(select(Payment.id, lines).where(money.RECEIVED, lines != 1)).all()
        assert amiss == []
        (sums,) = report.money
        assert sums.received == sums.kept + sums.given_back + sums.to_give_back
        assert sums.received == TOTAL * len(self._received)
        assert set(self.outcomes) <= ANSWERS


def settle_everything_at_once(money: Money) -> None:
    """Orders in all states, and for each of them payments, a cancellation and refunds while sweepers work."""
    item = money.selling.item(stock=6)  # too few for all that were ever sold
    placed = [money.order(item, state) for state in STATES]
    calls = [call for order in placed for call in money.calls(order)] + [money.sweep] * 3
    random.shuffle(calls)
    money.all_at_once(calls)
    money.assert_each_cent_is_in_one_line()


def test_refunds_late_payments_cancellations_and_sweeps_at_once_lose_no_cent(services: Services) -> None:
    money = Money(services)
    rounds = 0
    # Until all that can come of them has come of them at times, if that was not so in the first few rounds.
    while rounds < ROUNDS or (not set(money.outcomes) >= ANSWERS - {"failed", "unknown_order"} and rounds < 8 * ROUNDS):
        settle_everything_at_once(money)
        rounds += 1
    assert set(money.outcomes) == ANSWERS - {"failed", "unknown_order"}


def move_from_any_status(connection: Connection, order_no: str, to: str, *conditions: Any, **values: Any) -> bool:
    """`orders.move` without its look at the table of moves."""
    moved = update(Order).where(Order.order_no == order_no, *conditions).values(status=to, **values)
    return connection.execute(moved).rowcount == 1


def test_without_the_condition_on_the_status_an_order_ends_twice(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    money = Money(services)
    monkeypatch.setattr(order_life, "move", move_from_any_status)
    fails_soon(lambda: settle_everything_at_once(money), match="broken: .*'(paid_once|moves_told_once)'")


def refund_twice_at_once(money: Money, order: OrderView) -> None:
    """Two operators refund one paid order: one of them is refused, as it is refunded already."""
    money.outcomes.clear()
    money.all_at_once([lambda: money.refund(order, "r-1", False), lambda: money.refund(order, "r-2", False)])
    assert money.outcomes == {"refunded": 1, "order_not_refundable": 1}
    money.assert_each_cent_is_in_one_line()


def test_of_two_refunds_at_once_one_is_told_that_the_money_was_given_back(services: Services) -> None:
    money = Money(services)
    for _ in range(ROUNDS):
        refund_twice_at_once(money, money.order(money.selling.item(), "paid"))


def test_without_the_order_s_lock_it_is_an_error(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, together = itertools.count(), threading.Barrier(2)

    def read(connection: Connection, order_no: str) -> Any:
        """Without a lock: nobody goes on before both have seen the order as it was."""
        query = select(*orders.VIEW_COLUMNS).where(Order.order_no == order_no)
        row, now = connection.execute(query).one(), database_now(connection)
        if next(looks) < 2:
            together.wait(60)
        return orders.view(row, now), now

    money = Money(services)
    order = money.order(money.selling.item(), "paid")
    monkeypatch.setattr(payment_records, "lock_order", read)
    # The condition of the move holds still: what it catches is undone, and an error of the program.
    with pytest.raises(AssertionError, match="an order changed under its lock"):
        refund_twice_at_once(money, order)


def restock_beside_a_sweep(money: Money) -> None:
    """Paid orders are refunded and their units come back, while those of overdue orders do."""
    item = money.selling.item(stock=12)
    paid = [money.order(item, "paid") for _ in range(6)]
    for _ in range(6):
        money.order(item, "overdue")
    calls: list[Callable[[], str]] = [
        lambda order=order, number=number: money.refund(order, f"r-{number}", True)  # type: ignore[misc]
        for order in paid
        for number in range(4)
    ]
    money.all_at_once([*calls, *[money.sweep] * 4])
    money.assert_each_cent_is_in_one_line()
    assert money.selling.stock(item) == (12, 0)
    counts = Counter(kind for kind, number in money.selling.happened() if number)
    assert (counts["order.refunded"], counts["order.expired"]) == (6, 6)


def test_refunds_with_a_restock_beside_a_sweep_give_each_unit_back_once(services: Services) -> None:
    money = Money(services)
    restock_beside_a_sweep(money)
    assert money.outcomes == {"swept": 4, "refunded": 6, "order_not_refundable": 18}


def test_without_the_look_at_the_status_an_order_is_refunded_twice(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def move(connection: Connection, order_no: str, to: str, condition: Any, **values: Any) -> bool:
        return move_from_any_status(connection, order_no, to, **values)

    money = Money(services)
    monkeypatch.setattr(refunds, "TRANSITIONS", {"paid": {"refunded"}, "refunded": {"refunded"}})
    monkeypatch.setattr(orders, "move", move)
    with pytest.raises(AssertionError, match=r"broken: .*'moves_told_once'"):
        restock_beside_a_sweep(money)


def one_refund_of_two_orders(money: Money) -> None:
    """A refund's id that the provider reports for two paid orders at once: one of the two got its money back."""
    item = money.selling.item()
    paid = [money.order(item, "paid") for _ in range(2)]

    def report_refund(order: OrderView) -> str:
        event = PaymentEvent(
            f"evt-{order.order_no}", PaymentEventType.REFUNDED, order.order_no, TOTAL, "CNY", f"refund-{item}"
        )
        return payments.receive(money.services.database, event)

    money.all_at_once([lambda order=order: report_refund(order) for order in paid])  # type: ignore[misc]
    statuses = sorted(money.selling.status(order) for order in paid)
    assert statuses == ["paid", "refunded"]
    money.assert_each_cent_is_in_one_line()


def slow_to_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = payment_records.claim

    def late(*arguments: Any) -> None:
        time.sleep(0.3)
        claim(*arguments)

    monkeypatch.setattr(payment_records, "claim", late)


def test_one_refund_that_is_told_for_two_orders_at_once_is_of_one(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    money = Money(services)
    slow_to_claim(monkeypatch)
    for _ in range(3):
        one_refund_of_two_orders(money)


def test_without_the_unique_claim_it_is_of_both(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    money = Money(services)
    slow_to_claim(monkeypatch)
    with services.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE payment_claims DROP PRIMARY KEY, ADD INDEX claims (payment_id)")
    fails_soon(lambda: one_refund_of_two_orders(money), match=r"\['refunded', 'refunded'\]")
