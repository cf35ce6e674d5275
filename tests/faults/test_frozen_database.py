"""The database server is frozen: its connections stay open, and nothing on them is answered."""

import time
from collections.abc import Callable

import pytest
import requests

from harness.database_server import DatabaseServer
from harness.service import Service
from tests.faults.buyers import Buyers, assert_nothing_lost
from tests.races.buyers import assert_audit_clean, at_once, outcomes
from tests.races.inside import Inside, until

# Without a deadline each request would try a hundred times, a second each.
SETTINGS = {
    "PURCHASE_WAIT_SECONDS": 1,
    "DATABASE_TIMEOUT_SECONDS": 1,
    "LOCK_WAIT_SECONDS": 1,
    "TRANSACTION_ATTEMPTS": 100,
}
# What a request may take at most: its wait, and the time-outs of what it had begun by then.
ANSWERED_SECONDS = SETTINGS["PURCHASE_WAIT_SECONDS"] + 3 * SETTINGS["DATABASE_TIMEOUT_SECONDS"]
# What the machine may add: the tests, the service and others share two cores, and each may stand still for seconds.
SLACK_SECONDS = 12.0
# After this the others have all begun to wait.
PAUSE_SECONDS = 0.5


def answer_while_frozen(server: DatabaseServer, service: Service) -> None:
    """Twice, since the second time no connection of the pool is fresh; and then all is as before."""
    item = service.create_goods(stock=10_000)
    get = {"timeout": 120, "headers": service.headers("operator", admin=True)}
    calls = [
        *[lambda user=f"buyer-{n}": service.buy(item, user, timeout=120) for n in range(10)],
        lambda: requests.get(f"{service.url}/goods/{item}", **get),
        lambda: requests.get(f"{service.url}/orders", **get),
    ]
    # They may wait for a second only: until all of them did not have to.
    until(lambda: outcomes(at_once(calls)) == {"201": 10, "200": 2}, 120)
    for _ in range(2):
        server.freeze()
        try:
            # A health check among them is answered at once.
            *answers, healthy = at_once([*[timed(call) for call in calls], timed(lambda: alive(service))])
            # What was found in the second before still stands.
            until(lambda: requests.get(f"{service.url}/readyz", **get).status_code == 503, SLACK_SECONDS)
        finally:
            server.thaw()
        assert healthy[0].status_code == 200
        assert healthy[1] < PAUSE_SECONDS + SLACK_SECONDS
        for answer, seconds in answers:
            assert seconds < ANSWERED_SECONDS + SLACK_SECONDS, "not answered in time"
            assert answer.status_code == 503, answer.text
            assert answer.json()["code"] in ("busy", "unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
    service.wait_until_ready()
    until(lambda: service.buy(item, "late").status_code == 201, 60)
    assert_audit_clean(service)


def alive(service: Service) -> requests.Response:
    time.sleep(PAUSE_SECONDS)
    return requests.get(f"{service.url}/healthz", timeout=120)


def timed(call: Callable[[], requests.Response]) -> Callable[[], tuple[requests.Response, float]]:
    """The call, with the seconds that it took."""

    def measured() -> tuple[requests.Response, float]:
        begun = time.monotonic()
        answer = call()
        return answer, time.monotonic() - begun

    return measured


def test_every_request_is_answered_within_its_deadline(
    own_server: DatabaseServer, start_service: Callable[..., Service]
) -> None:
    uri = own_server.create_database("frozen")
    answer_while_frozen(own_server, start_service(uri, workers=1, threads=16, **SETTINGS))


def test_without_time_outs_of_the_driver_it_is_not(
    own_server: DatabaseServer, start_service: Callable[..., Service]
) -> None:
    uri = own_server.create_database("frozen")
    patient = SETTINGS | {"DATABASE_TIMEOUT_SECONDS": 25}
    with pytest.raises(AssertionError, match="not answered in time"):
        answer_while_frozen(own_server, start_service(uri, workers=1, threads=16, **patient))


def test_nothing_is_lost_nor_bought_twice_when_it_freezes_under_load(
    own_server: DatabaseServer, start_service: Callable[..., Service]
) -> None:
    uri = own_server.create_database("frozen")
    service = start_service(uri, workers=2, **SETTINGS)
    with Buyers(service, items=6, threads=24) as buyers:
        # Shorter than a time-out, about as long as one or two, when late answers meet the next question on the same
        # connection; and longer than the deadline.
        for seconds in (0.7, 1.1, 1.3, 1.5, 1.7, 1.9, 2.2, ANSWERED_SECONDS):
            buyers.wait_for(20)
            own_server.freeze()
            time.sleep(seconds)
            own_server.thaw()
        buyers.wait_for(20)
    assert_nothing_lost(service, Inside(own_server, uri), buyers)
