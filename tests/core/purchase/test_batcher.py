"""Batches by load, in the order of arrival, whatever the items; no request waits for the slot of another item."""

import threading
from collections.abc import Sequence

import pytest

from core.purchase import batcher
from core.purchase.batcher import SLOT_RETRY_SECONDS
from core.purchase.decide import PurchaseRequest
from core.purchase.queue import Entry, PurchaseQueue
from core.refusals import Busy
from tests.core.purchase.fake_settler import PATIENCE, FakeSettler, Outcomes, one_item, until, user_of, users_of


def test_a_request_that_is_alone_is_settled_at_once() -> None:
    with FakeSettler() as settler:
        assert user_of(settler.submit("a")) == "a"
        assert settler.batches == ["a"]


def test_requests_that_arrive_meanwhile_are_the_next_batch_and_each_has_an_outcome_of_its_own() -> None:
    with FakeSettler() as settler:
        assert users_of(settler.queue_together(*one_item("abcdef"))) == "abcdef"
        assert settler.batches == ["-", "abcdef"]


def test_a_batch_is_no_larger_than_allowed_and_in_the_order_of_arrival() -> None:
    with FakeSettler(batch_max=2) as settler:
        assert users_of(settler.queue_together(*one_item("abcdef"))) == "abcdef"
        assert settler.batches[1:] == ["ab", "cd", "ef"]


def test_requests_for_several_items_are_one_batch() -> None:
    with FakeSettler() as settler:
        assert users_of(settler.queue_together(("a", 1), ("b", 2), ("c", 1), ("d", 3))) == "abcd"
        assert settler.batches[1:] == ["abcd"]


def test_the_order_of_arrival_holds_over_all_items() -> None:
    with FakeSettler(batch_max=3) as settler:
        wanted = [(user, number % 3 + 1) for number, user in enumerate("abcdefgh")]
        assert users_of(settler.queue_together(*wanted)) == "abcdefgh"
        assert settler.batches[1:] == ["abc", "def", "gh"]


def test_one_batch_is_under_way_at_a_time_while_none_stalls() -> None:
    with FakeSettler(batch_max=1, workers=4) as settler:
        futures = [settler.submit(str(number), number % 5) for number in range(200)]
        for future in futures:
            future.result(PATIENCE)
        assert settler.busiest == 1


def test_a_batch_for_one_item_may_wait_for_its_row_and_one_for_several_may_not() -> None:
    with FakeSettler(batch_max=2) as settler:
        users_of(settler.queue_together(("a", 1), ("b", 1), ("c", 1), ("d", 2), ("e", 2)))
        assert settler.batches[1:] == ["ab", "cd", "e"]
        assert settler.patient[1:] == [True, False, True]


def test_without_a_slot_the_batch_is_tried_again_with_the_requests_that_arrived_meanwhile() -> None:
    with FakeSettler() as settler:
        settler.without_slot = {1}
        futures = settler.queue_together(*one_item("ab"))
        settler.pass_until(lambda: settler.batches.count("ab") >= 3)
        futures.append(settler.submit("c"))
        settler.pass_until(lambda: "abc" in settler.batches)
        settler.without_slot = set()
        settler.pass_until(futures[0].done)
        assert users_of(futures) == "abc"
        assert settler.batches[-1] == "abc"


def test_an_item_without_a_slot_holds_up_no_other_and_keeps_its_order() -> None:
    with FakeSettler() as settler:
        settler.without_slot = {1}
        a, b, c, d = settler.queue_together(("a", 1), ("b", 2), ("c", 1), ("d", 3))
        assert users_of([b, d]) == "bd"
        assert users_of([settler.submit(str(number), number % 3 + 2) for number in range(9)]) == "012345678"
        assert not a.done()
        assert not c.done()
        settler.without_slot = set()
        settler.pass_until(c.done)
        assert users_of([a, c]) == "ac"
        assert settler.settled[-2:] == ["a", "c"]


def test_a_worker_rests_between_its_tries_for_a_slot_and_longer_once_the_item_is_stuck() -> None:
    with FakeSettler() as settler:
        settler.without_slot = {1}
        began = settler.clock.now
        future = settler.begin("a")
        settler.pass_until(lambda: settler.clock.now - began >= 0.5 and len(settler.batches) >= 2)
        tries, seconds = len(settler.batches), settler.clock.now - began
        assert tries <= seconds / (0.5 * SLOT_RETRY_SECONDS) + 1
        settler.clock.advance(1.0)
        settler.pass_until(lambda: len(settler.batches) > tries)
        tries, began = len(settler.batches), settler.clock.now
        settler.pass_until(lambda: settler.clock.now - began >= 0.5)
        assert len(settler.batches) - tries <= 0.5 / 0.025 + 1
        settler.without_slot = set()
        settler.pass_until(future.done)
        assert user_of(future) == "a"


def test_a_worker_that_waits_for_a_slot_is_called_for_a_request_for_another_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batcher, "SLOT_RETRY_SECONDS", 10 * PATIENCE)
    with FakeSettler() as settler:
        settler.without_slot = {1}
        a = settler.begin("a", seconds=1)
        assert user_of(settler.submit("b", 2)) == "b"
        assert not a.done()
        settler.clock.advance(1)
        with pytest.raises(Busy):
            a.result(PATIENCE)
        assert settler.batches.count("b") == 1


def test_requests_for_an_item_that_waits_for_a_slot_call_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    class Counted(PurchaseQueue):
        def take(self, batch_max: int, now: float) -> list[Entry]:
            looks.append(now)
            return super().take(batch_max, now)

    monkeypatch.setattr(batcher, "SLOT_RETRY_SECONDS", 10 * PATIENCE)
    with FakeSettler(queue=Counted) as settler:
        settler.without_slot = {1}
        settler.begin("a", seconds=1)
        assert user_of(settler.submit("b", 2)) == "b"
        before = len(looks)
        futures = [settler.submit(str(number), seconds=1) for number in range(200)]
        assert user_of(settler.submit("c", 2)) == "c"
        assert len(looks) <= before + 4
        settler.clock.advance(1)
        for future in futures:
            with pytest.raises(Busy):
                future.result(PATIENCE)


def test_two_items_without_slots_are_each_settled_when_theirs_is_free() -> None:
    with FakeSettler(workers=2) as settler:
        settler.without_slot = {1, 2}
        a, b = settler.queue_together(("a", 1), ("b", 2))
        settler.without_slot = {1}
        settler.pass_until(b.done)
        assert not a.done()
        settler.without_slot = set()
        settler.pass_until(a.done)
        assert users_of([a, b]) == "ab"


FLOOD = 40
SMALL_BATCH = 4


def is_settled_in_turn(queue: type[PurchaseQueue]) -> None:
    """Item 1 is flooded, by a new request for each that is settled; one for item 2 waits for those ahead of it."""
    with FakeSettler(batch_max=SMALL_BATCH, queue=queue) as settler:
        batches_to_come = 5 * FLOOD

        def flood(requests: Sequence[PurchaseRequest]) -> Outcomes:
            if len(settler.batches) < batches_to_come:
                for request in requests:
                    settler.submit(request.user_id)
            return settler.outcomes(requests)

        settler.answer = flood
        released = settler.hold(1)
        settler.begin("x")
        for _ in range(FLOOD):
            settler.submit("x")
        quiet = settler.submit("q", 2)
        released.set()
        assert user_of(quiet) == "q"
        turn = next(number for number, batch in enumerate(settler.batches) if "q" in batch)
        assert turn <= FLOOD / SMALL_BATCH + 1, "it was overtaken"


def test_a_flooded_item_takes_no_turn_from_a_quiet_one() -> None:
    is_settled_in_turn(PurchaseQueue)


class SmallestItemFirst(PurchaseQueue):
    """Serves the item with the smallest number first."""

    def add(self, entry: Entry, now: float) -> None:
        super().add(entry, now)
        entry.number += entry.request.goods_id * 10**12


def test_in_another_order_than_that_of_arrival_it_does() -> None:
    with pytest.raises(AssertionError, match="it was overtaken"):
        is_settled_in_turn(SmallestItemFirst)


def test_a_stuck_item_holds_up_no_other_once_its_batch_has_stalled() -> None:
    with FakeSettler(workers=2) as settler:
        released = settler.hold(1)
        stuck = [settler.begin("a"), settler.submit("b")]
        waiting = settler.submit("c", 2)
        settler.stall()
        assert user_of(waiting) == "c"
        # The stall is known: no other request waits for it again.
        assert users_of([settler.submit("d", 3), settler.submit("e", 2)]) == "de"
        assert not any(future.done() for future in stuck)
        released.set()
        assert users_of(stuck) == "ab"


def test_an_item_in_a_running_batch_is_in_no_second_one() -> None:
    with FakeSettler(workers=3) as settler:
        released = settler.hold(1)
        stuck = [settler.begin("a"), settler.submit("b"), settler.submit("c")]
        settler.stall()
        assert user_of(settler.submit("d", 2)) == "d"  # a worker has looked
        assert settler.batches == ["a", "d"]
        released.set()
        assert users_of(stuck) == "abc"


def test_batches_under_way_are_never_more_than_there_are_workers() -> None:
    with FakeSettler(workers=2) as settler:
        first, second = settler.hold(1), settler.hold(2)
        stuck = [settler.begin("a", 1), settler.submit("b", 2)]
        settler.stall()
        until(lambda: "b" in settler.batches)
        settler.stall()
        third = settler.submit("c", 3)
        second.set()
        assert user_of(third) == "c"
        first.set()
        assert users_of(stuck) == "ab"
        assert settler.busiest == 2


def test_beside_a_stalled_batch_and_an_item_without_a_slot_others_are_settled() -> None:
    with FakeSettler(workers=3) as settler:
        settler.without_slot = {1}
        released = settler.hold(2)
        a = settler.begin("a", 1)
        b = settler.begin("b", 2)
        settler.stall()
        assert user_of(settler.submit("c", 3)) == "c"
        settler.without_slot = set()
        d = settler.submit("d", 1)
        settler.pass_until(d.done)
        assert not b.done()
        released.set()
        assert users_of([a, b, d]) == "abd"


def test_what_is_left_when_a_stalled_item_moves_again_is_settled_in_order() -> None:
    with FakeSettler(workers=2, batch_max=3) as settler:
        released = settler.hold(1)
        futures = [settler.begin("a")]
        futures += [settler.submit(user, item) for user, item in [("b", 1), ("c", 2), ("d", 1), ("e", 2), ("f", 1)]]
        settler.stall()
        assert users_of([futures[2], futures[4]]) == "ce"
        released.set()
        assert users_of(futures) == "abcdef"
        assert [user for user in settler.settled if user in "abdf"] == list("abdf")


MANY = 2000


def test_thousands_wait_without_a_thread_for_each() -> None:
    with FakeSettler(workers=2, queue_max=MANY) as settler:
        released = settler.hold(1)
        before = set(threading.enumerate())
        futures = [settler.submit(f"buyer-{number}") for number in range(MANY)]
        # Two workers, the watch, and the one that completes futures; what others of this process begin is no matter.
        assert len(set(threading.enumerate()) - before) < MANY / 100
        released.set()
        assert [user_of(future) for future in futures] == [f"buyer-{number}" for number in range(MANY)]


def test_callbacks_are_called_once_and_one_that_fails_keeps_no_other_from_its_own() -> None:
    with FakeSettler() as settler:
        released = settler.hold(1)
        called: list[str] = []
        for user in "abc":
            future = settler.submit(user)
            future.add_done_callback(lambda done: called.append(user_of(done)))
            if user == "b":
                future.add_done_callback(lambda done: 1 // 0)
        last = settler.submit("d")
        released.set()
        assert user_of(last) == "d"
        assert called == ["a", "b", "c"]


def test_a_request_that_was_cancelled_keeps_no_other_from_its_outcome() -> None:
    with FakeSettler() as settler:
        released = settler.hold(1)
        a, b, c = (settler.submit(user) for user in "abc")
        assert b.cancel()
        released.set()
        assert users_of([a, c]) == "ac"


def test_a_batcher_that_is_closed_answers_what_is_pending_and_refuses_what_comes() -> None:
    settler = FakeSettler()
    released = settler.hold(1)
    pending = [settler.begin("a"), settler.submit("b")]
    assert not settler.batcher.close(0.01)
    with pytest.raises(Busy):
        settler.submit("c").result(PATIENCE)
    released.set()
    assert settler.batcher.close(PATIENCE)
    assert users_of(pending) == "ab"


def test_while_the_host_has_no_threads_requests_are_refused_and_afterwards_they_are_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, left = threading.Thread.start, [1]

    def refuse(thread: threading.Thread) -> None:
        if not left or not left.pop():
            raise RuntimeError("can't start new thread")
        start(thread)

    settler = FakeSettler(workers=2)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(Busy):
                settler.submit("a").result(PATIENCE)
    with settler:
        assert user_of(settler.submit("b")) == "b"
        assert settler.batches == ["b"]


def test_a_batcher_that_was_never_used_closes_at_once() -> None:
    assert FakeSettler().batcher.close(0)
