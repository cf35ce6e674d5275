"""The line and time: who waited enough is told the truth, and a line that does not move admits no more than it may."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from core.purchase import waiting as line
from core.purchase.decide import Outcome, PurchaseRequest
from core.refusals import Busy, Unavailable
from tests.core.line_till import PATIENCE, Outcomes, Till, all_of, let_rest, one_item, until, way, whose  # noqa: F401

SHORT = 0.3


def refused(buyer: Future[Outcome], refusal: type[Busy | Unavailable] = Busy) -> int:
    """Whom the line refused; returns the seconds after which to try again."""
    with pytest.raises(refusal) as caught:
        buyer.result(PATIENCE)
    return caught.value.details["retry_after"]


def test_who_waits_past_the_deadline_is_told_busy_and_is_in_no_later_batch() -> None:
    with Till() as till:
        opened = till.close(1)
        holder = till.come("a")
        assert refused(till.come("b", seconds=0.05)) == 1
        opened.set()
        assert all_of([holder, till.come("c")]) == "ac"
        assert till.batches == ["a", "c"]


def test_who_is_in_a_batch_that_has_begun_is_not_told_busy_at_their_deadline() -> None:
    with Till() as till:
        till.answer = lambda requests: (
            (time.sleep(2 * SHORT) if "b" in till.batches[-1] else None) or till.tell(requests)
        )
        assert all_of(till.gather(*one_item("ab"), seconds=SHORT)) == "ab"


def test_who_is_in_a_batch_that_was_undone_at_their_deadline_is_told_busy_and_others_are_served() -> None:
    with Till() as till:

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if requests[0].user_id == "a":
                time.sleep(2 * SHORT)
                raise Busy
            return till.tell(requests)

        till.answer = answer
        opened = till.close(9)
        buyers = [till.come("-", 9), till.come("a", seconds=SHORT), till.come("b", seconds=SHORT), till.come("c")]
        opened.set()
        for buyer in buyers[1:3]:
            refused(buyer)
        assert all_of([buyers[0], buyers[3]]) == "-c"
        assert till.batches == ["-", "abc", "c"]
        assert till.served == ["-", "c"]


def test_past_the_grace_nobody_knows_and_says_so() -> None:
    with Till(grace=SHORT) as till:
        a, b = till.gather(("a", 1), ("b", FROZEN), seconds=SHORT)
        assert all_of([a, b]) == "ab"
        opened = till.close(FROZEN)
        a, b = till.gather(("a", 1), ("b", FROZEN), seconds=SHORT)
        began = time.monotonic()
        refused(b, Unavailable)
        assert time.monotonic() - began < PATIENCE / 2
        assert not a.done()  # leads, and so knows when the batch ends
        opened.set()
        assert whose(a) == "a"


FROZEN = 7


def test_who_gave_up_on_a_batch_is_never_asked_to_lead() -> None:
    with Till(grace=0.1) as till:
        leave = threading.Event()

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if "b" in (request.user_id for request in requests):
                leave.wait(PATIENCE)
                return [None] * len(requests)
            return till.tell(requests) if leave.is_set() else [None] * len(requests)

        till.answer = answer
        leader = till.come("a")
        till.was_begun("a")
        given_up = till.come("b", seconds=0.2)
        till.was_begun("ab")
        refused(given_up, Unavailable)
        leave.set()
        assert all_of([leader, till.come("c")]) == "ac"
        assert "b" not in till.served


def test_a_leader_at_its_deadline_leaves_those_with_time_to_the_next() -> None:
    with Till() as till:
        till.without_slot = {1}
        leader = till.come("a", seconds=0.2)
        follower = till.come("b")
        refused(leader)
        till.without_slot = set()
        assert whose(follower) == "b"
        assert till.served == ["b"]


def test_who_is_put_back_and_late_is_told_busy_and_the_line_goes_on() -> None:
    with Till() as till:
        till.without_slot = {1}
        for buyer in [till.come(str(number), seconds=0.1 + number * 0.1) for number in range(5)]:
            refused(buyer)
        till.without_slot = set()
        assert whose(till.come("a")) == "a"
        assert till.served == ["a"]


@contextmanager
def one_leader_in_the_hand_of_another(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Till, list[Future[Outcome]]]]:
    """Both lead and rest for want of a slot; a wakes first, and takes b and c into its batch.

    The batch is held up until item 2 is opened.
    """
    let_rest(monkeypatch, 2 * PATIENCE)
    with Till(leaders_max=2) as till:
        till.without_slot = {1, 2}
        opened = till.close(1)
        a = till.come("a", 1, seconds=6 * SHORT)
        b = till.come("b", 2, seconds=3 * SHORT)
        till.was_begun("b")  # beside the stalled one
        opened.set()
        until(lambda: list(till.line._leaders.values()) == [None, None])
        till.without_slot = {1}
        till.close(2)
        with till.line._lock:
            till.line._items[2].retry_at = 0.0
        c = till.come("c", 2)
        until(lambda: "bc" in till.batches)
        yield till, [b, c]
        refused(a)


def test_a_leader_in_the_hand_of_another_is_served_even_past_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with one_leader_in_the_hand_of_another(monkeypatch) as (till, buyers):
        time.sleep(4 * SHORT)
        assert not buyers[0].done()
        till.open(2)
        assert all_of(buyers) == "bc"


def test_whoever_is_in_a_batch_with_another_leader_is_told_as_soon_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "_LOOK_SECONDS", 2 * PATIENCE)
    with one_leader_in_the_hand_of_another(monkeypatch) as (till, buyers):
        time.sleep(2 * line._STALL_SECONDS)
        till.open(2)
        assert buyers[1].result(PATIENCE / 4)
        assert all_of(buyers) == "bc"


def test_a_failure_of_everything_is_told_within_the_deadline() -> None:
    with Till() as till:

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if requests[0].goods_id != 1:
                return till.tell(requests)
            time.sleep(0.05)
            raise ValueError("all of them")

        till.answer = answer
        began = time.monotonic()
        buyers = till.gather(*one_item("x" * 50), seconds=1.0)
        for buyer in buyers:
            with pytest.raises((ValueError, Busy)):
                buyer.result(PATIENCE)
        assert time.monotonic() - began < PATIENCE / 2


def test_while_a_sale_is_stuck_only_so_many_wait_and_others_are_told_at_once() -> None:
    with Till(inside_max=3, leaders_max=2) as till:
        opened = till.close(1)
        waiting = [till.come(user) for user in "abc"]
        time.sleep(line._STUCK_SECONDS + 0.1)
        began = time.monotonic()
        with pytest.raises(Busy) as caught:
            till.buy("d")
        assert time.monotonic() - began < PATIENCE / 2
        assert caught.value.details["retry_after"] == 2
        assert whose(till.come("e", 2)) == "e"  # another item is open
        opened.set()
        assert all_of(waiting) == "abc"
        assert "d" not in till.served


def test_who_is_in_line_past_the_most_when_a_sale_gets_stuck_is_told_after_a_moment() -> None:
    with Till(inside_max=2) as till:
        opened = till.close(1)
        waiting = [till.come(user) for user in "abcde"]
        # All but as many as may be inside.
        until(lambda: sum(buyer.done() for buyer in waiting) == 3)
        opened.set()
        answers = ["busy" if buyer.exception(PATIENCE) else whose(buyer) for buyer in waiting]
        assert answers.count("busy") == 3
        assert answers[0] == "a"
        assert sorted(till.served) == sorted(set(answers) - {"busy"})


def test_while_an_item_is_slow_newcomers_are_told_at_once_how_slow_until_it_is_quick_again() -> None:
    with Till(inside_max=3, slow=0.2, batch_max=1) as till:
        till.without_slot = {1}
        buyers = [till.come(user) for user in "ab"]
        time.sleep(0.4)
        slow, opened = till.close(2), threading.Event()

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if requests[0].user_id == "b":
                assert opened.wait(PATIENCE)
            return till.tell(requests)

        till.answer = answer
        till.without_slot = set()
        till.was_begun("b")
        buyers += [till.come("c"), till.come("d")]  # as many as may be inside
        assert refused(till.come("e")) == 1
        assert not till.come("f", 2).done()  # another item is open
        slow.set()
        opened.set()
        assert all_of(buyers) == "abcd"
        assert whose(till.come("g")) == "g"


def test_a_burst_that_is_being_served_is_not_turned_away() -> None:
    with Till(batch_max=1, inside_max=1) as till:
        till.answer = lambda requests: time.sleep(0.002) or till.tell(requests)
        for buyer in [till.start(str(number)) for number in range(40)]:
            buyer.result(PATIENCE)


def test_a_line_that_moves_slowly_turns_nobody_away() -> None:
    with Till(batch_max=2, inside_max=1) as till:
        till.answer = lambda requests: time.sleep(0.1) or till.tell(requests)
        for buyer in [till.start(str(number)) for number in range(40)]:  # two seconds' work
            buyer.result(PATIENCE)


@pytest.mark.parametrize(("kept", "said"), [(1.5, 2), (3.2, 4), (29.5, 30), (500, 30)])
def test_whoever_is_told_busy_is_told_for_how_long_the_item_has_kept_people_waiting(kept: float, said: int) -> None:
    with Till(inside_max=1) as till:
        opened = till.close(1)
        a = till.come("a")
        till.line._items[1].moved_at -= kept
        assert refused(till.come("b")) == said
        opened.set()
        assert whose(a) == "a"


def test_what_an_item_did_long_ago_is_not_held_against_it() -> None:
    """An item that is remembered for having held up others was left by all; the next one to come is as any other."""
    with Till(inside_max=1, leaders_max=2) as till:

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if {request.goods_id for request in requests} >= {1, 2}:
                raise Busy
            return till.tell(requests)

        till.answer = answer
        till.without_slot = {2}
        a, b = till.gather(("a", 1), ("b", 2), seconds=SHORT)
        assert whose(a) == "a"
        refused(b)
        if 2 in till.line._items:
            till.line._items[2].moved_at -= 100
        till.without_slot = set()
        opened = till.close(3)
        other = till.come("c", 3)
        newcomer = till.come("d", 2)
        assert whose(newcomer) == "d"
        opened.set()
        assert whose(other) == "c"
