"""What administrators keep under codes of their own making, coupons and shipping methods: listed, made and changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from core import refusals
from core.db.clock import database_now
from core.db.database import AnyRow, Database
from core.db.paging import Page, PageRequest, Sort, fetch
from core.db.transaction import plain
from core.refusals import InvalidField, Refusal
from models import Coupon, ShippingMethod

Fields = Mapping[str, Any]


def _anything_goes(row: Fields, given: Fields) -> None:
    pass


def _room_without_end(connection: Connection) -> None:
    pass


@dataclass(frozen=True)
class VersionedTable:
    """A table whose rows have a `code`, a `version` that counts changes, and the times of creation and change.

    `defaults` are the columns that a creation may leave out. `check` is asked about every row before it is written,
    with the values that the request gives; `make_room` before one is added; they raise InvalidField.
    """

    table: type[Coupon] | type[ShippingMethod]
    not_found: str
    defaults: Fields
    check: Callable[[Fields, Fields], None] = _anything_goes
    make_room: Callable[[Connection], None] = _room_without_end

    def find(self, database: Database, code: str) -> AnyRow:
        """The row. Raises Refusal with the code `not_found`."""
        with database.reading() as connection:
            return self._one(connection, code)

    def list_page(self, database: Database, page: PageRequest, sort: str = "code", **wanted: Any) -> Page[AnyRow]:
        """A page of rows that have the `wanted` values; None is any. `sort`: code or created_at, `-` for descending.

        It is read by the index that is named after the table, the wanted columns and the order, where there is one.
        """
        code = self.table.code.expression
        query = select(*self.table.__table__.columns, code.label("id"))
        wanted = {name: value for name, value in wanted.items() if value is not None}
        for name, value in wanted.items():
            query = query.where(self._column(name) == value)
        name = sort.removeprefix("-")
        value = code if name == "code" else self._column(name)
        index = "_".join((self.table.__tablename__, *sorted(wanted, reverse=True), name.removesuffix("_at")))
        if any(each.name == index for each in self.table.metadata.tables[self.table.__tablename__].indexes):
            # MariaDB would merge the indexes of single filters, and sort all that it found.
            query = query.with_hint(self.table, f"FORCE INDEX ({index})", "mysql")
        with database.reading() as connection:
            return fetch(connection, query, Sort(value, code, descending=sort.startswith("-")), page)

    def create(self, database: Database, fields: Fields) -> AnyRow:
        """Make a row of checked values. Raises InvalidField, with the field's code `taken` where the code is."""
        code = fields["code"]

        def work(connection: Connection) -> AnyRow:
            # Two that come at once: the loser's INSERT fails on the key, is run again, and finds the winner's row.
            if connection.execute(select(self.table.code).where(self.table.code == code)).one_or_none() is not None:
                raise InvalidField("code", "taken")
            self.make_room(connection)
            now = database_now(connection)
            values = {**self.defaults, **fields, "created_at": now, "updated_at": now}
            self.check(values, values)
            connection.execute(insert(self.table).values(values))
            return self._one(connection, code)

        return plain(database, work)

    def change(self, database: Database, code: str, fields: Fields, versions: set[int] | None) -> AnyRow:
        """Set `fields`. `versions`, if any, are those that the caller expects.

        The row is locked meanwhile, so that a purchase sees it wholly before or wholly after. Raises Refusal
        `not_found` or version_mismatch, or InvalidField.
        """

        def work(connection: Connection) -> AnyRow:
            row = self._one(connection, code, lock=True)
            if versions is not None and row.version not in versions:
                raise Refusal(refusals.VERSION_MISMATCH)
            changed = {name: value for name, value in fields.items() if getattr(row, name) != value}
            if not changed:
                return row
            self.check({**row._mapping, **changed}, changed)
            written = connection.execute(
                update(self.table)
                .where(self.table.code == code, self.table.version == row.version)
                .values({**changed, "version": row.version + 1, "updated_at": database_now(connection)})
            )
            if written.rowcount != 1:
                raise RuntimeError("the row changed under its lock")
            return self._one(connection, code)

        return plain(database, work)

    def _column(self, name: str) -> ColumnElement[Any]:
        return self.table.__table__.columns[name]

    def _one(self, connection: Connection, code: str, lock: bool = False) -> AnyRow:
        query = select(*self.table.__table__.columns).where(self.table.code == code)
        row = connection.execute(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise Refusal(self.not_found)
        return row


def check_window(row: Fields) -> None:
    """Raises InvalidField where the row's `ends_at` is before its `starts_at`."""
    starts_at, ends_at = row["starts_at"], row["ends_at"]
    if starts_at is not None and ends_at is not None and ends_at < starts_at:
        raise InvalidField("ends_at", "window_reversed")
