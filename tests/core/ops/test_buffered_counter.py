"""Counts that are gathered: whoever reads the counter has all of them."""

import threading

import pytest

from core.ops.metrics import BufferedCounter


class SlowCounter:
    """A counter that takes its time over each count."""

    def __init__(self) -> None:
        self.value = 0
        self.called, self.may_go_on = threading.Event(), threading.Event()

    def labels(self, *labels: str) -> "SlowCounter":
        return self

    def inc(self, count: int) -> None:
        self.called.set()
        assert self.may_go_on.wait(30)
        self.value += count


@pytest.fixture
def counted() -> SlowCounter:
    counter = SlowCounter()
    BufferedCounter(counter).add("x")  # type: ignore[arg-type]
    return counter


def test_who_reads_while_another_thread_settles_waits_for_what_that_has_taken(counted: SlowCounter) -> None:
    read: list[int] = []

    def look() -> None:
        BufferedCounter.settle()
        read.append(counted.value)

    settling, looking = threading.Thread(target=BufferedCounter.settle), threading.Thread(target=look)
    settling.start()
    assert counted.called.wait(30)
    looking.start()
    looking.join(0.2)  # without the lock it is through by now, and has read 0
    counted.may_go_on.set()
    for thread in (settling, looking):
        thread.join(30)
    assert read == [1]


def test_a_process_that_is_forked_while_a_thread_settles_can_settle(counted: SlowCounter) -> None:
    settling = threading.Thread(target=BufferedCounter.settle)
    settling.start()
    assert counted.called.wait(30)
    BufferedCounter.begin_anew()  # as in the child, which has no such thread
    BufferedCounter(SlowCounter())  # type: ignore[arg-type]
    looking = threading.Thread(target=BufferedCounter.settle)
    looking.start()
    looking.join(30)
    assert not looking.is_alive()
    counted.may_go_on.set()
    settling.join(30)
