"""Logs and commands on terminals that cannot show everything, and on pipes and disks that take nothing."""

import io
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from flask import Flask

import config
from core.ops.text_output import LineWriter
from harness.eventually import eventually
from harness.service import Service, environment
from tests.core.selling import Selling
from tests.database_line import after_database_line

NAMES = ("王芳", "zoë", "🎉", "alice")
NARROW = [
    pytest.param({"PYTHONIOENCODING": "ascii"}, id="ascii", marks=pytest.mark.long),
    pytest.param({"PYTHONIOENCODING": "latin-1"}, id="latin-1"),
    pytest.param({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, id="C", marks=pytest.mark.long),
]
narrow = pytest.mark.parametrize("terminal", NARROW)


@narrow
def test_no_line_of_the_log_is_lost_where_the_terminal_is_not_utf_8(
    start_service: Callable[..., Service], sqlite_uri: str, terminal: dict[str, str]
) -> None:
    service = start_service(sqlite_uri, process_environment=terminal)
    for name in NAMES:
        for _ in range(5):
            assert requests.get(f"{service.url}/orders", headers=service.headers(name), timeout=20).ok
    assert service.stop() == 0
    text = service.log.read_bytes().decode("ascii" if "latin" not in str(terminal) else "latin-1")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    users = [line["user_id"] for line in lines if line.get("route") == "/orders"]
    assert users == [name for name in NAMES for _ in range(5)]


def test_a_disk_without_room_for_the_log_costs_no_answer(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri, SWEEPER="off", PUBLISHER="off")
    (pid,) = service.worker_pids()

    def is_logged(request_id: str) -> bool:
        return f'"request_id": "{request_id}"' in service.log.read_text()

    def send_as(request_id: str) -> None:
        assert requests.get(f"{service.url}/healthz", headers={"X-Request-ID": request_id}, timeout=20).ok

    send_as("before")
    assert eventually(lambda: is_logged("before"))
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (service.log.stat().st_size, hard))
    for number in range(20):
        send_as(f"full-{number}")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    send_as("after")
    assert eventually(lambda: is_logged("after"))
    assert service.worker_pids() == [pid]


def test_a_line_that_cannot_be_encoded_is_escaped_as_json_does(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for number, encoding in enumerate(("ascii", "latin-1", "utf-8")):
        with path.open("w", encoding=encoding) as file:
            LineWriter(file).write([json.dumps([*NAMES, "\udcff"], ensure_ascii=False) + "\n", "{}\n"])
        first, second = path.read_text(encoding=encoding).splitlines()
        assert json.loads(first) == [*NAMES, "\udcff"]
        assert second == "{}"
        assert ("\\u738b" in first) == (number < 2)
    in_memory = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    LineWriter(in_memory).write(["王\n", "b\n"])
    assert in_memory.buffer.getvalue() == b"\\u738b\nb\n"


def test_a_pipe_that_does_not_block_gets_every_line() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    lines = [f"{number} {'x' * 100}\n" for number in range(5000)]  # more than a pipe holds
    with os.fdopen(writer, "w") as file, os.fdopen(reader) as read:
        thread = threading.Thread(target=lambda: (LineWriter(file).write(lines), file.close()))
        thread.start()
        assert read.readlines() == lines
        thread.join()


def test_after_a_line_that_was_cut_off_the_next_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    with path.open("w") as file:
        writer = LineWriter(file)
        write = os.write
        room = iter([4])

        def full_disk(handle: int, data: bytes) -> int:
            left = next(room, 0)
            if not left:
                raise OSError("no space left")
            return write(handle, bytes(data[:left]))

        monkeypatch.setattr(os, "write", full_disk)
        writer.write(["first\n", "second\n"])
        monkeypatch.setattr(os, "write", write)
        writer.write(["third\n"])
    assert path.read_text() == "firs\nthird\n"


def _flask(uri: str, command: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$PYTHON" -m flask {command}'],
        env=environment(uri, SWEEP_SECONDS=0.1) | {"PYTHON": sys.executable, **more},
        cwd=config.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.long
@narrow
def test_commands_print_names_that_the_terminal_cannot_show(sqlite_app: Flask, sqlite_uri: str, terminal: dict) -> None:
    table = _flask(sqlite_uri, "seed", **terminal)
    assert (table.returncode, after_database_line(table.stderr)) == (0, "")
    made = _flask(sqlite_uri, "seed --json", **terminal)
    assert made.returncode == 0, made.stderr
    assert any(not row["name"].isascii() for row in json.loads(made.stdout)["goods"])
    token = _flask(sqlite_uri, "token --user $'\\u738b' --json", **{**terminal, "LC_ALL": "C.UTF-8"})
    assert json.loads(token.stdout)["user"] == "王"


@pytest.mark.long
@pytest.mark.parametrize("command", ["seed >&-", "seed --json >&-", "audit >&-", "doctor --json >&-", "sweep 2>&- >&-"])
def test_commands_work_without_an_output(sqlite_app: Flask, sqlite_uri: str, command: str) -> None:
    ended = _flask(sqlite_uri, command)
    assert (ended.returncode, after_database_line(ended.stderr)) == (0, "")


def test_a_loop_whose_output_nobody_reads_goes_on_and_ends_well(sqlite_app: Flask, sqlite_uri: str) -> None:
    selling = Selling(sqlite_app.extensions["seckill"])
    orders = [selling.bought(selling.item(), f"buyer-{number}") for number in range(2)]
    reader, writer = os.pipe()
    sweeper = subprocess.Popen(
        [sys.executable, "-m", "flask", "sweep", "--loop"],
        cwd=config.ROOT,
        env=environment(sqlite_uri, SWEEP_SECONDS=0.1),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    os.close(reader)
    try:
        for order in orders:
            selling.make_overdue(order)
            assert eventually(lambda order=order: selling.status(order) == "expired")
        sweeper.terminate()
        assert sweeper.wait(60) == 0
    finally:
        sweeper.kill()
        sweeper.communicate()
