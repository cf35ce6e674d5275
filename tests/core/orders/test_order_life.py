"""The moves of an order: what each gives back or takes again, and the events that it writes."""

import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from core.catalogue import goods
from core.db.transaction import run_with_default_deadline
from core.ops import audit
from core.orders import order_life, orders
from core.orders.orders import TRANSITIONS, OrderView, Viewer
from core.payments import payment_records, payments
from core.payments.payment_records import PaymentEvent, PaymentEventType
from core.refusals import Refusal
from core.services import Services
from models import HOLDING_STATUSES, OrderStatus
from tests.core.selling import Selling

ALICE = Viewer("alice", False)


@pytest.fixture
def selling(services: Services) -> Selling:
    return Selling(services)


@pytest.fixture
def receive(services: Services) -> Callable[[OrderView], str]:
    """Money comes for an order, as a payment of its own; what came of it."""
    numbers = itertools.count(1)

    def received(order: OrderView) -> str:
        number = f"payment-{next(numbers)}"
        money = PaymentEvent(number, PaymentEventType.SUCCEEDED, order.order_no, order.total, order.currency, number)
        return payments.receive(services.database, money)

    return received


def events_after(selling: Selling, count: int) -> list[str]:
    return [kind for kind, _ in selling.happened()[count:]]


def test_the_table_of_moves_is_that_of_the_contract() -> None:
    assert {before: set(after) for before, after in TRANSITIONS.items()} == {
        "pending": {"paid", "cancelled", "expired"},
        "expired": {"paid", "refund_due"},
        "cancelled": {"refund_due"},
        "paid": {"refunded"},
        "refund_due": {"refunded"},
    }
    assert {status for after in TRANSITIONS.values() for status in after} | TRANSITIONS.keys() == set(OrderStatus)


@pytest.mark.parametrize("before", OrderStatus)
def test_only_the_moves_of_the_table_are_made(services: Services, selling: Selling, before: str) -> None:
    item = selling.item()
    for after in OrderStatus:
        order = selling.bought(item, f"buyer-{after}")
        selling.set_status(order, before)
        moved = run_with_default_deadline(
            services.database, lambda connection, o=order, a=after: orders.move(connection, o.order_no, a)
        )
        assert moved == (after in TRANSITIONS.get(before, ()))
        assert selling.status(order) == (after if moved else before)


def test_a_cancel_gives_back_units_and_the_coupon_s_use_once(services: Services, selling: Selling) -> None:
    item, code = selling.item(), selling.coupon()
    order, other = selling.bought(item, quantity=3, coupon=code), selling.bought(item, "bob", coupon=code)
    assert (selling.stock(item), selling.used()) == ((6, 4), (2, 2))
    assert order_life.cancel(services.database, ALICE, order.order_no).status == "cancelled"
    for _ in range(2):
        with pytest.raises(Refusal) as refused:
            order_life.cancel(services.database, ALICE, order.order_no)
        assert refused.value.details == {"order_status": "cancelled"}
    assert (selling.stock(item), selling.used()) == ((9, 1), (1, 1))
    assert selling.row(order).cancelled_by == "alice"
    assert selling.happened()[2:] == [("order.cancelled", order.order_no)]
    assert selling.shown(other) == "pending"
    assert audit.run(services.settings).clean


def test_to_cancel_an_overdue_order_notes_its_expiry(services: Services, selling: Selling) -> None:
    item, code = selling.item(stock=1), selling.coupon()
    order = selling.bought(item, coupon=code)
    selling.make_overdue(order)
    with pytest.raises(Refusal) as refused:
        order_life.cancel(services.database, ALICE, order.order_no)
    assert refused.value.details == {"order_status": "expired"}
    row = selling.row(order)
    assert (row.status, row.closed_at, row.cancelled_by) == ("expired", row.expires_at, None)
    assert (selling.stock(item), selling.used()) == ((1, 0), (0, 0))
    expected = [("order.expired", order.order_no), ("goods.restocked", None)]
    assert selling.happened() == [("order.placed", order.order_no), ("goods.sold_out", None), *expected]


def test_money_in_time_pays_and_a_second_payment_does_nothing(selling: Selling, receive: Callable) -> None:
    item, code = selling.item(), selling.coupon()
    order = selling.bought(item, coupon=code)
    assert receive(order) == "paid"
    assert receive(order) == "already_paid"
    row = selling.row(order)
    assert order.purchased_at <= row.paid_at < order.expires_at
    assert row.closed_at is None
    assert (selling.stock(item), selling.used()) == ((9, 1), (1, 1))
    assert events_after(selling, 1) == ["order.paid"]


def test_money_for_a_cancelled_order_is_to_be_given_back(
    services: Services, selling: Selling, receive: Callable
) -> None:
    item, code = selling.item(), selling.coupon()
    order = selling.bought(item, coupon=code)
    order_life.cancel(services.database, ALICE, order.order_no)
    assert receive(order) == "refund_due"
    assert receive(order) == "refund_due"
    assert (selling.stock(item), selling.used()) == ((10, 0), (0, 0))
    assert events_after(selling, 1) == ["order.cancelled", "order.refund_due"]
    assert selling.row(order).closed_at is not None


@pytest.mark.parametrize("swept", [True, False])
def test_late_money_pays_where_all_still_allow_it(
    services: Services, selling: Selling, receive: Callable, swept: bool
) -> None:
    item, code = selling.item(stock=2, per_user_limit=2), selling.coupon(total_limit=1, per_user_limit=1)
    order = selling.bought(item, quantity=2, coupon=code)
    selling.make_overdue(order)
    if swept:
        note_expiry(services, order)
    goods.change(services.database, "t", item, {"per_user_limit": 3}, 0, None)
    selling.set_coupon(code, total_limit=5)
    before = len(selling.happened())
    assert receive(order) == "paid"
    assert receive(order) == "already_paid"
    assert (selling.stock(item), selling.used()) == ((0, 2), (1, 1))
    row = selling.row(order)
    assert (row.per_user_limit, row.closed_at) == (3, None)
    assert row.paid_at >= row.expires_at
    (use,) = selling.uses(code)
    assert (use.order_no, use.total_limit, use.per_user_limit) == (order.order_no, 5, 1)
    assert (use.number, use.user_number, use.returned_at) == (1, 1, None)
    expiry = [] if swept else ["order.expired", "goods.restocked"]
    assert events_after(selling, before) == [*expiry, "order.paid", "goods.sold_out"]
    assert audit.run(services.settings).clean


def somebody_has_the_stock(services: Services, selling: Selling, item: int) -> None:
    goods.change(services.database, "t", item, {}, -9, None)


def buyer_has_their_limit(services: Services, selling: Selling, item: int) -> None:
    selling.bought(item, quantity=2)


def coupon_is_used_up(services: Services, selling: Selling, item: int) -> None:
    selling.bought(item, "bob", coupon="TEN")


def coupon_is_used_up_by_the_buyer(services: Services, selling: Selling, item: int) -> None:
    selling.set_coupon("TEN", total_limit=None)
    selling.bought(selling.item(), coupon="TEN")


def coupon_is_not_active(services: Services, selling: Selling, item: int) -> None:
    selling.set_coupon("TEN", active=False)


def coupon_has_ended(services: Services, selling: Selling, item: int) -> None:
    selling.set_coupon("TEN", ends_at=selling.now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    "obstacle",
    [
        somebody_has_the_stock,
        buyer_has_their_limit,
        coupon_is_used_up,
        coupon_is_used_up_by_the_buyer,
        coupon_is_not_active,
        coupon_has_ended,
    ],
)
def test_late_money_is_given_back_where_one_of_them_does_not(
    services: Services, selling: Selling, receive: Callable, obstacle: Callable[[Services, Selling, int], None]
) -> None:
    item, code = selling.item(per_user_limit=3), selling.coupon(total_limit=1, per_user_limit=1)
    order = selling.bought(item, quantity=2, coupon=code)
    selling.make_overdue(order)
    note_expiry(services, order)
    obstacle(services, selling, item)
    before = selling.stock(item), selling.used(), len(selling.happened())
    assert receive(order) == "refund_due"
    assert (selling.stock(item), selling.used()) == before[:2]
    assert events_after(selling, before[2]) == ["order.refund_due"]
    assert selling.row(order).closed_at == selling.row(order).expires_at
    assert audit.run(services.settings).clean


def test_a_buyer_s_own_overdue_orders_do_not_count_against_their_late_money(
    selling: Selling, receive: Callable
) -> None:
    item = selling.item(per_user_limit=2)
    order = selling.bought(item, quantity=2)
    selling.make_overdue(order)
    other = selling.bought(item, quantity=2)
    selling.make_overdue(other)
    assert receive(order) == "paid"
    assert receive(other) == "refund_due"
    assert selling.stock(item) == (8, 2)


def test_a_move_that_cannot_be_recorded_is_undone(
    services: Services, selling: Selling, receive: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    item, code = selling.item(), selling.coupon()
    in_time, late = selling.bought(item, coupon=code), selling.bought(item, coupon=code)
    selling.make_overdue(late)
    happened = selling.happened()

    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(payment_records, "record", fail)
    for order in (in_time, late):
        with pytest.raises(RuntimeError, match="no"):
            receive(order)
        assert selling.status(order) == "pending"
    assert (selling.stock(item), selling.used(), selling.happened()) == ((8, 2), (2, 2), happened)


@pytest.mark.parametrize("status", sorted(set(OrderStatus) - set(HOLDING_STATUSES)))
def test_what_was_given_back_is_not_given_back_again(services: Services, selling: Selling, status: str) -> None:
    item = selling.item()
    order = selling.bought(item)
    order_life.cancel(services.database, ALICE, order.order_no)
    selling.set_status(order, status)
    with pytest.raises(Refusal):
        order_life.cancel(services.database, ALICE, order.order_no)
    note_expiry(services, order)
    assert selling.stock(item) == (10, 0)


def test_an_administrator_s_change_of_stock_tells_when_it_empties_or_fills_an_item(
    services: Services, selling: Selling
) -> None:
    item = selling.item(stock=2)
    for delta, expected in [
        (-1, []),
        (-1, ["goods.sold_out"]),
        (3, ["goods.restocked"]),
        (1, []),
        (-4, ["goods.sold_out"]),
    ]:
        before = len(selling.happened())
        goods.change(services.database, "t", item, {}, delta, None)
        assert events_after(selling, before) == expected


def note_expiry(services: Services, order: OrderView) -> None:
    """What a sweep does, for one order."""

    def work(connection: Connection) -> None:
        locked = order_life.holds.lock(connection, order.goods_id, order_life.holds.codes_of([order]))
        order_life.events.write(connection, locked.now, order_life.expire(connection, locked, [order]))

    run_with_default_deadline(services.database, work)
