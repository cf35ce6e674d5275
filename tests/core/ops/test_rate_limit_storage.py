"""Counting callers in this process: windows that end, and a bound on what is remembered."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.ops.rate_limit_storage import LocalCounts, SharedCounts, open_storage
from harness.database_server import free_port
from harness.eventually import PATIENCE_SECONDS
from tests.dns import Dns

SLACK = 15  # seconds that may pass between two looks at a clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, as its one element says."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_window_counts_from_its_first_call_to_its_end(clock: list[float]) -> None:
    counts = LocalCounts()
    assert [counts.incr("a", 60) for _ in range(3)] == [1, 2, 3]
    clock[0] += 59.9
    assert (counts.incr("a", 60), counts.incr("b", 60)) == (4, 1)
    clock[0] += 0.2
    assert counts.get("a") == 0
    assert (counts.incr("a", 60), counts.incr("b", 60)) == (1, 2)


def test_the_end_of_a_window_is_told_as_a_time_of_day(clock: list[float]) -> None:
    counts = LocalCounts()
    counts.incr("a", 60)
    clock[0] += 20
    assert counts.get_expiry("a") - time.time() == pytest.approx(40, abs=SLACK)
    clock[0] += 100
    assert counts.get_expiry("a") - time.time() == pytest.approx(0, abs=SLACK)
    assert counts.get_expiry("never seen") - time.time() == pytest.approx(0, abs=SLACK)


def test_a_wall_clock_that_is_set_makes_no_window_longer_or_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = LocalCounts()
    counts.incr("a", 60)
    for jump in (-3600, 3600):
        there = time.time() + jump
        monkeypatch.setattr(time, "time", lambda there=there: there)
        assert counts.get("a") == 1
        assert counts.get_expiry("a") - there == pytest.approx(60, abs=SLACK)


class SlowKey(str):
    """Lets other threads in whenever it is looked up or put in."""

    __slots__ = ()

    def __hash__(self) -> int:
        time.sleep(0.0002)
        return super().__hash__()


def test_no_call_is_lost_between_threads() -> None:
    counts = LocalCounts()
    seen: list[tuple[int, int]] = []

    def call() -> None:
        seen.extend((number, counts.incr(SlowKey(number), 60)) for number in range(50))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [(number, count) for number in range(50) for count in range(1, 9)]


def test_a_storage_that_keeps_failing_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    # Each call tries again.
    counts = SharedCounts(f"redis://:hunter2@127.0.0.1:{free_port()}/0", silent_seconds=0)
    assert [counts.incr("a", 60) for _ in range(4)] == [1, 2, 3, 4]
    assert [record.name for record in caplog.records] == ["seckill.limits"]
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_while_dns_is_silent_callers_are_counted_here(dns: Dns, scheme: str) -> None:
    dns.fall_silent("cache.example")
    counts = SharedCounts(f"{scheme}://cache.example:6379/0")
    with ThreadPoolExecutor(1) as threads:
        counted = threads.submit(lambda: [counts.incr("a", 60) for _ in range(3)])
        try:
            assert counted.result(PATIENCE_SECONDS) == [1, 2, 3]
        finally:
            dns.speak()


def test_windows_that_are_over_are_forgotten_when_others_come(clock: list[float]) -> None:
    counts = LocalCounts()
    for number in range(10_000):
        counts.incr(f"early {number}", 60)
    clock[0] += 61
    for number in range(20_000):
        counts.incr(f"late {number}", 60)
        clock[0] += 0.1
    assert len(counts) < 2500  # 600 are within their window at any time


def test_there_are_never_more_keys_than_the_bound_and_the_latest_stay(clock: list[float]) -> None:
    counts = LocalCounts(most=2000)
    for number in range(9000):
        counts.incr(f"address {number}", 86_400)
        assert len(counts) <= 2000
    assert counts.incr("address 8999", 86_400) == 2
    assert counts.incr("address 0", 86_400) == 1


@pytest.mark.parametrize(
    ("setting", "kind"),
    [("memory://", LocalCounts), ("redis://h:1/2", SharedCounts), ("rediss://u:p@h:1", SharedCounts)],
)
def test_each_setting_has_its_storage(setting: str, kind: type) -> None:
    assert type(open_storage(setting)) is kind


def test_an_option_in_the_address_wins_over_ours() -> None:
    pool = SharedCounts("redis://127.0.0.1:1/0?socket_timeout=7").get_connection().connection_pool
    assert pool.connection_kwargs["socket_timeout"] == 7
    assert pool.connection_kwargs["socket_connect_timeout"] < 1
