"""Figures in the memory of the workers: added up over the living and the dead, whatever happens to a process."""

import multiprocessing
import os
import signal
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from core.ops import figures
from core.ops.host_memory import HostMemory

REGISTRY = CollectorRegistry()
SOLD = Counter("try_sold_total", "Units.", ["item"], registry=REGISTRY)
TOOK = Histogram("try_took_seconds", "Time.", ["kind"], buckets=(1, 2), registry=REGISTRY)
OPEN = Gauge("try_open", "Open now.", multiprocess_mode="livesum", registry=REGISTRY)
MOST = Gauge("try_most", "The most.", multiprocess_mode="livemax", registry=REGISTRY)
LAST = Gauge("try_last", "The last.", multiprocess_mode="mostrecent", registry=REGISTRY)


def work(number: int) -> None:
    SOLD.labels("茶").inc(number)
    for took in (0.5, 1.5, 9.0):
        TOOK.labels("a").observe(took)
    OPEN.set(number)
    MOST.set(number)
    LAST.set(number)


def as_worker(host: HostMemory, part: int, does: Callable[[], None]) -> int:
    """Do something as the worker that has `part`; returns how its process ended."""

    def run() -> None:
        figures.keep_in(host.take(part).figures)
        does()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(30)
    host.parts[part].leave()
    return process.exitcode


def shown(host: HostMemory) -> dict[tuple, float]:
    registry = CollectorRegistry()
    registry.register(figures.HostFigures(host))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("try_")
    }


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_one_after_the_other_add_up_and_leave_nothing_behind() -> None:
    host = HostMemory(parts=2)
    for number in range(1, 11):
        assert as_worker(host, number % 2, lambda number=number: (work(number), killed())) == -signal.SIGKILL
    assert shown(host) == {
        ("try_sold_total", "茶"): 55,
        ("try_took_seconds_bucket", "a", "1.0"): 10,
        ("try_took_seconds_bucket", "a", "2.0"): 20,
        ("try_took_seconds_bucket", "a", "+Inf"): 30,
        ("try_took_seconds_count", "a"): 30,
        ("try_took_seconds_sum", "a"): 110,
        ("try_last",): 10,
    }


def test_what_only_the_living_have_is_counted_while_they_live() -> None:
    host = HostMemory(parts=2)
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()

    def run() -> None:
        figures.keep_in(host.take(0).figures)
        work(7)
        ready.set()
        done.wait(30)

    process = context.Process(target=run)
    process.start()
    assert ready.wait(30)
    as_worker(host, 1, lambda: work(9))
    assert (shown(host)[("try_open",)], shown(host)[("try_most",)]) == (7, 7)
    process.kill()
    process.join(30)
    assert ("try_open",) not in shown(host)


def test_a_worker_killed_while_it_adds_a_figure_leaves_the_others() -> None:
    host = HostMemory()

    def half_of_an_entry() -> None:
        work(3)
        words = host.mine.figures.cast("q")
        end = words[0]
        words[end] = 40  # and the number of words does not include it yet
        killed()

    as_worker(host, 0, half_of_an_entry)
    as_worker(host, 0, lambda: work(4))
    assert shown(host)[("try_sold_total", "茶")] == 7


def test_figures_beyond_the_memory_cost_nothing_but_themselves() -> None:
    host = HostMemory()

    def too_many() -> None:
        work(1)
        for number in range(20_000):
            SOLD.labels(f"item {number}").inc()
        SOLD.labels("茶").inc()

    assert as_worker(host, 0, too_many) == 0
    assert shown(host)[("try_sold_total", "茶")] == 2
    assert len(shown(host)) < 20_000


def test_a_gauge_says_how_it_adds_up() -> None:
    with pytest.raises(ValueError, match="multiprocess_mode"):
        Gauge("try_other", "Another.", registry=CollectorRegistry())
