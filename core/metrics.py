"""The process's figures for Prometheus that no single file owns. Each is explained in docs/operations.md."""

import logging
from collections.abc import Callable

from prometheus_client import Counter, Gauge

log = logging.getLogger("seckill.metrics")

PURCHASES = Counter(
    "seckill_purchases_total",
    "Purchase requests answered, by outcome: placed, replayed or the refusal's code.",
    ["outcome"],
)
POOL_IN_USE = Gauge(
    "seckill_database_connections_in_use", "Database connections in use now.", multiprocess_mode="livesum"
)


def record(figure: Callable[[], object]) -> None:
    """Record a figure about something that has happened: should that fail, what happened is answered all the same."""
    try:
        figure()
    except Exception as error:
        log.warning("a figure was not recorded: %s", type(error).__name__)
