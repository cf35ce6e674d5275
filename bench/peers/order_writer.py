"""Stores the orders that fastapi_redis.py has queued, in batches, until it is told to stop.

An order leaves the queue after its COMMIT; one that is stored twice because of a crash in between is ignored the second
time. It gives way to the buyers: whoever waits for an answer does not wait for it.

Redis' port is in BENCH_REDIS_PORT, the address of the database in BENCH_DATABASE_URI.
"""

import json
import os
import signal
import time
from typing import Any

import sqlalchemy
from redis import Redis

# The list in Redis that has the orders which are not stored yet.
QUEUE = "orders"
BATCH = 500
# Seconds between two looks at an empty queue.
PAUSE = 0.1
COLUMNS = (
    "order_no",
    "goods_id",
    "goods_name",
    "user_id",
    "quantity",
    "currency",
    "unit_price",
    "total",
    "status",
    "idempotency_key",
    "request_fingerprint",
    "purchased_at",
    "expires_at",
)
_INSERT = sqlalchemy.text(
    f"INSERT IGNORE INTO orders ({', '.join(COLUMNS)}) VALUES ({', '.join(':' + name for name in COLUMNS)})"
)


def main() -> None:
    """Store orders until SIGTERM or SIGINT."""
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, frame: stopped.append(signum))
    redis = Redis(host="127.0.0.1", port=int(os.environ["BENCH_REDIS_PORT"]))
    engine = sqlalchemy.create_engine(
        os.environ["BENCH_DATABASE_URI"],
        connect_args={"charset": "utf8mb4", "collation": "utf8mb4_unicode_ci"},
    )
    while not stopped:
        queued: Any = redis.lrange(QUEUE, 0, BATCH - 1)
        if not queued:
            time.sleep(PAUSE)
            continue
        with engine.begin() as connection:
            connection.execute(_INSERT, [_row(json.loads(order)) for order in queued])
        redis.ltrim(QUEUE, len(queued), -1)


def _row(order: dict[str, Any]) -> dict[str, Any]:
    row = {name: order.get(name) for name in COLUMNS}
    for name in ("purchased_at", "expires_at"):
        row[name] = row[name].removesuffix("Z")
    return row


if __name__ == "__main__":
    main()
