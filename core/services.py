"""Everything that a request needs, put together once in each process."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Engine

from config import Settings
from core.catalogue import goods
from core.catalogue.poll_times import PollTimes
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
from core.purchase.sale_cache import Count, Read, Rest, SaleCache
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
    poll_times: PollTimes
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
        make = _makers(tracer)
        database = make.database(engine, settings)
        memory = host or HostMemory()
        in_progress = InProgress(memory)
        watching = database.of(Share.WATCH)
        counter = PurchaseCounter()
        items = goods.Reader(watching)
        sale_cache = make.sale_cache(items.read, counter.refused, items.rest)
        provider = IdentityProvider(Rules.of(settings), memory.identity_keys) if settings.IDENTITY_JWKS else None
        tokens = Tokens(settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS, provider, settings.IDENTITY_ONLY)
        checkout = make.checkout(database, in_progress, sale_cache, threads, counter)
        monitor = Monitor.of(database, memory, counter, in_progress.by_item, checkout.caps.open)
        return cls(
            settings,
            database,
            tokens,
            in_progress,
            sale_cache,
            PollTimes(settings.POLLS_PER_SECOND),
            checkout,
            Readiness(database, lambda: host is not None and host.draining, tokens.has_keys),
            host,
            monitor,
            Auditor(settings, memory),
            ShopMetrics(database, monitor.clock, monitor.collect, monitor.rows),
        )

    @property
    def draining(self) -> bool:
        """Whether this host is about to stop: the supervisor sets it."""
        return self.host is not None and self.host.draining


class _Makers(NamedTuple):
    """What makes the parts that are traced where there is a tracer."""

    database: Callable[[Engine, Settings], Database] = Database
    sale_cache: Callable[[Read, Count, Rest], SaleCache] = SaleCache
    checkout: Callable[[Database, InProgress, SaleCache, int | None, PurchaseCounter], Checkout] = Checkout


def _makers(tracer: "Tracer | None") -> _Makers:
    if tracer is None:
        return _Makers()
    # They load OpenTelemetry.
    from core.tracing import statements
    from core.tracing.checkout import TracedCheckout
    from core.tracing.sale_cache import TracedSaleCache

    return _Makers(
        partial(statements.traced, tracer), partial(TracedSaleCache, tracer), partial(TracedCheckout, tracer)
    )
