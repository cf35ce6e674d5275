"""How many purchases are in hand, counted over all workers of a host."""

import multiprocessing
import os
import struct
from pathlib import Path

import pytest

from core.purchase.in_progress import InProgress, forget_process


def test_a_purchase_counts_while_it_is_handled() -> None:
    progress = InProgress(None)
    with progress.counted(7), progress.counted(7), progress.counted(8):
        assert (progress.count(7), progress.count(8), progress.count(9)) == (2, 1, 0)
    assert (progress.count(7), progress.count(8)) == (0, 0)


def test_a_purchase_that_fails_is_no_longer_counted() -> None:
    progress = InProgress(None)
    with pytest.raises(ZeroDivisionError), progress.counted(7):
        raise ZeroDivisionError
    assert progress.count(7) == 0


def test_more_purchases_than_there_are_cells_are_handled_but_not_counted() -> None:
    progress = InProgress(None)
    progress._free = progress._free[:1]
    with progress.counted(7), progress.counted(7):
        assert progress.count(7) == 1
    with progress.counted(7):
        assert progress.count(7) == 1


def _hold(directory: Path, ready, done) -> None:
    with InProgress(directory).counted(7):
        ready.set()
        done.wait(20)


def test_the_workers_of_a_host_see_each_other_and_the_dead_are_not_counted(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    worker = context.Process(target=_hold, args=(tmp_path, ready, done))
    worker.start()
    assert ready.wait(20)
    progress = InProgress(tmp_path)
    with progress.counted(7):
        assert progress.count(7) == 2
    worker.kill()
    worker.join(20)
    assert progress.count(7) == 0
    forget_process(tmp_path, worker.pid)
    assert [path.name for path in tmp_path.iterdir()] == [f"{os.getpid()}.inprogress"]


def test_the_file_of_a_process_that_is_gone_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "999999999.inprogress").write_bytes(struct.pack("q", 7))
    assert InProgress(tmp_path).count(7) == 0


def test_forgetting_a_process_twice_is_no_error(tmp_path: Path) -> None:
    forget_process(tmp_path, 1)
    forget_process(tmp_path, 1)
