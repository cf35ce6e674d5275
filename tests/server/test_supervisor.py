"""Workers that die at the same time are all replaced, each with a part of the host's memory of its own."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from granian.server import mp

import config
from core.ops.host_memory import HostMemory
from harness.service import SECRET
from server.supervisor import Supervisor

WORKERS = 4


class Process:
    """A worker's process as the supervisor sees it; it is dead once it is told so."""

    def __init__(self, part: int) -> None:
        self.part = part
        self.birth = time.monotonic() - 60
        self.inner = SimpleNamespace(exitcode=-9)
        self.alive = True

    def is_alive(self) -> bool:
        return self.alive

    def start(self) -> None:
        pass

    def _id(self) -> int:
        return self.part


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """A supervisor of workers that have started."""
    host = HostMemory(parts=2 * WORKERS)

    def spawn(self: Any, idx: int, target: Any, callback_loader: Any) -> Process:
        (part,) = callback_loader.args
        host.parts[part].take()
        host.parts[part].start()
        return Process(part)

    monkeypatch.setattr(mp.MPServer, "_spawn_worker", spawn)
    made = Supervisor(config.load(SECRET_KEY=SECRET), host, target="app:create_app", workers=WORKERS)
    made.wrks = [made._spawn_worker(index, None, lambda: None) for index in range(WORKERS)]
    return made


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)], ids=str)
def test_workers_that_die_together_are_all_replaced(supervisor: Supervisor, order: tuple[int, ...]) -> None:
    first: Any = supervisor.wrks[:]
    for dead in first:
        dead.alive = False
    for index in order:
        supervisor._replace(index, None, lambda: None)
    second: Any = supervisor.wrks
    assert all(worker.is_alive() for worker in second)
    assert len({worker.part for worker in second}) == WORKERS, "two workers have the same memory"


def test_parts_do_not_run_out_however_often_workers_die(supervisor: Supervisor) -> None:
    for turn in range(50):
        for index in {turn % WORKERS, (turn + 3) % WORKERS}:
            dead: Any = supervisor.wrks[index]
            dead.alive = False
        for index in reversed(range(WORKERS)):
            if not supervisor.wrks[index].is_alive():
                supervisor._replace(index, None, lambda: None)
    now: Any = supervisor.wrks
    assert len({worker.part for worker in now}) == WORKERS
