"""Tables whose rows administrators change, each with a `version` that counts the changes; `If-Match` names versions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, select, update

from core import refusals
from core.db.clock import utc_now
from core.db.database import AnyRow, Database
from core.refusals import Refusal
from models import Coupon, Goods, ShippingMethod, Webhook

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class VersionedTable:
    """The rows of a table with the columns `version` and `updated_at`, each found by its `key`.

    `columns` are what is read of a row, by default all; `not_found` is the code of the refusal where there is no row.
    """

    table: type[Goods] | type[Coupon] | type[ShippingMethod] | type[Webhook]
    not_found: str
    key: str = "id"
    columns: Sequence[ColumnElement[Any]] | None = None

    def find(self, database: Database, key: Any) -> AnyRow:
        """The row. Raises Refusal `not_found`."""
        with database.reading() as connection:
            return self.read(connection, key)

    def read(self, connection: Connection, key: Any, lock: bool = False) -> AnyRow:
        """`find` on a connection of the caller's; with `lock`, under the row's lock."""
        query = self.select().where(self.column(self.key) == key)
        row = connection.execute(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise Refusal(self.not_found)
        return row

    def lock(self, connection: Connection, key: Any, versions: Collection[int] | None) -> AnyRow:
        """Lock the row and read it. Raises Refusal `not_found`, or version_mismatch unless it has one of `versions`.

        None stands for any version.
        """
        row = self.read(connection, key, lock=True)
        if versions is not None and row.version not in versions:
            raise Refusal(refusals.VERSION_MISMATCH)
        return row

    def write(self, connection: Connection, row: AnyRow, values: Fields) -> AnyRow:
        """Set `values` of a row that the caller has locked, as its next version. Returns the row as it is then."""
        key = getattr(row, self.key)
        written = connection.execute(
            update(self.table)
            .where(self.column(self.key) == key, self.column("version") == row.version)
            .values({"updated_at": utc_now(), **values, "version": row.version + 1})
        )
        if written.rowcount != 1:
            raise RuntimeError("the row changed under its lock")
        return self.read(connection, key)

    def remove(self, connection: Connection, row: AnyRow) -> None:
        """Delete a row that the caller has locked."""
        connection.execute(delete(self.table).where(self.column(self.key) == getattr(row, self.key)))

    def select(self) -> Select[Any]:
        """A query for all rows, with `columns`."""
        return select(*(self.table.__table__.columns if self.columns is None else self.columns))

    def column(self, name: str) -> ColumnElement[Any]:
        return self.table.__table__.columns[name]


def differing(row: AnyRow, fields: Fields) -> dict[str, Any]:
    """Those of `fields` whose values are not the row's."""
    return {name: value for name, value in fields.items() if getattr(row, name) != value}


def wrong_in_window(row: Fields) -> dict[str, str]:
    """The error code of the row's `ends_at`, where it is before its `starts_at`."""
    starts_at, ends_at = row["starts_at"], row["ends_at"]
    is_reversed = starts_at is not None and ends_at is not None and ends_at < starts_at
    return {"ends_at": "window_reversed"} if is_reversed else {}
