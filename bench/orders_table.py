"""Large tables for the service, made in SQL out of rows that the service itself has made.

A row that is wanted many times is copied with what must differ changed, so that whatever columns the tables have, the
copies are as valid as the original.
"""

import re
import time
from collections.abc import Mapping

from bench.servers import BenchDatabase
from harness.database_server import numbers

# Buyers and items over which the orders of others are spread.
USERS = 1_000_000
ITEMS = 1_000
# Rows that one INSERT adds: a transaction of all would be one large undo log.
CHUNK = 2_500_000
WRITE_BACK_SECONDS = 60
FEW_PAGES = 1000
_SCHEMA_VERSION = "alembic_version"
_THOUSAND = 1000


def empty(server: BenchDatabase, database: str, next_goods_id: int) -> None:
    """Empty all tables of the service; the next item has the id `next_goods_id`."""
    tables = [
        name
        for (name,) in server.rows(
            None,
            "SELECT table_name FROM information_schema.tables"
            f" WHERE table_schema = '{database}' AND table_type = 'BASE TABLE' AND table_name <> '{_SCHEMA_VERSION}'",
        )
    ]
    connection = server.connect(database)
    cursor = connection.cursor()
    cursor.execute("SET foreign_key_checks = 0")
    # The outbox first: what is in it would become events of orders that are gone.
    for table in sorted(tables, key=lambda table: table != "outbox"):
        cursor.execute(f"TRUNCATE `{table}`")
    cursor.execute(f"ALTER TABLE goods AUTO_INCREMENT = {next_goods_id}")
    connection.close()


def copy_goods(server: BenchDatabase, database: str, first: int, items: int) -> None:
    """Put up `items` - 1 more items like `first`, with the ids behind it, and with their history."""
    if items == 1:
        return
    copies = _numbers(1, items - 1)
    _copy(server, database, "goods", f"id = {first}", {"id": "original.id + seq"}, copies)
    changes = {"id": None, "goods_id": "original.goods_id + seq"}
    _copy(server, database, "goods_changes", f"goods_id = {first}", changes, copies)


def fill(server: BenchDatabase, database: str, goods_id: int, count: int) -> None:
    """Make `count` orders out of the only one there is, which is for the only item, `goods_id`.

    They are spread over USERS buyers and ITEMS items, all paid, each under its own key, and the items' stock is what
    these orders leave of it. The secondary indexes are built at the end, which is faster.
    """
    copy_goods(server, database, goods_id, ITEMS)
    indexes = _secondary_indexes(server, database)
    _alter(server, database, [f"DROP INDEX `{name}`" for name in indexes])
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
            _copy(server, database, "orders", "id = 1", changes, _numbers(begin, end))
    _alter(server, database, [f"ADD {definition}" for definition in indexes.values()])
    server.rows(
        database,
        "UPDATE goods JOIN (SELECT goods_id, SUM(quantity) AS units FROM orders GROUP BY goods_id) AS held"
        " ON held.goods_id = goods.id SET stock = stock + sold - units, sold = units",
    )
    _write_back(server)


def _write_back(server: BenchDatabase) -> None:
    """Wait until what was changed in memory is in the files: the server would do it beside the next runs."""
    hurry = {"innodb_io_capacity_max": 40_000, "innodb_io_capacity": 20_000, "innodb_max_dirty_pages_pct": 0}
    usual = {name: server.rows(None, f"SELECT @@{name}")[0][0] for name in hurry}
    for name, value in hurry.items():
        server.rows(None, f"SET GLOBAL {name} = {value}")
    deadline = time.monotonic() + WRITE_BACK_SECONDS
    while time.monotonic() < deadline:
        dirty = server.rows(None, "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")[0][1]
        if int(dirty) < FEW_PAGES:
            break
        time.sleep(0.2)
    # The most must not fall below what is usual.
    for name, value in reversed(usual.items()):
        server.rows(None, f"SET GLOBAL {name} = {value}")


def _copy(
    server: BenchDatabase, database: str, table: str, which: str, changes: Mapping[str, str | None], copies: str
) -> None:
    """Copy the rows of `table` for which `which` holds, once for each row of `copies`, a table in SQL.

    `changes` has what a column of a copy gets, an expression of `original` and `seq`; None leaves it to its default.
    """
    columns = [row[0] for row in server.rows(database, f"SHOW COLUMNS FROM `{table}`")]
    wanted = [name for name in columns if changes.get(name, "") is not None]
    values = ", ".join(changes.get(name) or f"original.`{name}`" for name in wanted)
    names = ", ".join(f"`{name}`" for name in wanted)
    connection = server.connect(database)
    cursor = connection.cursor()
    # What is copied is known to be valid and unique.
    checks = ["foreign_key_checks", "unique_checks", *(["check_constraint_checks"] if server.mariadb else [])]
    for setting in (*checks, "sql_log_bin"):  # the log of so many rows would be as large as the table
        cursor.execute(f"SET SESSION {setting} = 0")
    # Out of a table of its own: reading from the one that is written to takes a temporary table of all copies.
    cursor.execute(f"CREATE TEMPORARY TABLE original AS SELECT * FROM `{table}` WHERE {which}")
    cursor.execute(f"INSERT INTO `{table}` ({names}) SELECT {values} FROM original, {copies}")
    connection.close()


def _numbers(first: int, last: int) -> str:
    """A table in SQL whose column `seq` has `first` to `last`: thousands, each with its thousand."""
    thousands = numbers(-(-(last - first + 1) // _THOUSAND), "thousands")
    value = f"{first} + (thousands.seq - 1) * {_THOUSAND} + ones.seq - 1"
    return f"(SELECT {value} AS seq FROM {thousands}, {numbers(_THOUSAND, 'ones')} HAVING seq <= {last}) AS copies"


def _secondary_indexes(server: BenchDatabase, database: str) -> dict[str, str]:
    """The indexes of `orders` but its primary key: their definitions by name."""
    definition: str = server.rows(database, "SHOW CREATE TABLE orders")[0][1]
    lines = [line.strip().rstrip(",") for line in definition.splitlines()]
    return {match[1]: line for line in lines if (match := re.match(r"(?:UNIQUE )?KEY `([^`]+)`", line)) is not None}


def _alter(server: BenchDatabase, database: str, changes: list[str]) -> None:
    if changes:
        server.rows(database, f"ALTER TABLE orders {', '.join(changes)}")
