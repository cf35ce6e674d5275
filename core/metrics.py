"""The process's figures for Prometheus that no single file owns. Each is explained in docs/operations.md."""

from prometheus_client import Counter, Gauge

PURCHASES = Counter(
    "seckill_purchases_total",
    "Purchase requests answered, by outcome: placed, replayed or the refusal's code.",
    ["outcome"],
)
POOL_IN_USE = Gauge(
    "seckill_database_connections_in_use", "Database connections in use now.", multiprocess_mode="livesum"
)
