"""How workers are kept: nothing that the host does to files costs an answer or worker; a failing start is no storm."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

import config
from harness.database_server import free_port
from harness.eventually import eventually
from harness.service import Service, environment


def total(service: Service, name: str) -> float:
    """A figure, added up over all its labels."""
    answer = requests.get(f"{service.url}/metrics", timeout=20)
    assert answer.status_code == 200, answer.text
    return sum(float(line.split()[-1]) for line in answer.text.splitlines() if line.startswith(name))


def files_of(pids: list[int], folder: Path) -> set[Path]:
    """Files in `folder` that the processes have open or mapped."""
    found: set[str] = set()
    for pid in pids:
        found |= set(re.findall(rf"{folder}/\S+", Path(f"/proc/{pid}/maps").read_text()))
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found.add(os.readlink(handle))
    return {Path(name) for name in found if name.startswith(f"{folder}/")}


def test_a_cleaned_folder_for_temporary_files_costs_no_answer_no_figure_and_no_worker(
    start_service: Callable[..., Service], sqlite_uri: str, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    service = start_service(sqlite_uri, workers=2, process_environment={"TMPDIR": str(temporary)})
    goods_id = service.create_goods()
    for _ in range(4):
        assert service.buy(goods_id, "alice").status_code == 201
    bought = total(service, "seckill_purchases_total")
    assert bought == 4
    # What a host's cleaner does, or a disk that was full for a moment.
    for path in files_of([service.process.pid, *service.worker_pids()], temporary):
        os.truncate(path, 0)
    shutil.rmtree(temporary)
    assert service.buy(goods_id, "alice").status_code == 201
    for _ in range(4):
        before = set(service.worker_pids())
        os.kill(min(before), signal.SIGKILL)
        assert eventually(lambda before=before: len(set(service.worker_pids()) - before) == 1)
        service.wait_until_ready()
        assert total(service, "seckill_purchases_total") == 5
        assert total(service, "seckill_lock_hold_seconds_count") >= 1
    assert service.buy(goods_id, "alice").status_code == 201
    assert eventually(lambda: total(service, "seckill_purchases_total") == 6)
    assert requests.get(f"{service.url}/seckill/{goods_id}", timeout=20).json()["in_progress"] == 0


# The service, but for a worker that cannot start while there is a file of this name.
FAILING = """
import pathlib, sys, app, serve
make, broken = app.create_app, pathlib.Path(sys.argv[1])
def create_app(settings=None, host=None, *more):
    if host is not None and broken.exists():
        raise MemoryError("nothing left")
    return make(settings, host, *more)
app.create_app = create_app
serve.main()
"""


def test_workers_that_never_start_end_the_service_in_one_line(sqlite_uri: str, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    ended = subprocess.run(
        [sys.executable, "-c", FAILING, tmp_path / "broken"],
        env=environment(sqlite_uri) | {"PORT": str(free_port()), "WORKERS": "2"},
        cwd=config.ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (1, "error: no worker could start; the log says why\n")
    lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    pauses = re.findall(r"the next try is in (\S+) s", "\n".join(line["message"] for line in lines))
    assert set(pauses) == {"0.25", "0.5", "1", "2", "4"}
    assert len(pauses) <= 2 * 5
    assert {line["message"] for line in lines if "cannot serve" in line["message"]} == {
        "a worker cannot serve: MemoryError: nothing left"
    }


@pytest.mark.long
def test_a_service_that_was_up_goes_on_with_what_it_has_and_tries_ever_more_seldom(
    sqlite_uri: str, tmp_path: Path
) -> None:
    broken, log = tmp_path / "broken", tmp_path / "log"
    port = free_port()
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", FAILING, broken],
            env=environment(sqlite_uri) | {"PORT": str(port), "WORKERS": "2"},
            cwd=config.ROOT,
            stdout=file,
            stderr=file,
        )

    def workers() -> list[int]:
        return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]

    def is_ready() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=30).ok
        except requests.RequestException:
            return False

    try:
        assert eventually(lambda: is_ready() and len(workers()) == 2 and "Ctrl-C" in log.read_text())
        broken.touch()
        os.kill(workers()[0], signal.SIGKILL)
        assert eventually(lambda: "the next try is in 1 s" in log.read_text())
        assert is_ready()  # the other worker serves on
        broken.unlink()
        assert eventually(lambda: len(workers()) == 2)
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
