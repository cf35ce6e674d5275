"""Commands that go on until they are stopped: by whichever signal, as process 1 of a container too, with code 0."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from flask import Flask

import config
from harness.receiver import receiving, status
from harness.service import environment
from tests.core.selling import Selling
from tests.database_line import after_database_line
from tests.resources.calls import OPERATOR, Calls

# Root makes a namespace of processes at once; others need a namespace of users for it.
_NAMESPACE = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--pid", "--fork"]
_PATIENCE_SECONDS = 120


@contextlib.contextmanager
def loop(
    uri: str,
    *arguments: str,
    as_process_1: bool = False,
    process_environment: Mapping[str, str] | None = None,
    **settings: object,
) -> Iterator[subprocess.Popen[str]]:
    """A command with --loop, killed where it did not end."""
    process = subprocess.Popen(
        [*(_NAMESPACE if as_process_1 else []), sys.executable, "-m", "flask", *arguments, "--loop"],
        cwd=config.ROOT,
        env=environment(uri, **settings) | {"PYTHONUNBUFFERED": "1"} | (process_environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    patience = threading.Timer(_PATIENCE_SECONDS, process.kill)
    patience.start()
    try:
        yield process
    finally:
        patience.cancel()
        for pid in [*children(process.pid), process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("as_process_1", [False, True])
def test_a_sweeper_ends_well_by_either_signal(
    sqlite_app: Flask, sqlite_uri: str, stop_signal: int, as_process_1: bool
) -> None:
    if as_process_1 and subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this host allows no namespace of processes")
    selling = Selling(sqlite_app.extensions["seckill"])
    order = selling.bought(selling.item())
    selling.make_overdue(order)
    # A pause that the test does not wait for: the signal ends it.
    with loop(sqlite_uri, "sweep", "--json", as_process_1=as_process_1, SWEEP_SECONDS=60) as sweeper:
        assert json.loads(sweeper.stdout.readline()) == {"expired": 1}
        (pid,) = children(sweeper.pid) if as_process_1 else [sweeper.pid]
        os.kill(pid, stop_signal)
        assert sweeper.wait(_PATIENCE_SECONDS / 2) == 0
        assert after_database_line(sweeper.stderr.read()) == ""


# Python runs this at its start: the import of the models, halfway through the loading, waits until the test ends.
_HOLD = """
import sys

class Hold:
    def find_spec(self, name, path=None, target=None):
        if name == "models":
            open({fifo!r}).read()

sys.meta_path.insert(0, Hold())
"""


@pytest.fixture
def held_loading(tmp_path: Path) -> Iterator[tuple[dict[str, str], Callable[[], bool]]]:
    """An environment in which commands are held while they load, and whether one is."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "sitecustomize.py").write_text(_HOLD.format(fifo=str(fifo)))
    with contextlib.ExitStack() as writers:

        def is_held() -> bool:
            try:
                writers.callback(os.close, os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:  # nobody has opened it to read
                return False
            return True

        yield {"PYTHONPATH": str(tmp_path)}, is_held


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_first_process_ends_by_a_signal_that_comes_while_it_is_loading(
    sqlite_uri: str, held_loading: tuple[dict[str, str], Callable[[], bool]], stop_signal: int
) -> None:
    if subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this host allows no namespace of processes")
    process_environment, is_held = held_loading
    with loop(sqlite_uri, "sweep", as_process_1=True, process_environment=process_environment) as sweeper:
        wait_until(is_held)
        (pid,) = children(sweeper.pid)
        os.kill(pid, stop_signal)
        assert sweeper.wait(_PATIENCE_SECONDS / 2) == 128 + stop_signal
        assert after_database_line(sweeper.stderr.read()) == ""


def test_ctrl_c_ends_a_command_that_is_loading_without_a_traceback(
    sqlite_uri: str, held_loading: tuple[dict[str, str], Callable[[], bool]]
) -> None:
    process_environment, is_held = held_loading
    with loop(sqlite_uri, "sweep", process_environment=process_environment) as sweeper:
        wait_until(is_held)
        sweeper.send_signal(signal.SIGINT)
        assert sweeper.wait(_PATIENCE_SECONDS / 2) == -signal.SIGINT
        assert sweeper.stderr.read() == ""


def pending(pid: int, number: int) -> bool:
    """Whether the process has not taken the signal yet."""
    return has(pid, number, "SigPnd", "ShdPnd")


def has(pid: int, number: int, *sets: str) -> bool:
    """Whether one of a process's sets of signals has this one."""
    with contextlib.suppress(OSError):
        lines = [line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
        masks = [int(line[1], 16) for line in lines if line[0].removesuffix(":") in sets]
        return any(mask >> (number - 1) & 1 for mask in masks)
    return False


def test_a_sweeper_that_is_stopped_begins_no_further_transaction(sqlite_app: Flask, sqlite_uri: str) -> None:
    selling = Selling(sqlite_app.extensions["seckill"])
    overdue = [selling.bought(selling.item()) for _ in range(3)]
    selling.make_overdue(*overdue)
    with contextlib.closing(sqlite3.connect(sqlite_uri.removeprefix("sqlite:///"), isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")  # the sweep's first transaction waits for it
        with loop(sqlite_uri, "sweep", SWEEP_SECONDS=60, PURCHASE_WAIT_SECONDS=60) as sweeper:
            wait_until(lambda: has(sweeper.pid, signal.SIGTERM, "SigBlk"))
            sweeper.send_signal(signal.SIGTERM)
            wait_until(lambda: pending(sweeper.pid, signal.SIGTERM))
            holder.execute("ROLLBACK")
            assert sweeper.wait(_PATIENCE_SECONDS / 2) == 0
    assert len([order for order in overdue if selling.status(order) == "pending"]) >= 2


def test_a_publisher_that_is_stopped_ends_the_delivery_in_hand_and_begins_no_other(
    make_app: Callable[..., Flask], sqlite_uri: str
) -> None:
    call = Calls(make_app(sqlite_uri, WEBHOOKS_TO_PRIVATE=True))
    stop_sent = threading.Event()

    def act(handler: BaseHTTPRequestHandler) -> None:
        assert stop_sent.wait(_PATIENCE_SECONDS)
        status(204)(handler)

    with receiving(act=act) as receiver:
        goods_id = call.create()["id"]
        webhook = call.create_webhook(receiver.url, types=["order.placed"])
        for buyer in ("alice", "bob"):
            call.bought(goods_id, buyer)
        with loop(sqlite_uri, "publish", WEBHOOKS_TO_PRIVATE=True) as publisher:
            assert receiver.came.wait(_PATIENCE_SECONDS)
            publisher.send_signal(signal.SIGTERM)
            # In hand until the subscriber answers: the signal is taken, and the process lives.
            wait_until(lambda: not pending(publisher.pid, signal.SIGTERM))
            assert publisher.poll() is None
            stop_sent.set()
            assert publisher.wait(_PATIENCE_SECONDS / 2) == 0
        assert len(receiver.received) == 1
    deliveries = call.get(f"/webhooks/{webhook['id']}/deliveries", OPERATOR).json["items"]
    assert sorted(row["status"] for row in deliveries) == ["delivered", "pending"]
