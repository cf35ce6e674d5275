"""Batches that fail: each request has an outcome or an error of its own, and the next batch is settled."""

import logging
import threading
from collections.abc import Sequence

import pytest

from core.purchase.decide import PurchaseRequest
from core.purchase.queue import Entry, PurchaseQueue
from core.refusals import Busy, Refusal, Unavailable
from tests.core.purchase.fake_settler import PATIENCE, FakeSettler, Outcomes, one_item, until, user_of, users, users_of


@pytest.mark.parametrize("refusal", [Unavailable, Busy])
def test_a_refusal_of_one_item_s_batch_reaches_each_of_it_and_the_next_is_settled(refusal: type[Refusal]) -> None:
    with FakeSettler(batch_max=3) as settler:
        settler.fail_with("b", refusal())
        futures = settler.queue_together(*one_item("abcde"))
        for future in futures[:3]:
            with pytest.raises(refusal):
                future.result(PATIENCE)
        assert users_of(futures[3:]) == "de"
        assert user_of(settler.submit("f")) == "f"


def test_when_nobody_knows_of_several_items_each_is_told_so_and_is_in_no_later_batch() -> None:
    with FakeSettler() as settler:
        settler.fail_with("b", Unavailable())
        for future in settler.queue_together(("a", 1), ("b", 2), ("c", 3)):
            with pytest.raises(Unavailable):
                future.result(PATIENCE)
        assert user_of(settler.submit("d", 2)) == "d"
        assert settler.batches[1:] == ["abc", "d"]


@pytest.mark.parametrize("wrong", [1, 4])
def test_a_batch_with_the_wrong_number_of_outcomes_strands_nobody(wrong: int) -> None:
    with FakeSettler() as settler:
        settler.answer = lambda requests: (
            ([*settler.outcomes(requests)] * 2 if len(requests) == 1 else settler.outcomes(requests))[
                : wrong if "b" in users(requests) else len(requests)
            ]
            + ([None] if wrong == 4 and "b" in users(requests) else [])
        )
        for future in settler.queue_together(("a", 1), ("b", 2), ("c", 1)):
            with pytest.raises(Unavailable):
                future.result(PATIENCE)
        assert users_of([settler.submit("d"), settler.submit("e", 2)]) == "de"


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_a_worker_that_dies_strands_nobody(end: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    with FakeSettler(batch_max=3) as settler, caplog.at_level(logging.WARNING):
        settler.fail_with("a", end())
        *first, d, e = settler.queue_together(("a", 1), ("b", 2), ("c", 1), ("d", 2), ("e", 1))
        for future in first:  # nobody knows how far the transaction came
            with pytest.raises(Unavailable):
                future.result(PATIENCE)
        assert users_of([d, e]) == "de"
    assert f"a batch failed: {end.__name__}" in caplog.text


class FailsOnce(PurchaseQueue):
    """Fails at the first look at deadlines that finds one passed."""

    failed = False

    def expire(self, now: float) -> list[Entry]:
        if not FailsOnce.failed and self.pending > 1:
            FailsOnce.failed = True
            raise ValueError("once")
        return super().expire(now)


def test_a_look_at_the_deadlines_that_fails_loses_nobody(caplog: pytest.LogCaptureFixture) -> None:
    FailsOnce.failed = False
    with FakeSettler(queue=FailsOnce) as settler, caplog.at_level(logging.ERROR):
        released = settler.hold(1)
        first = settler.begin("a")
        late = settler.submit("b", 2, seconds=1)
        until(lambda: FailsOnce.failed)
        settler.clock.advance(1)
        with pytest.raises(Busy):
            late.result(PATIENCE)
        released.set()
        assert user_of(first) == "a"
    assert "deadlines could not be looked at: ValueError" in caplog.text


class TakesAtSecondTry(PurchaseQueue):
    """Fails at the first batch that there is to take."""

    failed = False

    def take(self, batch_max: int, now: float) -> list[Entry]:
        if not TakesAtSecondTry.failed and self.pending:
            TakesAtSecondTry.failed = True
            raise ValueError("once")
        return super().take(batch_max, now)


def test_a_worker_that_cannot_take_a_batch_takes_the_next(caplog: pytest.LogCaptureFixture) -> None:
    TakesAtSecondTry.failed = False
    with FakeSettler(queue=TakesAtSecondTry) as settler, caplog.at_level(logging.ERROR):
        assert user_of(settler.submit("a")) == "a"
    assert "no batch could be taken: ValueError" in caplog.text


def row_is_kept(settler: FakeSettler, item: int) -> threading.Event:
    """Until the event is set, somebody holds the row of `item`: a batch gives up, and one that may wait does."""
    free = threading.Event()

    def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
        if item in {request.goods_id for request in requests} and not free.is_set():
            if not settler.patient[-1]:
                settler.stall()  # one wait for a lock takes longer
                raise Busy
            assert free.wait(PATIENCE)
        return settler.outcomes(requests)

    settler.answer = answer
    return free


def test_after_a_batch_was_held_up_its_items_are_settled_one_by_one_until_they_move() -> None:
    with FakeSettler(workers=3) as settler:
        free = row_is_kept(settler, 1)
        a, b, c, d, e = settler.queue_together(("a", 1), ("b", 2), ("c", 1), ("d", 3), ("e", 2))
        until(lambda: "ac" in settler.batches)
        settler.stall()
        assert users_of([b, d, e]) == "bde"
        assert settler.batches[1:] == ["abcde", "ac", "be", "d"]
        # Others are together again.
        released = settler.hold(4)
        others = [settler.begin("f", 4), settler.submit("g", 2), settler.submit("h", 3)]
        released.set()
        assert users_of(others) == "fgh"
        assert settler.batches[-1] == "gh"
        assert not a.done()
        assert not c.done()
        free.set()
        assert users_of([a, c]) == "ac"
        assert users_of(settler.queue_together(("i", 1), ("j", 2))) == "ij"
        assert settler.batches[-1] == "ij"


def test_items_that_moved_since_they_were_held_up_are_settled_together_again() -> None:
    with FakeSettler(batch_max=2) as settler:
        held_up = ["ab"]

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if users(requests) in held_up:
                held_up.clear()
                raise Busy
            return settler.outcomes(requests)

        settler.answer = answer
        wanted = list(zip("abcdef", [1, 2, 1, 2, 1, 2], strict=True))
        assert users_of(settler.queue_together(*wanted)) == "abcdef"
        assert settler.batches[1:] == ["ab", "ac", "bd", "ef"]


def test_requests_that_were_put_back_are_settled_beside_the_item_that_is_waited_for() -> None:
    """No other request arrives that could find out that it stalls."""
    with FakeSettler(workers=2) as settler:
        free = row_is_kept(settler, 1)
        a, b = settler.queue_together(("a", 1), ("b", 2))
        until(lambda: "a" in settler.batches)
        settler.stall()
        assert user_of(b) == "b"
        assert not a.done()
        free.set()
        assert user_of(a) == "a"


def test_an_item_whose_batch_is_busy_is_told_so_and_holds_up_no_other() -> None:
    with FakeSettler(workers=2) as settler:

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if 1 in {request.goods_id for request in requests}:
                raise Busy
            return settler.outcomes(requests)

        settler.answer = answer
        a, b = settler.queue_together(("a", 1), ("b", 2))
        with pytest.raises(Busy):
            a.result(PATIENCE)
        assert user_of(b) == "b"


def one_fails_no_other(splits: bool) -> None:
    """Whether a request that fails its batch is the only one to fail; else the settler says that nobody knows."""
    with FakeSettler() as settler:
        settler.fail_with("d", ValueError("d") if splits else Unavailable())
        wanted = [(user, number % 3) for number, user in enumerate("abcdefgh")]
        futures = settler.queue_together(*wanted)
        with pytest.raises(ValueError, match="d"):
            futures[3].result(PATIENCE)
        assert users_of(futures[:3] + futures[4:]) == "abcefgh"
        assert settler.batches[1:] == ["abcdefgh", "abcd", "ab", "cd", "c", "d", "efgh"]


def test_a_request_that_fails_its_batch_fails_no_other() -> None:
    one_fails_no_other(splits=True)


def test_without_the_search_for_it_all_fail() -> None:
    with pytest.raises(Unavailable):
        one_fails_no_other(splits=False)


def test_two_requests_that_fail_their_batch_are_both_found() -> None:
    with FakeSettler() as settler:

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if {"b", "g"} & set(users(requests)):
                raise ValueError
            return settler.outcomes(requests)

        settler.answer = answer
        futures = settler.queue_together(*one_item("abcdefgh"))
        for place in (1, 6):
            with pytest.raises(ValueError):
                futures[place].result(PATIENCE)
        assert users_of([future for place, future in enumerate(futures) if place not in (1, 6)]) == "acdefh"


def test_a_worker_that_dies_in_the_search_for_a_culprit_strands_nobody() -> None:
    with FakeSettler() as settler:

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if len(requests) > 1 and "a" in users(requests):
                raise ValueError
            if users(requests) == "b":
                raise SystemExit
            return settler.outcomes(requests)

        settler.answer = answer
        a, *others = settler.queue_together(("a", 1), ("b", 2), ("c", 2), ("d", 1))
        assert user_of(a) == "a"
        assert [type(future.exception(PATIENCE)) for future in others] == [Unavailable] * 3
        assert users_of([settler.submit("e", 2), settler.submit("f", 1)]) == "ef"


def halves_end(settler: FakeSettler, second: Outcomes | BaseException) -> None:
    """A batch of four is split; the first half has no slot, and the second ends with `second`, once."""
    begun: list[str] = []

    def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
        begun.append(users(requests))
        if begun[-1] == "abcd" and len(begun) == 2:
            raise ValueError
        if begun[-1] == "ab" and len(begun) == 3:
            return [None, None]
        if begun[-1] == "cd" and len(begun) == 4:
            if isinstance(second, BaseException):
                raise second
            return second
        return settler.outcomes(requests)

    settler.answer = answer


def test_the_parts_of_a_split_batch_that_wait_again_keep_their_order() -> None:
    with FakeSettler() as settler:
        halves_end(settler, [None, None])
        futures = settler.queue_together(*one_item("abcd"))
        settler.pass_until(futures[0].done)
        assert users_of(futures) == "abcd"
        assert settler.batches[1:] == ["abcd", "ab", "cd", "abcd"]


def test_what_waits_again_when_a_worker_dies_is_not_told_that_nobody_knows() -> None:
    with FakeSettler() as settler:
        halves_end(settler, SystemExit())
        a, b, c, d = settler.queue_together(*one_item("abcd"))
        for future in (c, d):
            with pytest.raises(Unavailable):
                future.result(PATIENCE)
        settler.pass_until(a.done)
        assert users_of([a, b]) == "ab"
        assert settler.batches[1:] == ["abcd", "ab", "cd", "ab"]


def splits(settler: FakeSettler, waits: str) -> threading.Event:
    """Batches of several fail; the request of `waits` is settled when the event is set."""
    released = threading.Event()

    def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
        if len(requests) > 1:
            raise ValueError
        if users(requests) == waits:
            assert released.wait(PATIENCE)
        return settler.outcomes(requests)

    settler.answer = answer
    return released


def test_while_a_split_batch_stalls_others_are_settled_beside_it() -> None:
    with FakeSettler(workers=2) as settler:
        released = splits(settler, waits="c")
        b, c = settler.queue_together(("b", 2), ("c", 3))
        assert user_of(b) == "b"
        until(lambda: "c" in settler.batches)
        settler.stall()
        assert user_of(settler.submit("d", 4)) == "d"
        assert not c.done()
        released.set()
        assert user_of(c) == "c"


def test_a_request_for_an_item_in_a_split_batch_is_settled_when_that_is_done() -> None:
    with FakeSettler(batch_max=2, workers=2) as settler:
        released = splits(settler, waits="b")
        a, b, c = settler.queue_together(("a", 1), ("b", 2), ("c", 2))
        until(lambda: "b" in settler.batches)
        settler.stall()
        assert user_of(settler.submit("d", 3)) == "d"  # a worker has looked
        assert "c" not in settler.batches
        released.set()
        assert users_of([a, b, c]) == "abc"


def test_the_halves_of_a_split_batch_are_counted_as_one() -> None:
    with FakeSettler(workers=2, batch_max=2) as settler:
        first = splits(settler, waits="b")
        futures = settler.queue_together(("a", 1), ("b", 2))
        until(lambda: "b" in settler.batches)
        second, third = settler.hold(3), settler.hold(4)
        settler.stall()
        futures.append(settler.begin("c", 3))
        settler.stall()
        futures.append(settler.submit("d", 4))
        for event in (third, second, first):
            event.set()
        assert users_of(futures) == "abcd"
        assert settler.busiest == 2
