"""The line when things go wrong: each buyer has an outcome or an exception, and the next leader starts."""

import threading
import time
from collections.abc import Sequence

import pytest

from core.purchase import waiting
from core.purchase.decide import PurchaseRequest
from core.purchase.line import Line
from core.refusals import Busy, Refusal, Unavailable
from tests.core.line_till import PATIENCE, Outcomes, Till, all_of, fails, one_item, users, way, whose  # noqa: F401


@pytest.mark.parametrize("refusal", [Unavailable, Busy])
def test_a_refusal_of_one_item_s_batch_reaches_each_of_it_and_the_next_is_served(refusal: type[Refusal]) -> None:
    with Till(batch_max=3) as till:
        fails(till, "b", refusal())
        buyers = till.gather(*one_item("abcde"))
        for buyer in buyers[:3]:
            with pytest.raises(refusal):
                buyer.result(PATIENCE)
        assert all_of(buyers[3:]) == "de"
        assert whose(till.come("f")) == "f"


def test_when_nobody_knows_of_several_items_each_is_told_so_and_is_in_no_later_batch() -> None:
    with Till() as till:
        fails(till, "b", Unavailable())
        for buyer in till.gather(("a", 1), ("b", 2), ("c", 3)):
            with pytest.raises(Unavailable):
                buyer.result(PATIENCE)
        assert whose(till.come("d", 2)) == "d"
        assert till.batches[1:] == ["abc", "d"]


def test_a_batch_that_is_answered_for_too_few_strands_nobody() -> None:
    with Till() as till:
        till.answer = lambda requests: till.tell(requests)[: 1 if "b" in users(requests) else None]
        buyers = till.gather(("a", 1), ("b", 2), ("c", 1))
        for buyer in buyers:
            with pytest.raises((ValueError, Unavailable)):
                buyer.result(PATIENCE)
        assert all_of([till.come("d"), till.come("e", 2)]) == "de"


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_the_end_of_a_leader_s_thread_strands_nobody(end: type[BaseException]) -> None:
    with Till(batch_max=3) as till:
        fails(till, "a", end())
        a, b, c, d, e = till.gather(("a", 1), ("b", 2), ("c", 1), ("d", 2), ("e", 1))
        # Whoever leads for a buyer who is called back leads for nobody else: that buyer is told as all are.
        with pytest.raises(Unavailable if till.calls_back else end):
            a.result(PATIENCE)
        for buyer in (b, c):  # nobody knows how far the transaction came
            with pytest.raises(Unavailable):
                buyer.result(PATIENCE)
        assert all_of([d, e]) == "de"


class EndsInLine(Line):
    """The thread of whoever is called `z` is ended while it waits."""

    def _patience(self, place):  # type: ignore[no-untyped-def]
        if place.request.user_id == "z" and time.monotonic() - place.entered_at > waiting._STALL_SECONDS / 2:
            raise SystemExit
        return super()._patience(place)


def test_the_end_of_a_follower_s_thread_leaves_no_trace() -> None:
    if Till.calls_back:
        pytest.skip("such a buyer has no thread")
    with Till(rule=EndsInLine) as till:
        opened = till.close(1)
        a, z, b = till.come("a"), till.come("z"), till.come("b")
        with pytest.raises(SystemExit):
            z.result(PATIENCE)
        opened.set()
        assert all_of([a, b]) == "ab"
        assert "z" not in till.served


def holds_up(till: Till, item: int) -> threading.Event:
    """Until the event is set, somebody holds the row of `item`: a batch gives up, and one that may wait does."""
    free = threading.Event()

    def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
        if item in {request.goods_id for request in requests} and not free.is_set():
            if not till.patient[-1]:
                time.sleep(2 * waiting._STALL_SECONDS)  # as long as one wait for a lock
                raise Busy
            assert free.wait(PATIENCE)
        return till.tell(requests)

    till.answer = answer
    return free


def test_after_a_batch_was_held_up_its_items_are_served_one_by_one_until_they_move() -> None:
    with Till(leaders_max=3) as till:
        free = holds_up(till, 1)
        wanted = [("a", 1), ("b", 2), ("c", 1), ("d", 3), ("e", 2)]
        a, b, c, d, e = till.gather(*wanted)
        assert all_of([b, d, e]) == "bde"
        assert sorted(till.batches[1:]) == ["abcde", "ac", "be", "d"]
        # Others are together again.
        opened = till.close(4)
        others = [till.come("f", 4), till.come("g", 2), till.come("h", 3)]
        opened.set()
        assert all_of(others) == "fgh"
        assert not a.done()
        assert not c.done()
        free.set()
        assert all_of([a, c]) == "ac"
        assert all_of(till.gather(("i", 1), ("j", 2))) == "ij"
        assert till.batches[-1] == "ij"


def test_items_that_moved_since_they_were_held_up_are_served_together_again() -> None:
    with Till(batch_max=2) as till:
        held_up = ["ab"]

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if users(requests) in held_up:
                held_up.clear()
                raise Busy
            return till.tell(requests)

        till.answer = answer
        assert all_of(till.gather(*zip("abcdef", [1, 2, 1, 2, 1, 2], strict=True))) == "abcdef"
        assert till.batches[1:] == ["ab", "ac", "bd", "ef"]


def test_whoever_is_put_back_is_served_beside_the_item_that_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else comes who could find out that it stalls."""
    monkeypatch.setattr(waiting, "_LOOK_SECONDS", 2 * PATIENCE)
    with Till(leaders_max=2) as till:
        free = holds_up(till, 1)
        a, b = till.gather(("a", 1), ("b", 2))
        assert b.result(PATIENCE / 4)
        assert not a.done()
        free.set()
        assert whose(a) == "a"


def test_an_item_is_forgotten_when_all_left_it_although_it_held_up_others() -> None:
    with Till(leaders_max=2) as till:

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if 1 in {request.goods_id for request in requests}:
                raise Busy
            return till.tell(requests)

        till.answer = answer
        a, b = till.gather(("a", 1), ("b", 2))
        with pytest.raises(Busy):
            a.result(PATIENCE)
        assert whose(b) == "b"
