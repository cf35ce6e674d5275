"""The line: batches by load, in the order of arrival, whatever the items; none is held up for another's slot."""

import threading
import time
from collections import deque
from concurrent.futures import Future

import pytest

from core.purchase import line, waiting
from core.purchase.decide import Outcome
from core.purchase.line import Line
from core.refusals import Busy
from tests.core.line_till import PATIENCE, Till, all_of, let_rest, one_item, until, way, whose  # noqa: F401


def test_who_comes_alone_is_served_at_once() -> None:
    with Till() as till:
        assert whose(till.come("a")) == "a"
        assert till.batches == ["a"]


def test_who_waits_meanwhile_is_the_next_batch_and_each_has_an_outcome_of_their_own() -> None:
    with Till() as till:
        assert all_of(till.gather(*one_item("abcdef"))) == "abcdef"
        assert till.batches[1:] == ["abcdef"]


def test_a_batch_is_no_larger_than_allowed_and_in_the_order_of_arrival() -> None:
    with Till(batch_max=2) as till:
        assert all_of(till.gather(*one_item("abcdef"))) == "abcdef"
        assert till.batches[1:] == ["ab", "cd", "ef"]


def test_those_who_want_several_items_are_one_batch() -> None:
    with Till() as till:
        assert all_of(till.gather(("a", 1), ("b", 2), ("c", 1), ("d", 3))) == "abcd"
        assert till.batches[1:] == ["abcd"]


def test_the_order_of_arrival_holds_over_all_items() -> None:
    with Till(batch_max=3) as till:
        wanted = [(user, number % 3 + 1) for number, user in enumerate("abcdefgh")]
        assert all_of(till.gather(*wanted)) == "abcdefgh"
        assert till.batches[1:] == ["abc", "def", "gh"]


def test_only_one_leads_while_its_batches_are_quick() -> None:
    with Till(batch_max=1, leaders_max=4) as till:
        till.answer = lambda requests: time.sleep(0.002) or till.tell(requests)
        for buyer in [till.start(str(number), number % 5) for number in range(60)]:
            buyer.result(PATIENCE)
        # Two where the machine itself made one stall.
        assert till.busiest <= 2


def test_a_batch_for_one_item_may_wait_for_its_row_and_one_for_several_may_not() -> None:
    with Till(batch_max=2) as till:
        all_of(till.gather(("a", 1), ("b", 1), ("c", 1), ("d", 2), ("e", 2)))
        assert till.batches[1:] == ["ab", "cd", "e"]
        assert till.patient[1:] == [True, False, True]


def test_without_a_slot_the_batch_is_tried_again_with_those_who_came_meanwhile() -> None:
    with Till() as till:
        till.without_slot = {1}
        buyers = till.gather(*one_item("ab"))
        until(lambda: till.batches.count("ab") >= 3)
        buyers.append(till.come("c"))
        till.without_slot = set()
        assert all_of(buyers) == "abc"
        assert till.batches[-1] == "abc"


def test_an_item_without_a_slot_holds_up_no_other_and_keeps_its_order() -> None:
    with Till() as till:
        till.without_slot = {1}
        a, b, c, d = till.gather(("a", 1), ("b", 2), ("c", 1), ("d", 3))
        assert all_of([b, d]) == "bd"
        assert all_of([till.come(str(number), number % 3 + 2) for number in range(9)]) == "012345678"
        assert not a.done()
        assert not c.done()
        till.without_slot = set()
        assert all_of([a, c]) == "ac"
        assert till.served[-2:] == ["a", "c"]


def test_a_leader_without_a_slot_rests_between_its_tries() -> None:
    with Till() as till:
        till.without_slot = {1}
        began = time.monotonic()
        buyer = till.come("a")
        time.sleep(0.3)
        tries, seconds = len(till.batches), time.monotonic() - began
        assert 2 <= tries <= seconds / (0.5 * line._SLOT_PAUSE) + 1
        till.without_slot = set()
        assert whose(buyer) == "a"


def test_a_resting_leader_is_woken_by_who_wants_another_item(monkeypatch: pytest.MonkeyPatch) -> None:
    let_rest(monkeypatch, 2 * PATIENCE)
    with Till() as till:
        till.without_slot = {1}
        leader = till.come("a", seconds=1)
        till.was_begun("a")
        assert whose(till.come("b", 2)) == "b"
        assert not leader.done()
        with pytest.raises(Busy):
            leader.result(PATIENCE)
        assert till.batches == ["a", "b"]


def test_two_items_without_slots_are_each_served_when_theirs_is_free() -> None:
    with Till(leaders_max=2) as till:
        till.without_slot = {1, 2}
        a, b = till.gather(("a", 1), ("b", 2))
        till.without_slot = {1}
        assert whose(b) == "b"
        till.without_slot = set()
        assert whose(a) == "a"


FLOOD = 40
QUIET = 10
SMALL_BATCH = 4


def quiet_ones_are_served_in_turn(rule: type[Line]) -> None:
    """One item is flooded; each who wants another is served after those who came before, and not later."""
    with Till(batch_max=SMALL_BATCH, rule=rule) as till:
        till.answer = lambda requests: time.sleep(0.002) or till.tell(requests)
        done = threading.Event()

        def flood(name: str) -> None:
            while not done.is_set():
                till.buy(name)

        flooders = [till._threads.submit(flood, "x") for _ in range(FLOOD)]
        try:
            until(lambda: len(till.batches) > FLOOD / SMALL_BATCH)
            for number in range(QUIET):
                before = len(till.batches)
                assert whose(till.come(chr(ord("a") + number), 2, seconds=2)) == chr(ord("a") + number)
                turn = next(n for n, batch in enumerate(till.batches) if chr(ord("a") + number) in batch)
                assert turn <= before + FLOOD / SMALL_BATCH + 1
        finally:
            done.set()
        for flooder in flooders:
            flooder.result(PATIENCE)


def test_a_flooded_item_takes_no_turn_from_a_quiet_one() -> None:
    quiet_ones_are_served_in_turn(Line)


class OneItemFirst(Line):
    """Serves the item with the smallest number first."""

    def _take(self, own):  # type: ignore[no-untyped-def]
        self._waiting = deque(sorted(self._waiting, key=lambda place: place.request.goods_id))
        return super()._take(own)


def test_in_another_order_than_that_of_arrival_it_does() -> None:
    with pytest.raises((AssertionError, Busy)):
        quiet_ones_are_served_in_turn(OneItemFirst)


def test_a_stuck_item_holds_up_no_other_for_longer_than_a_moment() -> None:
    with Till(leaders_max=2) as till:
        opened = till.close(1)
        stuck = [till.come("a"), till.come("b")]
        assert all_of([till.come("c", 2), till.come("d", 3)]) == "cd"
        assert till.batches[0] in ("a", "ab")  # a leader who has yet to begin takes along who comes meanwhile
        assert "".join(till.batches[1:]) == "cd"
        began = time.monotonic()
        assert whose(till.come("e", 2)) == "e"  # the stall was found out: nobody waits for it again
        assert time.monotonic() - began < PATIENCE / 2
        assert not any(buyer.done() for buyer in stuck)
        opened.set()
        assert all_of(stuck) == "ab"


def test_an_item_in_hand_is_in_no_second_batch() -> None:
    with Till(leaders_max=3) as till:
        opened = till.close(1)
        stuck = [till.come("a"), till.come("b"), till.come("c")]
        time.sleep(3 * waiting._STALL_SECONDS)
        assert till.batches == ["a"]
        opened.set()
        assert all_of(stuck) == "abc"


def test_batches_under_way_are_never_more_than_there_may_be_leaders() -> None:
    with Till(leaders_max=2) as till:
        first, second = till.close(1), till.close(2)
        stuck = [till.come("a", 1), till.come("b", 2)]
        till.was_begun("b")
        third = till.come("c", 3)
        time.sleep(3 * waiting._STALL_SECONDS)
        assert till.batches == ["a", "b"]
        second.set()
        assert whose(third) == "c"
        first.set()
        assert all_of(stuck) == "ab"
        assert till.busiest == 2


def test_a_leader_that_is_itself_without_a_slot_and_stalls_is_not_the_one_to_be_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_rest(monkeypatch, 1.0)
    with Till(leaders_max=2) as till:
        till.without_slot = {1}
        opened = till.close(2)
        a = till.come("a", 1)
        till.was_begun("a")
        b = till.come("b", 2)
        till.was_begun("b")
        till.line._items[1].retry_at = 0.0
        time.sleep(2 * waiting._STALL_SECONDS)
        c = till.come("c", 3)
        assert c.result(PATIENCE / 4)
        # Not even a's own item waits, for whoever else wants it.
        till.without_slot = set()
        d = till.come("d", 1)
        assert d.result(PATIENCE / 4)
        opened.set()
        assert all_of([a, b, c, d]) == "abcd"


def test_what_is_left_when_a_stalled_item_moves_again_is_served_in_order() -> None:
    with Till(leaders_max=2, batch_max=3) as till:
        opened = till.close(1)
        buyers: list[Future[Outcome]] = [till.come("a")]
        till.was_begun("a")
        buyers += [till.come(user, item) for user, item in [("b", 1), ("c", 2), ("d", 1), ("e", 2), ("f", 1)]]
        assert all_of([buyers[2], buyers[4]]) == "ce"
        opened.set()
        assert all_of(buyers) == "abcdef"
        assert [user for user in till.served if user in "abdf"] == list("abdf")
