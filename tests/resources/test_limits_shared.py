"""Limits on callers that several workers share, in a Redis that works, freezes, stops and comes back."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from core.ops.rate_limit_storage import SharedCounts
from harness.redis import Redis, is_installed
from harness.service import Service
from tests.dns import Dns

pytestmark = pytest.mark.skipif(not is_installed(), reason="redis-server is not installed")

LIMIT = 20
TRIES = 60
Start = Callable[..., Service]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path / "redis")
    yield server
    server.stop()


def served(service: Service, user: str, tries: int = TRIES) -> int:
    """How many of `tries` reads of a user are answered, each over a connection of its own, so by whichever worker."""
    statuses = [
        requests.get(f"{service.url}/orders", headers=service.headers(user), timeout=10).status_code
        for _ in range(tries)
    ]
    assert set(statuses) <= {200, 429}
    return statuses.count(200)


def start(start_service: Start, sqlite_uri: str, storage: str, workers: int = 2) -> Service:
    return start_service(
        sqlite_uri, workers=workers, RATE_LIMITS="on", RATE_LIMIT_PER_USER=f"{LIMIT}/hour", RATE_LIMIT_STORAGE=storage
    )


def test_workers_that_share_a_storage_share_the_count(start_service: Start, sqlite_uri: str, redis: Redis) -> None:
    service = start(start_service, sqlite_uri, redis.url)
    assert served(service, "alice") == LIMIT
    assert served(service, "bob", LIMIT) == LIMIT
    refused = requests.get(f"{service.url}/orders", headers=service.headers("alice"), timeout=10)
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    # What is answered ahead of Flask counts the same.
    sold = [service.buy(1, "alice").status_code, service.buy(1, "carol").status_code]
    assert sold == [429, 201]
    assert served(service, "carol") == LIMIT - 1


def test_workers_that_share_none_count_each_for_themselves(start_service: Start, sqlite_uri: str) -> None:
    """The twin of the test above: were there one worker, or one count, it would tell nothing."""
    assert LIMIT < served(start(start_service, sqlite_uri, "memory://"), "alice") <= 2 * LIMIT


def test_keys_leave_redis_when_their_window_ends(redis: Redis) -> None:
    counts = SharedCounts(redis.url)
    assert [counts.incr("a", 1), counts.incr("a", 1), counts.get("a")] == [1, 2, 2]
    assert 0 < counts.get_expiry("a") - time.time() <= 1
    deadline = time.monotonic() + 10
    while redis.client.keys("*"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert counts.incr("a", 1) == 1
    assert counts.get_expiry("never seen") - time.time() == pytest.approx(0, abs=1)
    counts.get_connection().close()


@pytest.mark.parametrize("fail", [Redis.freeze, Redis.stop])
def test_a_redis_that_fails_stops_no_sale_and_is_used_again_when_it_is_back(
    start_service: Start, sqlite_uri: str, redis: Redis, fail: Callable[[Redis], None]
) -> None:
    service = start(start_service, sqlite_uri, redis.url, workers=1)
    assert served(service, "alice", LIMIT) == LIMIT
    fail(redis)
    assert service.buy(1, "dave").status_code == 201
    assert served(service, "bob") == LIMIT  # counted by the worker alone
    redis.stop()
    redis.start()
    deadline = time.monotonic() + 20
    while not redis.client.keys("*erin*"):
        assert time.monotonic() < deadline
        # Reads: one could buy too much for that.
        assert requests.get(f"{service.url}/orders", headers=service.headers("erin"), timeout=20).ok
        time.sleep(0.3)
    log = service.log.read_text()
    assert log.count("requests are counted by each worker alone") == 1
    assert log.count("requests are counted in Redis again") == 1


def test_a_connection_that_is_open_needs_no_dns(redis: Redis, dns: Dns) -> None:
    counts = SharedCounts(redis.url.replace("127.0.0.1", "localhost"))
    assert counts.incr("a", 60) == 1
    looked_up = dns.queries.count("localhost")
    assert looked_up > 0
    dns.fall_silent("localhost")
    assert counts.incr("a", 60) == 2
    assert SharedCounts(redis.url).get("a") == 2, "it was counted in Redis"
    assert dns.queries.count("localhost") == looked_up
