"""How many purchases are in hand, counted over all workers of a host."""

import multiprocessing
import os

import pytest

from core.ops.host_memory import HostMemory
from core.purchase.in_progress import InProgress


def test_a_purchase_counts_while_it_is_handled() -> None:
    progress = InProgress(HostMemory())
    with progress.counted(7), progress.counted(7), progress.counted(8):
        assert (progress.count(7), progress.count(8), progress.count(9)) == (2, 1, 0)
    assert (progress.count(7), progress.count(8)) == (0, 0)


def test_a_purchase_that_fails_is_no_longer_counted() -> None:
    progress = InProgress(HostMemory())
    with pytest.raises(ZeroDivisionError), progress.counted(7):
        raise ZeroDivisionError
    assert progress.count(7) == 0


def test_more_purchases_than_there_are_cells_are_handled_but_not_counted() -> None:
    progress = InProgress(HostMemory(), cells=1)
    with progress.counted(7), progress.counted(7):
        assert progress.count(7) == 1
    with progress.counted(7):
        assert progress.count(7) == 1


def _hold(host: HostMemory, ready, done) -> None:
    host.take(1)
    with InProgress(host).counted(7):
        ready.set()
        done.wait(20)


def test_the_workers_of_a_host_see_each_other_and_the_dead_are_not_counted() -> None:
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    host = HostMemory(parts=2)
    host.take(0)
    worker = context.Process(target=_hold, args=(host, ready, done))
    worker.start()
    assert ready.wait(20)
    progress = InProgress(host)
    with progress.counted(7):
        assert progress.count(7) == 2
    worker.kill()
    worker.join(20)
    assert progress.count(7) == 0


def test_who_takes_a_part_counts_nothing_of_its_predecessor() -> None:
    host = HostMemory(parts=2)
    host.take(1)
    InProgress(host).counted(7)
    assert InProgress(host).count(7) == 1
    host.take(1)
    assert (InProgress(host).count(7), host.mine.alive, host.mine.started) == (0, True, False)
    host.mine.leave()
    assert (host.parts[1].alive, os.getpid() > 0) == (False, True)
