"""Invariant 5: an order leaves `pending` once, by its own row and by its events.

The events are those that are numbered and those still in the outbox.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    Subquery,
    and_,
    case,
    column,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    text,
)

from core.events.events import EventType
from core.ops.checks.check import Check, Snapshot, breaches
from core.ops.checks.money import WAS_PAID
from models import Event, Order, OrderStatus, Sequencer

order = Order.__table__.c

_ASCII = "CHARACTER SET ascii COLLATE ascii_bin"
_WAITING_ON_SQLITE = text(
    "SELECT json_extract(queued.value, '$[0]') AS type, json_extract(queued.value, '$[1]') AS goods_id,"
    " json_extract(queued.value, '$[2]') AS order_no FROM outbox, json_each(outbox.events) queued"
)
_WAITING_ON_MYSQL = text(
    "SELECT queued.type, queued.goods_id, queued.order_no FROM outbox, JSON_TABLE(outbox.events, '$[*]' COLUMNS"  # noqa: S608
    f" (type VARCHAR(32) {_ASCII} PATH '$[0]', goods_id BIGINT PATH '$[1]', order_no VARCHAR(32) {_ASCII} PATH '$[2]'))"
    " queued"
)


def _order_events(snapshot: Snapshot) -> Subquery:
    """All events of orders: type, goods_id, order_no."""
    waiting = (
        (_WAITING_ON_SQLITE if snapshot.on_sqlite else _WAITING_ON_MYSQL)
        .columns(column("type", String), column("goods_id", Integer), column("order_no", String))
        .subquery()
    )
    numbered = select(Event.type, Event.goods_id, Event.order_no).where(Event.order_no.is_not(None))
    rest = select(waiting.c.type, waiting.c.goods_id, waiting.c.order_no).where(waiting.c.order_no.is_not(None))
    return numbered.union_all(rest).subquery()


_KINDS: Mapping[str, str] = {
    OrderStatus.PAID: EventType.ORDER_PAID,
    OrderStatus.CANCELLED: EventType.ORDER_CANCELLED,
    OrderStatus.EXPIRED: EventType.ORDER_EXPIRED,
    OrderStatus.REFUND_DUE: EventType.ORDER_REFUND_DUE,
    OrderStatus.REFUNDED: EventType.ORDER_REFUNDED,
}
# Money is or was owed back for the order: it is refund_due, or refunded without having been paid.
_WAS_OWED = or_(
    order.status == OrderStatus.REFUND_DUE, and_(order.status == OrderStatus.REFUNDED, order.paid_at.is_(None))
)


def _counts(snapshot: Snapshot, kinds: Mapping[str, str]) -> Subquery:
    """The number of each order's events of some types: a column for each name of `kinds`."""
    events = _order_events(snapshot)
    times = (func.sum(case((events.c.type == kind, 1), else_=0)).label(name) for name, kind in kinds.items())
    return select(events.c.order_no, *times).group_by(events.c.order_no).subquery()


def _has_all_events() -> ColumnElement[bool]:
    """Whether retention cannot have deleted any of the order's events (core/ops/retention.py)."""
    pruned_before = select(func.max(Sequencer.pruned_before)).scalar_subquery()
    return or_(pruned_before.is_(None), order.purchased_at >= pruned_before)


def _one_placed_event(snapshot: Snapshot) -> Select[Any]:
    counts = _counts(snapshot, {"placed": EventType.ORDER_PLACED})
    times = func.coalesce(counts.c.placed, 0)
    wrong = and_(times != 1, _has_all_events())
    query = breaches(literal(1), times, goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id)
    return query.select_from(Order).outerjoin(counts, counts.c.order_no == order.order_no).where(wrong)


def _events_fit_the_moves(snapshot: Snapshot) -> Select[Any]:
    counts = _counts(snapshot, _KINDS)
    found = {status: func.coalesce(counts.c[status], 0) for status in _KINDS}

    def off(status: str, wanted: ColumnElement[int]) -> ColumnElement[int]:
        return func.abs(found[status] - wanted)

    def times(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return case((condition, 1), else_=0)

    def once(status: str) -> ColumnElement[int]:
        return times(order.status == status)

    # A paid order has an event of its expiry if its money came late: at most one. An order whose money is owed back had
    # been cancelled or had expired: one of the two.
    lapsed = case((WAS_PAID, times(found[OrderStatus.EXPIRED] > 0)), else_=once(OrderStatus.EXPIRED))
    closed_before = func.abs(found[OrderStatus.CANCELLED] + found[OrderStatus.EXPIRED] - 1)
    closed = off(OrderStatus.CANCELLED, once(OrderStatus.CANCELLED)) + off(OrderStatus.EXPIRED, lapsed)
    wrong = (
        off(OrderStatus.PAID, times(WAS_PAID))
        + off(OrderStatus.REFUND_DUE, times(_WAS_OWED))
        + off(OrderStatus.REFUNDED, once(OrderStatus.REFUNDED))
        + case((_WAS_OWED, closed_before), else_=closed)
    )
    query = breaches(literal(0), wrong, goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id)
    return (
        query.select_from(Order)
        .outerjoin(counts, counts.c.order_no == order.order_no)
        .where(wrong != 0, _has_all_events())
    )


def _events_have_orders(snapshot: Snapshot) -> Select[Any]:
    events = _order_events(snapshot)
    same = and_(order.order_no == events.c.order_no, order.goods_id == events.c.goods_id)
    query = breaches(literal(0), func.count(), goods_id=events.c.goods_id, order_no=events.c.order_no)
    query = query.select_from(events).outerjoin(Order, same).where(order.id.is_(None))
    return query.group_by(events.c.goods_id, events.c.order_no)


def _times_fit_the_status(snapshot: Snapshot) -> Select[Any]:
    # Late money clears `closed_at`; a restock sets it for a paid order.
    is_paid, is_closed = order.paid_at.is_not(None), order.closed_at.is_not(None)
    is_refunded = and_(order.refunded_at.is_not(None), order.refund_reference.is_not(None))
    no_refund = and_(order.refunded_at.is_(None), order.refund_reference.is_(None))
    fits = case(
        (order.status == OrderStatus.REFUNDED, and_(is_refunded, or_(is_paid, is_closed))),
        (not_(no_refund), false()),
        (order.status == OrderStatus.PENDING, and_(not_(is_paid), not_(is_closed))),
        (order.status == OrderStatus.PAID, and_(is_paid, not_(is_closed))),
        else_=and_(not_(is_paid), is_closed),
    )
    query = breaches(literal(1), literal(0), goods_id=order.goods_id, order_no=order.order_no, user_id=order.user_id)
    return query.where(not_(fits))


CHECKS = (
    Check(
        "times_fit_the_status",
        5,
        "an order has the times of its payment, its end and its refund that its status says, and no other",
        _times_fit_the_status,
    ),
    Check("placed_told_once", 5, "every order has one event that says it was placed", _one_placed_event),
    Check(
        "moves_told_once",
        5,
        "no event of an order's payment or end is missing, doubled or untrue",
        _events_fit_the_moves,
    ),
    Check("events_have_orders", 5, "every event of an order has its order", _events_have_orders),
)
