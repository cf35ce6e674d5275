"""An unexpected error: the line searches for the one who causes it, by halves, and serves the others."""

import threading
import time
from collections.abc import Sequence

import pytest

from core.purchase import waiting
from core.purchase.decide import PurchaseRequest
from core.purchase.line import Line
from core.refusals import Unavailable
from tests.core.line_till import PATIENCE, Outcomes, Till, all_of, fails, one_item, until, users, way, whose  # noqa: F401


def one_fails_no_other(rule: type[Line]) -> None:
    with Till(rule=rule) as till:
        fails(till, "d", ValueError("d"))
        wanted = [(user, number % 3) for number, user in enumerate("abcdefgh")]
        buyers = till.gather(*wanted)
        with pytest.raises(ValueError, match="d"):
            buyers[3].result(PATIENCE)
        assert all_of(buyers[:3] + buyers[4:]) == "abcefgh"
        assert till.batches[1:] == ["abcdefgh", "abcd", "ab", "cd", "c", "d", "efgh"]


def test_a_request_that_fails_its_batch_fails_no_other() -> None:
    one_fails_no_other(Line)


class NoSplit(Line):
    """Takes whatever fails a batch for a failure of everybody in it."""

    def _serve_batch(self, own, batch):  # type: ignore[no-untyped-def]
        serve = self._serve

        def whole(*arguments):  # type: ignore[no-untyped-def]
            try:
                return serve(*arguments)
            except ValueError as error:
                raise Unavailable from error

        self._serve = whole
        try:
            super()._serve_batch(own, batch)
        finally:
            self._serve = serve


def test_without_the_search_for_it_it_fails_all() -> None:
    with pytest.raises(Unavailable):
        one_fails_no_other(NoSplit)


def test_two_who_fail_their_batch_are_both_found() -> None:
    with Till() as till:

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if {"b", "g"} & set(users(requests)):
                raise ValueError
            return till.tell(requests)

        till.answer = answer
        buyers = till.gather(*one_item("abcdefgh"))
        for place in (1, 6):
            with pytest.raises(ValueError):
                buyers[place].result(PATIENCE)
        assert all_of([buyer for place, buyer in enumerate(buyers) if place not in (1, 6)]) == "acdefh"


def test_the_end_of_a_leader_s_thread_in_the_search_for_a_culprit_strands_nobody() -> None:
    with Till() as till:

        def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if len(requests) > 1 and "a" in users(requests):
                raise ValueError
            if users(requests) == "b":
                raise SystemExit
            return till.tell(requests)

        till.answer = answer
        a, b, c, d = till.gather(("a", 1), ("b", 2), ("c", 2), ("d", 1))
        outcomes = [buyer.exception(PATIENCE) for buyer in (a, b, c, d)]
        assert outcomes[0] is None or isinstance(outcomes[0], SystemExit)
        assert [type(error) for error in outcomes[1:]] == [Unavailable] * 3
        assert all_of([till.come("e", 2), till.come("f", 1)]) == "ef"


def splits(till: Till, waits: str) -> threading.Event:
    """Batches of several fail; who is called `waits` is served when the event is set."""
    opened = threading.Event()

    def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
        if len(requests) > 1:
            raise ValueError
        if users(requests) == waits:
            assert opened.wait(PATIENCE)
        return till.tell(requests)

    till.answer = answer
    return opened


def test_while_a_split_batch_stalls_others_are_served_beside_it() -> None:
    with Till(leaders_max=2) as till:
        opened = splits(till, waits="c")
        till.without_slot = {1}
        first = till.close(1)
        a = till.come("a")  # leads, and is not in the batch that fails
        till.line._leaders_max = 1
        b, c = till.come("b", 2), till.come("c", 3)
        till.line._leaders_max = 2
        first.set()
        assert whose(b) == "b"
        till.was_begun("c")
        d = till.come("d", 4)
        assert d.result(PATIENCE / 4)
        till.without_slot = set()
        opened.set()
        assert all_of([a, c, d]) == "acd"


def test_who_waits_for_an_item_in_a_split_batch_is_served_when_that_is_done() -> None:
    with Till(batch_max=2) as till:
        opened = splits(till, waits="b")
        a, b, c = till.gather(("a", 1), ("b", 2), ("c", 2))
        till.was_begun("b")
        time.sleep(3 * waiting._STALL_SECONDS)
        assert "c" not in till.batches  # its item is in hand
        opened.set()
        assert b.result(PATIENCE)
        assert c.result(PATIENCE / 4)
        assert whose(a) == "a"


def test_the_halves_of_a_split_batch_are_counted_as_one_leader_s() -> None:
    with Till(leaders_max=2, batch_max=2) as till:
        first = splits(till, waits="b")
        buyers = till.gather(("a", 1), ("b", 2))
        till.was_begun("b")
        second = till.close(3)
        third = till.close(4)
        buyers.append(till.come("c", 3))
        till.was_begun("c")
        buyers.append(till.come("d", 4))
        time.sleep(3 * waiting._STALL_SECONDS)
        assert till.busiest == 2
        for event in (first, second, third):
            event.set()
        until(lambda: all(buyer.done() for buyer in buyers))
        assert all_of(buyers) == "abcd"
