"""Erases a person: orders stay for the books, without the address and under a name that leads to nobody.

A random pseudonym replaces the user's id, another one for each item, and for each hundred of its orders. All orders
that share one were moved in one transaction under the item's lock, so that limits and coupons, judged by user, add up
as before: no order that is paid late, or bought meanwhile, is judged by a part of them. No table leads back.

Any number of processes may erase at once, beside a running sale, and each may be killed at any time: the next does what
is left.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, case, delete, func, null, or_, select, update

from core.db.clock import Deadline
from core.db.database import Database
from core.db.transaction import run
from core.orders import holds
from core.orders.orders import BY_NUMBER
from core.people import records
from core.people.records import OPERATORS, ROWS_AT_ONCE
from models import CouponUse, IdempotencyKey, Order, OrderStatus, Payment

PSEUDONYM = "erased-"
_PSEUDONYMS = re.compile(f"{PSEUDONYM}[0-9a-f]{{24}}")  # a user may have a name that only begins so
# Orders of one item that one transaction moves: it bounds how long the item's row is locked.
ORDERS_AT_ONCE = 100
# Seconds for one small transaction, its waits for locks and its reruns.
_PATIENCE = 30
_MOVED = tuple(status for status in OrderStatus if status != OrderStatus.PENDING)

key = IdempotencyKey.__table__.c


@dataclass
class Erased:
    """How many rows were changed or deleted; the unpaid orders were left, since they still hold units."""

    orders: int = 0
    unpaid_orders: int = 0
    payments: int = 0
    stored_answers: int = 0
    cancelled_orders: int = 0
    resolved_payments: int = 0
    item_changes: int = 0

    @property
    def any(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


def erase(database: Database, user_id: str) -> Erased:
    """Erase all of a user but unpaid orders. Doing so again erases what has come since. Raises Busy or Unavailable."""
    erased = Erased()
    for goods_id, numbers in _pieces(database, user_id):
        orders, payments = _run(database, lambda c, g=goods_id, n=numbers: _move(c, user_id, g, n))  # type: ignore[misc]
        erased.orders += orders
        erased.payments += payments
    # Behind the orders: no answer with their address can be stored any more.
    erased.stored_answers = _forget_answers(database, user_id) + _mend_answers(database, user_id)
    pseudonym = new_pseudonym()
    for kind in OPERATORS:
        for ids in records.acted(database, kind, user_id):
            changed = _run(database, lambda c, k=kind, i=ids: _rename(c, k, i, user_id, pseudonym))  # type: ignore[misc]
            setattr(erased, kind, getattr(erased, kind) + changed)
    erased.unpaid_orders = records.count_unpaid(database, user_id)
    return erased


def new_pseudonym() -> str:
    return PSEUDONYM + secrets.token_hex(12)


def _run(database: Database, work: Callable[[Connection], Any]) -> Any:
    return run(database, work, Deadline(_PATIENCE))


def _pieces(database: Database, user_id: str) -> Iterator[tuple[int, list[Any]]]:
    """The user's orders to move, of one item at a time. The caller moves each piece before it takes the next."""
    query = select(Order.goods_id, Order.order_no, Order.coupon_code)
    query = query.where(Order.user_id == user_id, Order.status.in_(_MOVED)).limit(ROWS_AT_ONCE)
    while True:
        with database.reading(Deadline(_PATIENCE)) as connection:
            rows = sorted(connection.execute(query), key=lambda row: (row.goods_id, row.order_no))
        if not rows:
            return
        for goods_id, group in groupby(rows, key=lambda row: row.goods_id):
            orders = list(group)
            for first in range(0, len(orders), ORDERS_AT_ONCE):
                yield goods_id, orders[first : first + ORDERS_AT_ONCE]


def _move(connection: Connection, user_id: str, goods_id: int, orders: list[Any]) -> tuple[int, int]:
    """Move orders of one item to a pseudonym of their own. Returns how many were moved, and how many notes erased."""
    # Late money reads under this lock what a buyer holds: it must find all orders of a piece moved, or none.
    holds.lock(connection, goods_id, {order.coupon_code for order in orders if order.coupon_code is not None})
    query = select(Order.order_no).with_hint(Order, BY_NUMBER)
    query = query.where(Order.order_no.in_([order.order_no for order in orders]))
    query = query.where(Order.user_id == user_id, Order.status.in_(_MOVED)).order_by(Order.order_no)
    numbers = connection.execute(query.with_for_update()).scalars().all()
    if not numbers:
        return 0, 0
    pseudonym = new_pseudonym()
    moved = update(Order).with_hint(BY_NUMBER).where(Order.order_no.in_(numbers))
    cancelled_by = case((Order.cancelled_by == user_id, pseudonym), else_=Order.cancelled_by)
    # A key is the client's own text, and the fingerprint proves what address was given.
    forgotten = dict.fromkeys(("address", "idempotency_key", "request_fingerprint"), null())
    connection.execute(moved.values(user_id=pseudonym, cancelled_by=cancelled_by, **forgotten))
    uses = update(CouponUse).where(CouponUse.order_no.in_(numbers), CouponUse.user_id == user_id)
    connection.execute(uses.values(user_id=pseudonym))
    notes = update(Payment).where(Payment.order_no.in_(numbers), Payment.note.is_not(None))
    return len(numbers), connection.execute(notes.values(note=null())).rowcount


def _forget_answers(database: Database, user_id: str) -> int:
    """Delete the answers that are stored for the user's own requests."""
    forgotten = 0
    while True:
        with database.reading(Deadline(_PATIENCE)) as connection:
            ids = connection.execute(select(key.id).where(key.user_id == user_id).limit(ROWS_AT_ONCE)).scalars().all()
        if not ids:
            return forgotten
        gone = delete(IdempotencyKey).where(key.id.in_(sorted(ids)), key.user_id == user_id)
        forgotten += _run(database, lambda connection, gone=gone: connection.execute(gone).rowcount)  # type: ignore[misc]


def _mend_answers(database: Database, user_id: str) -> int:
    """Erase the user from answers that are stored for others: an operator who cancelled the user's order, for one."""
    named = func.instr(key.body, json.dumps(user_id, ensure_ascii=False)) > 0
    noted = func.instr(key.body, '"note"') > 0  # of a payment, which names the order alone
    mended = last = 0
    while True:
        query = select(key.id).where(key.id > last, or_(named, noted)).order_by(key.id).limit(ROWS_AT_ONCE)
        with database.reading(Deadline(_PATIENCE)) as connection:
            ids = connection.execute(query).scalars().all()
        for row_id in ids:
            mended += _run(database, lambda connection, i=row_id: _mend_answer(connection, i, user_id))  # type: ignore[misc]
        if len(ids) < ROWS_AT_ONCE:
            return mended
        last = ids[-1]


def _mend_answer(connection: Connection, row_id: int, user_id: str) -> int:
    body = connection.execute(select(key.body).where(key.id == row_id).with_for_update()).scalar_one_or_none()
    if body is None:
        return 0
    answer = json.loads(body)
    parts = list(_objects(answer))
    numbers = {part["order_no"] for part in parts if isinstance(part.get("order_no"), str)}
    owners = select(Order.order_no, Order.user_id).where(
        Order.order_no.in_(sorted(numbers)), Order.user_id.startswith(PSEUDONYM, autoescape=True)
    )
    rows = connection.execute(owners).all() if numbers else []
    erased = {row.order_no: row.user_id for row in rows if _PSEUDONYMS.fullmatch(row.user_id)}
    for part in parts:
        owner = erased.get(part.get("order_no"))
        if owner is not None:
            part |= {name: None for name in ("address", "note") if name in part}
            part |= {"user_id": owner} if "user_id" in part else {}
        if part.get("resolved_by") == user_id:
            part["resolved_by"] = new_pseudonym()
    text = json.dumps(answer, ensure_ascii=False)
    if answer == json.loads(body):
        return 0
    connection.execute(update(IdempotencyKey).where(key.id == row_id).values(body=text))
    return 1


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """All objects within a value of JSON."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(part)


def _rename(connection: Connection, kind: str, ids: list[int], user_id: str, pseudonym: str) -> int:
    table, column = OPERATORS[kind]
    renamed = update(table).where(table.c.id.in_(ids), column == user_id).values({column.key: pseudonym})
    return connection.execute(renamed).rowcount
