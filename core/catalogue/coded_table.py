"""What administrators keep under codes of their own making, coupons and shipping methods: listed, made and changed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select

from core.db.clock import utc_now
from core.db.database import AnyRow, Database
from core.db.paging import Page, PageRequest, Sort, fetch
from core.db.transaction import run_with_default_deadline
from core.db.versioned_table import Fields, VersionedTable, differing
from core.refusals import InvalidField, check_fields


def _nothing_is_wrong(row: Fields, given: Fields) -> dict[str, str]:
    return {}


def _room_without_end(connection: Connection) -> None:
    pass


@dataclass(frozen=True)
class CodedTable(VersionedTable):
    """A versioned table whose key is a `code` that an administrator chooses.

    `defaults` are the columns that a creation may leave out. `wrong` judges every row before it is written, together
    with the values that the request gives: it returns the error codes of fields. `make_room` is called before a row is
    added, and raises InvalidField.
    """

    key: str = "code"
    defaults: Fields = field(default_factory=dict)
    wrong: Callable[[Fields, Fields], dict[str, str]] = _nothing_is_wrong
    make_room: Callable[[Connection], None] = _room_without_end

    def list_page(self, database: Database, page: PageRequest, sort: str = "code", **wanted: Any) -> Page[AnyRow]:
        """A page of rows that have the `wanted` values; None is any. `sort`: code or created_at, `-` for descending.

        The query names the index called after the table, the wanted columns and the sort column, where there is one.
        """
        code = self.column("code")
        query = self.select().add_columns(code.label("id"))
        wanted = {name: value for name, value in wanted.items() if value is not None}
        for name, value in wanted.items():
            query = query.where(self.column(name) == value)
        name = sort.removeprefix("-")
        index = "_".join((self.table.__tablename__, *sorted(wanted, reverse=True), name.removesuffix("_at")))
        if any(each.name == index for each in self.table.metadata.tables[self.table.__tablename__].indexes):
            # MariaDB would merge the indexes of single filters, and sort all that it found.
            query = query.with_hint(self.table, f"FORCE INDEX ({index})")
        order = Sort(self.column(name), code, descending=sort.startswith("-"))
        with database.reading() as connection:
            return fetch(connection, query, order, page)

    def create(self, database: Database, fields: Fields) -> AnyRow:
        """Make a row of checked values. Raises InvalidFields: `code` is `taken` where another row has it."""
        code = fields["code"]

        def work(connection: Connection) -> AnyRow:
            # Of two concurrent creations the second fails on the primary key, is run again, and finds the first.
            if connection.execute(select(self.column("code")).where(self.column("code") == code)).one_or_none():
                raise InvalidField("code", "taken")
            self.make_room(connection)
            values = {**self.defaults, **fields, "created_at": utc_now(), "updated_at": utc_now()}
            check_fields(self.wrong(values, values))
            connection.execute(insert(self.table).values(values))
            return self.read(connection, code)

        return run_with_default_deadline(database, work)

    def change(self, database: Database, code: str, fields: Fields, versions: set[int] | None) -> AnyRow:
        """Set `fields` of a row that has one of `versions` (None: any).

        The row is locked meanwhile: a purchase uses it either as it was or as it will be. Raises Refusal `not_found` or
        version_mismatch, or InvalidFields.
        """

        def work(connection: Connection) -> AnyRow:
            row = self.lock(connection, code, versions)
            changed = differing(row, fields)
            if not changed:
                return row
            check_fields(self.wrong({**row._mapping, **changed}, changed))
            return self.write(connection, row, changed)

        return run_with_default_deadline(database, work)
