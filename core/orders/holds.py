"""What an order holds: units of its item, a use of its coupon, room in its buyer's limit.

Purchases take these (core/purchase). This module returns them, once, and takes them again for late money.
docs/locking.md has the locks and their order.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from core.catalogue import coupons
from core.catalogue.coupons import Coupon
from core.db.clock import utc_now_after_wait
from core.events import events
from core.events.events import NewEvent
from core.orders.orders import OrderView, holds_units
from core.purchase import coupon_statements
from models import Coupon as CouponRow
from models import CouponUse, Goods, Order


class Holder(Protocol):
    """The fields of an order that say what it holds."""

    @property
    def order_no(self) -> str: ...
    @property
    def quantity(self) -> int: ...
    @property
    def coupon_code(self) -> str | None: ...


class Owned(Holder, Protocol):
    """A holder with its buyer."""

    @property
    def user_id(self) -> str: ...


@dataclass
class Locked:
    """An item and coupons under their locks. The functions of this module keep `stock` and `coupons` up to date.

    `now` is the database's time after the wait for the locks; `stock` is in units.
    """

    goods_id: int
    stock: int
    per_user_limit: int | None
    now: datetime
    coupons: dict[str, Coupon]


def codes_of(orders: Iterable[Holder]) -> set[str]:
    """The coupons that the orders use."""
    return {order.coupon_code for order in orders if order.coupon_code is not None}


def lock(connection: Connection, goods_id: int, codes: Collection[str]) -> Locked:
    """Lock the item's row, then the coupons in the order of their codes. Call it before locking any order."""
    query = select(Goods.stock, Goods.per_user_limit, utc_now_after_wait().label("now")).where(Goods.id == goods_id)
    row = connection.execute(query.with_for_update()).one()
    found, later = coupon_statements.lock(connection, codes) if codes else ({}, None)
    return Locked(goods_id, row.stock, row.per_user_limit, later or row.now, found)


def give_back(connection: Connection, locked: Locked, orders: Sequence[Holder]) -> list[NewEvent]:
    """Return what the orders held. All are orders of the locked item that the caller has moved in this transaction.

    Returns the stock events this causes (`goods.restocked`), possibly none. Raises RuntimeError if something was not
    held: the caller's transaction must then be rolled back.
    """
    units = sum(order.quantity for order in orders)
    returned = (
        update(Goods)
        .where(Goods.id == locked.goods_id, Goods.sold >= units)
        .values(stock=Goods.stock + units, sold=Goods.sold - units)
    )
    if connection.execute(returned).rowcount != 1:
        raise RuntimeError("an order's units are not among those sold")
    uses = Counter(order.coupon_code for order in orders if order.coupon_code is not None)
    for code, count in sorted(uses.items()):
        fewer = update(CouponRow).where(CouponRow.code == code, CouponRow.used >= count)
        if connection.execute(fewer.values(used=CouponRow.used - count)).rowcount != 1:
            raise RuntimeError("an order's use of its coupon is not among those counted")
        locked.coupons[code] = replace(locked.coupons[code], used=locked.coupons[code].used - count)
    if uses:
        numbers = sorted(order.order_no for order in orders if order.coupon_code is not None)
        ended = (
            update(CouponUse)
            .with_hint("FORCE INDEX (PRIMARY)")
            .where(CouponUse.order_no.in_(numbers), CouponUse.returned_at.is_(None))
            .values(returned_at=locked.now)
        )
        if connection.execute(ended).rowcount != len(numbers):
            raise RuntimeError("an order's use of its coupon had come back already")
    before, locked.stock = locked.stock, locked.stock + units
    return events.of_stock(locked.goods_id, before, locked.stock)


def take_again(connection: Connection, locked: Locked, order: OrderView) -> list[NewEvent] | None:
    """Take again what an expired order held, if stock, its buyer's limit and its coupon all still allow it.

    Returns the stock events this causes (`goods.sold_out`), possibly none; None, with nothing taken, if one of them
    does not allow it. The caller moves the order. Its limits for the audit become the current ones.
    """
    if order.quantity > locked.stock or not within_limit(connection, locked, order):
        return None
    if order.coupon_code is not None and not _use_again(connection, locked, order, order.coupon_code):
        return None
    taken = (
        update(Goods)
        .where(Goods.id == locked.goods_id, Goods.stock >= order.quantity)
        .values(stock=Goods.stock - order.quantity, sold=Goods.sold + order.quantity)
    )
    if connection.execute(taken).rowcount != 1:
        raise RuntimeError("the stock changed under its lock")
    limited = update(Order).where(Order.order_no == order.order_no).values(per_user_limit=locked.per_user_limit)
    if connection.execute(limited).rowcount != 1:
        raise RuntimeError("the order is gone")
    before, locked.stock = locked.stock, locked.stock - order.quantity
    return events.of_stock(locked.goods_id, before, locked.stock)


def within_limit(connection: Connection, locked: Locked, order: Owned) -> bool:
    """Whether the buyer's other orders leave room for this overdue one in the item's current limit."""
    # The order itself is overdue: `holds_units` does not count it.
    if locked.per_user_limit is None:
        return True
    held = select(func.coalesce(func.sum(Order.quantity), 0)).where(
        Order.goods_id == locked.goods_id,
        Order.user_id == order.user_id,
        holds_units(locked.now),
    )
    return int(connection.execute(held).scalar_one()) + order.quantity <= locked.per_user_limit


def _use_again(connection: Connection, locked: Locked, order: OrderView, code: str) -> bool:
    coupon = locked.coupons.get(code)
    owner = (order.user_id, code)
    used_by_user = coupon_statements.uses(connection, [owner]).get(owner, 0)
    refusal = coupons.refusal_of(
        coupon,
        order.goods_id,
        order.currency,
        order.subtotal,
        order.shipping_method is not None,
        locked.now,
        used_by_user,
    )
    if coupon is None or refusal is not None:
        return False
    counted = update(CouponRow).where(
        CouponRow.code == code, or_(CouponRow.total_limit.is_(None), CouponRow.used < CouponRow.total_limit)
    )
    if connection.execute(counted.values(used=CouponRow.used + 1)).rowcount != 1:
        raise RuntimeError("the coupon changed under its lock")
    # A new row, with the current numbers and limits, replaces the one that was marked as returned.
    old = delete(CouponUse).where(CouponUse.order_no == order.order_no, CouponUse.returned_at.is_not(None))
    if connection.execute(old).rowcount != 1:
        raise RuntimeError("the order's use of its coupon has not come back")
    connection.execute(
        insert(CouponUse).values(
            order_no=order.order_no,
            coupon_code=code,
            user_id=order.user_id,
            total_limit=coupon.total_limit,
            per_user_limit=coupon.per_user_limit,
            number=coupon.used + 1,
            user_number=used_by_user + 1,
        )
    )
    locked.coupons[code] = replace(coupon, used=coupon.used + 1)
    return True
