"""What the audit says of prices and of money."""

import pytest

from core.catalogue import goods
from core.ops import audit
from core.ops.checks.money import Money
from core.services import Services
from tests.core.stored import NOW, broken, pay, place, rows_of, sql

OWED = ["order.cancelled", "order.refund_due", "order.refunded"]


@pytest.fixture
def item(services: Services) -> int:
    return goods.create(services.database, "root", {"name": "Kettle", "currency": "CNY", "price": 100, "stock": 10}).id


def test_what_came_in_is_told_by_currency(services: Services, item: int) -> None:
    place(services, item, "N1", status="paid", quantity=2, shipping_fee=30)
    kettle = {"name": "Kettle", "currency": "JPY", "price": 7, "stock": 10}
    yen = goods.create(services.database, "root", kettle).id
    place(services, yen, "N2", status="paid", user_id="bob", currency="JPY", unit_price=7, discount=7)
    place(services, item, "N3", status="refund_due")
    place(services, item, "N4", user_id="carol")
    pay(services, "N1", "already_paid", 230)
    pay(services, "N3", "refund_due", 100, event_id="another")
    pay(services, "N4", "mismatch", 1)
    pay(services, "N4", "failed", 100, type="payment.failed")
    pay(services, "none", "unknown_order", 10_000)
    pay(services, "N1", "repeated", 230)
    report = audit.run(services.settings)
    assert broken(report) == {}
    assert report.money == (Money("CNY", 10_661, kept=230, given_back=0, to_give_back=10_431),)


def test_what_was_done_about_money_is_in_its_line(services: Services, item: int) -> None:
    place(services, item, "N1", status="refunded")
    place(services, item, "N2", status="refunded", user_id="bob", event_types=OWED, paid_at=None, closed_at=NOW)
    pay(services, "N2", "refund_due", 100, event_id="more, after the refund")
    for number, resolution in enumerate(("refunded", "accepted", "ignored"), start=1):
        pay(services, "none", "mismatch", 1000 * number, event_id=resolution, resolution=resolution)
    report = audit.run(services.settings)
    assert broken(report) == {}
    assert report.money == (Money("CNY", 3300, kept=2000, given_back=1200, to_give_back=100),)


def test_a_payment_that_is_told_of_again_is_counted_once(services: Services, item: int) -> None:
    place(services, item, "N1", status="paid")
    for number in range(2):
        pay(services, "other", "mismatch", 100, event_id=f"again-{number}", payment_id="payment-of-event-paid-N1")
        pay(services, "none", "unknown_order", 7, event_id=f"unknown-{number}", payment_id="unknown")
    pay(services, "N1", "mismatch", 5, payment_id="payment-of-event-paid-N1", resolution="refunded")
    # A refund brings in nothing, whatever it does not fit.
    pay(services, "N1", "mismatch", 9000, event_id="refund", type="payment.refunded")
    report = audit.run(services.settings)
    assert broken(report) == {}
    assert report.money == (Money("CNY", 112, kept=100, given_back=5, to_give_back=7),)


def test_no_money_is_expected_for_what_costs_nothing(services: Services, item: int) -> None:
    place(services, item, "N1", status="paid", unit_price=0)
    place(services, item, "N2", status="paid", unit_price=0, user_id="bob")
    pay(services, "N2", "paid", 0)
    report = audit.run(services.settings)
    assert broken(report) == {}
    assert report.money == (Money("CNY", 0, 0, 0, 0),)


def test_where_nothing_was_paid_no_money_is_told_of(services: Services, item: int) -> None:
    place(services, item, "N1")
    assert audit.run(services.settings).money == ()


def test_prices_that_do_not_add_up_are_found(services: Services, item: int) -> None:
    changes = (
        "subtotal = 101, total = 101",
        "discount = 101, total = -1",
        "discount = -1, total = 101",
        "shipping_fee = -1, total = 99",
        "total = 1",
        "unit_price = 99",
    )
    for number, change in enumerate(changes):
        place(services, item, f"N{number}", user_id=f"buyer-{number}")
        sql(services, f"UPDATE orders SET {change} WHERE order_no = 'N{number}'", unchecked=True)
    place(services, item, "right")
    report = audit.run(services.settings)
    assert broken(report) == {"price_adds_up": len(changes)}
    assert [breach.order_no for breach in rows_of(report, "price_adds_up")] == [f"N{n}" for n in range(len(changes))]


def test_an_order_in_another_currency_than_its_item_is_found(services: Services, item: int) -> None:
    place(services, item, "N1")
    place(services, item, "N2", user_id="bob", currency="JPY")
    report = audit.run(services.settings)
    assert broken(report) == {"one_currency": 1}
    assert rows_of(report, "one_currency")[0].order_no == "N2"


def test_money_that_is_in_no_line_is_found(services: Services, item: int) -> None:
    for event_id in ("right", "wrong"):
        pay(services, "none", "unknown_order", 100, event_id=event_id, resolution="accepted")
    assert broken(audit.run(services.settings)) == {}
    sql(services, "UPDATE payments SET resolution = 'other' WHERE event_id = 'wrong'", unchecked=True)
    report = audit.run(services.settings)
    assert broken(report) == {"in_one_line": 1}
    (breach,) = rows_of(report, "in_one_line")
    assert (breach.order_no, breach.expected, breach.found) == ("none", 1, 0)


def test_a_paid_order_without_a_payment_is_found(services: Services, item: int) -> None:
    place(services, item, "N1", status="paid")
    sql(services, "DELETE FROM payments", "DELETE FROM payment_claims")
    report = audit.run(services.settings)
    assert broken(report) == {"paid_once": 1, "paid_is_received": 1}
    assert (rows_of(report, "paid_once")[0].expected, rows_of(report, "paid_once")[0].found) == (1, 0)
    (sums,) = rows_of(report, "paid_is_received")
    assert (sums.goods_id, sums.expected, sums.found) == (item, 100, 0)


def test_a_second_payment_that_paid_is_found(services: Services, item: int) -> None:
    place(services, item, "N1", status="paid")
    pay(services, "N1", "paid", 100, event_id="second")
    report = audit.run(services.settings)
    assert broken(report) == {"paid_once": 1, "paid_is_received": 1}
    assert rows_of(report, "paid_once")[0].found == 2


def test_payments_that_paid_orders_which_are_not_paid_are_found(services: Services, item: int) -> None:
    for status in ("pending", "cancelled", "expired"):
        place(services, item, status, status=status)
        pay(services, status, "paid", 100)
    assert broken(audit.run(services.settings)) == {"paid_once": 3, "paid_is_received": 1}


@pytest.mark.parametrize(("change", "found"), [("amount = 99", 99), ("currency = 'JPY'", 100)])
def test_another_amount_or_currency_is_found(services: Services, item: int, change: str, found: int) -> None:
    place(services, item, "N1", status="paid")
    sql(services, f"UPDATE payments SET {change}", f"UPDATE payment_claims SET {change}")
    report = audit.run(services.settings)
    assert set(broken(report)) == {"paid_in_full", "paid_is_received"}
    (breach,) = rows_of(report, "paid_in_full")
    assert (breach.order_no, breach.expected, breach.found) == ("N1", 100, found)


def test_money_for_an_order_that_is_not_there_is_found(services: Services) -> None:
    for outcome in ("already_paid", "paid", "refund_due"):
        pay(services, f"none-{outcome}", outcome, 100)
    report = audit.run(services.settings)
    assert broken(report) == {"payments_have_orders": 3}
    assert rows_of(report, "payments_have_orders")[0].order_no == "none-already_paid"


def test_money_for_an_order_that_was_said_to_be_paid_and_is_not_is_found(services: Services, item: int) -> None:
    place(services, item, "N1")
    pay(services, "N1", "already_paid", 100)
    assert broken(audit.run(services.settings)) == {"payments_have_orders": 1}


def test_an_order_due_for_a_refund_of_no_money_is_found(services: Services, item: int) -> None:
    place(services, item, "N1", status="refund_due")
    sql(services, "DELETE FROM payments", "DELETE FROM payment_claims")
    report = audit.run(services.settings)
    assert broken(report) == {"refunds_are_owed": 1}
    assert (rows_of(report, "refunds_are_owed")[0].expected, rows_of(report, "refunds_are_owed")[0].found) == (1, 0)


def test_money_that_is_owed_for_an_order_in_another_state_is_found(services: Services, item: int) -> None:
    place(services, item, "N1", status="expired")
    pay(services, "N1", "refund_due", 100)
    assert broken(audit.run(services.settings)) == {"refunds_are_owed": 1}


@pytest.mark.parametrize("owed", [True, False])
def test_a_refunded_order_whose_money_was_not_given_back_is_found(services: Services, item: int, owed: bool) -> None:
    before = {"event_types": OWED, "paid_at": None, "closed_at": NOW} if owed else {}
    place(services, item, "N1", status="refunded", **before)
    place(services, item, "N2", status="refunded", user_id="bob", unit_price=0)
    sql(services, "UPDATE payments SET resolution = NULL, resolved_at = NULL, resolved = NULL WHERE outcome = 'paid'")
    sql(services, "UPDATE payments SET resolution = NULL, resolved_at = NULL, resolved = FALSE WHERE outcome <> 'paid'")
    report = audit.run(services.settings)
    assert broken(report) == {"refunds_are_noted": 1}
    (breach,) = rows_of(report, "refunds_are_noted")
    assert (breach.order_no, breach.expected, breach.found) == ("N1", 1, 0)


@pytest.mark.parametrize("status", ["paid", "refund_due"])
def test_money_that_was_given_back_for_an_order_that_is_not_refunded_is_found(
    services: Services, item: int, status: str
) -> None:
    place(services, item, "N1", status=status)
    sql(services, "UPDATE payments SET resolution = 'refunded', resolved_at = received_at, resolved = TRUE")
    found = broken(audit.run(services.settings))
    assert found.pop("refunds_are_owed", 1) == 1
    assert found == {"refunds_are_noted": 1}


def test_a_payment_that_pays_two_orders_is_found(services: Services, item: int) -> None:
    place(services, item, "N1", status="paid")
    place(services, item, "N2", status="paid", user_id="bob")
    sql(services, "UPDATE payments SET payment_id = 'payment-of-event-paid-N1'", "DELETE FROM payment_claims")
    sql(services, "INSERT INTO payment_claims VALUES ('payment-of-event-paid-N1', 'N1', 100, 'CNY')")
    report = audit.run(services.settings)
    assert broken(report) == {"payment_has_effect_once": 1, "effects_are_claimed": 1}
    assert rows_of(report, "payment_has_effect_once")[0].found == 2
    assert rows_of(report, "effects_are_claimed")[0].order_no == "N2"


def test_an_effect_without_its_claim_and_a_claim_without_its_effect_are_found(services: Services, item: int) -> None:
    place(services, item, "N1", status="paid")
    sql(services, "UPDATE payment_claims SET payment_id = 'another'")
    assert broken(audit.run(services.settings)) == {"effects_are_claimed": 1, "claims_have_effects": 1}


def test_an_event_that_had_its_effect_for_two_contents_is_found(services: Services, item: int) -> None:
    place(services, item, "N1", status="paid")
    pay(services, "N2", "mismatch", 100, event_id="event-paid-N1", variant="a")
    assert broken(audit.run(services.settings)) == {}
    pay(services, "N1", "already_paid", 100, event_id="event-paid-N1", variant="b", payment_id="b")
    report = audit.run(services.settings)
    assert broken(report) == {"event_has_effect_once": 1}
    assert rows_of(report, "event_has_effect_once")[0].found == 2


@pytest.mark.parametrize(
    ("outcome", "change"),
    [
        ("mismatch", "resolved = NULL"),
        ("mismatch", "resolved = TRUE"),
        ("mismatch", "resolution = 'ignored', resolved = TRUE"),
        ("mismatch", "resolution = 'ignored', resolved_at = received_at"),
        ("mismatch", "resolved_at = received_at"),
        ("paid", "resolved = FALSE"),
        ("paid", "resolution = 'accepted', resolved = TRUE, resolved_at = received_at"),
        ("failed", "resolution = 'ignored', resolved = TRUE, resolved_at = received_at"),
    ],
)
def test_a_resolution_that_is_not_whole_is_found(services: Services, item: int, outcome: str, change: str) -> None:
    place(services, item, "N1", status="paid")
    if outcome != "paid":
        pay(services, "N1", outcome, 100)
    sql(services, f"UPDATE payments SET {change} WHERE outcome = '{outcome}'")
    assert broken(audit.run(services.settings)) == {"resolutions_are_whole": 1}
