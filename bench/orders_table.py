"""Large tables for the service, made in SQL out of rows that the service itself has made.

A row that is wanted many times is copied with what must differ changed, so that whatever columns the tables have, the
copies are as valid as the original.
"""

import re
import time
from collections.abc import Mapping

from bench.servers import BenchMariaDB

# Buyers and items over which the orders of others are spread.
USERS = 1_000_000
ITEMS = 1_000
# Rows that one INSERT adds: a transaction of all would be one large undo log.
CHUNK = 2_500_000
WRITE_BACK_SECONDS = 60
FEW_PAGES = 1000
_SCHEMA_VERSION = "alembic_version"


def empty(mariadb: BenchMariaDB, database: str, next_goods_id: int) -> None:
    """Empty all tables of the service; the next item has the id `next_goods_id`."""
    tables = [
        name
        for (name,) in mariadb.rows(
            None,
            "SELECT table_name FROM information_schema.tables"
            f" WHERE table_schema = '{database}' AND table_type = 'BASE TABLE' AND table_name <> '{_SCHEMA_VERSION}'",
        )
    ]
    connection = mariadb.connect(database)
    cursor = connection.cursor()
    cursor.execute("SET foreign_key_checks = 0")
    for table in tables:
        cursor.execute(f"TRUNCATE `{table}`")
    cursor.execute(f"ALTER TABLE goods AUTO_INCREMENT = {next_goods_id}")
    connection.close()


def copy_goods(mariadb: BenchMariaDB, database: str, first: int, items: int) -> None:
    """Put up `items` - 1 more items like `first`, with the ids behind it, and with their history."""
    if items == 1:
        return
    numbers = f"seq_1_to_{items - 1}"
    _copy(mariadb, database, "goods", f"id = {first}", {"id": "original.id + seq"}, numbers)
    changes = {"id": None, "goods_id": "original.goods_id + seq"}
    _copy(mariadb, database, "goods_changes", f"goods_id = {first}", changes, numbers)


def fill(mariadb: BenchMariaDB, database: str, goods_id: int, count: int) -> None:
    """Make `count` orders out of the only one there is, which is for the only item, `goods_id`.

    They are spread over USERS buyers and ITEMS items, all paid, each under its own key, and the items' stock is what
    these orders leave of it. The secondary indexes are built at the end, which is faster.
    """
    copy_goods(mariadb, database, goods_id, ITEMS)
    indexes = _secondary_indexes(mariadb, database)
    _alter(mariadb, database, [f"DROP INDEX `{name}`" for name in indexes])
    changes = {
        "id": None,
        # As new_order_no() makes them: the time first, then what differs.
        "order_no": "CONCAT(SUBSTR(original.order_no, 1, 12), LPAD(HEX(seq), 20, '0'))",
        "goods_id": f"{goods_id} + seq MOD {ITEMS}",
        "user_id": f"CONCAT('earlier-', CRC32(seq) MOD {USERS})",
        "idempotency_key": "CONCAT('earlier-', seq)",
        "status": "'paid'",
        "paid_at": "original.purchased_at",
    }
    for begin in range(1, count, CHUNK):
        end = min(begin + CHUNK, count) - 1
        if begin <= end:
            _copy(mariadb, database, "orders", "id = 1", changes, f"seq_{begin}_to_{end}")
    _alter(mariadb, database, [f"ADD {definition}" for definition in indexes.values()])
    mariadb.rows(
        database,
        "UPDATE goods JOIN (SELECT goods_id, SUM(quantity) AS units FROM orders GROUP BY goods_id) AS held"
        " ON held.goods_id = goods.id SET stock = stock + sold - units, sold = units",
    )
    _write_back(mariadb)


def _write_back(mariadb: BenchMariaDB) -> None:
    """Wait until what was changed in memory is in the files: the server would do it beside the next runs."""
    hurry = {"innodb_io_capacity_max": 40_000, "innodb_io_capacity": 20_000, "innodb_max_dirty_pages_pct": 0}
    usual = {name: mariadb.rows(None, f"SELECT @@{name}")[0][0] for name in hurry}
    for name, value in hurry.items():
        mariadb.rows(None, f"SET GLOBAL {name} = {value}")
    deadline = time.monotonic() + WRITE_BACK_SECONDS
    while time.monotonic() < deadline:
        dirty = mariadb.rows(None, "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")[0][1]
        if int(dirty) < FEW_PAGES:
            break
        time.sleep(0.2)
    # The most must not fall below what is usual.
    for name, value in reversed(usual.items()):
        mariadb.rows(None, f"SET GLOBAL {name} = {value}")


def _copy(
    mariadb: BenchMariaDB, database: str, table: str, which: str, changes: Mapping[str, str | None], numbers: str
) -> None:
    """Copy the rows of `table` for which `which` holds, once for each row of `numbers`, a table of the sequence engine.

    `changes` has what a column of a copy gets, an expression of `original` and `seq`; None leaves it to its default.
    """
    columns = [row[0] for row in mariadb.rows(database, f"SHOW COLUMNS FROM `{table}`")]
    wanted = [name for name in columns if changes.get(name, "") is not None]
    values = ", ".join(changes.get(name) or f"original.`{name}`" for name in wanted)
    names = ", ".join(f"`{name}`" for name in wanted)
    connection = mariadb.connect(database)
    cursor = connection.cursor()
    # What is copied is known to be valid and unique.
    for setting in ("foreign_key_checks", "unique_checks", "check_constraint_checks"):
        cursor.execute(f"SET SESSION {setting} = 0")
    # Out of a table of its own: reading from the one that is written to takes a temporary table of all copies.
    cursor.execute(f"CREATE TEMPORARY TABLE original AS SELECT * FROM `{table}` WHERE {which}")
    cursor.execute(f"INSERT INTO `{table}` ({names}) SELECT {values} FROM original, {numbers}")
    connection.close()


def _secondary_indexes(mariadb: BenchMariaDB, database: str) -> dict[str, str]:
    """The indexes of `orders` but its primary key: their definitions by name."""
    definition: str = mariadb.rows(database, "SHOW CREATE TABLE orders")[0][1]
    lines = [line.strip().rstrip(",") for line in definition.splitlines()]
    return {match[1]: line for line in lines if (match := re.match(r"(?:UNIQUE )?KEY `([^`]+)`", line)) is not None}


def _alter(mariadb: BenchMariaDB, database: str, changes: list[str]) -> None:
    if changes:
        mariadb.rows(database, f"ALTER TABLE orders {', '.join(changes)}")
