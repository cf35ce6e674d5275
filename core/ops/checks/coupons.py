"""Invariants 5 and 6 for coupons: a use is counted while its order holds it, and never beyond the limits."""

from typing import Any

from sqlalchemy import Select, and_, case, func, literal, or_, select

from core.ops.checks.check import Check, Snapshot, breaches
from core.orders.orders import HOLDS
from models import Coupon, CouponUse, Order

order = Order.__table__.c
use = CouponUse.__table__.c

_HELD = use.returned_at.is_(None)


def _used_is_counted(snapshot: Snapshot) -> Select[Any]:
    counted = select(use.coupon_code, func.count().label("uses")).where(_HELD).group_by(use.coupon_code).subquery()
    expected = func.coalesce(counted.c.uses, 0)
    query = breaches(expected, Coupon.used.expression, coupon_code=Coupon.code.expression)
    query = query.select_from(Coupon).outerjoin(counted, counted.c.coupon_code == Coupon.code)
    return query.where(Coupon.used != expected)


def _orders_hold_their_uses(snapshot: Snapshot) -> Select[Any]:
    # A use belongs to an order if the number, the coupon and the buyer match.
    own = and_(use.order_no == order.order_no, use.coupon_code == order.coupon_code, use.user_id == order.user_id)
    expected = case((HOLDS, 1), else_=0)
    found = case((_HELD, 1), else_=0)
    query = breaches(
        expected,
        case((use.order_no.is_(None), 0), else_=found),
        goods_id=order.goods_id,
        order_no=order.order_no,
        user_id=order.user_id,
        coupon_code=order.coupon_code,
    )
    query = query.select_from(Order).outerjoin(CouponUse, own).where(order.coupon_code.is_not(None))
    return query.where(or_(use.order_no.is_(None), found != expected))


def _uses_have_orders(snapshot: Snapshot) -> Select[Any]:
    own = and_(use.order_no == order.order_no, use.coupon_code == order.coupon_code, use.user_id == order.user_id)
    query = breaches(
        literal(0), literal(1), order_no=use.order_no, user_id=use.user_id, coupon_code=use.coupon_code
    ).select_from(CouponUse)
    query = query.outerjoin(Order, own).outerjoin(Coupon, Coupon.code == use.coupon_code)
    return query.where(or_(order.id.is_(None), Coupon.code.is_(None)))


def _taken_within_limits(snapshot: Snapshot) -> Select[Any]:
    # Returned uses are checked as well: each must have been allowed when it was taken.
    beyond_total = and_(use.total_limit.is_not(None), use.number > use.total_limit)
    beyond_own = and_(use.per_user_limit.is_not(None), use.user_number > use.per_user_limit)
    query = breaches(
        case((beyond_total, use.total_limit), else_=use.per_user_limit),
        case((beyond_total, use.number), else_=use.user_number),
        order_no=use.order_no,
        user_id=use.user_id,
        coupon_code=use.coupon_code,
    )
    return query.where(or_(beyond_total, beyond_own))


def _within_total_limit(snapshot: Snapshot) -> Select[Any]:
    # When the last of these uses was taken, the others were held: its limit, one of these, allowed all of them.
    unlimited = func.sum(case((use.total_limit.is_(None), 1), else_=0))
    query = breaches(func.max(use.total_limit), func.count(), coupon_code=use.coupon_code).where(_HELD)
    query = query.group_by(use.coupon_code)
    return query.having(and_(unlimited == 0, func.count() > func.max(use.total_limit)))


def _within_user_limit(snapshot: Snapshot) -> Select[Any]:
    unlimited = func.sum(case((use.per_user_limit.is_(None), 1), else_=0))
    query = breaches(
        func.max(use.per_user_limit), func.count(), user_id=use.user_id, coupon_code=use.coupon_code
    ).where(_HELD)
    query = query.group_by(use.coupon_code, use.user_id)
    return query.having(and_(unlimited == 0, func.count() > func.max(use.per_user_limit)))


CHECKS = (
    Check(
        "uses_are_held",
        5,
        "a use of a coupon is held by its order while that holds units, and no longer",
        _orders_hold_their_uses,
    ),
    Check("uses_have_orders", 5, "every use of a coupon has its order and its coupon", _uses_have_orders),
    Check("used_is_counted", 6, "a coupon's used is the number of its uses that are held", _used_is_counted),
    Check("taken_within_limits", 6, "a use was within the limits when it was taken", _taken_within_limits),
    Check("total_limit_kept", 6, "no more uses of a coupon are held than it allowed", _within_total_limit),
    Check("user_limit_kept", 6, "no buyer holds more uses of a coupon than it allowed", _within_user_limit),
)
