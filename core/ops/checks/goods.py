"""Invariants 1, 3 and 4: stock, keys and the limits of buyers."""

from typing import Any

from sqlalchemy import Select, case, func, literal, select

from core.ops.checks.check import Check, Snapshot, breaches
from core.orders.orders import HOLDS, holds_units
from models import Goods, GoodsChange, Order

order = Order.__table__.c


def _put_in() -> Any:
    total = func.sum(GoodsChange.stock_delta).label("units")
    return select(GoodsChange.goods_id, total).group_by(GoodsChange.goods_id).subquery()


def _stock_adds_up(snapshot: Snapshot) -> Select[Any]:
    put_in = _put_in()
    expected, found = func.coalesce(put_in.c.units, 0), Goods.stock + Goods.sold
    query = breaches(expected, found, goods_id=Goods.id.expression)
    return query.select_from(Goods).outerjoin(put_in, put_in.c.goods_id == Goods.id).where(found != expected)


def _removed_adds_up(snapshot: Snapshot) -> Select[Any]:
    put_in = _put_in()
    query = breaches(literal(0), put_in.c.units, goods_id=put_in.c.goods_id).select_from(put_in)
    query = query.outerjoin(Goods, Goods.id == put_in.c.goods_id)
    return query.where(Goods.id.is_(None), put_in.c.units != 0)


def _stock_not_negative(snapshot: Snapshot) -> Select[Any]:
    return breaches(literal(0), Goods.stock.expression, goods_id=Goods.id.expression).where(Goods.stock < 0)


def _sold_is_held(snapshot: Snapshot) -> Select[Any]:
    # By the stored status: an overdue order holds its units until a sweep expires it.
    total = func.sum(Order.quantity).label("units")
    held = select(Order.goods_id, total).where(HOLDS).group_by(Order.goods_id).subquery()
    expected = func.coalesce(held.c.units, 0)
    query = breaches(expected, Goods.sold.expression, goods_id=Goods.id.expression)
    return query.select_from(Goods).outerjoin(held, held.c.goods_id == Goods.id).where(Goods.sold != expected)


def _orders_have_goods(snapshot: Snapshot) -> Select[Any]:
    query = breaches(literal(1), literal(0), goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id)
    return query.select_from(Order).outerjoin(Goods, Goods.id == order.goods_id).where(Goods.id.is_(None))


def _one_order_a_key(snapshot: Snapshot) -> Select[Any]:
    query = breaches(
        literal(1),
        func.count(),
        order_no=func.group_concat(order.order_no),
        user_id=order.user_id,
        idempotency_key=order.idempotency_key,
    )
    query = query.where(order.idempotency_key.is_not(None)).group_by(order.user_id, order.idempotency_key)
    return query.having(func.count() > 1)


def _limit_kept(snapshot: Snapshot) -> Select[Any]:
    # Each order is judged by the limit at the moment it took its units: its purchase, or its payment after it had
    # expired. For one item these moments are serialised by the row's lock; within a millisecond, ids ascend. Units that
    # the buyer returned since can only lower the sum.
    taken_at = case((order.paid_at > order.expires_at, order.paid_at), else_=order.purchased_at)
    so_far = func.sum(order.quantity).over(
        partition_by=(order.goods_id, order.user_id), order_by=(taken_at, order.id), rows=(None, 0)
    )
    held = (
        select(order.goods_id, order.user_id, order.order_no, order.per_user_limit, so_far.label("units"))
        .where(holds_units(snapshot.now))
        .subquery()
    ).c
    query = breaches(
        held.per_user_limit, held.units, goods_id=held.goods_id, order_no=held.order_no, user_id=held.user_id
    )
    return query.where(held.per_user_limit.is_not(None), held.units > held.per_user_limit)


CHECKS = (
    Check("stock_adds_up", 1, "stock + sold is what the administrators put in", _stock_adds_up),
    Check("removed_adds_up", 1, "an item that is gone was taken out with all its units", _removed_adds_up),
    Check("stock_not_negative", 1, "stock is at least 0", _stock_not_negative),
    Check(
        "sold_is_held",
        1,
        "sold is the units of the item's pending and paid orders, and of refunded ones that kept them",
        _sold_is_held,
    ),
    Check("orders_have_goods", 1, "every order's item is there", _orders_have_goods),
    Check("one_order_a_key", 3, "a user's idempotency key has at most one order", _one_order_a_key),
    Check("limit_kept", 4, "a buyer holds no more units of an item than the limit of that time", _limit_kept),
)
