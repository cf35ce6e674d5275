"""Items: reads, and the changes that administrators make. Every change adds a row to the item's history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    or_,
    select,
)

from core import refusals
from core.catalogue import sale
from core.catalogue.search import searchable
from core.db.clock import database_now, iso, utc_now
from core.db.database import AnyRow, Database
from core.db.paging import Page, PageRequest, Sort, fetch
from core.db.text_query import KeptConnection, TextQuery
from core.db.transaction import run_with_default_deadline
from core.db.versioned_table import VersionedTable, differing, wrong_in_window
from core.events import events
from core.refusals import Refusal, check_fields
from models import Goods, GoodsChange, Order, PurchaseSlot

MAX_STOCK = 10**9


class GoodsAction(StrEnum):
    """What an administrator did to an item, as its history has it."""

    CREATED = "created"
    UPDATED = "updated"
    PAUSED = "paused"
    RESUMED = "resumed"
    DELETED = "deleted"


# The columns that a creation may leave out.
DEFAULTS: Mapping[str, Any] = {
    "description": "",
    "image_url": "",
    "list_price": None,
    "starts_at": None,
    "ends_at": None,
    "per_user_limit": None,
    "order_limit": None,
    "shippable": False,
}
SORTS: Mapping[str, ColumnElement[Any]] = {
    # An item without a start has always been on sale, so it sorts first.
    "starts_at": Goods.starts_at.expression,
    "price": Goods.price.expression,
    "created_at": Goods.created_at.expression,
    "id": Goods.id.expression,
}


_table = VersionedTable(
    Goods,
    refusals.GOODS_NOT_FOUND,
    columns=(
        *(column for column in Goods.__table__.columns if column is not Goods.__table__.c.search_text),
        utc_now().label("now"),
    ),
)
_READ_ALL = _table.select().where(Goods.id.in_(bindparam("ids", expanding=True)))
_ROWS = TextQuery(_table.select())


def find(database: Database, goods_id: int) -> AnyRow:
    """The item's row, with the database's time as `now`. Raises Refusal goods_not_found."""
    return _table.find(database, goods_id)


def read(connection: Connection, goods_id: int) -> AnyRow:
    """`find` on a connection of the caller's."""
    return _table.read(connection, goods_id)


def read_all(connection: Connection, ids: Sequence[int]) -> list[AnyRow]:
    """The rows of those of the items that exist, with the database's time as `now`."""
    return list(connection.execute(_READ_ALL, {"ids": ids}))


class Reader:
    """Reads items again and again, as the sale cache does. For one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = KeptConnection(database)

    def read(self, ids: Sequence[int]) -> list[AnyRow]:
        """As `read_all`. Raises Busy or Unavailable."""
        with self._connection.use() as connection:
            return _ROWS.read(self._database, connection, ids)

    def rest(self) -> None:
        """Keep no connection until the next read."""
        self._connection.close()


def list_page(
    database: Database, page: PageRequest, sort: str = "id", status: str | None = None, text: str | None = None
) -> Page[AnyRow]:
    """A page of items whose names contain `text`. `sort` is a key of SORTS, with `-` before it for descending."""
    query = _table.select()
    if status is not None:
        query = query.where(sale.status_in_sql() == status)
    if text is not None:
        query = query.where(_has(text))
    name = sort.removeprefix("-")
    order = Sort(SORTS[name], Goods.id.expression, descending=sort.startswith("-"), nullable=name == "starts_at")
    with database.reading() as connection:
        return fetch(connection, query, order, page)


def _has(text: str) -> ColumnElement[bool]:
    """Whether the name contains `text`, ignoring case, accents, width, and blanks around the text."""
    text = text.strip()
    found = Goods.search_text.contains(searchable(text), autoescape=True)
    # Rows written by SQL of others have no search form.
    return or_(found, and_(Goods.search_text.is_(None), Goods.name.icontains(text, autoescape=True)))


def _stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns for `values`: with a name comes its search form."""
    return {**values, "search_text": searchable(values["name"])} if "name" in values else dict(values)


def create(database: Database, actor: str, fields: Mapping[str, Any]) -> AnyRow:
    """Create an item. `fields` are checked values of the writable columns, including `stock`."""
    return run_with_default_deadline(database, lambda connection: create_in(connection, actor, fields))


def create_in(connection: Connection, actor: str, fields: Mapping[str, Any]) -> AnyRow:
    """`create` in a transaction of the caller's."""
    now = database_now(connection)
    values = {**DEFAULTS, **fields, "created_at": now, "updated_at": now}
    check_fields(wrong_in_window(values))
    goods_id = connection.execute(insert(Goods).values(_stored(values))).inserted_primary_key[0]  # type: ignore[index]
    row = read(connection, goods_id)
    shown = {name: {"from": None, "to": values[name]} for name in values if name not in ("created_at", "updated_at")}
    _record(connection, row, GoodsAction.CREATED, actor, shown, values["stock"], now)
    return row


def change(
    database: Database,
    actor: str,
    goods_id: int,
    fields: Mapping[str, Any],
    stock_delta: int,
    versions: set[int] | None,
) -> AnyRow:
    """Set `fields` of an item that has one of `versions` (None: any), and add `stock_delta` to its stock.

    Raises Refusal goods_not_found, version_mismatch, stock_conflict or validation_failed.
    """

    def work(connection: Connection) -> AnyRow:
        row = _table.lock(connection, goods_id, versions)
        changed = differing(row, fields)
        wrong = wrong_in_window({**row._mapping, **changed})
        if row.stock + row.sold + stock_delta > MAX_STOCK:
            wrong["stock_delta"] = "out_of_range"
        check_fields(wrong)
        if row.stock + stock_delta < 0:
            raise Refusal(refusals.STOCK_CONFLICT)
        shown = {name: {"from": getattr(row, name), "to": value} for name, value in changed.items()}
        if stock_delta:
            shown["stock"] = {"from": row.stock, "to": row.stock + stock_delta}
        return _apply(connection, row, GoodsAction.UPDATED, actor, changed, shown, stock_delta)

    return run_with_default_deadline(database, work)


def set_paused(database: Database, actor: str, goods_id: int, paused: bool, versions: set[int] | None) -> AnyRow:
    """Pause or resume a sale. A repeated call changes nothing."""

    def work(connection: Connection) -> AnyRow:
        row = _table.lock(connection, goods_id, versions)
        shown = {} if row.paused == paused else {"paused": {"from": row.paused, "to": paused}}
        action = GoodsAction.PAUSED if paused else GoodsAction.RESUMED
        return _apply(connection, row, action, actor, {"paused": paused}, shown, 0)

    return run_with_default_deadline(database, work)


def start_now(database: Database, actor: str, goods_id: int, versions: set[int] | None) -> AnyRow:
    """Move the start of a sale that has not begun to now, by the database's clock. A repeated call changes nothing.

    Raises Refusal goods_not_found, version_mismatch or validation_failed (the sale would end before).
    """

    def work(connection: Connection) -> AnyRow:
        row = _table.lock(connection, goods_id, versions)
        now = database_now(connection)
        if row.starts_at is None or row.starts_at <= now:
            return row
        check_fields(wrong_in_window({**row._mapping, "starts_at": now}))
        shown = {"starts_at": {"from": row.starts_at, "to": now}}
        return _apply(connection, row, GoodsAction.UPDATED, actor, {"starts_at": now}, shown, 0)

    return run_with_default_deadline(database, work)


def remove(database: Database, actor: str, goods_id: int, versions: set[int] | None) -> None:
    """Delete an item without orders; its history stays in the database. Raises Refusal has_orders."""

    def work(connection: Connection) -> None:
        # Slots are locked first (docs/locking.md): this waits for purchases in progress.
        connection.execute(delete(PurchaseSlot).where(PurchaseSlot.goods_id == goods_id))
        row = _table.lock(connection, goods_id, versions)
        if connection.execute(select(exists().where(Order.goods_id == goods_id))).scalar_one():
            raise Refusal(refusals.HAS_ORDERS)
        _table.remove(connection, row)
        _record(connection, row, GoodsAction.DELETED, actor, {}, -(row.stock + row.sold), database_now(connection))

    run_with_default_deadline(database, work)


def history(database: Database, goods_id: int, page: PageRequest) -> Page[AnyRow]:
    """A page of the item's changes, newest first. Raises Refusal goods_not_found."""
    query = select(*GoodsChange.__table__.columns).where(GoodsChange.goods_id == goods_id)
    newest_first = Sort(GoodsChange.id.expression, GoodsChange.id.expression, descending=True)
    with database.reading() as connection:
        read(connection, goods_id)
        return fetch(connection, query, newest_first, page)


def _apply(
    connection: Connection,
    row: AnyRow,
    action: GoodsAction,
    actor: str,
    values: Mapping[str, Any],
    shown: Mapping[str, Any],
    stock_delta: int,
) -> AnyRow:
    if not shown:
        return row
    now = database_now(connection)
    stock = {"stock": Goods.stock + stock_delta} if stock_delta else {}
    changed = _table.write(connection, row, {**_stored(values), **stock, "updated_at": now})
    _record(connection, changed, action, actor, shown, stock_delta, now)
    events.write(connection, now, events.of_stock(row.id, row.stock, changed.stock))
    return changed


def _record(
    connection: Connection,
    row: AnyRow,
    action: GoodsAction,
    actor: str,
    shown: Mapping[str, Any],
    stock_delta: int,
    at: datetime,
) -> None:
    connection.execute(
        insert(GoodsChange).values(
            goods_id=row.id,
            version=row.version,
            action=action,
            changed_by=actor,
            changed_at=at,
            stock_delta=stock_delta,
            changes={name: {side: _plain(value) for side, value in pair.items()} for name, pair in shown.items()},
        )
    )


def _plain(value: Any) -> Any:
    return iso(value) if isinstance(value, datetime) else value
