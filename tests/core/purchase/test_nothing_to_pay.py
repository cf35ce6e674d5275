"""An order with a total of 0 is paid when it is placed."""

import pytest
from sqlalchemy import select, update

from core.ops import audit
from core.orders import expiry, holds, order_life
from core.orders.orders import OrderView, Viewer
from core.payments import payments, refunds
from core.payments.payment_records import PaymentEvent, PaymentEventType
from core.refusals import Refusal
from core.services import Services
from models import Order, Outbox
from tests.core.selling import Selling


@pytest.fixture
def selling(services: Services) -> Selling:
    return Selling(services)


@pytest.mark.parametrize("by_coupon", [True, False])
def test_it_is_paid_at_once_and_never_expires(services: Services, selling: Selling, by_coupon: bool) -> None:
    item = selling.item(price=100 if by_coupon else 0)
    order = selling.bought(item, coupon=selling.coupon(amount=100) if by_coupon else None)
    assert (order.total, order.status, order.paid_at) == (0, "paid", order.purchased_at)
    row = selling.row(order)
    assert (row.status, row.paid_at, row.closed_at) == ("paid", row.purchased_at, None)
    assert selling.happened() == [("order.placed", order.order_no), ("order.paid", order.order_no)]
    selling.make_overdue(order)
    assert expiry.sweep(services.database) == 0
    assert (selling.shown(order), selling.stock(item)) == ("paid", (9, 1))
    with pytest.raises(Refusal) as refused:
        order_life.cancel(services.database, Viewer("alice", False), order.order_no)
    assert refused.value.details == {"order_status": "paid"}
    assert audit.run(services.settings).clean


def left_pending(services: Services, selling: Selling, order: OrderView) -> OrderView:
    """As an earlier release has placed it."""
    with services.database.engine.begin() as connection:
        mine = update(Order).where(Order.order_no == order.order_no)
        connection.execute(mine.values(status="pending", paid_at=None))
        for row in connection.execute(select(Outbox.id, Outbox.events)).all():
            kept = [event for event in row.events if event[0] != "order.paid" or event[2] != order.order_no]
            connection.execute(update(Outbox).where(Outbox.id == row.id).values(events=kept))
    return order


def test_one_of_an_earlier_release_is_paid_at_the_end_of_its_time(services: Services, selling: Selling) -> None:
    item, code = selling.item(per_user_limit=2), selling.coupon(amount=100)
    free = [left_pending(services, selling, selling.bought(item, coupon=code)) for _ in range(2)]
    others = selling.bought(item, "bob")
    selling.make_overdue(*free, others)
    assert expiry.sweep(services.database) == 1
    assert [selling.status(order) for order in (*free, others)] == ["paid", "paid", "expired"]
    assert (selling.stock(item), selling.used(code)) == ((8, 2), (2, 2))
    assert [kind for kind, _ in selling.happened()[-3:]] == ["order.paid", "order.paid", "order.expired"]
    assert audit.run(services.settings).clean
    assert expiry.sweep(services.database) == 0


def test_a_sweep_goes_on_behind_those_that_it_found_paid(
    services: Services, selling: Selling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    item = selling.item(price=0)
    free = [left_pending(services, selling, selling.bought(item, f"buyer-{n}")) for n in range(5)]
    selling.make_overdue(*free)
    assert expiry.sweep(services.database) == 0
    assert {selling.status(order) for order in free} == {"paid"}
    assert audit.run(services.settings).clean


def buy_another_and_sweep(services: Services, selling: Selling) -> None:
    item = selling.item(price=0, per_user_limit=1)
    order = left_pending(services, selling, selling.bought(item))
    selling.make_overdue(order)
    other = selling.bought(item)
    expiry.sweep(services.database)
    broken = [result.check.name for result in audit.run(services.settings).results if result.count]
    assert broken == []
    assert (selling.status(order), selling.status(other), selling.stock(item)) == ("expired", "paid", (9, 1))


def test_it_expires_where_its_buyer_has_bought_another_meanwhile(services: Services, selling: Selling) -> None:
    buy_another_and_sweep(services, selling)


def test_without_the_look_at_the_limit_they_would_have_both(
    services: Services, selling: Selling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "within_limit", lambda connection, locked, order: True)
    with pytest.raises(AssertionError, match="limit_kept"):
        buy_another_and_sweep(services, selling)


def test_money_that_comes_for_it_is_not_kept(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item(price=0))
    for amount, outcome in ((0, "already_paid"), (5, "mismatch")):
        event = PaymentEvent(f"e-{amount}", PaymentEventType.SUCCEEDED, order.order_no, amount, "CNY", f"p-{amount}")
        assert payments.receive(services.database, event) == outcome
    report = audit.run(services.settings)
    assert report.clean
    assert (report.money[0].kept, report.money[0].to_give_back) == (0, 5)


def test_a_refund_restocks_it(services: Services, selling: Selling) -> None:
    item = selling.item(price=0)
    order = selling.bought(item)
    assert refunds.refund(services.database, "operator", order.order_no, "r", True).status == "refunded"
    assert selling.stock(item) == (10, 0)
    assert audit.run(services.settings).clean
