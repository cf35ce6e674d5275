"""Finds faults of coupons made by earlier versions."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from core.ops.finding import Finding, State
from models import Coupon, CouponKind

_SHOWN = 5


def examine(connection: Connection) -> Iterator[Finding]:
    """Report active coupons of an amount without a currency, which apply to nothing; no finding if there are none."""
    query = select(Coupon.code).where(Coupon.kind == CouponKind.AMOUNT, Coupon.currency.is_(None), Coupon.active)
    codes = list(connection.execute(query.order_by(Coupon.code).limit(_SHOWN + 1)).scalars())
    if codes:
        more = ", …" if len(codes) > _SHOWN else ""
        yield Finding(
            "coupons",
            State.WARNING,
            f"an amount without a currency applies to nothing: {', '.join(codes[:_SHOWN])}{more}",
            'give each its currency: PATCH /coupons/<code> with {"currency": "CNY"}',
        )
