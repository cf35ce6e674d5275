"""An order with a total of 0 is paid when it is placed."""

import pytest

from core import audit, expiry, order_life, payments, refunds
from core.orders import Viewer
from core.payments import SUCCEEDED, PaymentEvent
from core.refusals import Refusal
from core.shop import Shop
from tests.core.selling import Selling


@pytest.fixture
def selling(shop: Shop) -> Selling:
    return Selling(shop)


@pytest.mark.parametrize("by_coupon", [True, False])
def test_it_is_paid_at_once_and_never_expires(shop: Shop, selling: Selling, by_coupon: bool) -> None:
    item = selling.item(price=100 if by_coupon else 0)
    order = selling.bought(item, coupon=selling.coupon(amount=100) if by_coupon else None)
    assert (order.total, order.status, order.paid_at) == (0, "paid", order.purchased_at)
    row = selling.row(order)
    assert (row.status, row.paid_at, row.closed_at) == ("paid", row.purchased_at, None)
    assert selling.happened() == [("order.placed", order.order_no), ("order.paid", order.order_no)]
    selling.make_overdue(order)
    assert expiry.sweep(shop.database) == 0
    assert (selling.shown(order), selling.stock(item)) == ("paid", (9, 1))
    with pytest.raises(Refusal) as refused:
        order_life.cancel(shop.database, Viewer("alice", False), order.order_no)
    assert refused.value.details == {"order_status": "paid"}
    assert audit.run(shop.settings).clean


def test_money_that_comes_for_it_is_not_kept(shop: Shop, selling: Selling) -> None:
    order = selling.bought(selling.item(price=0))
    for amount, outcome in ((0, "already_paid"), (5, "mismatch")):
        event = PaymentEvent(f"e-{amount}", SUCCEEDED, order.order_no, amount, "CNY", f"p-{amount}")
        assert payments.receive(shop.database, event) == outcome
    report = audit.run(shop.settings)
    assert report.clean
    assert (report.money[0].kept, report.money[0].to_give_back) == (0, 5)


def test_a_refund_restocks_it(shop: Shop, selling: Selling) -> None:
    item = selling.item(price=0)
    order = selling.bought(item)
    assert refunds.refund(shop.database, "operator", order.order_no, "r", True).status == "refunded"
    assert selling.stock(item) == (10, 0)
    assert audit.run(shop.settings).clean
