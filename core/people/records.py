"""Where a person's data lies: counted, and read for the person. docs/runbooks/personal-data.md has the whole list.

Orders are found by the user's id, and through them coupon uses and payments. Events and deliveries to webhooks hold the
number of an order and nothing of a person.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, func, select

from core.db.clock import Deadline, iso
from core.db.database import Database
from core.orders.orders import VIEW_COLUMNS
from models import CouponUse, GoodsChange, IdempotencyKey, Order, OrderStatus, Payment

ROWS_AT_ONCE = 500
# Rows that one statement looks through where no index leads to a user.
_LOOKED_THROUGH = 10_000

order = Order.__table__.c
payment = Payment.__table__.c
# Of a payment: what is derived, and what operators have written.
_NOT_THEIRS = ("variant", "resolved", "resolved_by", "note")


@dataclass(frozen=True)
class Found:
    """How many rows a user has of each kind. `unpaid_orders` are among the orders."""

    orders: int
    unpaid_orders: int
    coupon_uses: int
    payments: int
    stored_answers: int
    # What the user did as an operator.
    cancelled_orders: int
    resolved_payments: int
    item_changes: int


# Columns that name an operator, each with its row's key.
OPERATORS: dict[str, tuple[Table, ColumnElement[Any]]] = {
    "cancelled_orders": (Order.__table__, order.cancelled_by),  # type: ignore[dict-item]
    "resolved_payments": (Payment.__table__, payment.resolved_by),  # type: ignore[dict-item]
    "item_changes": (GoodsChange.__table__, GoodsChange.__table__.c.changed_by),  # type: ignore[dict-item]
}


def count(database: Database, user_id: str) -> Found:
    """Count a user's rows. Raises Busy or Unavailable."""
    own = order.user_id == user_id
    theirs = select(func.count()).select_from(Order).where(own)
    queries = {
        "orders": theirs,
        "coupon_uses": theirs.join(CouponUse, CouponUse.order_no == order.order_no),
        "payments": theirs.join(Payment, payment.order_no == order.order_no),
        "stored_answers": select(func.count()).where(IdempotencyKey.user_id == user_id),
    }
    found = {name: _all(database, query)[0][0] for name, query in queries.items()}
    found["unpaid_orders"] = count_unpaid(database, user_id)
    for name in OPERATORS:
        found[name] = sum(len(ids) for ids in acted(database, name, user_id))
    return Found(**found)


def count_unpaid(database: Database, user_id: str) -> int:
    """How many pending orders the user has, overdue ones that no sweep has expired among them."""
    query = select(func.count()).where(order.user_id == user_id, order.status == OrderStatus.PENDING)
    found: int = _all(database, query)[0][0]
    return found


def acted(database: Database, kind: str, user_id: str) -> Iterator[list[int]]:
    """The ids of the rows of OPERATORS[kind] that name the user, in pieces; without orders of their own."""
    table, column = OPERATORS[kind]
    other = (order.user_id != user_id,) if kind == "cancelled_orders" else ()
    (last,) = _all(database, select(func.coalesce(func.max(table.c.id), 0)))[0]
    for begin in range(0, last + 1, _LOOKED_THROUGH):
        piece = table.c.id.between(begin, begin + _LOOKED_THROUGH - 1)
        ids = [row.id for row in _all(database, select(table.c.id).where(piece, column == user_id, *other))]
        for first in range(0, len(ids), ROWS_AT_ONCE):
            yield ids[first : first + ROWS_AT_ONCE]


def export(database: Database, user_id: str) -> Iterator[dict[str, Any]]:
    """All that is stored about a user, a record at a time, each with its `kind`. Raises Busy or Unavailable.

    Times are in RFC 3339, amounts in the currency's minor unit.
    """
    names = [column.name for column in VIEW_COLUMNS]
    orders = select(order.id, *VIEW_COLUMNS, order.idempotency_key, order.cancelled_by).where(order.user_id == user_id)
    for row in _by_id(database, orders, order.id):
        by_themselves = ["cancelled_by"] if row.cancelled_by == user_id else []  # an operator's id is not theirs
        yield _record("order", row, [*names, "idempotency_key", *by_themselves])
    paid = select(*Payment.__table__.columns).join(Order, order.order_no == payment.order_no)
    for row in _by_id(database, paid.where(order.user_id == user_id), payment.id):
        yield _record(
            "payment",
            row,
            [each.name for each in payment if each.name not in _NOT_THEIRS],
        )
    key = IdempotencyKey.__table__.c
    answers = select(key.id, key.idempotency_key, key.status, key.body, key.kept_at).where(key.user_id == user_id)
    for row in _by_id(database, answers, key.id):
        record = _record("stored_answer", row, ["idempotency_key", "status", "body", "kept_at"])
        yield record | {"body": json.loads(row.body) if row.body else None}
    for kind, (table, _) in OPERATORS.items():
        for ids in acted(database, kind, user_id):
            yield {"kind": kind, "table": table.name, "ids": ids}


def _record(kind: str, row: Any, names: list[str]) -> dict[str, Any]:
    values = ((name, getattr(row, name)) for name in names)
    return {"kind": kind} | {name: iso(value) if hasattr(value, "isoformat") else value for name, value in values}


def _by_id(database: Database, query: Select[Any], key: ColumnElement[int]) -> Iterator[Any]:
    last = 0
    while True:
        rows = _all(database, query.where(key > last).order_by(key).limit(ROWS_AT_ONCE))
        yield from rows
        if len(rows) < ROWS_AT_ONCE:
            return
        last = rows[-1].id


def _all(database: Database, query: Select[Any]) -> list[Any]:
    with database.reading(Deadline(database.settings.PURCHASE_WAIT_SECONDS)) as connection:
        return list(connection.execute(query))
