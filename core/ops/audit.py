"""Audits the whole database: do the stored rows keep the promises of a sale? core/ops/checks has the checks."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, func, select
from sqlalchemy.exc import DBAPIError

from config import Settings
from core.db.clock import Deadline, database_now, iso
from core.db.database import patient_engine
from core.ops.checks import coupons, events, goods, money, payments
from core.ops.checks.check import Breach, Check, Snapshot
from core.ops.checks.money import Money
from core.ops.command_line import flask_line
from models import Goods, Order

CHECKS = (*goods.CHECKS, *events.CHECKS, *coupons.CHECKS, *money.CHECKS, *payments.CHECKS)

# At most this many rows of each breach are named; all are counted.
SHOWN = 100
_SQLITE_STEPS = 10_000  # between two looks at the clock


def as_object(report: "Report") -> dict[str, Any]:
    """A report for machines: what `flask audit --json` prints and `/audit` answers."""
    return {
        "ok": report.clean,
        "taken_at": iso(report.taken_at),
        "goods": report.goods,
        "orders": report.orders,
        "checks": [
            {
                "name": result.check.name,
                "invariant": result.check.invariant,
                "promise": result.check.promise,
                "breaches": result.count,
                "rows": [asdict(breach) for breach in result.breaches],
            }
            for result in report.results
        ],
        "money": [asdict(sums) for sums in report.money],
    }


class CannotAudit(Exception):
    """The database could not be read completely; the text says why, in one line."""


@dataclass(frozen=True)
class Result:
    """The result of one check: the number of rows that break it, and the first SHOWN of them."""

    check: Check
    count: int
    breaches: tuple[Breach, ...]


@dataclass(frozen=True)
class Report:
    """The outcome of an audit of one snapshot. `taken_at` is by the database's clock."""

    taken_at: datetime
    goods: int
    orders: int
    results: tuple[Result, ...]
    money: tuple[Money, ...]

    @property
    def clean(self) -> bool:
        return all(result.count == 0 for result in self.results)


def run(
    settings: Settings, on_checked: Callable[[Check], None] = lambda check: None, seconds: float | None = None
) -> Report:
    """Audit the database that the settings name, in one consistent snapshot, beside a running sale.

    It calls `on_checked` after each check, which may raise to end the audit. The whole audit takes no longer than
    `seconds`. Raises CannotAudit.
    """
    try:
        with reading(settings, seconds) as connection:
            # The first read of a table fixes the snapshot. The time is read after it, so that every order of the
            # snapshot was placed before `now`, and the orders that it replaced are overdue at `now`.
            items = connection.execute(select(func.count()).select_from(Goods)).scalar_one()
            orders = connection.execute(select(func.count()).select_from(Order)).scalar_one()
            snapshot = Snapshot(database_now(connection), settings.on_sqlite)
            results = []
            for check in CHECKS:
                results.append(_result(connection, check, snapshot))
                on_checked(check)
            return Report(snapshot.now, items, orders, tuple(results), money.money(connection))
    except DBAPIError as error:
        raise CannotAudit(f"the database could not be read: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """The first line of the driver's message, for operators; never show it to a client of the API."""
    message = str(error.orig if isinstance(error, DBAPIError) else error)
    return message.strip().partition("\n")[0] or type(error).__name__


@contextmanager
def reading(settings: Settings, seconds: float | None = None) -> Iterator[Connection]:
    """A connection in a transaction for reads, of one snapshot. All statements end within `seconds` from now, together.

    Raises CannotAudit; so does a statement that begins too late.
    """
    deadline = None if seconds is None else Deadline(seconds)
    path = settings.database_url.database or ""
    if settings.on_sqlite and not Path(path).exists():
        # Connecting would create an empty file, which hides the mistake.
        raise CannotAudit(f"there is no database file {path}; run `{flask_line('init-db')}`")
    # Not the service's pool: its timeouts are too short, and a pooled connection could keep the isolation level.
    try:
        engine = patient_engine(settings) if seconds is None else patient_engine(settings, _whole(seconds))
        connection = engine.connect()
    except Exception as error:
        raise CannotAudit(f"the database cannot be reached: {one_line(error)}") from error
    with connection:
        if deadline is not None:
            _limit(connection, deadline)
        # SQLite: AUTOCOMMIT leaves the transaction to the BEGIN below, and its snapshot to the first read.
        level = "AUTOCOMMIT" if settings.on_sqlite else "REPEATABLE READ"
        connection = connection.execution_options(isolation_level=level)
        if settings.on_sqlite:
            connection.exec_driver_sql("BEGIN")
        yield connection


def _limit(connection: Connection, deadline: Deadline) -> None:
    """Give each statement only the time until the deadline: the server ends what nobody waits for any more."""
    opened: Any = connection.connection.dbapi_connection
    on_sqlite = connection.dialect.name == "sqlite"
    on_mariadb = getattr(connection.dialect, "is_mariadb", False)
    if on_sqlite:
        opened.set_progress_handler(lambda: deadline.passed, _SQLITE_STEPS)

    def begin_statement(*_: object) -> None:
        left = math.ceil(deadline.remaining() * 1000) / 1000
        if not left:  # as a setting, 0 would mean no limit
            raise CannotAudit("it took too long")
        if on_sqlite:
            return
        opened.read_timeout = _whole(left)
        with opened.cursor() as cursor:  # not by SQLAlchemy, which would begin a transaction
            # MySQL's limit is in milliseconds and for SELECT only; MariaDB's is in seconds and for every statement.
            if on_mariadb:
                cursor.execute(f"SET SESSION max_statement_time = {left:.3f}")
            else:
                cursor.execute(f"SET SESSION max_execution_time = {left * 1000:.0f}")

    event.listen(connection, "before_cursor_execute", begin_statement)


def _whole(seconds: float) -> int:
    """The driver's timeout, in whole seconds: a little longer than the server's, so that the server's error arrives."""
    return math.ceil(seconds) + 1


def _result(connection: Connection, check: Check, snapshot: Snapshot) -> Result:
    broken = check.broken_in(snapshot).subquery()
    query = select(broken, func.count().over().label("total"))
    query = query.order_by(broken.c.goods_id, broken.c.order_no, broken.c.user_id, broken.c.coupon_code).limit(SHOWN)
    rows = connection.execute(query).all()
    breaches = tuple(
        Breach(
            row.goods_id,
            row.order_no,
            row.user_id,
            row.idempotency_key,
            int(row.expected),  # MySQL's SUM is a decimal
            int(row.found),
            row.coupon_code,
        )
        for row in rows
    )
    return Result(check, rows[0].total if rows else 0, breaches)
