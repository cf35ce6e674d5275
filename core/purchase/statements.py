"""The statements of a purchase transaction, whose size grows with the batch.

Written as text: SQLAlchemy would build and compile an expression for every size of batch, under the lock. What buyers
sent travels as one parameter, a JSON array with a row for each: the driver turns parameters into SQL one by one, which
costs more than all else in a batch. Ids, slots and units are numbers of our own and stand in the text.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect

from core.clock import now_after_wait_in
from core.faults import Kind, read
from core.orders import PAID, PENDING
from core.purchase.decide import LockedGoods, Placed, UserGoods, UserKey

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
# What a batch tells of each new order; the rest of its row comes from the item's, which is locked.
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
_TYPES = {
    "order_no": "CHAR(32) CHARACTER SET ascii COLLATE ascii_bin",
    "idempotency_key": "VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin",
    "request_fingerprint": "CHAR(64) CHARACTER SET ascii COLLATE ascii_bin",
}


@dataclass(frozen=True)
class _Texts:
    """The statements in one server's SQL; `{}` is filled with numbers."""

    lock_goods: str
    take_preferred_slots: str
    orders_under_keys: str
    held_units: str
    insert_orders: str


def take_slots(connection: Connection, caps: Mapping[int, int], preferred: int) -> dict[int, int]:
    """Lock a free slot of each item, without waiting; `caps` has how many there are of each.

    Returns the slot that was had, by item; an item without a free one is left out. `preferred` is tried first: one look
    for all items. Any other takes a select for each item, since `IN (…)` would lock every slot of every item.
    """
    pairs = [[goods_id, preferred % caps[goods_id]] for goods_id in sorted(caps)]
    had = {
        int(key): int(slot)
        for key, slot in _read(connection, _texts_of(connection).take_preferred_slots, _batch(pairs))
    }
    missing = [goods_id for goods_id, _ in pairs if goods_id not in had]
    if missing:
        selects = (
            f"(SELECT goods_id, slot FROM purchase_slots WHERE goods_id = {goods_id:d} AND slot < {caps[goods_id]:d}"  # noqa: S608 (numbers alone)
            " ORDER BY slot LIMIT 1 FOR UPDATE SKIP LOCKED)"
            for goods_id in missing
        )
        had.update((int(key), int(slot)) for key, slot in _read(connection, " UNION ALL ".join(selects)))
    return had


def lock_goods(connection: Connection, ids: Sequence[int]) -> tuple[dict[int, LockedGoods], datetime | None]:
    """Lock the items' rows, in the order of their ids, and read them with the time after the wait for the locks."""
    rows = _read(connection, _texts_of(connection).lock_goods.format(", ".join(f"{key:d}" for key in sorted(ids))))
    goods, moments = {}, []
    for key, name, currency, price, stock, paused, starts_at, ends_at, limit, moment in rows:
        goods[int(key)] = LockedGoods(
            id=int(key),
            name=name,
            currency=currency,
            price=int(price),
            stock=int(stock),
            paused=bool(int(paused)),
            starts_at=_utc(starts_at),
            ends_at=_utc(ends_at),
            per_user_limit=None if limit is None else int(limit),
        )
        moments.append(moment)
    return goods, _utc(max(moments, default=None))


@dataclass(frozen=True)
class Standing:
    """What buyers have: orders under keys (user, key, the request's fingerprint, the order), and units held."""

    orders: Sequence[tuple[str, str, str, str]]
    held: Mapping[UserGoods, int]


def standing(
    connection: Connection, keys: Collection[UserKey], owners: Collection[UserGoods], now: datetime
) -> Standing:
    """The orders that stand under `keys`, and the units that each of `owners` holds of an item.

    Held are the units of orders that are paid, or pending and not overdue at `now`.
    """
    texts = _texts_of(connection)
    asked: list[tuple[str, list[Any]]] = []
    if keys:
        asked.append((texts.orders_under_keys, [_batch(keys)]))
    if owners:
        asked.append((texts.held_units, [_batch(owners), _stored(now)]))
    if not asked:
        return Standing([], {})
    values = [value for _, needed in asked for value in needed]
    rows = _read(connection, " UNION ALL ".join(text for text, _ in asked), *values)
    orders, held = [], {}
    for user, key, fingerprint, order_no, goods_id, units in rows:
        if order_no is None:
            held[user, int(goods_id)] = int(units)
        else:
            orders.append((user, key, fingerprint, order_no))
    return Standing(orders, held)


def insert_orders(connection: Connection, placed: Sequence[Placed]) -> None:
    """Write the new orders, all of one moment, in one statement."""
    first = placed[0].order
    rows = [
        [
            order.order_no,
            order.goods_id,
            order.user_id,
            order.quantity,
            order.subtotal,
            order.discount,
            order.shipping_fee,
            order.total,
            outcome.request.idempotency_key,
            outcome.request.fingerprint,
        ]
        for outcome in placed
        for order in (outcome.order,)
    ]
    times = _stored(first.purchased_at), _stored(first.expires_at)
    written = _write(connection, _texts_of(connection).insert_orders, *times, _batch(rows))
    if written != len(placed):
        raise RuntimeError("an order was not written")


def take_units(connection: Connection, units: Mapping[int, int]) -> int:
    """Move `units` of each item from stock to sold. Returns how many items had as many."""
    taken = f"CASE id {' '.join(f'WHEN {key:d} THEN {count:d}' for key, count in units.items())} END"
    # The condition stands in the WHERE too: should a lock ever be lost, this costs a retry and never a unit.
    return _write(
        connection,
        f"UPDATE goods SET stock = stock - {taken}, sold = sold + {taken}"  # noqa: S608 (numbers alone)
        f" WHERE id IN ({', '.join(f'{key:d}' for key in units)}) AND stock >= {taken}",
    )


def _texts_of(connection: Connection) -> _Texts:
    dialect: Dialect = connection.dialect
    return _texts(dialect.name == "sqlite", bool(getattr(dialect, "is_mariadb", False)))


@cache
def _texts(sqlite: bool, mariadb: bool) -> _Texts:
    user = f"VARCHAR(64) CHARACTER SET utf8mb4 COLLATE {'utf8mb4_nopad_bin' if mariadb else 'utf8mb4_0900_bin'}"

    def batch(*columns: str) -> str:
        """The batch as a table, a column for each place in its rows."""
        if sqlite:
            read = ", ".join(f"json_extract(value, '$[{place}]') AS {name}" for place, name in enumerate(columns))
            return f"(SELECT {read} FROM json_each(?)) batch"  # noqa: S608 (names of our own)
        types = {"user_id": user} | _TYPES
        read = ", ".join(f"{name} {types.get(name, 'BIGINT')} PATH '$[{place}]'" for place, name in enumerate(columns))
        return f"JSON_TABLE(%s, '$[*]' COLUMNS ({read})) batch"

    def by_index(table: str, name: str) -> str:
        # Row by row through the index, whatever the optimiser thinks of the sizes; a scan locks in its own order.
        return table if sqlite else f"{table} FORCE INDEX ({name})"

    select = "SELECT" if sqlite else "SELECT STRAIGHT_JOIN"
    value = "?" if sqlite else "%s"
    lock = "" if sqlite else " FOR UPDATE"
    columns = ", ".join(LockedGoods.__slots__)
    return _Texts(
        lock_goods=f"SELECT {columns}, {now_after_wait_in('sqlite' if sqlite else 'mysql')} FROM"  # noqa: S608
        f" {by_index('goods', 'PRIMARY')} WHERE id IN ({{}}) ORDER BY id{lock}",
        take_preferred_slots=f"{select} held.goods_id, held.slot FROM {batch('goods_id', 'slot')}"
        f" JOIN {by_index('purchase_slots held', 'PRIMARY')}"
        " ON held.goods_id = batch.goods_id AND held.slot = batch.slot FOR UPDATE SKIP LOCKED",
        orders_under_keys=f"{select} orders.user_id, orders.idempotency_key, request_fingerprint, order_no, NULL, NULL"
        f" FROM {batch('user_id', 'idempotency_key')} JOIN {by_index('orders', 'orders_user_key')}"
        " ON orders.user_id = batch.user_id AND orders.idempotency_key = batch.idempotency_key",
        held_units=f"{select} orders.user_id, NULL, NULL, NULL, orders.goods_id, SUM(quantity)"
        f" FROM {batch('user_id', 'goods_id')} JOIN {by_index('orders', 'orders_goods_user')}"
        " ON orders.goods_id = batch.goods_id AND orders.user_id = batch.user_id"
        f" WHERE status = '{PAID}' OR status = '{PENDING}' AND expires_at > {value}"
        " GROUP BY orders.user_id, orders.goods_id",
        insert_orders=f"INSERT INTO orders ({', '.join(_ORDER_FIELDS)}, goods_name, currency, unit_price,"
        " per_user_limit, status, purchased_at, expires_at)"
        f" {select} {', '.join(f'batch.{name}' for name in _ORDER_FIELDS)}, name, currency, price, per_user_limit,"
        f" '{PENDING}', {value}, {value} FROM {batch(*_ORDER_FIELDS)} JOIN {by_index('goods', 'PRIMARY')}"
        " ON goods.id = batch.goods_id",
    )


def _batch(rows: Iterable[Any]) -> str:
    return _to_json(list(rows))


def _read(connection: Connection, statement: str, *values: str) -> Iterable[tuple[Any, ...]]:
    """The rows, their values as text or as SQLite has them."""
    if connection.dialect.name == "sqlite":
        return map(tuple, connection.exec_driver_sql(statement, values))
    return _ask(connection, statement, values)[0]


def _write(connection: Connection, statement: str, *values: str) -> int:
    """Returns how many rows it changed."""
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql(statement, values).rowcount
    return _ask(connection, statement, values)[1]


def _ask(connection: Connection, statement: str, values: Sequence[str]) -> tuple[list[tuple[str | None, ...]], int]:
    # Past SQLAlchemy, which has to know of the transaction to end it, and of a connection that is lost.
    assert connection.in_transaction()
    opened: Any = connection.connection.dbapi_connection
    try:
        asked: tuple[list[tuple[str | None, ...]], int] = opened.ask(statement, *values)
    except Exception as error:
        if read(error).kind is not Kind.RERUN:
            connection.invalidate(error)
        raise
    return asked


def _utc(stored: str | None) -> datetime | None:
    """A time as it is written in the database."""
    return None if stored is None else datetime.fromisoformat(stored).replace(tzinfo=timezone.utc)


def _stored(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
