"""Limits on callers that several workers share, in a Redis that works, freezes, stops and comes back."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from core.ops import rate_limit_storage
from core.ops.rate_limit_storage import SharedCounts
from harness.eventually import eventually
from harness.redis import Redis, is_installed
from harness.service import Service
from tests.dns import Dns
from tests.resources.test_metrics_in_trouble import metrics

pytestmark = pytest.mark.skipif(not is_installed(), reason="redis-server is not installed")

LIMIT = 20
TRIES = 60
Start = Callable[..., Service]
ALONE = "requests are counted by each worker alone"
AGAIN = "requests are counted in Redis again"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the test's own process nobody takes a Redis for broken that a busy machine holds up for seconds."""
    monkeypatch.setattr(rate_limit_storage, "PATIENCE_SECONDS", 20.0)


def patient(redis: Redis) -> str:
    """The same for services: the address says how long to wait for an answer."""
    return f"{redis.url}?socket_timeout=15&socket_connect_timeout=15"


def served(service: Service, user: str, tries: int = TRIES) -> int:
    """How many of `tries` reads of a user are answered, each over a connection of its own, so by whichever worker."""
    statuses = [
        requests.get(f"{service.url}/orders", headers=service.headers(user), timeout=60).status_code
        for _ in range(tries)
    ]
    assert set(statuses) <= {200, 429}
    return statuses.count(200)


def start(start_service: Start, sqlite_uri: str, storage: str, workers: int = 2) -> Service:
    limits = {"RATE_LIMITS": "on", "RATE_LIMIT_PER_USER": f"{LIMIT}/hour", "RATE_LIMIT_STORAGE": storage}
    service = start_service(sqlite_uri, workers=workers, **limits)
    assert eventually(lambda: metrics(service)["seckill_workers",] == workers)  # one may still be loading
    return service


def told(service: Service, text: str) -> int:
    """How often the log says so."""
    return service.log.read_text().count(text)


def test_workers_that_share_a_storage_share_the_count(start_service: Start, sqlite_uri: str, redis: Redis) -> None:
    service = start(start_service, sqlite_uri, patient(redis))
    assert served(service, "alice") == LIMIT
    assert served(service, "bob", LIMIT) == LIMIT
    refused = requests.get(f"{service.url}/orders", headers=service.headers("alice"), timeout=60)
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
    assert [counts.incr("a", 600), counts.incr("a", 600), counts.get("a")] == [1, 2, 2]
    assert 500 < counts.get_expiry("a") - time.time() <= 600
    assert counts.incr("b", 1) == 1
    assert eventually(lambda: len(redis.client.keys("*")) == 1)
    assert counts.incr("b", 1) == 1
    before = time.time()
    assert before <= counts.get_expiry("never seen") <= time.time()
    counts.get_connection().close()


@pytest.mark.parametrize("fail", [Redis.freeze, Redis.stop])
def test_a_redis_that_fails_stops_no_sale_and_is_used_again_when_it_is_back(
    start_service: Start, sqlite_uri: str, redis: Redis, fail: Callable[[Redis], None]
) -> None:
    service = start(start_service, sqlite_uri, redis.url, workers=1)
    assert served(service, "alice", LIMIT) == LIMIT

    def counts_in_redis() -> bool:
        served(service, "frank", 1)  # a request, for which it tries Redis
        return told(service, ALONE) == told(service, AGAIN)

    # The worker may have given up a Redis that stood still for a moment.
    assert eventually(counts_in_redis)
    before = told(service, ALONE)
    fail(redis)
    assert service.buy(1, "dave").status_code == 201
    assert served(service, "bob") == LIMIT  # counted by the worker alone
    assert eventually(lambda: told(service, ALONE) > before)
    assert told(service, ALONE) == before + 1
    redis.stop()
    redis.start()
    deadline = time.monotonic() + 60
    users = (f"erin-{number}" for number in itertools.count())  # for each turn one who has not used up the limit
    while not redis.client.keys("*erin*"):
        assert time.monotonic() < deadline
        # Reads: one could buy too much for that.
        assert requests.get(f"{service.url}/orders", headers=service.headers(next(users)), timeout=60).ok
        time.sleep(0.3)
    assert eventually(lambda: told(service, AGAIN) > before)
    log = service.log.read_text()
    assert 0 <= log.count(ALONE) - log.count(AGAIN) <= 1


def test_a_connection_that_is_open_needs_no_dns(redis: Redis, dns: Dns) -> None:
    counts = SharedCounts(redis.url.replace("127.0.0.1", "localhost"))
    assert counts.incr("a", 60) == 1
    looked_up = dns.queries.count("localhost")
    assert looked_up > 0
    dns.fall_silent("localhost")
    assert counts.incr("a", 60) == 2
    assert SharedCounts(redis.url).get("a") == 2, "it was counted in Redis"
    assert dns.queries.count("localhost") == looked_up
