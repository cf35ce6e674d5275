"""What the audit says of prices and of money."""

import pytest

from core import audit, goods
from core.checks.money import Money
from core.shop import Shop
from tests.core.stored import broken, pay, place, rows_of, sql


@pytest.fixture
def item(shop: Shop) -> int:
    return goods.create(shop.database, "root", {"name": "Kettle", "currency": "CNY", "price": 100, "stock": 10}).id


def test_what_came_in_is_told_by_currency(shop: Shop, item: int) -> None:
    place(shop, item, "N1", status="paid", quantity=2, shipping_fee=30)
    place(shop, item, "N2", status="paid", user_id="bob", currency="JPY", unit_price=7, discount=7)
    place(shop, item, "N3", status="refund_due")
    place(shop, item, "N4", user_id="carol")
    pay(shop, "N1", "already_paid", 230)
    pay(shop, "N3", "refund_due", 100, event_id="another")
    pay(shop, "N4", "mismatch", 1)
    pay(shop, "N4", "failed", 100)
    pay(shop, "none", "unknown_order", 100)
    pay(shop, "N1", "repeated", 230)
    report = audit.run(shop.settings)
    assert broken(report) == {}
    assert report.money == (Money("CNY", 230, 230, 430), Money("JPY", 0, 0, 0))


def test_where_nothing_was_paid_no_money_is_told_of(shop: Shop, item: int) -> None:
    place(shop, item, "N1")
    assert audit.run(shop.settings).money == ()


def test_prices_that_do_not_add_up_are_found(shop: Shop, item: int) -> None:
    changes = (
        "subtotal = 101, total = 101",
        "discount = 101, total = -1",
        "discount = -1, total = 101",
        "shipping_fee = -1, total = 99",
        "total = 1",
        "unit_price = 99",
    )
    for number, change in enumerate(changes):
        place(shop, item, f"N{number}", user_id=f"buyer-{number}")
        sql(shop, f"UPDATE orders SET {change} WHERE order_no = 'N{number}'", unchecked=True)
    place(shop, item, "right")
    report = audit.run(shop.settings)
    assert broken(report) == {"price_adds_up": len(changes)}
    assert [breach.order_no for breach in rows_of(report, "price_adds_up")] == [f"N{n}" for n in range(len(changes))]


def test_a_paid_order_without_a_payment_is_found(shop: Shop, item: int) -> None:
    place(shop, item, "N1", status="paid")
    sql(shop, "DELETE FROM payments")
    report = audit.run(shop.settings)
    assert broken(report) == {"paid_once": 1, "paid_is_received": 1}
    assert (rows_of(report, "paid_once")[0].expected, rows_of(report, "paid_once")[0].found) == (1, 0)
    (sums,) = rows_of(report, "paid_is_received")
    assert (sums.goods_id, sums.expected, sums.found) == (item, 100, 0)


def test_a_second_payment_that_paid_is_found(shop: Shop, item: int) -> None:
    place(shop, item, "N1", status="paid")
    pay(shop, "N1", "paid", 100, event_id="second")
    report = audit.run(shop.settings)
    assert broken(report) == {"paid_once": 1, "paid_is_received": 1}
    assert rows_of(report, "paid_once")[0].found == 2


def test_payments_that_paid_orders_which_are_not_paid_are_found(shop: Shop, item: int) -> None:
    for status in ("pending", "cancelled", "expired"):
        place(shop, item, status, status=status)
        pay(shop, status, "paid", 100)
    assert broken(audit.run(shop.settings)) == {"paid_once": 3, "paid_is_received": 1}


@pytest.mark.parametrize(("change", "found"), [("amount = 99", 99), ("currency = 'JPY'", 100)])
def test_another_amount_or_currency_is_found(shop: Shop, item: int, change: str, found: int) -> None:
    place(shop, item, "N1", status="paid")
    sql(shop, f"UPDATE payments SET {change}")
    report = audit.run(shop.settings)
    assert set(broken(report)) == {"paid_in_full", "paid_is_received"}
    (breach,) = rows_of(report, "paid_in_full")
    assert (breach.order_no, breach.expected, breach.found) == ("N1", 100, found)


def test_money_for_an_order_that_is_not_there_is_found(shop: Shop) -> None:
    for outcome in ("already_paid", "paid", "refund_due"):
        pay(shop, f"none-{outcome}", outcome, 100)
    report = audit.run(shop.settings)
    assert broken(report) == {"payments_have_orders": 3}
    assert rows_of(report, "payments_have_orders")[0].order_no == "none-already_paid"


def test_money_for_an_order_that_was_said_to_be_paid_and_is_not_is_found(shop: Shop, item: int) -> None:
    place(shop, item, "N1")
    pay(shop, "N1", "already_paid", 100)
    assert broken(audit.run(shop.settings)) == {"payments_have_orders": 1}


def test_an_order_due_for_a_refund_of_no_money_is_found(shop: Shop, item: int) -> None:
    place(shop, item, "N1", status="refund_due")
    sql(shop, "DELETE FROM payments")
    report = audit.run(shop.settings)
    assert broken(report) == {"refunds_are_owed": 1}
    assert (rows_of(report, "refunds_are_owed")[0].expected, rows_of(report, "refunds_are_owed")[0].found) == (1, 0)


def test_money_that_is_owed_for_an_order_in_another_state_is_found(shop: Shop, item: int) -> None:
    place(shop, item, "N1", status="expired")
    pay(shop, "N1", "refund_due", 100)
    assert broken(audit.run(shop.settings)) == {"refunds_are_owed": 1}
