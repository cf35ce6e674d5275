"""The table of figures: each worker writes to it once a second while somebody buys; `/live` and reports read it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from core.db.clock import Deadline, database_now
from core.db.database import Database
from core.db.transaction import run
from core.json_text import to_json
from core.live.board import Row
from core.live.clock import KnownTime, as_datetime
from core.live.collector import Collector
from core.live.tally import Tally
from core.purchase.sql import as_batch, stored
from models import Goods, SaleFigures

# Rows that one transaction writes, and that one look at the live figures reads.
ROWS_AT_ONCE = 500
_READ_AT_ONCE = 20_000
# Seconds between two turns of a writer. SQLite has one writer and one host, whose workers share figures by memory.
SECONDS, SECONDS_ON_SQLITE = 1.0, 5.0

_INSERT_ON_SQLITE = "INSERT OR IGNORE INTO sale_figures (goods_id, at, source, figures) VALUES (?, ?, ?, ?)"
# One parameter for all rows: the driver would turn each value into SQL by itself.
_INSERT = (
    "INSERT INTO sale_figures (goods_id, at, source, figures)"
    " SELECT batch.goods_id, batch.at, batch.source, batch.figures FROM JSON_TABLE(%s, '$[*]' COLUMNS ("
    "goods_id BIGINT PATH '$[0]', at DATETIME(3) PATH '$[1]',"
    " source VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin PATH '$[2]',"
    " figures TEXT CHARACTER SET utf8mb4 PATH '$[3]')) batch"
    " ON DUPLICATE KEY UPDATE source = sale_figures.source"
)
_STOCK = select(Goods.id, Goods.stock).where(Goods.id.in_(bindparam("ids", expanding=True)))


def writer(database: Database, collector: Collector, clock: KnownTime) -> Callable[[], None]:
    """A turn of a worker's writer: stores what was collected, and looks up what is left of those items."""

    def turn() -> None:
        if not clock.is_known:
            # Before anything is stored: this host's clock may be hours off.
            with database.reading(Deadline(database.settings.DATABASE_TIMEOUT_SECONDS)) as connection:
                sent_at = clock.monotonic()
                clock.update(database_now(connection), sent_at, clock.monotonic())
            return
        rows = collector.take_unstored(ROWS_AT_ONCE)
        if not rows:
            return
        try:
            run(database, lambda connection: write(connection, rows), Deadline(database.settings.PURCHASE_WAIT_SECONDS))
        except BaseException:
            collector.give_back(rows)
            raise
        bought = {row.goods_id for row in rows if row.goods_id and row.tally.active}
        if not bought:
            return
        with database.reading(Deadline(database.settings.DATABASE_TIMEOUT_SECONDS)) as connection:
            sent_at = clock.monotonic()
            now = database_now(connection)
            clock.update(now, sent_at, clock.monotonic())
            for row in connection.execute(_STOCK, {"ids": sorted(bought)}):
                collector.note_stock(row.id, row.stock, int(now.timestamp()))

    return turn


def write(connection: Connection, rows: Sequence[Row]) -> None:
    """Store rows. Doing so twice is the same as once, so that a lost answer to COMMIT counts nothing twice."""
    values = [
        (row.goods_id, stored(as_datetime(row.second)), row.source, to_json(row.tally.packed()))
        for row in sorted(rows, key=lambda row: (row.goods_id, row.second))
    ]
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_INSERT_ON_SQLITE, values)
    else:
        connection.exec_driver_sql(_INSERT, (as_batch(values),))


def recent(connection: Connection, since: datetime, goods_id: int | None, but_of: str | None = None) -> list[Row]:
    """The figures since a moment, of all items or of one, but for those of the host `but_of`.

    The newest where there are more than can be looked at.
    """
    query = select(*SaleFigures.__table__.columns).where(SaleFigures.at >= since).order_by(SaleFigures.at.desc())
    if goods_id is not None:
        query = query.where(SaleFigures.goods_id == goods_id)
    if but_of is not None:
        query = query.where(SaleFigures.source.not_like(f"{but_of}-%"))
    return _rows(connection.execute(query.limit(_READ_AT_ONCE)))


def of_item(connection: Connection, goods_id: int) -> Iterator[Row]:
    """All figures of an item, the oldest first, as they come."""
    query = select(*SaleFigures.__table__.columns).where(SaleFigures.goods_id == goods_id)
    query = query.order_by(SaleFigures.at, SaleFigures.source)
    for part in connection.execute(query).partitions(1000):
        yield from _rows(part)


def _rows(found: Iterable[Any]) -> list[Row]:
    return [Row(int(row.at.timestamp()), row.source, row.goods_id, Tally.unpacked(row.figures)) for row in found]
