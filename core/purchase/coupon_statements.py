"""The statements of a purchase transaction for coupons: locked after the goods, in the order of their codes."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection

from core.catalogue.coupons import Coupon
from core.db.clock import now_after_wait_in, utc
from core.purchase.decide import Placed, UserCoupon
from core.purchase.sql import Change, Sql, as_batch, fetch, number, sql_of

_USE_FIELDS = ("order_no", "coupon_code", "user_id", "total_limit", "per_user_limit", "number", "user_number")


def lock(connection: Connection, codes: Collection[str]) -> tuple[dict[str, Coupon], datetime | None]:
    """Lock those of the coupons that exist, in the order of their codes, and read them with the time after the wait.

    The time is None where none of them exists.
    """
    rows = fetch(connection, _lock_text(sql_of(connection)), as_batch([code] for code in sorted(codes)))
    found, moments = {}, []
    for *columns, moment in rows:
        coupon = _coupon(*columns)
        found[coupon.code] = coupon
        moments.append(moment)
    return found, utc(max(moments, default=None))


def _coupon(code: str, kind: str, *rest: Any) -> Coupon:
    percent, max_discount, amount, currency, min_spend, goods_ids, starts_at, ends_at, *limits, active, used = rest
    total_limit, per_user_limit = map(number, limits)
    return Coupon(
        code=code,
        kind=kind,
        percent=number(percent),
        max_discount=number(max_discount),
        amount=number(amount),
        currency=currency,
        min_spend=number(min_spend),
        goods_ids=None if goods_ids is None else frozenset(json.loads(goods_ids)),
        starts_at=utc(starts_at),
        ends_at=utc(ends_at),
        total_limit=total_limit,
        per_user_limit=per_user_limit,
        active=bool(int(active)),
        used=int(used),
    )


def uses(connection: Connection, owners: Collection[UserCoupon]) -> dict[UserCoupon, int]:
    """How often each of `owners` (user, code) uses a coupon; those who do not are left out."""
    rows = fetch(connection, _uses_text(sql_of(connection)), as_batch(owners))
    return {(user, code): int(count) for user, code, count in rows}


def new_uses(sql: Sql, placed: Sequence[Placed]) -> list[Change]:
    """The INSERT of the uses of coupons that the new orders have, and the UPDATE that counts them, if there are any."""
    rows: list[list[Any]] = []
    counts: Counter[str] = Counter()
    for outcome in placed:
        use = outcome.coupon_use
        if use is not None:
            coupon, order = use.coupon, outcome.order
            rows.append([order.order_no, coupon.code, order.user_id, coupon.total_limit, coupon.per_user_limit])
            rows[-1] += [use.number, use.user_number]
            counts[coupon.code] += 1
    if not rows:
        return []
    counted = as_batch(sorted(counts.items()))
    return [
        Change(_insert_text(sql), (as_batch(rows),), len(rows), RuntimeError("a coupon's use was not written")),
        # The condition stands here too: should a lock ever be lost, this costs a request and never a use.
        Change(_count_text(sql), (counted,), len(counts), RuntimeError("a coupon changed under its lock")),
    ]


@cache
def _lock_text(sql: Sql) -> str:
    return (
        f"{sql.select} {', '.join(f'coupons.{name}' for name in Coupon.__slots__)},"
        f" {now_after_wait_in('sqlite' if sql.sqlite else 'mysql')}"
        f" FROM {sql.batch('coupon_code')} JOIN {sql.by_index('coupons', 'PRIMARY')}"
        f" ON coupons.code = batch.coupon_code{sql.lock_of('coupons')}"
    )


@cache
def _uses_text(sql: Sql) -> str:
    return (
        f"{sql.select} coupon_uses.user_id, coupon_uses.coupon_code, COUNT(*)"
        f" FROM {sql.batch('user_id', 'coupon_code')} JOIN {sql.by_index('coupon_uses', 'coupon_uses_coupon_user')}"
        " ON coupon_uses.coupon_code = batch.coupon_code AND coupon_uses.user_id = batch.user_id"
        " WHERE returned_at IS NULL GROUP BY coupon_uses.user_id, coupon_uses.coupon_code"
    )


@cache
def _insert_text(sql: Sql) -> str:
    return (
        f"INSERT INTO coupon_uses ({', '.join(_USE_FIELDS)})"  # noqa: S608 (names of our own)
        f" SELECT {', '.join(f'batch.{name}' for name in _USE_FIELDS)} FROM {sql.batch(*_USE_FIELDS)}"
    )


@cache
def _count_text(sql: Sql) -> str:
    batch = sql.batch("coupon_code", "uses")
    allowed = "coupons.total_limit IS NULL OR coupons.used + batch.uses <= coupons.total_limit"
    if sql.sqlite:
        return (
            f"UPDATE coupons SET used = used + batch.uses FROM {batch}"  # noqa: S608 (names of our own)
            f" WHERE coupons.code = batch.coupon_code AND ({allowed})"
        )
    return (
        f"UPDATE {batch} STRAIGHT_JOIN {sql.by_index('coupons', 'PRIMARY')} ON coupons.code = batch.coupon_code"  # noqa: S608
        f" SET coupons.used = coupons.used + batch.uses WHERE {allowed}"
    )
