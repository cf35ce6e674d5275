"""What happened to orders and stock: written in the transaction that made it true, numbered after its COMMIT."""

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
    """An event that has no number yet. `order_no` is None for those of goods."""

    type: EventType
    goods_id: int
    order_no: str | None = None


def write(connection: Connection, occurred_at: datetime, new_events: Sequence[NewEvent]) -> None:
    """Put events into the outbox: one row for all of a transaction, so that a purchase pays little for it."""
    if new_events:
        connection.execute(insert(Outbox).values(occurred_at=occurred_at, events=new_events))


def of_stock(goods_id: int, before: int, after: int) -> list[NewEvent]:
    """What a change of an item's stock is to those who watch it: its last unit gone, or its first one back."""
    if before > 0 and after == 0:
        return [NewEvent(EventType.GOODS_SOLD_OUT, goods_id)]
    if before == 0 and after > 0:
        return [NewEvent(EventType.GOODS_RESTOCKED, goods_id)]
    return []
