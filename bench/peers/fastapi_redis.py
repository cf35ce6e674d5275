"""FastAPI and Redis: one Lua script checks stock, limit and key and queues the order; a worker of its own stores it.

    uvicorn bench.peers.fastapi_redis:app --workers 2 --no-access-log
    python -m bench.peers.order_writer

What is durable: an order that order_writer.py has committed to MariaDB. What is not: a purchase that was answered.
Until then it is in Redis' memory, which Redis, as Debian sets it up, writes to disk once a minute at most (`save 60
10000`, no append-only file): after a crash the answered orders of that time are gone, and their stock is back.

Redis' port is in BENCH_REDIS_PORT, the key of the tokens in BENCH_SECRET_KEY.
"""

import json
import os
import secrets
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Header, Response
from pydantic import BaseModel, ConfigDict, Field
from redis.asyncio import BlockingConnectionPool, Redis

from bench.peers import rules
from bench.peers.order_writer import QUEUE
from bench.peers.tables import PAYMENT_SECONDS

# Connections of a worker to Redis.
CONNECTIONS = 64

app = FastAPI(openapi_url=None)
# Who finds no connection free waits for one: without the wait a burst ends in errors.
_pool = BlockingConnectionPool(
    host="127.0.0.1", port=int(os.environ["BENCH_REDIS_PORT"]), max_connections=CONNECTIONS, timeout=10
)
_redis = Redis(connection_pool=_pool)
_purchase = _redis.register_script((Path(__file__).parent / "purchase.lua").read_text())
_secret = os.environ["BENCH_SECRET_KEY"]
_STATUS = {"placed": 201, "replayed": 201, "goods_not_found": 404, "idempotency_key_reused": 422}


class Purchase(BaseModel):
    """The body of a purchase."""

    model_config = ConfigDict(extra="forbid", strict=True)

    quantity: Annotated[int, Field(ge=1, le=rules.MAX_QUANTITY)] = 1


@app.post("/seckill/{goods_id}")
async def buy(
    goods_id: int,
    body: Purchase,
    authorization: Annotated[str, Header()] = "",
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    try:
        user = rules.user_of(authorization, _secret)
    except rules.Unauthenticated:
        return _answer(401, '{"code": "unauthenticated"}')
    now = datetime.now(timezone.utc)
    order = {
        "order_no": secrets.token_hex(16),
        "goods_id": goods_id,
        "user_id": user,
        "quantity": body.quantity,
        "status": "pending",
        "purchased_at": _iso(now),
        "expires_at": _iso(now + timedelta(seconds=PAYMENT_SECONDS)),
    }
    fingerprint = rules.fingerprint_of(goods_id, body.quantity)
    if idempotency_key is not None:
        # For the row in MariaDB, not for the buyer's eyes; they know both.
        order |= {"idempotency_key": idempotency_key, "request_fingerprint": fingerprint}
    key = "" if idempotency_key is None else f"key:{user}:{idempotency_key}"
    code, placed = await _purchase(
        keys=[f"goods:{goods_id}", f"held:{goods_id}", key, QUEUE],
        args=[user, body.quantity, fingerprint, json.dumps(order)],
    )
    status = _STATUS.get(code.decode(), 409)
    return _answer(status, placed if status == 201 else json.dumps({"code": code.decode()}))


def _answer(status: int, content: str | bytes) -> Response:
    return Response(content, status, media_type="application/json")


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
