"""A check of the stored rows: a promise, and the query that finds the rows which break it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, null, select


@dataclass(frozen=True)
class Breach:
    """A row that breaks a promise, named by those of its keys that apply.

    `expected` and `found` are units, orders, items, uses, events or minor units of money, as the check's promise says.
    """

    goods_id: int | None
    order_no: str | None
    user_id: str | None
    idempotency_key: str | None
    expected: int
    found: int
    coupon_code: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """The audited snapshot: the rows at `now`, by the database's clock, and the kind of database."""

    now: datetime
    on_sqlite: bool


@dataclass(frozen=True)
class Check:
    """A promise, and the query that finds the rows which break it, as the columns of Breach.

    `invariant` is its number in docs/invariants.md; None for prices and money, which have none.
    """

    name: str
    invariant: int | None
    promise: str
    broken_in: Callable[[Snapshot], Select[Any]]


def breaches(
    expected: ColumnElement[Any],
    found: ColumnElement[Any],
    goods_id: ColumnElement[Any] | None = None,
    order_no: ColumnElement[Any] | None = None,
    user_id: ColumnElement[Any] | None = None,
    idempotency_key: ColumnElement[Any] | None = None,
    coupon_code: ColumnElement[Any] | None = None,
) -> Select[Any]:
    """The columns of Breach; those that are not given are NULL."""
    keys = {
        "goods_id": goods_id,
        "order_no": order_no,
        "user_id": user_id,
        "idempotency_key": idempotency_key,
        "coupon_code": coupon_code,
    }
    return select(
        *((null() if column is None else column).label(name) for name, column in keys.items()),
        expected.label("expected"),
        found.label("found"),
    )
