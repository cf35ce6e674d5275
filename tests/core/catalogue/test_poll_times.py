"""When open pages are to ask again: at once while they are few, one after the other while they are many."""

import pytest

from core.catalogue.poll_times import LONGEST, PollTimes


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_pages_that_ask_less_often_than_they_may_do_not_wait(clock: Clock) -> None:
    times = PollTimes(10, clock)
    for _ in range(100):
        assert times.next() == 0
        clock.now += 0.1


def test_pages_that_ask_together_are_told_different_moments(clock: Clock) -> None:
    times = PollTimes(10, clock)
    assert [round(times.next(), 3) for _ in range(4)] == [0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize("pages", [50, 400])
def test_however_many_pages_are_open_they_ask_as_often_altogether(clock: Clock, pages: int) -> None:
    times = PollTimes(10, clock)
    begin = clock.now
    next_polls = [begin] * pages
    polls = []
    while min(next_polls) < begin + 200:
        page = next_polls.index(min(next_polls))
        clock.now = max(clock.now, next_polls[page])
        polls.append(clock.now)
        next_polls[page] = clock.now + max(times.next(), 1)  # each would ask once a second
    later = [moment for moment in polls if moment >= begin + 100]
    assert len(later) == pytest.approx(10 * 100, abs=2)


def test_nobody_waits_longer_than_a_page_may_be_old(clock: Clock) -> None:
    times = PollTimes(10, clock)
    waits = [times.next() for _ in range(5000)]
    assert max(waits) == LONGEST == 60
    assert waits[-1] == LONGEST
    clock.now += LONGEST + 0.1
    assert times.next() == 0  # those who left are forgotten
