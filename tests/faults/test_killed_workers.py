"""`kill -9` of workers while clients buy: nothing acknowledged is lost, and the dead are replaced."""

import contextlib
import os
import signal
import time
from collections.abc import Callable

import pytest
import requests

from harness.service import Service
from tests.faults.buyers import Buyers, assert_nothing_lost
from tests.races.inside import Inside, until

# It takes less than one; only a worker that is never replaced is to fail here, however busy the machine.
REPLACED_SECONDS = 60.0


def kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, signal.SIGKILL)


def survive_kills(service: Service, inside: Inside) -> None:
    """One worker is killed under load, then another, then all of them at once."""
    with Buyers(service) as buyers:
        for victims in (slice(0, 1), slice(1, 2), slice(None)):
            buyers.wait_for(20)
            kill(service.worker_pids()[victims])
        buyers.wait_for(20)
    assert_nothing_lost(service, inside, buyers)


@pytest.mark.representative
@pytest.mark.every_run
def test_every_acknowledged_order_outlives_its_worker(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    survive_kills(start_service(own_uri, workers=2), inside)


def test_every_acknowledged_order_outlives_its_worker_on_sqlite(
    sqlite_uri: str, start_service: Callable[..., Service]
) -> None:
    service = start_service(sqlite_uri, workers=2)
    survive_kills(service, SqliteInside(sqlite_uri))  # type: ignore[arg-type]


class SqliteInside:
    """Answers what `Inside` is asked here, from a file."""

    def __init__(self, uri: str) -> None:
        self._path = uri.removeprefix("sqlite:///")

    def query(self, statement: str) -> list[tuple[object, ...]]:
        import sqlite3

        connection = sqlite3.connect(self._path)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()


@pytest.mark.representative
@pytest.mark.every_run
def test_an_order_acknowledged_ahead_of_its_commit_does_not(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    service = start_service(own_uri, workers=2, without_guard=["acknowledge_before_commit"])
    with pytest.raises(AssertionError, match="acknowledged orders are not there"):
        survive_kills(service, inside)


def stay_complete(service: Service) -> None:
    """Workers are killed one after another, sooner than a crash loop could be told from bad luck."""
    known = service.worker_pids()
    for victims in (slice(0, 1), slice(0, 1), slice(None), slice(1, 2), slice(None), slice(0, 1), slice(None)):
        kill(service.worker_pids()[victims])
        killed_at = time.monotonic()
        while not is_complete(service, known):
            assert time.monotonic() - killed_at < REPLACED_SECONDS, "a dead worker was not replaced"
            time.sleep(0.05)
        known = service.worker_pids()


def is_complete(service: Service, before: list[int]) -> bool:
    """Whether all workers are there, not the same as before, and the service answers."""
    try:
        pids = service.worker_pids()
        alive = [pid for pid in pids if state_of(pid) != "Z"]
        if len(alive) != len(before) or alive == before:
            return False
        return requests.get(f"{service.url}/healthz", timeout=5).ok
    except (requests.RequestException, FileNotFoundError, ProcessLookupError):
        return False


def state_of(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_dead_workers_are_replaced_however_often(sqlite_uri: str, start_service: Callable[..., Service]) -> None:
    stay_complete(start_service(sqlite_uri, workers=2))


def test_where_two_deaths_pass_for_a_crash_loop_they_are_not(
    sqlite_uri: str, start_service: Callable[..., Service]
) -> None:
    service = start_service(sqlite_uri, workers=2, without_guard=["crash_loop_ends"])
    with pytest.raises(AssertionError, match="not replaced"):
        stay_complete(service)


# A worker that does not stop is killed after the longest request, in this case after 63 seconds.
STOPPED_SECONDS = 45.0


def test_a_stop_while_a_worker_starts_is_heeded_by_it(sqlite_uri: str, start_service: Callable[..., Service]) -> None:
    service = start_service(sqlite_uri, workers=2)
    before = service.worker_pids()
    kill(before[:1])
    # The new process is there, and not yet ready.
    until(lambda: set(service.worker_pids()) - set(before), REPLACED_SECONDS)
    began = time.monotonic()
    # SIGINT, after which there is no time for draining in which it could become ready.
    assert service.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < STOPPED_SECONDS, "a worker had to be killed"
