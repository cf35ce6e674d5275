"""Reads that wait for the database, many of them: health is told at once, and the shop sells."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest
import requests

from harness.database_server import DatabaseServer
from harness.service import Service
from tests.faults.test_frozen_database import SLACK_SECONDS, timed
from tests.races.buyers import assert_audit_clean, outcomes
from tests.races.inside import NO_BACKGROUND_JOBS, Inside, until

READERS = 300
CLIENTS = 64
PURCHASES = 60
# So long that whoever waits for a thread waits longer than the machine could explain.
SHORT_STATEMENTS = {"PURCHASE_WAIT_SECONDS": 30, "DATABASE_TIMEOUT_SECONDS": 1, "LOCK_WAIT_SECONDS": 1}
ANSWERED_SECONDS = SHORT_STATEMENTS["PURCHASE_WAIT_SECONDS"] + 3 * SHORT_STATEMENTS["DATABASE_TIMEOUT_SECONDS"]
SELLING = NO_BACKGROUND_JOBS | {"PAYMENT_PROVIDER": "test"}
# Where reads keep others out, these are not to outlast them.
IMPATIENT = SELLING | {"PURCHASE_WAIT_SECONDS": 3, "DATABASE_TIMEOUT_SECONDS": 2}
STATEMENTS = "SELECT id FROM information_schema.processlist WHERE db = %s AND info LIKE 'SELECT webhooks.%%'"

Timed = tuple[requests.Response, float]


def health_while_frozen(server: DatabaseServer, service: Service) -> None:
    item = service.create_goods()
    paths = ["/goods", f"/goods/{item}", f"/seckill/{item}", "/shipping-methods"]
    server.freeze()
    try:
        with ThreadPoolExecutor(READERS) as threads:
            futures: list[Future[Timed]] = [
                threads.submit(timed(lambda path=path: requests.get(f"{service.url}{path}", timeout=120)))
                for path in paths * (READERS // len(paths))
            ]
            while wait(futures, timeout=0.1).not_done:
                for path in ("/healthz", "/metrics"):
                    answer, seconds = timed(lambda path=path: requests.get(f"{service.url}{path}", timeout=120))()
                    assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
                    assert seconds < SLACK_SECONDS, f"{path} waited for others"
    finally:
        server.thaw()
    for answer, seconds in map(Future.result, futures):
        assert answer.status_code == 503, answer.text
        assert answer.json()["code"] in ("busy", "unavailable")
        assert seconds < ANSWERED_SECONDS + SLACK_SECONDS, "not answered in time"
    service.wait_until_ready()
    until(lambda: service.buy(item, "late").status_code == 201, 60)


def test_with_the_database_frozen_and_three_hundred_reads_health_is_told_at_once(
    own_server: DatabaseServer, start_service: Callable[..., Service]
) -> None:
    uri = own_server.create_database("frozen")
    health_while_frozen(own_server, start_service(uri, workers=1, threads=16, **SHORT_STATEMENTS))


def test_where_health_waits_for_a_thread_it_is_not(
    own_server: DatabaseServer, start_service: Callable[..., Service]
) -> None:
    uri = own_server.create_database("frozen")
    service = start_service(uri, workers=1, threads=16, without_guard=["health_waits_in_queue"], **SHORT_STATEMENTS)
    with pytest.raises(AssertionError, match=r"^/(healthz|metrics)(: 503 .*\"(busy|unavailable)\"| waited for others)"):
        health_while_frozen(own_server, service)


def sells_while_reads_stand_still(service: Service, inside: Inside) -> None:
    """A table is locked, so that each read of it takes as long as it may. All others go on."""
    item = service.create_goods(stock=10 * PURCHASES)
    until(lambda: service.buy(item, "first").status_code == 201, 60)  # opens its connection
    headers = service.headers("operator", admin=True)
    done = threading.Event()
    reads: list[requests.Response] = []

    def read_on() -> None:
        while not done.is_set():
            reads.append(requests.get(f"{service.url}/webhooks", headers=headers, timeout=120))

    threads = [threading.Thread(target=read_on) for _ in range(CLIENTS)]
    with inside.transaction() as execute:
        execute("LOCK TABLES webhooks WRITE")
        try:
            for thread in threads:
                thread.start()
            until(lambda: inside.query(STATEMENTS, inside.database), 60)
            for number in range(PURCHASES):
                bought = service.buy(item, f"buyer-{number}")
                assert bought.status_code == 201, f"a purchase: {bought.status_code} {bought.text}"
                path = f"/orders/{bought.json()['order_no']}/pay"
                headers_of_buyer = service.headers(f"buyer-{number}")
                paid = requests.post(f"{service.url}{path}", headers=headers_of_buyer, timeout=120)
                assert paid.status_code == 200, f"a payment: {paid.status_code} {paid.text}"
                ready = requests.get(f"{service.url}/readyz", timeout=120)
                assert ready.status_code == 200, f"readiness: {ready.status_code} {ready.text}"
            until(lambda: len(reads) > CLIENTS, 120)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert set(outcomes(reads)) <= {"busy", "unavailable"}
        end = time.monotonic() + SLACK_SECONDS
        while inside.query(STATEMENTS, inside.database):
            assert time.monotonic() < end, "statements run on for which nobody waits"
        execute("UNLOCK TABLES")
    assert_audit_clean(service)


@pytest.mark.representative
def test_while_reads_stand_still_the_shop_sells_and_is_paid(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    sells_while_reads_stand_still(start_service(own_uri, workers=1, threads=32, **SELLING), inside)


@pytest.mark.parametrize(
    ("without_guard", "missed"),
    [
        ("one_share", r'^(a purchase|a payment|readiness): 503 .*"(busy|unavailable)"'),
        ("no_statement_limit", "statements run on"),
    ],
)
def test_without_the_guard_it_does_not(
    own_uri: str, start_service: Callable[..., Service], inside: Inside, without_guard: str, missed: str
) -> None:
    service = start_service(own_uri, workers=1, threads=32, without_guard=[without_guard], **IMPATIENT)
    with pytest.raises(AssertionError, match=missed):
        sells_while_reads_stand_still(service, inside)
