"""Deadlines and a queue that is full: what has waited too long is told the truth, and the newest are refused first."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from core.purchase.batcher import STALL_SECONDS
from core.purchase.decide import Outcome, PurchaseRequest
from core.purchase.queue import STUCK_SECONDS, Entry, PurchaseQueue
from core.refusals import Busy, Unavailable
from tests.core.purchase.fake_settler import PATIENCE, FakeSettler, Outcomes, one_item, until, user_of, users_of


def refused(future: Future[Outcome], refusal: type[Busy | Unavailable] = Busy) -> int:
    """The seconds after which the refused request is to be tried again."""
    with pytest.raises(refusal) as caught:
        future.result(PATIENCE)
    seconds: int = caught.value.details["retry_after"]
    return seconds


def test_a_queued_request_is_told_busy_at_its_deadline_and_is_in_no_later_batch() -> None:
    with FakeSettler() as settler:
        released = settler.hold(1)
        a, b = settler.begin("a"), settler.submit("b", seconds=0.5)
        settler.clock.advance(0.499)
        c = settler.submit("c", seconds=0.0005)  # once this is refused, deadlines were looked at
        settler.clock.advance(0.0005)
        assert refused(c) == 1
        assert not b.done()
        settler.clock.advance(0.0005)
        assert refused(b) == 1
        released.set()
        assert users_of([a, settler.submit("d")]) == "ad"
        assert settler.batches == ["a", "d"]


def settle_after_the_deadline(queue: type[PurchaseQueue]) -> None:
    """A request in a running batch may be bought: it is not told busy at its deadline."""
    with FakeSettler(queue=queue) as settler:
        released = settler.hold(1)
        a = settler.begin("a", seconds=1)
        late = settler.submit("b", seconds=1)
        settler.clock.advance(1)
        refused(late)
        released.set()
        assert user_of(a) == "a"


def test_a_request_in_a_running_batch_is_not_told_busy_at_its_deadline() -> None:
    settle_after_the_deadline(PurchaseQueue)


class Hasty(PurchaseQueue):
    """Tells `busy` at the deadline to requests in running batches too."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._taken: list[Entry] = []

    def take(self, batch_max: int, now: float) -> list[Entry]:
        batch = super().take(batch_max, now)
        self._taken += batch
        return batch

    def expire(self, now: float) -> list[Entry]:
        late = [entry for entry in self._taken if entry.deadline.end <= now and not entry.settled]
        return late + super().expire(now)


def test_without_that_rule_it_is() -> None:
    with pytest.raises(Busy):
        settle_after_the_deadline(Hasty)


def test_a_batch_that_was_rolled_back_at_the_deadline_of_some_is_busy_for_them_and_the_others_are_settled() -> None:
    with FakeSettler() as settler:

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if requests[0].user_id == "a":
                settler.clock.advance(1)
                raise Busy
            return settler.outcomes(requests)

        settler.answer = answer
        released = settler.hold(9)
        first = settler.begin("-", 9)
        a, b, c = settler.submit("a", seconds=1), settler.submit("b", seconds=1), settler.submit("c", seconds=2)
        released.set()
        refused(a)
        refused(b)
        assert users_of([first, c]) == "-c"
        assert settler.batches == ["-", "abc", "c"]
        assert settler.settled == ["-", "c"]


def test_past_the_grace_nobody_knows_and_the_answer_says_so() -> None:
    with FakeSettler(grace=2, workers=2) as settler:
        released = settler.hold(1)
        a, b = settler.queue_together(("a", 1), ("b", 2), seconds=1)
        until(lambda: "ab" in settler.batches)
        settler.clock.advance(2.9)
        assert user_of(settler.submit("c", 3)) == "c"
        assert not a.done()
        settler.clock.advance(0.1)
        refused(a, Unavailable)
        refused(b, Unavailable)
        released.set()  # what comes of it after all is answered to nobody
        until(lambda: settler.settled[-2:] == ["a", "b"])
        assert user_of(settler.submit("d", 1)) == "d"


def test_a_request_that_was_given_up_and_had_no_slot_is_in_no_later_batch() -> None:
    with FakeSettler(grace=1) as settler:
        released = settler.hold(1)
        settler.without_slot = {1}
        a = settler.begin("a", seconds=1)
        settler.clock.advance(2)
        refused(a, Unavailable)
        settler.without_slot = set()
        settler.answer = lambda requests: [None] if requests[0].user_id == "a" else settler.outcomes(requests)
        b = settler.submit("b")
        released.set()
        assert user_of(b) == "b"
        assert settler.batches == ["a", "b"]


def test_requests_that_are_late_when_there_is_no_slot_are_told_busy_and_the_queue_goes_on() -> None:
    with FakeSettler() as settler:
        settler.without_slot = {1}
        futures = [settler.submit(str(number), seconds=0.1 + number * 0.1) for number in range(5)]
        for number, future in enumerate(futures):
            settler.clock.advance(0.11)  # past this deadline, and ahead of the next one
            refused(future)
            assert not any(later.done() for later in futures[number + 1 :])
        settler.without_slot = set()
        assert user_of(settler.submit("a")) == "a"
        assert settler.settled == ["a"]


def test_a_failure_of_every_request_is_told_within_the_deadline() -> None:
    with FakeSettler() as settler:

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if requests[0].goods_id != 1:
                return settler.outcomes(requests)
            settler.clock.advance(0.05)
            raise ValueError("all of them")

        settler.answer = answer
        futures = settler.queue_together(*one_item("x" * 50), seconds=1.0)
        errors = {type(future.exception(PATIENCE)) for future in futures}
        assert errors == {ValueError, Busy}
        assert len(settler.batches) <= 1 + 1.0 / 0.05 + 1


def test_while_an_item_is_stuck_only_so_many_are_queued_and_others_are_refused_at_once() -> None:
    with FakeSettler(queue_max=3, workers=2) as settler:
        released = settler.hold(1)
        waiting = [settler.begin("a"), settler.submit("b"), settler.submit("c")]
        settler.clock.advance(STUCK_SECONDS - 0.001)
        moments_ago = settler.submit("d")
        settler.clock.advance(0.001)
        refused(moments_ago)
        too_late = settler.submit("e")
        assert too_late.done()
        assert refused(too_late) == 1
        assert user_of(settler.submit("f", 2)) == "f"  # another item is open
        released.set()
        assert users_of(waiting) == "abc"
        assert settler.settled == ["f", "a", "b", "c"]


def test_when_an_item_gets_stuck_behind_a_full_queue_the_newest_are_refused() -> None:
    with FakeSettler(queue_max=3, workers=2) as settler:
        released = settler.hold(1)
        futures = [settler.begin("a"), *(settler.submit(user) for user in "bcdefg")]
        settler.clock.advance(STUCK_SECONDS)
        for future in futures[3:]:
            refused(future)
        released.set()
        assert users_of(futures[:3]) == "abc"
        assert settler.settled == ["a", "b", "c"]


def test_when_the_queue_is_full_only_the_stuck_item_is_refused() -> None:
    with FakeSettler(queue_max=3, workers=3) as settler:
        stuck, moving = settler.hold(1), settler.hold(2)
        a = settler.begin("a", 1)
        settler.clock.advance(STUCK_SECONDS - STALL_SECONDS)
        x, y, z = settler.submit("x", 2), settler.submit("y", 2), settler.submit("z", 2)
        b = settler.submit("b", 1)
        settler.stall()
        refused(b)
        assert not any(future.done() for future in (a, x, y, z))
        moving.set()
        assert users_of([x, y, z]) == "xyz"
        stuck.set()
        assert user_of(a) == "a"


def test_requests_for_which_a_thread_waits_have_a_bound_of_their_own() -> None:
    with FakeSettler(threads_max=2) as settler:
        released = settler.hold(1)
        first = settler.begin("a")
        in_threads = [settler.submit(user, holds_thread=True) for user in "bcd"]
        others = [settler.submit(user) for user in "ef"]
        settler.clock.advance(STUCK_SECONDS)
        refused(in_threads[2])
        refused(settler.submit("g", holds_thread=True))
        last = settler.submit("h")
        released.set()
        assert users_of([first, *in_threads[:2], *others, last]) == "abcefh"


def test_while_an_item_is_slow_newcomers_are_told_at_once_how_slow_until_it_is_quick_again() -> None:
    with FakeSettler(queue_max=3, slow=1.5, batch_max=1) as settler:
        opened = threading.Event()

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if requests[0].user_id == "b":
                assert opened.wait(PATIENCE)
            return settler.outcomes(requests)

        settler.answer = answer
        released = settler.hold(1)
        futures = [settler.begin("a"), settler.submit("b")]
        settler.clock.advance(1.6)
        released.set()
        until(lambda: "b" in settler.batches)
        futures += [settler.submit("c"), settler.submit("d")]  # as many as may be queued
        assert refused(settler.submit("e")) == 2
        other = settler.submit("f", 2)  # another item is open
        assert not other.done()
        opened.set()
        assert users_of([*futures, other]) == "abcdf"
        assert user_of(settler.submit("g")) == "g"


def test_a_long_queue_that_moves_turns_nobody_away() -> None:
    with FakeSettler(batch_max=1, queue_max=1) as settler:
        settler.take_each(0.1)
        assert len([user_of(settler.submit(str(number))) for number in range(40)]) == 40
        futures = settler.queue_together(*[(str(number), 1) for number in range(40)])
        assert len([user_of(future) for future in futures]) == 40


def test_an_item_that_waits_for_its_turn_behind_a_queue_that_moves_is_not_stuck() -> None:
    with FakeSettler(batch_max=1, queue_max=10) as settler:
        settler.take_each(0.1)
        wanted = [*one_item("x" * 35), ("q", 2), *one_item("x" * 15)]
        futures = settler.queue_together(*wanted, seconds=100)
        assert user_of(futures[35]) == "q"
        assert "".join(settler.settled).index("q") == 36
        users_of(futures)


@pytest.mark.parametrize(("kept", "seconds"), [(1.5, 2), (3.2, 4), (29.5, 30), (500, 30)])
def test_busy_says_for_how_long_the_item_has_kept_requests_waiting(kept: float, seconds: int) -> None:
    with FakeSettler(queue_max=1) as settler:
        released = settler.hold(1)
        a = settler.begin("a", seconds=1000)
        settler.clock.advance(kept)
        assert refused(settler.submit("b")) == seconds
        released.set()
        assert user_of(a) == "a"


def test_what_an_item_did_long_ago_is_not_held_against_it() -> None:
    """An item that is remembered for having held up others has no requests left; the next one is like any other."""
    with FakeSettler(queue_max=1, workers=2) as settler:

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if {request.goods_id for request in requests} >= {1, 2}:
                raise Busy
            return settler.outcomes(requests)

        settler.answer = answer
        settler.without_slot = {2}
        a, b = settler.queue_together(("a", 1), ("b", 2), seconds=0.5)
        assert user_of(a) == "a"
        settler.clock.advance(5)
        refused(b)
        settler.without_slot = set()
        settler.clock.advance(4)
        released = settler.hold(3)
        other = settler.begin("c", 3)
        newcomer = settler.submit("d", 2)
        settler.stall()
        assert user_of(newcomer) == "d"
        released.set()
        assert user_of(other) == "c"
