"""The rules of a purchase: locked rows and requests in, an outcome for each request out."""

import dataclasses
import itertools
from datetime import datetime, timedelta, timezone

import pytest

from core import refusals
from core.orders.orders import OrderView
from core.purchase.decide import (
    Held,
    KnownOrder,
    Locked,
    LockedGoods,
    Outcome,
    Placed,
    PurchaseRequest,
    Refused,
    Replayed,
    Rules,
    decide,
)
from core.refusals import Refusal
from models import OrderStatus

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
MOMENT = timedelta(milliseconds=1)
PAYMENT_SECONDS = 900


def item(**changes: object) -> LockedGoods:
    """An item on sale: 10 units at 100, no limit, no window."""
    plain = LockedGoods(1, "item", "CNY", 100, 10, False, None, None, None, False)
    return dataclasses.replace(plain, **changes)


def make_request(user: str = "alice", quantity: int = 1, key: str | None = None, goods_id: int = 1) -> PurchaseRequest:
    return PurchaseRequest(goods_id, user, quantity, key)


def settle(
    *requests: PurchaseRequest,
    goods: LockedGoods | None = None,
    known: dict | None = None,
    held: dict | None = None,
) -> list[Outcome]:
    """The outcomes of one batch on one item."""
    on_sale = goods or item()
    numbers = (f"order-{number}" for number in itertools.count(1))
    locked = Locked({on_sale.id: on_sale}, NOW, known or {}, held or {})
    return decide(requests, locked, Rules(PAYMENT_SECONDS), lambda: next(numbers))


def refusal(outcome: Outcome) -> Refusal:
    assert isinstance(outcome, Refused), outcome
    return outcome.refusal


def code(outcome: Outcome) -> str:
    return refusal(outcome).code


def standing_order(request: PurchaseRequest) -> KnownOrder:
    """An order that an earlier batch placed for `request`."""
    (outcome,) = settle(request, goods=item(id=request.goods_id))
    assert isinstance(outcome, Placed)
    return KnownOrder(outcome.order, request.fingerprint)


def test_a_purchase_has_the_price_lines_of_the_moment_and_its_time_to_pay() -> None:
    (outcome,) = settle(make_request(quantity=3), goods=item(price=1999, name="键盘", currency="JPY"))
    assert isinstance(outcome, Placed)
    assert outcome.order == OrderView(
        order_no="order-1",
        goods_id=1,
        goods_name="键盘",
        user_id="alice",
        quantity=3,
        currency="JPY",
        unit_price=1999,
        subtotal=5997,
        discount=0,
        shipping_fee=0,
        total=5997,
        coupon_code=None,
        shipping_method=None,
        address=None,
        status=OrderStatus.PENDING,
        purchased_at=NOW,
        expires_at=NOW + timedelta(seconds=PAYMENT_SECONDS),
        paid_at=None,
        closed_at=None,
    )


def test_the_largest_price_and_quantity_multiply_exactly() -> None:
    (outcome,) = settle(make_request(quantity=1000), goods=item(price=10**12, stock=1000))
    assert isinstance(outcome, Placed)
    assert outcome.order.total == 10**15


# Every reason to refuse at once; each test takes the foremost away and the next must come to the fore.
_EVERY_REASON = {
    "ends_at": NOW,
    "paused": True,
    "starts_at": NOW + MOMENT,
    "stock": 0,
    "per_user_limit": 1,
}


@pytest.mark.parametrize(
    ("cured", "expected"),
    [
        ({}, refusals.SALE_ENDED),
        ({"ends_at": None}, refusals.SALE_PAUSED),
        ({"ends_at": None, "paused": False}, refusals.SALE_NOT_STARTED),
        ({"ends_at": None, "paused": False, "starts_at": None}, refusals.SOLD_OUT),
        ({"ends_at": None, "paused": False, "starts_at": None, "stock": 1}, refusals.LIMIT_REACHED),
        (
            {"ends_at": None, "paused": False, "starts_at": None, "stock": 1, "per_user_limit": None},
            refusals.INSUFFICIENT_STOCK,
        ),
    ],
)
def test_refusals_are_asked_in_the_contract_s_order(cured: dict, expected: str) -> None:
    (outcome,) = settle(make_request(quantity=2), goods=item(**(_EVERY_REASON | cured)))
    assert code(outcome) == expected


def test_a_replay_comes_before_every_refusal() -> None:
    request = make_request(key="k")
    known = standing_order(request)
    (outcome,) = settle(request, goods=item(**_EVERY_REASON), known={("alice", "k"): known})
    assert outcome == Replayed(known.order)


def test_a_reused_key_comes_before_every_refusal() -> None:
    known = {("alice", "k"): standing_order(make_request(key="k"))}
    (outcome,) = settle(make_request(quantity=2, key="k"), goods=item(**_EVERY_REASON), known=known)
    assert code(outcome) == refusals.IDEMPOTENCY_KEY_REUSED


def test_a_key_that_bought_another_item_is_reused() -> None:
    known = {("alice", "k"): standing_order(make_request(key="k", goods_id=2))}
    (outcome,) = settle(make_request(key="k"), known=known)
    assert code(outcome) == refusals.IDEMPOTENCY_KEY_REUSED


def test_a_key_belongs_to_its_user() -> None:
    known = {("alice", "k"): standing_order(make_request(key="k"))}
    (outcome,) = settle(make_request("bob", quantity=2, key="k"), known=known)
    assert isinstance(outcome, Placed)


def test_an_item_that_is_not_there_is_not_found() -> None:
    (outcome,) = settle(make_request(goods_id=2))
    assert code(outcome) == refusals.GOODS_NOT_FOUND


def test_a_sale_is_open_from_its_start_on_and_closed_from_its_end_on() -> None:
    def bought(starts_at: datetime | None, ends_at: datetime | None) -> bool:
        return isinstance(settle(make_request(), goods=item(starts_at=starts_at, ends_at=ends_at))[0], Placed)

    assert bought(NOW, NOW + MOMENT)
    assert not bought(NOW + MOMENT, None)
    assert not bought(None, NOW)
    assert not bought(NOW, NOW)


def test_a_sale_that_has_not_started_tells_when_it_does() -> None:
    (outcome,) = settle(make_request(), goods=item(starts_at=NOW + timedelta(milliseconds=1500)))
    assert refusal(outcome).details == {"starts_at": "2026-11-23T12:00:01.500Z"}


def test_too_little_stock_tells_how_much_there_is() -> None:
    (outcome,) = settle(make_request(quantity=11))
    assert code(outcome) == refusals.INSUFFICIENT_STOCK
    assert refusal(outcome).details == {"available": 10}


def test_the_whole_stock_can_be_bought_at_once() -> None:
    (outcome,) = settle(make_request(quantity=10))
    assert isinstance(outcome, Placed)


def test_the_limit_tells_itself_and_what_the_buyer_already_holds() -> None:
    (outcome,) = settle(make_request(quantity=2), goods=item(per_user_limit=3), held={("alice", 1): Held(2)})
    assert code(outcome) == refusals.LIMIT_REACHED
    assert refusal(outcome).details == {"limit": 3, "already_bought": 2}


def test_a_buyer_may_buy_up_to_the_limit() -> None:
    (outcome,) = settle(make_request(), goods=item(per_user_limit=3), held={("alice", 1): Held(2)})
    assert isinstance(outcome, Placed)


def test_a_limit_lowered_below_what_a_buyer_holds_refuses_the_next_unit() -> None:
    (outcome,) = settle(make_request(), goods=item(per_user_limit=1), held={("alice", 1): Held(5)})
    assert refusal(outcome).details == {"limit": 1, "already_bought": 5}


def test_what_others_hold_and_what_is_held_of_other_items_does_not_count() -> None:
    (outcome,) = settle(make_request(), goods=item(per_user_limit=1), held={("bob", 1): Held(1), ("alice", 2): Held(1)})
    assert isinstance(outcome, Placed)


def test_earlier_requests_of_the_batch_take_their_units_first() -> None:
    first, second, third, fourth = settle(
        make_request("a", 6), make_request("b", 5), make_request("c", 4), make_request("d", 1), goods=item(stock=10)
    )
    assert isinstance(first, Placed)
    assert refusal(second).details == {"available": 4}
    assert isinstance(third, Placed)
    assert code(fourth) == refusals.SOLD_OUT


def test_earlier_requests_of_the_batch_count_towards_the_limit() -> None:
    first, second, other = settle(
        make_request(), make_request(quantity=2), make_request("bob"), goods=item(per_user_limit=2)
    )
    assert isinstance(first, Placed)
    assert refusal(second).details == {"limit": 2, "already_bought": 1}
    assert isinstance(other, Placed)


def test_the_same_request_twice_in_a_batch_makes_one_order() -> None:
    first, second, third = settle(
        make_request(key="k"), make_request(key="k"), make_request("bob", 10), goods=item(stock=10)
    )
    assert isinstance(first, Placed)
    assert second == Replayed(first.order)
    # The replay took no second unit: nine are left of ten.
    assert refusal(third).details == {"available": 9}


def test_the_same_key_with_another_request_in_a_batch_is_reused() -> None:
    first, second = settle(make_request(key="k"), make_request(quantity=2, key="k"))
    assert isinstance(first, Placed)
    assert code(second) == refusals.IDEMPOTENCY_KEY_REUSED


def test_a_refused_request_leaves_no_trace_for_the_next() -> None:
    refused, bought = settle(make_request(quantity=11, key="k"), make_request(quantity=10, key="k"))
    assert code(refused) == refusals.INSUFFICIENT_STOCK
    assert isinstance(bought, Placed)


def test_requests_without_a_key_are_each_a_purchase_of_their_own() -> None:
    first, second = settle(make_request(), make_request())
    assert isinstance(first, Placed)
    assert isinstance(second, Placed)
    assert first.order.order_no != second.order.order_no


def test_the_items_of_a_batch_do_not_share_their_stock() -> None:
    goods = {1: item(stock=1), 2: item(id=2, stock=1)}
    outcomes = decide(
        [make_request(), make_request(goods_id=2)], Locked(goods, NOW), Rules(PAYMENT_SECONDS), lambda: "x"
    )
    assert all(isinstance(outcome, Placed) for outcome in outcomes)


def test_what_was_handed_in_is_left_as_it_was() -> None:
    known: dict = {}
    held: dict = {}
    settle(make_request(key="k"), goods=item(per_user_limit=5), known=known, held=held)
    assert known == {}
    assert held == {}


def test_a_fingerprint_is_the_same_for_a_quantity_of_one_and_none_given() -> None:
    assert PurchaseRequest(1, "alice").fingerprint == PurchaseRequest(1, "alice", quantity=1).fingerprint


def test_a_fingerprint_tells_items_and_quantities_apart_but_not_users_and_keys() -> None:
    plain = make_request().fingerprint
    assert make_request(goods_id=2).fingerprint != plain
    assert make_request(quantity=2).fingerprint != plain
    assert make_request("bob", key="k").fingerprint == plain
