"""Whether an item's sale can begin: what an operator should look at before, found by code.

Each entry names what was looked at, how that is, and a finding with its values; what is said of a finding, in each
language, is in resources/readiness_texts.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple

from sqlalchemy import Connection

from config import Settings
from core.catalogue import goods, sale, shipping
from core.catalogue.sale import SaleStatus
from core.catalogue.shipping import ShippingReason
from core.db import server_settings
from core.db.clock import database_now, iso
from core.db.database import AnyRow, Database
from core.ops import doctor_mysql
from core.ops.doctor import MAX_CLOCK_DIFFERENCE_SECONDS
from core.ops.finding import State
from core.ops.host_memory import HostMemory
from core.ops.latest_audit import LatestAudit
from core.purchase.slots import MAX_SLOTS
from core.refusals import Refusal

# More transactions on one row than this only make its queue of locks longer (docs/performance.md).
_USEFUL_TRANSACTIONS = 8
_SQLITE_FULL = 2
_SEVERITY = (State.OK, State.WARNING, State.PROBLEM)


@dataclass(frozen=True)
class Entry:
    """What one check came to. `finding` names it, for all languages."""

    id: str
    state: State
    finding: str
    values: Mapping[str, Any] = field(default_factory=dict)


def worst(entries: list[Entry]) -> State:
    return max((entry.state for entry in entries), key=_SEVERITY.index, default=State.OK)


class Examined(NamedTuple):
    """What was found, when by the database's clock, and whether the item's sale had begun by then."""

    at: datetime
    begun: bool
    entries: list[Entry]


def examine(database: Database, settings: Settings, goods_id: int, host: HostMemory | None) -> Examined:
    """Look at the item and at what it is sold by.

    Raises Refusal goods_not_found, Busy or Unavailable.
    """
    with database.reading() as connection:
        row = goods.read(connection, goods_id)
        entries = [
            *of_item(row, row.now, settings),
            _shipping(row, connection),
            payment(settings),
            _clock(connection),
            _durability(connection),
        ]
    begun = row.starts_at is None or row.starts_at <= row.now
    return Examined(row.now, begun, [*entries, workers(host)])


def of_item(row: AnyRow, now: datetime, settings: Settings) -> Iterator[Entry]:
    """What the item's own row shows."""
    yield _window(row, now)
    yield Entry("stock", State.OK if row.stock else State.PROBLEM, "stock" if row.stock else "no_stock", _units(row))
    yield _price(row)
    yield _limit(row)
    yield _order_limit(row, settings)


def _units(row: AnyRow) -> dict[str, int]:
    return {"stock": row.stock, "sold": row.sold}


def _window(row: AnyRow, now: datetime) -> Entry:
    values = {
        "starts_at": None if row.starts_at is None else iso(row.starts_at),
        "ends_at": None if row.ends_at is None else iso(row.ends_at),
        "seconds": 0 if row.starts_at is None else round((row.starts_at - now).total_seconds()),
    }
    status = sale.status(row, now)
    if status == SaleStatus.ENDED:
        return Entry("window", State.PROBLEM, "ended", values)
    if status == SaleStatus.PAUSED:
        return Entry("window", State.WARNING, "paused", values)
    if status == SaleStatus.UPCOMING:
        return Entry("window", State.OK, "upcoming" if row.ends_at is None else "upcoming_until", values)
    if row.starts_at is None:
        return Entry("window", State.WARNING, "no_start", values)
    return Entry("window", State.OK, "open", values)


def _price(row: AnyRow) -> Entry:
    values = {"price": row.price, "list_price": row.list_price, "currency": row.currency}
    if row.price == 0:
        return Entry("price", State.WARNING, "free", values)
    if row.list_price is not None and row.list_price < row.price:
        return Entry("price", State.WARNING, "above_list_price", values)
    return Entry("price", State.OK, "price", values)


def _limit(row: AnyRow) -> Entry:
    values = {"limit": row.per_user_limit, "stock": row.stock}
    if row.per_user_limit is None:
        return Entry("limit", State.WARNING, "no_limit", values)
    if row.stock and row.per_user_limit >= row.stock:
        return Entry("limit", State.WARNING, "limit_over_stock", values)
    return Entry("limit", State.OK, "limit", values)


def _order_limit(row: AnyRow, settings: Settings) -> Entry:
    cap = row.order_limit or settings.API_ORDER_LIMIT
    values = {"cap": cap, "most": MAX_SLOTS, "useful": _USEFUL_TRANSACTIONS}
    if cap > _USEFUL_TRANSACTIONS:
        return Entry("order_limit", State.WARNING, "high_order_limit", values)
    return Entry("order_limit", State.OK, "order_limit" if row.order_limit else "default_order_limit", values)


def _shipping(row: AnyRow, connection: Connection) -> Entry:
    if not row.shippable:
        return Entry("shipping", State.OK, "not_shipped")
    methods = shipping.all_methods(connection)
    usable = [
        m.code for m in methods if shipping.obstacle(m, row.currency, None) in (None, ShippingReason.ADDRESS_REQUIRED)
    ]
    values = {"count": len(usable), "codes": ", ".join(usable[:5]), "currency": row.currency}
    return Entry("shipping", State.OK if usable else State.PROBLEM, "shipping" if usable else "no_shipping", values)


def _clock(connection: Connection) -> Entry:
    before = datetime.now(timezone.utc)
    theirs = database_now(connection)
    ours = before + (datetime.now(timezone.utc) - before) / 2
    seconds = round((theirs - ours).total_seconds(), 3)
    good = abs(seconds) <= MAX_CLOCK_DIFFERENCE_SECONDS
    finding = "clock" if good else "clock_apart"
    return Entry("clock", State.OK if good else State.WARNING, finding, {"seconds": f"{seconds:+.3f}"})


def _durability(connection: Connection) -> Entry:
    if connection.dialect.name == "sqlite":
        level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
        good = level == _SQLITE_FULL
        return Entry(
            "durability",
            State.OK if good else State.PROBLEM,
            "durable" if good else "not_durable",
            {"names": "synchronous"},
        )
    names = ("innodb_flush_log_at_trx_commit", "log_bin", "sync_binlog", "innodb_doublewrite")
    findings = list(doctor_mysql.judge_durability(server_settings.values(connection, names)))
    bad = [finding for finding in findings if finding.state is not State.OK]
    if not bad:
        return Entry("durability", State.OK, "durable")
    state = max((finding.state for finding in bad), key=_SEVERITY.index)
    return Entry("durability", state, "not_durable", {"names": ", ".join(f"{f.name}={f.found}" for f in bad)})


def payment(settings: Settings) -> Entry:
    """How buyers pay."""
    if settings.test_payments:
        return Entry("payment", State.OK if settings.on_sqlite else State.WARNING, "test_payment")
    keys = len(settings.PAYMENT_WEBHOOK_SECRETS)
    return Entry("payment", State.OK if keys else State.PROBLEM, "payment" if keys else "no_payment", {"keys": keys})


def workers(host: HostMemory | None) -> Entry:
    """Whether the workers of this host take requests."""
    if host is None:
        return Entry("workers", State.OK, "one_worker")
    alive = [part for part in host.parts if part.alive]
    started = sum(part.started for part in alive)
    values = {"started": started, "alive": len(alive)}
    if host.draining:
        return Entry("workers", State.PROBLEM, "draining", values)
    if started < len(alive):
        return Entry("workers", State.WARNING, "workers_starting", values)
    return Entry("workers", State.OK, "workers", values)


def answers(found: Mapping[str, int]) -> Entry:
    """Whether the pages and routes that buyers need answer; by path, the status that each had."""
    bad = {path: status for path, status in found.items() if status >= 400}
    shown = ", ".join(f"{path} {status}" for path, status in (bad or found).items())
    return Entry("answers", State.PROBLEM if bad else State.OK, "answers_fail" if bad else "answers", {"paths": shown})


def audited(found: LatestAudit | Refusal | None) -> Entry:
    """What the newest audit found, or why there is none; None where none was made."""
    if found is None:
        return Entry("audit", State.WARNING, "audit_not_run")
    if isinstance(found, Refusal):
        finding = "audit_running" if found.code == "busy" else "audit_unfinished"
        return Entry("audit", State.WARNING, finding)
    values = {"checks": found.checks, "breaches": found.breaches, "names": found.names, "at": found.taken_at}
    return (
        Entry("audit", State.PROBLEM, "breaches", values)
        if found.breaches
        else Entry("audit", State.OK, "audit", values)
    )
