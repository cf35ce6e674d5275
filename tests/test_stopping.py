"""The service stops within what it has in hand: by whichever signal, however often, and whatever clients leave open."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from config import ROOT
from harness.database_server import free_port
from harness.eventually import eventually
from harness.service import BY_DEFAULT, Service, environment

Start = Callable[..., Service]

# With it the supervisor kills a worker that does not stop after 103 seconds only: no test here waits so long.
LONG_REQUESTS = {"PURCHASE_WAIT_SECONDS": 60}
STOP_SECONDS = 60


def everybody(service: Service) -> list[int]:
    """The processes that Ctrl-C in a terminal reaches."""
    return [service.process.pid, *service.worker_pids()]


@pytest.mark.parametrize("workers", [1, 4])
def test_ctrl_c_again_and_again_answers_what_is_in_hand_and_ends_well(
    start_service: Start, sqlite_uri: str, workers: int
) -> None:
    service = start_service(sqlite_uri, workers=workers, **LONG_REQUESTS)
    goods_id = service.create_goods()
    with ThreadPoolExecutor(1) as pool:
        holder = sqlite3.connect(sqlite_uri.removeprefix("sqlite:///"), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        purchase = pool.submit(service.buy, goods_id, "alice", timeout=120)
        assert eventually(lambda: requests.get(f"{service.url}/seckill/{goods_id}", timeout=60).json()["in_progress"])
        pids = everybody(service)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):  # a worker with nothing in hand has ended
                    os.kill(pid, number)
            # The worker takes no more connections: it has begun to stop.
            assert eventually(lambda: not takes_connections(service))
        assert not purchase.done()
        holder.execute("ROLLBACK")
        holder.close()
        assert purchase.result(STOP_SECONDS).status_code == 201
    assert service.process.wait(STOP_SECONDS) == 0


def test_a_closed_terminal_stops_the_service(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, workers=2)
    for pid in everybody(service):
        os.kill(pid, signal.SIGHUP)
    assert service.process.wait(STOP_SECONDS) == 0


def test_under_nohup_a_closed_terminal_stops_nothing(start_service: Start, sqlite_uri: str) -> None:
    inherited = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        service = start_service(sqlite_uri, workers=2, fork=False)
    finally:
        signal.signal(signal.SIGHUP, inherited)
    pids = everybody(service)
    for pid in pids:
        os.kill(pid, signal.SIGHUP)
    # The supervisor takes its signals in the order of their numbers: SIGHUP, if at all, ahead of the end of a worker.
    os.kill(pids[1], signal.SIGKILL)
    assert eventually(lambda: len(set(everybody(service)) - {pids[1]}) == 3)
    assert service.stop() == 0


@pytest.mark.long
def test_a_worker_that_does_not_stop_is_killed(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, workers=2, **BY_DEFAULT)
    frozen, _ = service.worker_pids()
    os.kill(frozen, signal.SIGSTOP)
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(90) == 0
    assert f"{frozen}" in next(line for line in service.log.read_text().splitlines() if "is killed" in line)
    assert not Path(f"/proc/{frozen}").exists()


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("workers", "times"), [(1, 100), (8, 20)])
def test_ctrl_c_ends_the_service_every_time(start_service: Start, sqlite_uri: str, workers: int, times: int) -> None:
    for _ in range(times):
        service = start_service(sqlite_uri, workers=workers, **LONG_REQUESTS)
        assert requests.get(f"{service.url}/goods", timeout=60).ok
        for pid in everybody(service):
            with contextlib.suppress(ProcessLookupError):  # whoever was told by the supervisor first
                os.kill(pid, signal.SIGINT)
        assert service.process.wait(STOP_SECONDS) == 0


def takes_connections(service: Service) -> bool:
    try:
        socket.create_connection(("127.0.0.1", service.port), timeout=60).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /goods HTTP/1.1\r\nHost: shop\r\nX-Slow: ",
        b"POST /seckill/1 HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
    ],
    ids=["nothing", "half of the headers", "half of a body"],
)
def test_a_client_that_has_not_asked_yet_holds_up_no_stop(start_service: Start, sqlite_uri: str, sent: bytes) -> None:
    service = start_service(sqlite_uri, **LONG_REQUESTS)
    with socket.create_connection(("127.0.0.1", service.port), timeout=STOP_SECONDS) as client:
        client.sendall(sent)
        # Taken from the network by now: the next client of the only worker is answered.
        assert requests.get(f"{service.url}/healthz", timeout=60).ok
        service.process.terminate()
        assert service.process.wait(STOP_SECONDS) == 0


def test_a_second_signal_ends_the_drain(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, DRAIN_SECONDS=300)
    service.process.terminate()
    assert eventually(lambda: requests.get(f"{service.url}/readyz", timeout=60).status_code == 503)
    service.process.terminate()
    assert service.process.wait(STOP_SECONDS) == 0


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
def test_a_start_that_waits_for_the_database_ends_at_once_and_without_a_traceback(stop_signal: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as database:  # takes a connection and says nothing
        database.settimeout(60)
        uri = f"mysql+mysqlconnector://root@127.0.0.1:{database.getsockname()[1]}/shop"
        settings = environment(uri, DATABASE_TIMEOUT_SECONDS=60) | {"PORT": str(free_port())}
        service = subprocess.Popen(
            [sys.executable, ROOT / "serve.py"],
            env=settings,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            connection, _ = database.accept()
            with connection:
                service.send_signal(stop_signal)
                output, _ = service.communicate(timeout=STOP_SECONDS)
        finally:
            service.kill()
            service.wait()
    assert (service.returncode, output) == (0, "")
