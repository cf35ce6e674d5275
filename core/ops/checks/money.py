"""Prices that add up, and money: everything received is kept, was given back, or is to be given back."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, literal, not_, or_, select, true

from core.ops.checks.check import Check, Snapshot, breaches
from core.payments.payment_records import OF_MONEY, WITH_EFFECT, PaymentEventType
from models import Goods, Order, OrderStatus, Payment, PaymentOutcome, PaymentResolution

order = Order.__table__.c
payment = Payment.__table__.c
_other = Payment.__table__.alias("other")
_LOW_BITS = 32

# The order was paid, whether or not it was refunded since.
WAS_PAID = or_(order.status == OrderStatus.PAID, and_(order.status == OrderStatus.REFUNDED, order.paid_at.is_not(None)))


@dataclass(frozen=True)
class Money:
    """Sums in minor units of a currency: received = kept + given_back + to_give_back."""

    currency: str
    received: int
    kept: int
    given_back: int
    to_give_back: int


def is_money(row: Any) -> ColumnElement[bool]:
    """Whether the row of `payments` reports received money, unless an operator has resolved it as ignored."""
    not_ignored = or_(row.resolution.is_(None), row.resolution != PaymentResolution.IGNORED)
    return and_(row.type == PaymentEventType.SUCCEEDED, row.outcome.in_(OF_MONEY), not_ignored)


# A mismatch that names the payment of another row reports the same money again, unless an operator has resolved it as
# separate money.
_REPORTED_AGAIN = and_(
    payment.outcome.in_((PaymentOutcome.MISMATCH, PaymentOutcome.UNKNOWN_ORDER)),
    payment.resolution.is_(None),
    exists(
        select(literal(1)).where(
            _other.c.payment_id == payment.payment_id,
            is_money(_other.c),
            or_(_other.c.outcome.in_(WITH_EFFECT), _other.c.resolution.is_not(None), _other.c.id < payment.id),
            _other.c.id != payment.id,
        )
    ),
)
RECEIVED = and_(is_money(payment), not_(_REPORTED_AGAIN))
GIVEN_BACK = payment.resolution == PaymentResolution.REFUNDED
KEPT = or_(
    payment.resolution == PaymentResolution.ACCEPTED,
    and_(payment.resolution.is_(None), payment.outcome == PaymentOutcome.PAID),
)
TO_GIVE_BACK = and_(payment.resolution.is_(None), payment.outcome != PaymentOutcome.PAID)


def money(connection: Connection) -> tuple[Money, ...]:
    """The sums of each currency in which money was received."""

    def total(*lines: ColumnElement[bool]) -> Iterator[ColumnElement[int]]:
        # In two parts: SQLite fails if a sum exceeds 2^63, and a mismatch can have any amount.
        for part in (payment.amount.bitwise_rshift(_LOW_BITS), payment.amount.bitwise_and(2**_LOW_BITS - 1)):
            yield func.sum(case((and_(true(), *lines), part), else_=0))

    lines = (*total(), *total(KEPT), *total(GIVEN_BACK), *total(TO_GIVE_BACK))
    query = select(payment.currency, *lines).where(RECEIVED).group_by(payment.currency).order_by(payment.currency)
    found = []
    for currency, *parts in connection.execute(query):
        sums = [(int(high) << _LOW_BITS) + int(low) for high, low in zip(parts[::2], parts[1::2], strict=True)]
        found.append(Money(currency, *sums))
    return tuple(found)


def _price_adds_up(snapshot: Snapshot) -> Select[Any]:
    total = order.unit_price * order.quantity - order.discount + order.shipping_fee
    query = breaches(total, order.total, goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id)
    return query.where(
        or_(
            order.total != total,
            order.subtotal != order.unit_price * order.quantity,
            order.discount < 0,
            order.discount > order.subtotal,
            order.shipping_fee < 0,
        )
    )


def _per_order(*conditions: ColumnElement[bool]) -> Any:
    """The number of each order's payments that meet the conditions, as a table with `order_no` and `times`."""
    query = select(payment.order_no, func.count().label("times")).where(
        payment.type == PaymentEventType.SUCCEEDED, *conditions
    )
    return query.group_by(payment.order_no).subquery()


def _paid_once(snapshot: Snapshot) -> Select[Any]:
    """Every order that was paid has one payment that paid it, any other order has none."""
    paid = _per_order(payment.outcome == PaymentOutcome.PAID)
    expected = case((WAS_PAID, 1), else_=0)
    found = func.coalesce(paid.c.times, 0)
    query = breaches(expected, found, goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id)
    query = query.select_from(Order).outerjoin(paid, paid.c.order_no == order.order_no)
    # An order with a total of 0 is placed as paid and needs no payment.
    return query.where(found != expected, not_(and_(order.total == 0, found == 0)))


def _paid_in_full(snapshot: Snapshot) -> Select[Any]:
    query = breaches(
        order.total, payment.amount, goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id
    ).select_from(Payment)
    query = query.join(Order, order.order_no == payment.order_no).where(payment.outcome == PaymentOutcome.PAID)
    return query.where(or_(payment.amount != order.total, payment.currency != order.currency))


def _payments_have_orders(snapshot: Snapshot) -> Select[Any]:
    query = breaches(literal(0), literal(1), order_no=payment.order_no).select_from(Payment)
    query = query.outerjoin(Order, order.order_no == payment.order_no)
    lost = and_(order.id.is_(None), payment.outcome.in_(WITH_EFFECT))
    return query.where(or_(lost, and_(payment.outcome == PaymentOutcome.ALREADY_PAID, not_(WAS_PAID))))


def _paid_is_received(snapshot: Snapshot) -> Select[Any]:
    """By item and currency, the sum of the paid orders is that of the payments for them."""
    paid = select(order.goods_id, order.currency, order.total.label("paid"), literal(0).label("received"))
    paid = paid.where(WAS_PAID)
    received = select(order.goods_id, payment.currency, literal(0), payment.amount)
    received = received.join(Order, order.order_no == payment.order_no).where(payment.outcome == PaymentOutcome.PAID)
    both = paid.union_all(received).subquery().c
    query = breaches(func.sum(both.paid), func.sum(both.received), goods_id=both.goods_id)
    return query.group_by(both.goods_id, both.currency).having(func.sum(both.paid) != func.sum(both.received))


def _refunds_are_owed(snapshot: Snapshot) -> Select[Any]:
    """An order is `refund_due` exactly if its payments have money that was not given back.

    A `refunded` order can receive more money.
    """
    owed = _per_order(
        payment.outcome == PaymentOutcome.REFUND_DUE,
        or_(payment.resolution.is_(None), payment.resolution != PaymentResolution.REFUNDED),
    )
    found = func.coalesce(owed.c.times, 0)
    expected = case((order.status == OrderStatus.REFUND_DUE, 1), else_=0)
    query = breaches(expected, found, goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id)
    query = query.select_from(Order).outerjoin(owed, owed.c.order_no == order.order_no)
    # It can receive money more than once.
    missing = and_(order.status == OrderStatus.REFUND_DUE, found == 0)
    return query.where(
        or_(missing, and_(order.status.not_in((OrderStatus.REFUND_DUE, OrderStatus.REFUNDED)), found > 0))
    )


def _refunds_are_noted(snapshot: Snapshot) -> Select[Any]:
    """Money was given back once for each `refunded` order, and for no other."""
    paid = _per_order(payment.outcome == PaymentOutcome.PAID, GIVEN_BACK)
    owed = _per_order(payment.outcome == PaymentOutcome.REFUND_DUE, GIVEN_BACK)
    by_paying, by_owing = func.coalesce(paid.c.times, 0), func.coalesce(owed.c.times, 0)
    is_refunded = order.status == OrderStatus.REFUNDED
    expected = case((and_(is_refunded, order.total > 0), 1), else_=0)
    found = case((order.paid_at.is_not(None), by_paying), else_=by_owing)
    query = breaches(expected, found, goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id)
    query = query.select_from(Order).outerjoin(paid, paid.c.order_no == order.order_no)
    query = query.outerjoin(owed, owed.c.order_no == order.order_no)
    return query.where(or_(and_(is_refunded, found < expected), and_(not_(is_refunded), by_paying + by_owing > 0)))


def _one_currency(snapshot: Snapshot) -> Select[Any]:
    goods = Goods.__table__.c
    query = breaches(literal(0), literal(1), goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id)
    query = query.select_from(Order).join(Goods, goods.id == order.goods_id)
    return query.where(order.currency != goods.currency)


def _in_one_line(snapshot: Snapshot) -> Select[Any]:
    lines = [case((line, 1), else_=0) for line in (KEPT, GIVEN_BACK, TO_GIVE_BACK)]
    found = lines[0] + lines[1] + lines[2]
    return breaches(literal(1), found, order_no=payment.order_no).where(RECEIVED, found != 1)


CHECKS = (
    Check("price_adds_up", None, "total is unit price × quantity − discount + shipping fee", _price_adds_up),
    Check("one_currency", None, "an order is in its item's currency, which never changes", _one_currency),
    Check(
        "paid_once",
        None,
        "every order that was paid has one payment that paid it, if its total is not 0; no other order has any",
        _paid_once,
    ),
    Check("paid_in_full", None, "who paid for an order paid its total, in its currency", _paid_in_full),
    Check(
        "payments_have_orders",
        None,
        "money that is kept or owed came for an order that fits",
        _payments_have_orders,
    ),
    Check("paid_is_received", None, "the paid orders of an item come to what was received for them", _paid_is_received),
    Check("refunds_are_owed", None, "an order is due for a refund if money is owed for it", _refunds_are_owed),
    Check("in_one_line", None, "received money is kept, was given back, or is to be given back", _in_one_line),
    Check("refunds_are_noted", None, "an order is refunded if its money was given back", _refunds_are_noted),
)
