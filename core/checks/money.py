"""Prices that add up, and money: what was received against what orders say was paid."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, literal, or_, select

from core.checks.check import Check, Snapshot, breaches
from core.orders import PAID, REFUND_DUE
from models import Order, Payment

# As outcomes of payments: what paid for an order, and what is to be given back.
RECEIVED = "paid"
ALREADY_PAID = "already_paid"
TO_GIVE_BACK = ("refund_due", ALREADY_PAID)

order = Order.__table__.c
payment = Payment.__table__.c


@dataclass(frozen=True)
class Money:
    """What came in, in minor units of a currency.

    `paid` is the totals of paid orders, `received` the payments for them; `to_give_back` came for orders that could not
    be paid by it, and is owed to buyers.
    """

    currency: str
    paid: int
    received: int
    to_give_back: int


def money(connection: Connection) -> tuple[Money, ...]:
    """The sums of each currency in which anything was paid."""
    of_orders = select(order.currency, func.sum(order.total)).where(order.status == PAID).group_by(order.currency)
    of_payments = (
        select(payment.currency, payment.outcome, func.sum(payment.amount))
        .where(payment.outcome.in_((RECEIVED, *TO_GIVE_BACK)))
        .group_by(payment.currency, payment.outcome)
    )
    sums: dict[str, list[int]] = {}
    for currency, total in connection.execute(of_orders):
        sums.setdefault(currency, [0, 0, 0])[0] += int(total)
    for currency, outcome, amount in connection.execute(of_payments):
        sums.setdefault(currency, [0, 0, 0])[1 if outcome == RECEIVED else 2] += int(amount)
    return tuple(Money(currency, *sums[currency]) for currency in sorted(sums))


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


def _paid_once(snapshot: Snapshot) -> Select[Any]:
    """The payments that paid for an order: one for each that is paid, none for any other."""
    paid = (
        select(payment.order_no, func.count().label("times")).where(payment.outcome == RECEIVED).group_by("order_no")
    ).subquery()
    expected = case((order.status == PAID, 1), else_=0)
    found = func.coalesce(paid.c.times, 0)
    query = breaches(expected, found, goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id)
    query = query.select_from(Order).outerjoin(paid, paid.c.order_no == order.order_no)
    return query.where(found != expected)


def _paid_in_full(snapshot: Snapshot) -> Select[Any]:
    query = breaches(
        order.total, payment.amount, goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id
    ).select_from(Payment)
    query = query.join(Order, order.order_no == payment.order_no).where(payment.outcome == RECEIVED)
    return query.where(or_(payment.amount != order.total, payment.currency != order.currency))


def _payments_have_orders(snapshot: Snapshot) -> Select[Any]:
    query = breaches(literal(0), literal(1), order_no=payment.order_no).select_from(Payment)
    query = query.outerjoin(Order, order.order_no == payment.order_no)
    lost = and_(order.id.is_(None), payment.outcome.in_((RECEIVED, *TO_GIVE_BACK)))
    return query.where(or_(lost, and_(payment.outcome == ALREADY_PAID, order.status != PAID)))


def _paid_is_received(snapshot: Snapshot) -> Select[Any]:
    """By item and currency: the sum of its paid orders against that of the payments for them."""
    paid = select(order.goods_id, order.currency, order.total.label("paid"), literal(0).label("received"))
    paid = paid.where(order.status == PAID)
    received = select(order.goods_id, payment.currency, literal(0), payment.amount)
    received = received.join(Order, order.order_no == payment.order_no).where(payment.outcome == RECEIVED)
    both = paid.union_all(received).subquery().c
    query = breaches(func.sum(both.paid), func.sum(both.received), goods_id=both.goods_id)
    return query.group_by(both.goods_id, both.currency).having(func.sum(both.paid) != func.sum(both.received))


def _refunds_are_owed(snapshot: Snapshot) -> Select[Any]:
    """An order is `refund_due` exactly if there is money to give back for it, as the payments say."""
    owed = (
        select(payment.order_no, func.count().label("times")).where(payment.outcome == REFUND_DUE).group_by("order_no")
    ).subquery()
    found = func.coalesce(owed.c.times, 0)
    expected = case((order.status == REFUND_DUE, 1), else_=0)
    query = breaches(expected, found, goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id)
    query = query.select_from(Order).outerjoin(owed, owed.c.order_no == order.order_no)
    # Money can come for it more than once.
    return query.where(or_(and_(expected == 1, found == 0), and_(expected == 0, found > 0)))


CHECKS = (
    Check("price_adds_up", None, "total is unit price × quantity − discount + shipping fee", _price_adds_up),
    Check("paid_once", None, "every paid order has one payment that paid it, no other order has any", _paid_once),
    Check("paid_in_full", None, "who paid for an order paid its total, in its currency", _paid_in_full),
    Check(
        "payments_have_orders",
        None,
        "money that is kept or owed came for an order that fits",
        _payments_have_orders,
    ),
    Check("paid_is_received", None, "the paid orders of an item come to what was received for them", _paid_is_received),
    Check("refunds_are_owed", None, "an order is due for a refund if money is owed for it", _refunds_are_owed),
)
