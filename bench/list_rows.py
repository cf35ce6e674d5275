"""A shop with many orders, made in SQL on any of the three databases.

One hot item has a fifth of the orders, one buyer every hundredth, and 64 orders share each moment, as a batch's do.
Nearly all are paid, and of some statuses there are few, which is the hardest for a list.
"""

import logging

from sqlalchemy import Connection, Engine, Index, Table, UniqueConstraint
from sqlalchemy.schema import CreateIndex

from models import Base

log = logging.getLogger("bench")

ITEMS = 1_000
USERS = 1_000_000
HOT_ITEM = 1
DAYS = 90
HEAVY_USER = "user-0"
CHUNK = 500_000
# The columns of an order, of its number `n`, the number of all orders `count`, and the time `now`.
_STATUS = (
    "CASE WHEN {count} - n < 10000 THEN 'pending' WHEN n % 1000 = 7 THEN 'refund_due'"
    " WHEN n % 20 = 3 THEN 'cancelled' WHEN n % 10 = 9 THEN 'expired' ELSE 'paid' END"
)


def fill(engine: Engine, count: int) -> None:
    """Make `count` orders of the last DAYS days. The indexes are built at the end, which is faster."""
    orders: Table = Base.metadata.tables["orders"]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _make_numbers(connection)
        definitions = _drop_indexes(connection, orders)
        for begin in range(0, count, CHUNK):
            connection.exec_driver_sql(_insert(engine.dialect.name, begin, min(CHUNK, count - begin), count))
            log.info("%d orders", min(count, begin + CHUNK))
        _make_indexes(connection, orders, definitions)
        connection.exec_driver_sql("DROP TABLE numbers")
        if engine.dialect.name != "sqlite":
            connection.exec_driver_sql("ANALYZE TABLE orders").all()


def fill_payments(engine: Engine, count: int) -> None:
    """Make `count` payments; one in a thousand does not fit its order, and half of those are resolved."""
    outcome = "CASE WHEN n % 1000 = 7 THEN 'mismatch' WHEN n % 50 = 3 THEN 'failed' ELSE 'paid' END"
    columns = {
        "event_id": "n",
        "type": "'payment.succeeded'",
        "order_no": "n",
        "payment_id": "n",
        "amount": "19900",
        "currency": "'CNY'",
        "outcome": outcome,
        "received_at": _moment(engine),
        "resolved": "CASE WHEN n % 1000 <> 7 THEN NULL WHEN n % 2000 = 7 THEN 1 ELSE 0 END",
    }
    _fill(engine, "payments", columns, count)


def fill_coupons(engine: Engine, count: int) -> None:
    """Make `count` coupons; one in a thousand is of a percentage, and one in two thousand is withdrawn."""
    columns = {
        "code": "n" if engine.dialect.name == "sqlite" else "CAST(n AS CHAR)",
        "kind": "CASE WHEN n % 1000 = 7 THEN 'percent' ELSE 'free_shipping' END",
        "percent": "CASE WHEN n % 1000 = 7 THEN 10 END",
        "active": "CASE WHEN n % 2000 = 7 THEN 0 ELSE 1 END",
        "created_at": _moment(engine),
        "updated_at": _moment(engine),
    }
    _fill(engine, "coupons", columns, count)


def fill_events(engine: Engine, count: int) -> None:
    """Make `count` events, each of an order."""
    columns = {
        "seq": "n + 1",
        "type": "CASE WHEN n % 2 = 0 THEN 'order.placed' ELSE 'order.paid' END",
        "goods_id": str(HOT_ITEM),
        "order_no": _order_number(engine.dialect.name),
        "occurred_at": _moment(engine),
    }
    _fill(engine, "events", columns, count)


def fill_deliveries(engine: Engine, count: int, webhook_id: int) -> None:
    """Make `count` deliveries of one webhook; one in a thousand failed, and one in two thousand is due."""
    columns = {
        "webhook_id": str(webhook_id),
        "seq": "n + 1",
        "status": "CASE WHEN n % 1000 = 7 THEN 'failed' WHEN n % 2000 = 9 THEN 'pending' ELSE 'delivered' END",
        "next_attempt_at": _moment(engine),
        "created_at": _moment(engine),
    }
    _fill(engine, "webhook_deliveries", columns, count)


def fill_changes(engine: Engine, count: int) -> None:
    """Make `count` changes of the hot item, ahead of which its creation stands."""
    columns = {
        "goods_id": str(HOT_ITEM),
        "version": "n + 2",
        "action": "'change'",
        "changed_by": "'operator'",
        "changed_at": _moment(engine),
        "stock_delta": "0",
        "changes": "'{}'",
    }
    _fill(engine, "goods_changes", columns, count)


def _moment(engine: Engine) -> str:
    """One time, as SQL: SQLite compares times as text, with six decimals."""
    return "'2026-11-01 00:00:00.000000'" if engine.dialect.name == "sqlite" else "'2026-11-01 00:00:00.000'"


def _fill(engine: Engine, table: str, columns: dict[str, str], count: int) -> None:
    """Make `count` rows of `columns`, SQL by column, in which `n` is the row's number from 0 on."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _make_numbers(connection)
        for begin in range(0, count, CHUNK):
            connection.exec_driver_sql(_insert_rows(table, columns, begin, min(CHUNK, count - begin)))
            log.info("%d %s", min(count, begin + CHUNK), table)
        connection.exec_driver_sql("DROP TABLE numbers")


def _insert_rows(table: str, columns: dict[str, str], begin: int, size: int) -> str:
    values = f"SELECT {', '.join(columns.values())} FROM {_numbers(begin, size)}"
    return f"INSERT INTO {table} ({', '.join(columns)}) {values}"


def _make_numbers(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
    connection.exec_driver_sql("INSERT INTO numbers VALUES " + ", ".join(f"({n})" for n in range(1000)))


def _insert(dialect: str, begin: int, size: int, count: int) -> str:
    sqlite = dialect == "sqlite"
    # A batch of 64 orders each; the newest are of this moment.
    seconds = (
        f"(({count} - n) / 64) * {DAYS * 86_400 * 64 // count + 1}"
        if sqlite
        else (f"(({count} - n) DIV 64) * {DAYS * 86_400 * 64 / count:.6f}")
    )
    if sqlite:
        moment = f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || ({seconds}) || ' seconds')"
        later = f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || ({seconds}) || ' seconds', '+15 minutes')"
        live = "strftime('%Y-%m-%d %H:%M:%f000', 'now', '+1 day')"
    else:
        moment = f"UTC_TIMESTAMP(3) - INTERVAL {seconds} SECOND"
        later = f"{moment} + INTERVAL 15 MINUTE"
        live = "UTC_TIMESTAMP(3) + INTERVAL 1 DAY"
    join = (lambda *parts: " || ".join(parts)) if sqlite else (lambda *parts: f"CONCAT({', '.join(parts)})")
    number = _order_number(dialect)
    user = join("'user-'", f"(CASE WHEN n % 100 = 0 THEN 0 ELSE (n * 48271) % {USERS} END)")
    item = f"CASE WHEN n % 5 = 0 THEN {HOT_ITEM} ELSE 1 + n % {ITEMS} END"
    status = _STATUS.format(count=count)
    columns = {
        "order_no": number,
        "goods_id": item,
        "goods_name": "'Mechanical keyboard'",
        "user_id": user,
        "quantity": "1",
        "currency": "'CNY'",
        "unit_price": "19900",
        "subtotal": "19900",
        "discount": "0",
        "shipping_fee": "0",
        "total": "19900",
        "status": status,
        "idempotency_key": join("'key-'", "n"),
        "request_fingerprint": number,
        "purchased_at": moment,
        "expires_at": f"CASE WHEN {count} - n < 10000 THEN {live} ELSE {later} END",
        "paid_at": f"CASE WHEN {status} = 'paid' THEN {moment} END",
        "closed_at": f"CASE WHEN {status} IN ('cancelled', 'expired') THEN {later} END",
    }
    return _insert_rows("orders", columns, begin, size)


def _order_number(dialect: str) -> str:
    return "printf('%032x', n)" if dialect == "sqlite" else "LPAD(LOWER(HEX(n)), 32, '0')"


def _numbers(begin: int, size: int) -> str:
    thousands = -(-size // 1000)
    return (
        f"(SELECT {begin} + a.n * 1000 + b.n AS n FROM numbers a CROSS JOIN numbers b"
        f" WHERE a.n < {thousands} AND a.n * 1000 + b.n < {size}) rows_to_be"
    )


def _drop_indexes(connection: Connection, orders: Table) -> list[str]:
    """Drop what can be: on SQLite a unique constraint is part of its table. Returns what makes them again."""
    sqlite = connection.dialect.name == "sqlite"
    names = [str(index.name) for index in orders.indexes]
    made = [f"ADD {'' if not index.unique else 'UNIQUE '}INDEX {_columns(index)}" for index in orders.indexes]
    if sqlite:
        for name in names:
            connection.exec_driver_sql(f"DROP INDEX {name}")
        return []
    for constraint in orders.constraints:
        if isinstance(constraint, UniqueConstraint):
            names.append(str(constraint.name))
            made.append(f"ADD UNIQUE INDEX {_columns(constraint)}")
    connection.exec_driver_sql("ALTER TABLE orders " + ", ".join(f"DROP INDEX {name}" for name in names))
    return made


def _columns(index: Index | UniqueConstraint) -> str:
    return f"{index.name} ({', '.join(column.name for column in index.columns)})"


def _make_indexes(connection: Connection, orders: Table, definitions: list[str]) -> None:
    if connection.dialect.name == "sqlite":
        for index in sorted(orders.indexes, key=lambda index: str(index.name)):
            connection.execute(CreateIndex(index))
            log.info("index %s", index.name)
        return
    for definition in definitions:
        connection.exec_driver_sql(f"ALTER TABLE orders {definition}")
        log.info("%s", definition)
