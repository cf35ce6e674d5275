"""Money that goes back: each cent is kept, given back or to be given back, whatever events come in whatever order."""

import itertools
from typing import Any

import pytest
from sqlalchemy import update

from core.db.paging import PageRequest
from core.ops import audit
from core.ops.checks.money import Money
from core.orders import expiry, order_life
from core.orders.orders import OrderView, Viewer
from core.payments import payment_records, payments, refunds
from core.payments.payment_records import PaymentEvent, PaymentEventType, Resolution
from core.refusals import Refusal
from core.services import Services
from models import Payment
from tests.core.selling import Selling

ALICE = Viewer("alice", False)
_numbers = itertools.count(1)


@pytest.fixture
def selling(services: Services) -> Selling:
    return Selling(services)


def report_payment(services: Services, order: OrderView, kind: str = PaymentEventType.SUCCEEDED, **changed: Any) -> str:
    """An event of its own; the payment is the order's, unless another is named."""
    fields: dict[str, Any] = {
        "event_id": f"evt_{next(_numbers)}",
        "type": kind,
        "order_no": order.order_no,
        "amount": order.total,
        "currency": order.currency,
        "payment_id": f"pay-{order.order_no}",
    }
    return payments.receive(services.database, PaymentEvent(**(fields | changed)))


def refund(services: Services, order: OrderView, reference: str = "r-1", restock: bool = False) -> OrderView:
    return refunds.refund(services.database, "operator", order.order_no, reference, restock)


def resolve(services: Services, row_id: int, resolution: str, note: str | None = None) -> Any:
    return refunds.resolve(services.database, row_id, Resolution(resolution, note, "operator"))


def refused(code: str, act: Any, **details: Any) -> None:
    with pytest.raises(Refusal) as refusal:
        act()
    assert (refusal.value.code, refusal.value.details) == (code, details)


def rows(services: Services) -> list[Any]:
    return payment_records.list_page(services.database, PageRequest(100)).items[::-1]


def lines(services: Services) -> tuple[int, int, int]:
    """What is kept, was given back and is to be given back; the audit is clean."""
    report = audit.run(services.settings)
    assert [result.check.name for result in report.results if result.count] == []
    (money,) = report.money or (Money("CNY", 0, 0, 0, 0),)
    assert money.received == money.kept + money.given_back + money.to_give_back
    return money.kept, money.given_back, money.to_give_back


def paid(services: Services, selling: Selling, **options: Any) -> OrderView:
    order = selling.bought(options.pop("item", None) or selling.item(), **options)
    assert report_payment(services, order) == "paid"
    return order


def owed(services: Services, selling: Selling, **options: Any) -> OrderView:
    order = selling.bought(selling.item(), **options)
    order_life.cancel(services.database, ALICE, order.order_no)
    assert report_payment(services, order) == "refund_due"
    return order


def test_the_money_of_a_paid_order_is_given_back_and_its_units_stay_sold(services: Services, selling: Selling) -> None:
    item, code = selling.item(per_user_limit=1), selling.coupon()
    order = paid(services, selling, item=item, coupon=code)
    assert lines(services) == (90, 0, 0)
    refunded = refund(services, order)
    assert (refunded.status, refunded.refund_reference, refunded.closed_at) == ("refunded", "r-1", None)
    assert refunded.refunded_at is not None
    assert refunded.refunded_at >= refunded.purchased_at
    assert (selling.stock(item), selling.used(code)) == ((9, 1), (1, 1))
    assert selling.happened()[2:] == [("order.refunded", order.order_no)]
    with pytest.raises(AssertionError, match="limit_reached"):
        selling.bought(item)
    (row,) = rows(services)
    assert (row.outcome, row.resolution, row.note, row.resolved_by) == ("paid", "refunded", "r-1", "operator")
    assert lines(services) == (0, 90, 0)


def test_with_restock_units_coupon_and_limit_come_back_once(services: Services, selling: Selling) -> None:
    item, code = selling.item(stock=1, per_user_limit=1), selling.coupon(per_user_limit=1)
    order = paid(services, selling, item=item, coupon=code)
    for restock in (True, True, False):
        assert refund(services, order, restock=restock).closed_at is not None
        assert (selling.stock(item), selling.used(code)) == ((1, 0), (0, 0))
    events = [("order.refunded", order.order_no), ("goods.restocked", None)]
    assert selling.happened()[-2:] == events
    assert lines(services) == (0, 90, 0)
    selling.bought(item, coupon=code)


def test_the_same_reference_gives_the_same_answer_and_another_is_refused(services: Services, selling: Selling) -> None:
    order = paid(services, selling)
    first = refund(services, order)
    assert refund(services, order) == first
    # What comes back was settled by the first call.
    assert refund(services, order, restock=True) == first
    assert selling.stock(order.goods_id) == (9, 1)
    for reference in ("R-1", "r-1 ", "r-2"):
        refused("order_not_refundable", lambda r=reference: refund(services, order, r), order_status="refunded")
    assert lines(services) == (0, 100, 0)


@pytest.mark.parametrize("restock", [True, False])
def test_the_money_of_an_order_due_for_a_refund_is_given_back(
    services: Services, selling: Selling, restock: bool
) -> None:
    order = owed(services, selling, coupon=selling.coupon())
    assert lines(services) == (0, 0, 90)
    refunded = refund(services, order, restock=restock)
    assert (refunded.status, refunded.paid_at, refunded.closed_at is None) == ("refunded", None, False)
    assert (selling.stock(order.goods_id), selling.used()) == ((10, 0), (0, 0))
    assert lines(services) == (0, 90, 0)


@pytest.mark.parametrize("status", ["pending", "cancelled", "expired", "overdue"])
def test_an_order_without_money_is_not_refunded(services: Services, selling: Selling, status: str) -> None:
    order = selling.bought(selling.item())
    if status == "cancelled":
        order_life.cancel(services.database, ALICE, order.order_no)
    elif status != "pending":
        selling.make_overdue(order)
    if status == "expired":
        expiry.sweep(services.database)
    before = (selling.status(order), selling.stock(order.goods_id), selling.happened())
    shown = {"overdue": "expired"}.get(status, status)
    refused("order_not_refundable", lambda: refund(services, order, restock=True), order_status=shown)
    assert (selling.status(order), selling.stock(order.goods_id), selling.happened()) == before
    refused("order_not_found", lambda: refunds.refund(services.database, "operator", "0" * 32, "r", False))


def test_more_money_for_a_refunded_order_is_to_be_given_back(services: Services, selling: Selling) -> None:
    for order in (paid(services, selling), owed(services, selling)):
        refund(services, order, restock=True)
        stock = selling.stock(order.goods_id)
        assert report_payment(services, order) == "repeated"
        assert report_payment(services, order, payment_id=f"more-{order.order_no}") == "refund_due"
        assert (selling.status(order), selling.stock(order.goods_id)) == ("refunded", stock)
        refused(
            "order_not_pending",
            lambda o=order: order_life.cancel(services.database, ALICE, o.order_no),
            order_status="refunded",
        )
        refused("order_not_refundable", lambda o=order: refund(services, o, "r-2"), order_status="refunded")
    assert lines(services) == (0, 200, 200)
    for row in rows(services):
        if row.resolved is False:
            resolve(services, row.id, "refunded")
    assert lines(services) == (0, 400, 0)


def test_a_refund_gives_back_one_payment_and_leaves_the_others_owed(services: Services, selling: Selling) -> None:
    order = owed(services, selling)
    assert report_payment(services, order, payment_id="second") == "refund_due"
    assert lines(services) == (0, 0, 200)
    refund(services, order)
    assert lines(services) == (0, 100, 100)
    assert [row.payment_id for row in rows(services) if row.resolved is False] == ["second"]


def test_a_second_payment_is_resolved_and_the_order_stays_paid(services: Services, selling: Selling) -> None:
    order = paid(services, selling)
    assert report_payment(services, order, payment_id="second") == "already_paid"
    row = resolve(services, rows(services)[1].id, "refunded", "by bank")
    assert (row.resolution, row.note, row.resolved_by) == ("refunded", "by bank", "operator")
    assert row.resolved_at >= row.received_at
    assert (selling.status(order), lines(services)) == ("paid", (100, 100, 0))
    refund(services, order)
    assert lines(services) == (0, 200, 0)


@pytest.mark.parametrize(
    ("resolution", "wanted"), [("refunded", (0, 70, 0)), ("accepted", (70, 0, 0)), ("ignored", (0, 0, 0))]
)
@pytest.mark.parametrize("outcome", ["mismatch", "unknown_order"])
def test_what_did_not_fit_is_to_be_given_back_until_it_is_resolved(
    services: Services, selling: Selling, outcome: str, resolution: str, wanted: tuple[int, int, int]
) -> None:
    order = selling.bought(selling.item())
    changed = {"amount": 70, **({"order_no": "none"} if outcome == "unknown_order" else {})}
    assert report_payment(services, order, **changed) == outcome
    assert lines(services) == (0, 0, 70)
    resolve(services, rows(services)[0].id, resolution)
    assert (selling.status(order), lines(services)) == ("pending", wanted)
    for again in ("refunded", "ignored"):
        refused(
            "payment_already_resolved",
            lambda a=again: resolve(services, rows(services)[0].id, a),
            resolution=resolution,
        )
    # The payment was accounted for, unless there was none: it pays no order any more.
    accounted = "mismatch" if resolution != "ignored" else "paid"
    assert report_payment(services, order) == accounted


@pytest.mark.parametrize(
    ("outcome", "resolution"),
    [("paid", "accepted"), ("failed", "ignored"), ("repeated", "ignored"), ("refunded", "refunded")],
)
def test_what_needs_nothing_is_resolved_already(
    services: Services, selling: Selling, outcome: str, resolution: str
) -> None:
    order = paid(services, selling)
    if outcome != "paid":
        kind = {
            "failed": PaymentEventType.FAILED,
            "repeated": PaymentEventType.SUCCEEDED,
            "refunded": PaymentEventType.REFUNDED,
        }[outcome]
        assert report_payment(services, order, kind) == outcome
    row = rows(services)[-1]
    assert (row.outcome, row.resolved) == (outcome, None)
    refused("payment_already_resolved", lambda: resolve(services, row.id, "accepted"), resolution=resolution)
    refused("not_found", lambda: resolve(services, row.id + 1, "accepted"))


def test_to_resolve_what_is_owed_for_an_order_refunds_it(services: Services, selling: Selling) -> None:
    order = owed(services, selling)
    resolve(services, rows(services)[0].id, "refunded")
    row = selling.row(order)
    assert (row.status, row.refund_reference) == ("refunded", f"pay-{order.order_no}")
    refused("order_not_refundable", lambda: refund(services, order), order_status="refunded")
    assert selling.happened()[-1] == ("order.refunded", order.order_no)
    assert lines(services) == (0, 100, 0)


def test_what_is_owed_may_be_kept_first_and_refunded_later(services: Services, selling: Selling) -> None:
    order = owed(services, selling)
    resolve(services, rows(services)[0].id, "accepted")
    assert (selling.status(order), lines(services)) == ("refund_due", (100, 0, 0))
    refund(services, order)
    assert (selling.status(order), lines(services)) == ("refunded", (0, 100, 0))


@pytest.mark.parametrize("made", [paid, owed])
def test_the_provider_tells_of_a_refund_once(services: Services, selling: Selling, made: Any) -> None:
    order = made(services, selling)
    stock = selling.stock(order.goods_id)
    assert report_payment(services, order, PaymentEventType.REFUNDED) == "refunded"
    row = selling.row(order)
    assert (row.status, row.refund_reference) == ("refunded", f"pay-{order.order_no}")
    assert selling.stock(order.goods_id) == stock
    assert report_payment(services, order, PaymentEventType.REFUNDED) == "repeated"
    assert refund(services, order, f"pay-{order.order_no}").refunded_at == row.refunded_at
    assert [kind for kind, _ in selling.happened()].count("order.refunded") == 1
    assert lines(services) == (0, 100, 0)


def test_the_provider_tells_of_a_refund_that_the_operator_noted_before(services: Services, selling: Selling) -> None:
    order = paid(services, selling)
    refund(services, order, "ticket 7")
    assert report_payment(services, order, PaymentEventType.REFUNDED) == "repeated"
    # One that names another payment may be a second one: somebody has to look.
    assert report_payment(services, order, PaymentEventType.REFUNDED, payment_id="rf_1") == "mismatch"
    assert lines(services) == (0, 100, 0)


def test_a_refund_under_an_id_of_its_own_is_that_of_its_order(services: Services, selling: Selling) -> None:
    order = paid(services, selling)
    assert report_payment(services, order, PaymentEventType.REFUNDED, payment_id="rf_1") == "refunded"
    assert selling.row(order).refund_reference == "rf_1"
    assert report_payment(services, order, PaymentEventType.REFUNDED, payment_id="rf_1") == "repeated"
    assert lines(services) == (0, 100, 0)


def test_the_refund_of_another_payment_leaves_the_order_as_it_is(services: Services, selling: Selling) -> None:
    order = paid(services, selling)
    assert report_payment(services, order, payment_id="second") == "already_paid"
    assert report_payment(services, order, PaymentEventType.REFUNDED, payment_id="second") == "refunded"
    assert (selling.status(order), lines(services)) == ("paid", (100, 100, 0))
    assert report_payment(services, order, amount=7, payment_id="third") == "mismatch"
    assert report_payment(services, order, PaymentEventType.REFUNDED, amount=7, payment_id="third") == "refunded"
    assert report_payment(services, order, order_no="none", payment_id="fourth") == "unknown_order"
    assert (
        report_payment(services, order, PaymentEventType.REFUNDED, order_no="none", payment_id="fourth") == "refunded"
    )
    assert (selling.status(order), lines(services)) == ("paid", (100, 207, 0))


@pytest.mark.parametrize("changed", [{"amount": 99}, {"amount": 101}, {"currency": "JPY"}, {"order_no": "none"}])
@pytest.mark.parametrize("known", [True, False])
def test_a_refund_of_a_part_or_of_something_else_is_for_the_operator(
    services: Services, selling: Selling, changed: dict[str, Any], known: bool
) -> None:
    order = paid(services, selling)
    other = {} if known else {"payment_id": "rf_1"}
    outcome = "unknown_order" if "order_no" in changed and not known else "mismatch"
    assert report_payment(services, order, PaymentEventType.REFUNDED, **changed, **other) == outcome
    assert (selling.status(order), lines(services)) == ("paid", (100, 0, 0))
    resolve(services, rows(services)[-1].id, "refunded")
    assert lines(services) == (100, 0, 0)


@pytest.mark.parametrize("resolution", [None, "ignored"])
@pytest.mark.parametrize("changed", [{}, {"amount": 7}], ids=["another order", "another order and amount"])
def test_a_refund_that_names_another_order_for_money_that_is_accounted_for_is_for_the_operator(
    services: Services, selling: Selling, changed: dict[str, Any], resolution: str | None
) -> None:
    order, other = paid(services, selling), selling.bought(selling.item())
    payment = {"payment_id": f"pay-{order.order_no}", **changed}
    assert report_payment(services, other, **payment) == "mismatch"
    if resolution is not None:
        resolve(services, rows(services)[-1].id, resolution)
    assert report_payment(services, other, PaymentEventType.REFUNDED, **payment) == "mismatch"
    assert (selling.status(order), selling.status(other), lines(services)) == ("paid", "pending", (100, 0, 0))
    assert report_payment(services, order, PaymentEventType.REFUNDED) == "refunded"
    assert (selling.status(order), lines(services)) == ("refunded", (0, 100, 0))


def test_a_refund_of_what_was_not_paid_is_for_the_operator(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    assert report_payment(services, order, PaymentEventType.REFUNDED) == "mismatch"
    assert selling.status(order) == "pending"
    assert report_payment(services, order) == "paid"
    assert lines(services) == (100, 0, 0)


def test_a_refund_of_an_unknown_payment_has_its_effect_on_one_order(services: Services, selling: Selling) -> None:
    first, second = paid(services, selling), paid(services, selling)
    assert report_payment(services, first, PaymentEventType.REFUNDED, payment_id="re_1") == "refunded"
    assert report_payment(services, second, PaymentEventType.REFUNDED, payment_id="re_1") == "mismatch"
    assert report_payment(services, first, PaymentEventType.REFUNDED, payment_id="re_1") == "repeated"
    assert (selling.status(first), selling.status(second)) == ("refunded", "paid")
    assert lines(services) == (100, 100, 0)
    # Money under that id, told of later, is money all the same.
    assert report_payment(services, first, payment_id="re_1") == "refund_due"
    assert report_payment(services, first, payment_id="re_1") == "repeated"
    assert report_payment(services, second, payment_id="re_1") == "mismatch"
    assert lines(services) == (100, 100, 100)


def test_what_an_earlier_release_recorded_meanwhile_is_resolved(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    assert report_payment(services, order, amount=1) == "mismatch"
    with services.database.engine.begin() as connection:
        connection.execute(update(Payment).values(resolved=None))
    assert resolve(services, rows(services)[0].id, "refunded").resolved is True
    assert lines(services) == (0, 1, 0)


def test_the_audit_adds_up_amounts_of_any_size(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    largest = 2**63 - 1
    for payment_id in ("pay_1", "pay_2"):
        assert report_payment(services, order, amount=largest, payment_id=payment_id) == "mismatch"
    resolve(services, rows(services)[0].id, "accepted")
    assert lines(services) == (largest, 0, largest)
