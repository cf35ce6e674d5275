"""The statements of a purchase transaction whose size grows with the batch.

Written as text: SQLAlchemy would build and compile an expression for every size of batch, under the lock. Values are
always parameters; what is put together here are placeholders alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, CursorResult

from core.orders import PAID, PENDING
from core.purchase.decide import UserGoods, UserKey


def take_slots(connection: Connection, caps: Mapping[int, int]) -> set[int]:
    """Lock a free slot of each item, without waiting. `caps` has their numbers. Returns the items that had one."""
    # One select a slot: `IN (…)` would lock every slot of every item.
    one = (
        "(SELECT goods_id FROM purchase_slots WHERE goods_id = %s AND slot < %s"
        " ORDER BY slot LIMIT 1 FOR UPDATE SKIP LOCKED)"
    )
    values = [value for goods_id in sorted(caps) for value in (goods_id, caps[goods_id])]
    return {row[0] for row in _execute(connection, " UNION ALL ".join([one] * len(caps)), values)}


def orders_under_keys(connection: Connection, keys: Iterable[UserKey]) -> list[tuple[str, str, str, str]]:
    """The orders under `keys`: user, key, the request's fingerprint, and the order's number."""
    wanted = list(keys)
    rows = _execute(
        connection,
        "SELECT user_id, idempotency_key, request_fingerprint, order_no FROM orders WHERE "  # noqa: S608 (placeholders)
        + _any_of("(user_id = %s AND idempotency_key = %s)", len(wanted)),
        [value for pair in wanted for value in pair],
    )
    return [tuple(row) for row in rows]


def held_units(connection: Connection, owners: Iterable[UserGoods], now: datetime) -> dict[UserGoods, int]:
    """The units that each of `owners` holds: of orders that are paid, or pending and not overdue at `now`."""
    wanted = list(owners)
    rows = _execute(
        connection,
        "SELECT user_id, goods_id, SUM(quantity) FROM orders WHERE ("  # noqa: S608 (placeholders)
        + _any_of("(user_id = %s AND goods_id = %s)", len(wanted))
        + ") AND (status = %s OR status = %s AND expires_at > %s) GROUP BY user_id, goods_id",
        [value for pair in wanted for value in pair] + [PAID, PENDING, _moment(connection, now)],
    )
    return {(user, goods_id): int(units) for user, goods_id, units in map(tuple, rows)}


def take_units(connection: Connection, units: Mapping[int, int]) -> int:
    """Move `units` of each item from stock to sold. Returns how many items had as many."""
    taken = "CASE id " + "WHEN %s THEN %s " * len(units) + "END"
    cases = [value for pair in units.items() for value in pair]
    # The condition stands in the WHERE too: should a lock ever be lost, this costs a retry and never a unit.
    updated = _execute(
        connection,
        f"UPDATE goods SET stock = stock - {taken}, sold = sold + {taken}"  # noqa: S608 (placeholders alone)
        f" WHERE id IN ({', '.join(['%s'] * len(units))}) AND stock >= {taken}",
        [*cases, *cases, *units, *cases],
    )
    return updated.rowcount


def _any_of(condition: str, count: int) -> str:
    return " OR ".join([condition] * count)


def _execute(connection: Connection, statement: str, values: Sequence[Any]) -> CursorResult[Any]:
    if connection.dialect.name == "sqlite":
        statement = statement.replace("%s", "?")
    return connection.exec_driver_sql(statement, tuple(values))


def _moment(connection: Connection, moment: datetime) -> Any:
    """`moment` as the columns have it: models.UtcTime does not see parameters of text."""
    stored = moment.replace(tzinfo=None)
    return stored.isoformat(" ", "microseconds") if connection.dialect.name == "sqlite" else stored
