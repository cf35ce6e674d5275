"""Buyers who hold no thread. That they stand in the same line as others is in test_line*.py, which tests both."""

import logging
import threading
from concurrent.futures import Future

import pytest

from core.clock import Deadline
from core.purchase.decide import Outcome, PurchaseRequest
from core.purchase.place import Place
from core.refusals import Busy
from tests.core.line_till import PATIENCE, Till, fails, until, whose

MANY = 2000


def come(till: Till, user: str, item: int = 1, seconds: float = PATIENCE) -> Future[Outcome | Exception]:
    """A buyer who comes and goes; the future has what they were told. Twice told would be an error of the future."""
    told: Future[Outcome | Exception] = Future()
    till.desk.buy(PurchaseRequest(item, user), Deadline(seconds), told.set_result)
    return told


def come_to_a_slow_item(till: Till) -> tuple[threading.Event, Future[Outcome | Exception]]:
    """A buyer, "b", whose batch is under way until the event is set, of an item whose last buyer waited long."""
    assert not isinstance(come(till, "a").result(PATIENCE), Exception)
    opened = till.close(1)
    inside = come(till, "b")
    until(lambda: till.batches[-1] == "b")
    till.line._items[1].last_wait = 1.0
    return opened, inside


def test_thousands_wait_without_a_thread_for_each_and_are_told_once() -> None:
    with Till(inside_max=MANY) as till:  # however long it takes them to come
        opened = till.close(1)
        before = threading.active_count()
        buyers = [come(till, f"buyer-{number}") for number in range(MANY)]
        assert threading.active_count() <= before + 2  # who leads, and the desk
        opened.set()
        assert [whose(buyer) for buyer in buyers] == [f"buyer-{number}" for number in range(MANY)]  # type: ignore[arg-type]
        until(lambda: not till.desk._visits)


def test_whoever_cannot_be_told_keeps_nobody_else_from_it(caplog: pytest.LogCaptureFixture) -> None:
    def gone(answer: object) -> None:
        raise OSError("gone")

    with Till() as till, caplog.at_level(logging.ERROR):
        opened = till.close(1)
        first = come(till, "first")
        till.desk.buy(PurchaseRequest(1, "gone"), Deadline(PATIENCE), gone)
        last = come(till, "last")
        opened.set()
        for buyer in (first, last):
            assert not isinstance(buyer.result(PATIENCE), Exception)
        until(lambda: not till.desk._visits)
    assert "could not be attended to" in caplog.text


def test_a_look_that_fails_loses_nobody(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with Till() as till, caplog.at_level(logging.ERROR):
        look, failed = till.line.look, threading.Event()

        def fail_once(place: object) -> float:
            if not failed.is_set():
                failed.set()
                raise ValueError("once")
            return look(place)  # type: ignore[arg-type]

        monkeypatch.setattr(till.line, "look", fail_once)
        opened = till.close(1)
        first = come(till, "first")
        until(lambda: till.batches)
        late = come(till, "late", item=2, seconds=0.3)
        assert failed.wait(PATIENCE)
        assert isinstance(late.result(PATIENCE), Busy)
        opened.set()
        assert not isinstance(first.result(PATIENCE), Exception)


def test_where_the_line_is_too_long_one_is_told_at_once_and_leaves_no_trace() -> None:
    with Till(inside_max=1, slow=0) as till:
        opened, first = come_to_a_slow_item(till)
        with pytest.raises(Busy):
            come(till, "c")
        assert len(till.desk._visits) == 1
        opened.set()
        assert not isinstance(first.result(PATIENCE), Exception)


def test_whoever_keeps_a_thread_is_turned_away_before_those_who_do_not() -> None:
    with Till(slow=0, threads_max=1) as till:
        opened, first = come_to_a_slow_item(till)
        in_thread = till.come("c")
        until(lambda: till.line._inside == 2)
        with pytest.raises(Busy):
            till.line.buy(PurchaseRequest(1, "d"), Deadline(PATIENCE))
        later = come(till, "e")
        opened.set()
        assert whose(in_thread) == "c"
        assert [whose(buyer) for buyer in (first, later)] == ["b", "e"]  # type: ignore[arg-type]


def test_who_was_settled_and_never_rung_is_called_back_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Place, "pass_on", lambda place: None)
    with Till() as till:
        opened = till.close(1)
        buyers = [come(till, name) for name in "abcd"]
        opened.set()
        assert [whose(buyer) for buyer in buyers] == list("abcd")  # type: ignore[arg-type]


def test_leaders_that_fail_are_followed_by_others() -> None:
    with Till() as till:
        for user, end in (("a", SystemExit()), ("b", ValueError())):
            fails(till, user, end)
            assert isinstance(come(till, user).result(PATIENCE), Exception)
        assert not isinstance(come(till, "c").result(PATIENCE), Exception)
