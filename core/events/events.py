"""Events of orders and stock: written in the transaction that causes them, numbered after its COMMIT."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, insert

from models import Outbox


class EventType(StrEnum):
    ORDER_PLACED = "order.placed"
    ORDER_PAID = "order.paid"
    ORDER_CANCELLED = "order.cancelled"
    ORDER_EXPIRED = "order.expired"
    ORDER_REFUND_DUE = "order.refund_due"
    ORDER_REFUNDED = "order.refunded"
    GOODS_SOLD_OUT = "goods.sold_out"
    GOODS_RESTOCKED = "goods.restocked"


class NewEvent(NamedTuple):
    """An event without a number. `order_no` is None for events of goods."""

    type: EventType
    goods_id: int
    order_no: str | None = None


def write(connection: Connection, occurred_at: datetime, new_events: Sequence[NewEvent]) -> None:
    """Put the events of a transaction into the outbox, in one row."""
    if new_events:
        connection.execute(insert(Outbox).values(occurred_at=occurred_at, events=new_events))


def of_stock(goods_id: int, before: int, after: int) -> list[NewEvent]:
    """The event that a change of an item's stock causes: its last unit was sold, or its first one came back."""
    if before > 0 and after == 0:
        return [NewEvent(EventType.GOODS_SOLD_OUT, goods_id)]
    if before == 0 and after > 0:
        return [NewEvent(EventType.GOODS_RESTOCKED, goods_id)]
    return []
