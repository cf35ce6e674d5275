"""What a worker counts, by seconds: shown to the others of its host, and kept until it is stored."""

from collections import Counter
from typing import Any

import pytest

from core.live.board import Board, Row, encoded
from core.live.clock import KnownTime
from core.live.collector import SHOWN_SECONDS, Collector
from core.live.counter import PurchaseCounter
from core.live.tally import SAMPLE, Tally
from core.live.window import OPEN_SECONDS, Window
from core.ops.host_memory import HostMemory


class FakeTime(KnownTime):
    moment = 1000.0

    def now(self) -> float:
        return self.moment

    def at(self, monotonic: float) -> float:
        return monotonic


class Worker:
    """One worker's counter and collector, on a clock of the test's."""

    def __init__(self, host: HostMemory | None = None) -> None:
        self.host = host or HostMemory()
        self.counter = PurchaseCounter()
        self.time = FakeTime()
        self.waiting: Counter[int] = Counter()
        board = Board(self.host.mine.board)
        self.collector = Collector(self.counter, self.time, board, "h", lambda: self.waiting, dict)

    def sell(self, item: int, count: int = 1, outcome: str = "placed") -> None:
        for number in range(count):
            order = f"{item}-{number}" if outcome == "placed" else None
            self.counter.settled(item, outcome, 0.01, number, order)

    def shown(self) -> dict[tuple[int, int], Tally]:
        return {(row.second, row.goods_id): row.tally for row in Board(self.host.mine.board).read()}


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_what_is_counted_is_shown_under_its_second(worker: Worker) -> None:
    worker.sell(1, 3)
    worker.collector.turn()
    worker.time.moment = 1001.2
    worker.sell(1, 2)
    worker.counter.refused(1, "sold_out")
    worker.collector.turn()
    shown = worker.shown()
    assert shown[1000, 1].outcomes == {"placed": 3}
    assert shown[1001, 1].outcomes == {"placed": 2, "sold_out": 1}
    assert sum(shown[1001, 1].waits.values()) == 2, "a refusal ahead of the queue has no wait"


def test_what_nobody_waits_for_any_more_is_told_once(worker: Worker) -> None:
    worker.sell(1)
    worker.waiting[1] = 4
    worker.collector.turn()
    worker.waiting.clear()
    worker.time.moment = 1001
    worker.collector.turn()
    worker.time.moment = 1002
    worker.collector.turn()
    assert {second: tally.waiting for (second, _), tally in worker.shown().items()} == {1000: 4, 1001: 0}


def test_what_is_old_is_shown_no_more(worker: Worker) -> None:
    worker.sell(1)
    worker.collector.turn()
    worker.time.moment += SHOWN_SECONDS
    worker.collector.turn()
    assert worker.shown() == {}


def test_a_second_is_stored_once_it_is_over_and_what_failed_is_stored_later(worker: Worker) -> None:
    worker.sell(1)
    worker.collector.turn()
    assert worker.collector.take_unstored(10) == []
    worker.time.moment = 1001
    worker.collector.turn()
    (row,) = worker.collector.take_unstored(10)
    assert (row.second, row.goods_id) == (1000, 1)
    assert worker.collector.take_unstored(10) == []
    worker.collector.give_back([row])
    assert worker.collector.take_unstored(10) == [row]


def test_ids_that_do_not_exist_make_no_rows(worker: Worker) -> None:
    for made_up in range(1000):
        worker.counter.settled(10**9 + made_up, "goods_not_found", 0.01, 0, None)
    worker.collector.turn()
    assert list(worker.shown()) == [(1000, 0)]
    assert worker.shown()[1000, 0].outcomes == {"goods_not_found": 1000}


def test_the_counter_never_holds_more_than_it_may(worker: Worker) -> None:
    for number in range(30_000):
        worker.counter.settled(1 + number % 5000, "placed", 0.01, 0, "x")
    assert worker.counter.waiting < 5000
    items, arrived = worker.counter.take()
    assert len(items) <= 2001
    assert sum(tally.outcomes["placed"] for tally in items.values()) == 30_000
    assert all(len(kept) <= SAMPLE for kept in arrived.values())


def test_more_than_fits_shows_what_is_newest(worker: Worker) -> None:
    for second in range(6):
        worker.time.moment = 1000 + second
        for item in range(1, 1900):
            worker.sell(item, 2)
        worker.collector.turn()
    seconds = Counter(second for second, _ in worker.shown())
    assert seconds[1005] == 1899
    assert seconds[1000] == 0


def test_a_board_whose_writer_was_killed_is_not_believed_and_can_be_written_again() -> None:
    host = HostMemory()
    board = Board(host.mine.board)
    board.write("a", [encoded(1, 1, Tally(waiting=1))])
    host.mine.board[:1] = b"\x01"  # as if it had been killed in the middle
    assert board.read() == []
    board.write("b", [encoded(2, 1, Tally(waiting=1))])
    assert board.read() == [Row(2, "b", 1, Tally(waiting=1))]
    assert board.read(first=3) == []


def rows(*entries: tuple[int, str, int, dict[str, Any]]) -> list[Row]:
    return [Row(second, source, item, Tally.unpacked(parts)) for second, source, item, parts in entries]


class TestWindow:
    def test_what_is_told_again_replaces_what_was_told(self) -> None:
        window = Window(None)
        for count in (1, 2, 3):
            window.add(rows((1000, "a", 1, {"o": {"placed": count}}), (1000, "b", 1, {"o": {"placed": 10}})), 1001)
        assert window.points(1001)[-1].outcomes == {"placed": 13}

    def test_settled_seconds_stay_and_are_not_read_again(self) -> None:
        window = Window(1)
        entries = rows((1000, "a", 1, {"o": {"placed": 2}}), (1000, "a", 2, {"o": {"placed": 9}}))
        window.add(entries, 1001)
        late = 1002 + OPEN_SECONDS
        window.add([], late)
        window.add(entries, late)
        assert window.read_from > 1000
        assert sum(point.outcomes.get("placed", 0) for point in window.points(late)) == 2

    def test_what_is_so_now_is_each_workers_last_word(self) -> None:
        window = Window(None)
        window.add(
            rows((999, "a", 1, {"q": 5}), (1000, "a", 1, {}), (1000, "b", 1, {"q": 2}), (999, "b", 1, {"q": 7})), 1001
        )
        assert window.newest()[1].waiting == 2


def test_ids_that_somebody_made_up_make_no_row_and_raise_no_alarm(worker: Worker) -> None:
    for made_up in range(900_000, 900_200):
        worker.counter.settled(made_up, "goods_not_found", 0.01, 0, None)
        worker.counter.settled(made_up, "unavailable", 0.01, 0, None)
        worker.waiting[made_up] = 1
    worker.collector.turn()
    assert {item for _, item in worker.shown()} == {0}


def test_an_item_that_exists_is_counted_also_while_nothing_is_decided_about_it(worker: Worker) -> None:
    worker.sell(1)
    worker.collector.turn()
    worker.sell(1, outcome="unavailable")
    worker.waiting[1] = 1
    worker.time.moment += 1
    worker.collector.turn()
    figures = worker.shown()[1001, 1]
    assert (figures.waiting, figures.outcomes) == (1, {"unavailable": 1})


def test_what_was_counted_by_a_clock_far_ahead_is_kept_when_the_clock_is_set_right(worker: Worker) -> None:
    worker.time.moment = 5000.0
    worker.sell(1, 3)
    worker.collector.turn()
    worker.time.moment = 1000.0
    worker.sell(1, 2)
    worker.collector.turn()
    worker.time.moment = 1001.0
    worker.collector.turn()
    rows = [
        (row.second, row.tally.outcomes["placed"]) for row in worker.collector.take_unstored(10) if row.goods_id == 1
    ]
    assert rows == [(1000, 5)]
