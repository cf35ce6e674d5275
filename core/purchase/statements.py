"""The statements of a purchase transaction. Ids, slots and units are numbers of our own and stand in the text."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection

from core.catalogue.quotes import NO_CHOICES
from core.db.clock import ago_in, now_after_wait_in, now_in, utc
from core.db.faults import TooLate
from core.events.events import NewEvent
from core.json_text import to_json
from core.orders.orders import INSERTED_WITHIN, OrderView
from core.purchase.decide import Held, LockedGoods, Placed, PurchaseRequest, UserGoods, UserKey
from core.purchase.sql import Change, Sql, as_batch, fetch, fetch_rows, number, sql_of, stored
from models import OrderStatus

# What a batch states for each new order; the rest of its row comes from the item's, which is locked.
_ORDER_FIELDS = (
    "order_no",
    "goods_id",
    "user_id",
    "quantity",
    "subtotal",
    "discount",
    "shipping_fee",
    "total",
    "idempotency_key",
    "request_fingerprint",
)
# And where somebody in the batch has made a choice; JSON_TABLE pays for each column of each row.
_CHOICE_FIELDS = ("coupon_code", "shipping_method", "address")


@dataclass(frozen=True)
class _Texts:
    """The statements in one server's SQL; `{}` is filled with numbers."""

    read_goods: str
    take_preferred_slots: str
    now: str
    orders_under_keys: str
    held_units: str
    insert_orders: str
    insert_orders_with_choices: str
    write_outbox: str


def take_slots(connection: Connection, caps: Mapping[int, int], preferred: int) -> dict[int, int]:
    """Lock a free slot of each item, without waiting; `caps` has how many there are of each.

    Returns the slot that was had, by item; an item without a free one is left out. `preferred` is tried first: one look
    for all items. Any other takes a select for each item, since `IN (…)` would lock every slot of every item.
    """
    pairs = [[goods_id, preferred % caps[goods_id]] for goods_id in sorted(caps)]
    had = {
        int(key): int(slot)
        for key, slot in fetch(connection, _texts(sql_of(connection)).take_preferred_slots, as_batch(pairs))
    }
    missing = [goods_id for goods_id, _ in pairs if goods_id not in had]
    if missing:
        selects = (
            f"(SELECT goods_id, slot FROM purchase_slots WHERE goods_id = {goods_id:d} AND slot < {caps[goods_id]:d}"  # noqa: S608 (numbers alone)
            " ORDER BY slot LIMIT 1 FOR UPDATE SKIP LOCKED)"
            for goods_id in missing
        )
        had.update((int(key), int(slot)) for key, slot in fetch(connection, " UNION ALL ".join(selects)))
    return had


def lock_goods(connection: Connection, ids: Sequence[int]) -> dict[int, LockedGoods]:
    """Lock the items' rows, in the order of their ids, and read them."""
    # Without the time of the lock: who joins the batch comes later.
    return _goods(connection, ids, sql_of(connection).lock)[0]


def read_goods(connection: Connection, ids: Sequence[int]) -> tuple[dict[int, LockedGoods], datetime | None]:
    """The items' rows, not locked, and the time at which they were read; None where there are none."""
    return _goods(connection, ids, "")


def _goods(connection: Connection, ids: Sequence[int], lock: str) -> tuple[dict[int, LockedGoods], datetime | None]:
    text = _texts(sql_of(connection)).read_goods.format(", ".join(f"{key:d}" for key in sorted(ids)))
    rows = fetch_rows(connection, text + lock)
    goods, moments = {}, []
    for key, name, currency, price, stock, paused, starts_at, ends_at, limit, shippable, moment in rows:
        goods[int(key)] = LockedGoods(
            id=int(key),
            name=name,
            currency=currency,
            price=int(price),
            stock=int(stock),
            paused=bool(int(paused)),
            starts_at=utc(starts_at),
            ends_at=utc(ends_at),
            per_user_limit=number(limit),
            shippable=bool(int(shippable)),
        )
        moments.append(moment)
    return goods, utc(max(moments, default=None))


@dataclass(frozen=True)
class Standing:
    """What buyers have: orders under keys (user, key, the request's fingerprint, the order), and what they hold.

    `now` is the moment at which all that was so.
    """

    orders: Sequence[tuple[str, str, str, str]]
    held: Mapping[UserGoods, Held]
    now: datetime


def standing(
    connection: Connection,
    keys: Collection[UserKey],
    owners: Collection[UserGoods],
    forget_seconds: int,
) -> Standing:
    """The orders that stand under `keys`, and what each of `owners` holds of an item, or has given up; and the time.

    Held are the units of orders that are paid, or pending and not overdue. What was given up `forget_seconds` ago or
    earlier is not counted.
    """
    texts = _texts(sql_of(connection))
    queries: list[tuple[str, list[Any]]] = [(texts.now, [])]
    if keys:
        queries.append((texts.orders_under_keys, [as_batch(keys)]))
    if owners:
        queries.append((texts.held_units, [str(forget_seconds), str(forget_seconds), as_batch(owners)]))
    values = [value for _, needed in queries for value in needed]
    rows = fetch_rows(connection, " UNION ALL ".join(text for text, _ in queries), *values)
    orders, held, now = [], {}, None
    for user, key, fingerprint, order_no, goods_id, units, strikes, last_strike_at in rows:
        if user is None:
            now = utc(key)
        elif order_no is None:
            held[user, int(goods_id)] = Held(int(units), int(strikes), utc(last_strike_at))
        else:
            orders.append((user, key, fingerprint, order_no))
    assert now is not None
    return Standing(orders, held, now)


def new_orders(sql: Sql, placed: Sequence[Placed]) -> Change:
    """The INSERT of the new orders, all of one moment. Those with a total of 0 are paid by it.

    `carry_out` raises TooLate for it after INSERTED_WITHIN that moment.
    """
    first = placed[0].order
    texts = _texts(sql)
    rows = [_row(outcome.order, outcome.request) for outcome in placed]
    statement = texts.insert_orders
    if any(outcome.request.choices is not NO_CHOICES for outcome in placed):
        statement = texts.insert_orders_with_choices
        for row, outcome in zip(rows, placed, strict=True):
            order = outcome.order
            address = None if order.address is None else to_json(order.address)
            row += [order.coupon_code, order.shipping_method, address]
    placed_at = stored(first.purchased_at)
    times = placed_at, placed_at, stored(first.expires_at)
    latest = stored(first.purchased_at + INSERTED_WITHIN)
    # Or an item is gone, which the next run would find as well.
    return Change(statement, (*times, as_batch(rows), latest), len(placed), TooLate())


def _row(order: OrderView, request: PurchaseRequest) -> list[Any]:
    """The values of _ORDER_FIELDS."""
    return [
        order.order_no,
        order.goods_id,
        order.user_id,
        order.quantity,
        order.subtotal,
        order.discount,
        order.shipping_fee,
        order.total,
        request.idempotency_key,
        request.fingerprint,
    ]


def taken_units(units: Mapping[int, int]) -> Change:
    """The UPDATE that moves `units` of each item from stock to sold."""
    taken = f"CASE id {' '.join(f'WHEN {key:d} THEN {count:d}' for key, count in units.items())} END"
    # The condition stands in the WHERE too: should a lock ever be lost, this costs a request and never a unit.
    statement = (
        f"UPDATE goods SET stock = stock - {taken}, sold = sold + {taken}"  # noqa: S608 (numbers alone)
        f" WHERE id IN ({', '.join(f'{key:d}' for key in units)}) AND stock >= {taken}"
    )
    return Change(statement, (), len(units), RuntimeError("the stock changed under its lock"))


def events_in_outbox(sql: Sql, occurred_at: datetime, new_events: Sequence[NewEvent]) -> Change:
    """The INSERT of events into the outbox, as `core.events.events.write` makes it."""
    values = stored(occurred_at), as_batch(new_events)
    return Change(_texts(sql).write_outbox, values, 1, RuntimeError("the events were not written"))


@cache
def _texts(sql: Sql) -> _Texts:
    select, value, batch, by_index = sql.select, sql.value, sql.batch, sql.by_index
    dialect = "sqlite" if sql.sqlite else "mysql"
    now = now_in(dialect)  # the statement's beginning: where this stands, nothing is waited for
    pending, paid, cancelled, expired, refund_due, refunded = OrderStatus
    # An order that its buyer let lapse, whether that was noted yet or not, or gave up; also where money for it came
    # after all, and is to be given back, or was. A refund of what had been paid in time is none.
    strike = (
        f"(status IN ('{expired}', '{cancelled}', '{refund_due}', '{refunded}') AND paid_at IS NULL"
        " AND COALESCE(cancelled_by, orders.user_id) = orders.user_id"
        f" OR status = '{pending}' AND expires_at <= {now})"
        f" AND COALESCE(closed_at, expires_at) > {ago_in(dialect)}"  # not forgotten yet
    )
    moment = now_after_wait_in(dialect)
    nothing = ["NULL"] * 4
    under_key = sql.row_of_union(
        "orders.user_id", "orders.idempotency_key", "request_fingerprint", "order_no", *nothing
    )
    # The units that count towards a limit: as `holds_units` in core/orders/orders.py has it.
    held = sql.row_of_union(
        *("orders.user_id", "NULL", "NULL", "NULL", "orders.goods_id"),
        f"SUM(CASE WHEN status = '{paid}' OR status = '{refunded}' AND closed_at IS NULL"
        f" OR status = '{pending}' AND expires_at > {now} THEN quantity ELSE 0 END)",
        f"SUM(CASE WHEN {strike} THEN 1 ELSE 0 END)",
        f"MAX(CASE WHEN {strike} THEN COALESCE(closed_at, expires_at) END)",
    )

    def insert(*names: str) -> str:
        values = ", ".join(f"batch.{name}" for name in names)
        return (
            f"INSERT INTO orders ({', '.join(names)}, goods_name, currency, unit_price, per_user_limit,"
            f" status, paid_at, purchased_at, expires_at) {select} {values}, name, currency, price, per_user_limit,"
            f" CASE batch.total WHEN 0 THEN '{paid}' ELSE '{pending}' END,"
            f" CASE batch.total WHEN 0 THEN {value} END, {value}, {value}"
            f" FROM {batch(*names)} JOIN {by_index('goods', 'PRIMARY')}"
            f" ON goods.id = batch.goods_id WHERE {moment} < {value}"
        )

    return _Texts(
        read_goods=f"SELECT {sql.row(*LockedGoods.__slots__, moment)} FROM"  # noqa: S608
        f" {by_index('goods', 'PRIMARY')} WHERE id IN ({{}}) ORDER BY id",
        take_preferred_slots=f"{select} held.goods_id, held.slot FROM {batch('goods_id', 'slot')}"
        f" JOIN {by_index('purchase_slots held', 'PRIMARY')}"
        f" ON held.goods_id = batch.goods_id AND held.slot = batch.slot{sql.lock_of('held')} SKIP LOCKED",
        now=f"SELECT {sql.row_of_union('NULL', now, *['NULL'] * 6)}",
        orders_under_keys=f"{select} {under_key} FROM {batch('user_id', 'idempotency_key')}"
        f" JOIN {by_index('orders', 'orders_user_key')}"
        " ON orders.user_id = batch.user_id AND orders.idempotency_key = batch.idempotency_key",
        held_units=f"{select} {held} FROM {batch('user_id', 'goods_id')}"
        f" JOIN {by_index('orders', 'orders_goods_user')}"
        " ON orders.goods_id = batch.goods_id AND orders.user_id = batch.user_id"
        " GROUP BY orders.user_id, orders.goods_id",
        insert_orders=insert(*_ORDER_FIELDS),
        insert_orders_with_choices=insert(*_ORDER_FIELDS, *_CHOICE_FIELDS),
        write_outbox=f"INSERT INTO outbox (occurred_at, events) VALUES ({value}, {value})",  # noqa: S608
    )
