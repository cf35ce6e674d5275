"""Reads numbered events, with the orders or items that they are about."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, exists, func, select

from core.db.clock import deadline_of_request, iso
from core.db.database import AnyRow, Database
from core.db.paging import BY_ID, Page, PageRequest, Sort, fetch
from core.events.sequencer import ROWS_AT_ONCE, number_once
from core.orders.orders import BY_NUMBER
from core.refusals import EVENTS_PRUNED, Busy, Refusal
from models import Event, Goods, Order, Outbox, Sequencer

# The fields of an order that never change, so that an event reads the same at any time. Never the address.
ORDER_FIELDS = (
    "order_no",
    "goods_id",
    "user_id",
    "quantity",
    "currency",
    "unit_price",
    "subtotal",
    "discount",
    "shipping_fee",
    "total",
    "coupon_code",
)


def event_id(seq: int) -> str:
    """The id of an event for its subscribers, the same in each of its deliveries."""
    return f"evt_{seq}"


def list_after(database: Database, after: int, limit: int) -> Page[AnyRow]:
    """The events that follow the number `after`, at most `limit` of them, the oldest first.

    Events committed before the call are included as far as the page has room: those in the outbox are numbered first.
    Raises Busy or Unavailable, and Refusal events_pruned if retention has deleted some that follow `after`.
    """
    # This also sees a row that another sequencer is numbering: number_once waits for that.
    with database.reading() as connection:
        waits = connection.execute(select(exists(select(Outbox.id)))).scalar_one()
    if waits:
        # Once is enough: it numbers at least as many events as a page has, or all that exist.
        number_once(database, deadline_of_request(database.settings.PURCHASE_WAIT_SECONDS))
    seq = Event.seq.expression
    with database.reading() as connection:
        page = fetch(connection, _events(), Sort(seq, seq), PageRequest(limit, (after, after)))
        # Read after the page: otherwise a deletion in between would go unnoticed.
        pruned = connection.execute(select(func.coalesce(func.max(Sequencer.pruned_seq), 0))).scalar_one()
        if 0 < after < pruned:
            raise Refusal(EVENTS_PRUNED, oldest=pruned + 1)
        return page


def find_all(database: Database, seqs: Collection[int]) -> dict[int, AnyRow]:
    """The events with these numbers, keyed by number. Raises Busy or Unavailable."""
    with database.reading() as connection:
        return {row.seq: row for row in connection.execute(_events().where(Event.seq.in_(seqs)))}


def newest(database: Database) -> int:
    """The number of the newest event committed before the call; 0 where there is none.

    Raises Busy if the outbox holds too many events to number before the request's deadline; each call numbers some.
    """
    catch_up(database)
    with database.reading() as connection:
        return connection.execute(select(func.coalesce(func.max(Event.seq), 0))).scalar_one()


def catch_up(database: Database) -> None:
    """Number all events committed before the call. Raises Busy if the request's deadline passes before that."""
    deadline = deadline_of_request(database.settings.answer_seconds)
    while number_once(database, deadline).rows == ROWS_AT_ONCE:
        if deadline.passed:
            raise Busy()


def as_object(row: AnyRow) -> dict[str, Any]:
    """An event as the API and the webhooks show it."""
    if row.order_no is None:
        data = {"goods_id": row.goods_id, "name": row.goods_name}
    else:
        data = {name: getattr(row, f"order_{name}") for name in ORDER_FIELDS}
    return {
        "seq": row.seq,
        "id": event_id(row.seq),
        "type": row.type,
        "occurred_at": iso(row.occurred_at),
        "goods_id": row.goods_id,
        "order_no": row.order_no,
        "data": data,
    }


def as_message(row: AnyRow) -> dict[str, Any]:
    """An event as the body of a webhook: Standard Webhooks requires `timestamp` beside `type` and `data`."""
    event = as_object(row)
    return {"type": event["type"], "timestamp": event["occurred_at"], **event}


def _events() -> Select[Any]:
    of_order = [Order.__table__.columns[name].label(f"order_{name}") for name in ORDER_FIELDS if name != "order_no"]
    return (
        select(
            Event.seq.label("id"),
            *Event.__table__.columns,
            Goods.name.label("goods_name"),
            Event.order_no.label("order_order_no"),
            *of_order,
        )
        # Row by row, by indexes: MySQL joins a table with few rows by a hash, and sorts all events for that.
        .outerjoin(Order, Order.order_no == Event.order_no)
        .with_hint(Order, BY_NUMBER)
        .outerjoin(Goods, Goods.id == Event.goods_id)
        .with_hint(Goods, BY_ID)
    )
