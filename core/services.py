"""Everything that a request needs, put together once in each process."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from config import Settings
from core.catalogue import goods
from core.db.database import Database
from core.db.shares import Share
from core.identity.provider import IdentityProvider, Rules
from core.live.counter import PurchaseCounter
from core.live.monitor import Monitor
from core.ops.auditor import Auditor
from core.ops.host_memory import HostMemory
from core.ops.readiness import Readiness
from core.ops.shop_metrics import ShopMetrics
from core.purchase.checkout import Checkout
from core.purchase.in_progress import InProgress
from core.purchase.sale_cache import SaleCache
from core.tokens import Tokens

if TYPE_CHECKING:
    from core.tracing.tracer import Tracer


@dataclass(frozen=True)
class Services:
    """The parts of a running sale. Safe to share between threads."""

    settings: Settings
    database: Database
    tokens: Tokens
    in_progress: InProgress
    sale_cache: SaleCache
    checkout: Checkout
    readiness: Readiness
    host: HostMemory | None
    monitor: Monitor
    auditor: Auditor
    shop_metrics: ShopMetrics

    @classmethod
    def open(
        cls,
        settings: Settings,
        engine: Engine,
        host: HostMemory | None = None,
        threads: int | None = None,
        tracer: "Tracer | None" = None,
    ) -> "Services":
        """Put the parts together; opens no connection. The workers of a host share `host`, if there are several.

        `threads` of this process answer what waits, where their number is known. `tracer` traces what is done.
        """
        database = _database(tracer, engine, settings)
        memory = host or HostMemory()
        in_progress = InProgress(memory)
        watching = database.of(Share.WATCH)
        counter = PurchaseCounter()
        sale_cache = SaleCache(lambda ids: goods.read_all(watching, ids), counter.refused)
        provider = IdentityProvider(Rules.of(settings), memory.identity_keys) if settings.IDENTITY_JWKS else None
        tokens = Tokens(settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS, provider, settings.IDENTITY_ONLY)
        checkout = _checkout(tracer, database, in_progress, sale_cache, threads, counter)
        monitor = Monitor.of(database, memory, counter, in_progress.by_item, checkout.caps.open)
        return cls(
            settings,
            database,
            tokens,
            in_progress,
            sale_cache,
            checkout,
            Readiness(database, lambda: host is not None and host.draining, tokens.has_keys),
            host,
            monitor,
            Auditor(settings, memory),
            ShopMetrics(database, monitor.clock, monitor.collect, monitor.rows),
        )

    @property
    def draining(self) -> bool:
        """Whether this host is about to stop: the supervisor says so."""
        return self.host is not None and self.host.draining


# OpenTelemetry is loaded only where there is a tracer.


def _database(tracer: "Tracer | None", engine: Engine, settings: Settings) -> Database:
    if tracer is None:
        return Database(engine, settings)
    from core.tracing import statements

    return statements.traced(tracer, engine, settings)


def _checkout(tracer: "Tracer | None", *parts: Any) -> Checkout:
    if tracer is None:
        return Checkout(*parts)
    from core.tracing.checkout import TracedCheckout

    return TracedCheckout(tracer, *parts)
