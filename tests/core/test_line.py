"""The line: batches by load, in order, and nobody left behind whatever becomes of a leader."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from core.clock import Deadline
from core.purchase.decide import Outcome, PurchaseRequest, Refused
from core.purchase.line import Line
from core.refusals import SOLD_OUT, Busy, Refusal, Unavailable

PATIENCE = 10  # seconds after which a test gives up
Outcomes = list[Outcome | None]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(60) as pool:
        yield pool


def until(condition: Callable[[], bool]) -> None:
    deadline = Deadline(PATIENCE)
    while not condition():
        assert not deadline.passed, "it never came about"
        time.sleep(0.001)


class Till:
    """Serves batches, once it is open; remembers them, and how many were served at once."""

    def __init__(self, leaders: int = 1, batch_max: int = 100, inside_max: int = 1000, grace: float = PATIENCE) -> None:
        self.open = threading.Event()
        self.batches: list[list[str]] = []
        self.busiest = 0
        self.answer: Callable[[Sequence[PurchaseRequest]], Outcomes] = lambda requests: [told(r) for r in requests]
        self._at_work = 0
        self._lock = threading.Lock()
        self.line = Line(self._serve, lambda goods_id: leaders, batch_max, inside_max, grace)

    def _serve(self, requests: Sequence[PurchaseRequest], deadline: Deadline) -> Outcomes:
        with self._lock:
            self.batches.append([request.user_id for request in requests])
            self._at_work += 1
            self.busiest = max(self.busiest, self._at_work)
        try:
            assert self.open.wait(PATIENCE)
            return self.answer(requests)
        finally:
            with self._lock:
                self._at_work -= 1

    def buy(self, user: str, goods_id: int = 1, seconds: float = PATIENCE) -> Outcome:
        return self.line.buy(PurchaseRequest(goods_id, user), Deadline(seconds))

    def waiting(self, goods_id: int = 1) -> int:
        queue = self.line._queues.get(goods_id)
        return len(queue.waiting) if queue else 0

    def fill(self, threads: ThreadPoolExecutor, users: Sequence[str]) -> list[Future]:
        """The first of `users` is being served, the others wait in this order."""
        buyers = []
        for number, user in enumerate(users):
            buyers.append(threads.submit(self.buy, user))
            until(lambda n=number: bool(self.batches) and self.waiting() == n)
        return buyers


def told(request: PurchaseRequest) -> Refused:
    """An outcome that tells whose it is."""
    return Refused(Refusal(SOLD_OUT, user=request.user_id))


def whose(buyer: Future) -> str:
    return buyer.result(PATIENCE).refusal.details["user"]


def test_who_waits_meanwhile_is_the_next_batch_and_each_has_an_outcome_of_their_own(
    threads: ThreadPoolExecutor,
) -> None:
    till = Till()
    buyers = till.fill(threads, "abcdef")
    till.open.set()
    assert [whose(buyer) for buyer in buyers] == list("abcdef")
    assert till.batches == [["a"], list("bcdef")]
    assert not till.line._queues


def test_a_batch_is_no_larger_than_allowed_and_in_the_order_of_arrival(threads: ThreadPoolExecutor) -> None:
    till = Till(batch_max=2)
    buyers = till.fill(threads, "abcdef")
    till.open.set()
    assert [whose(buyer) for buyer in buyers] == list("abcdef")
    assert till.batches == [["a"], ["b", "c"], ["d", "e"], ["f"]]


def test_no_more_lead_for_an_item_than_allowed(threads: ThreadPoolExecutor) -> None:
    till = Till(leaders=3, batch_max=1)
    till.answer = lambda requests: time.sleep(0.002) or [told(r) for r in requests]
    till.open.set()
    for buyer in [threads.submit(till.buy, str(n)) for n in range(60)]:
        buyer.result(PATIENCE)
    assert till.busiest == 3
    assert not till.line._queues


def test_items_do_not_wait_for_each_other(threads: ThreadPoolExecutor) -> None:
    till = Till()
    first = threads.submit(till.buy, "a", 1)
    second = threads.submit(till.buy, "b", 2)
    until(lambda: len(till.batches) == 2)
    till.open.set()
    assert {whose(first), whose(second)} == {"a", "b"}


def test_who_waits_past_the_deadline_is_told_busy_and_leaves_no_trace(threads: ThreadPoolExecutor) -> None:
    till = Till()
    holder = till.fill(threads, "a")
    with pytest.raises(Busy):
        till.buy("late", seconds=0.05)
    till.open.set()
    assert whose(holder[0]) == "a"
    assert till.batches == [["a"]]
    assert not till.line._queues
    assert till.line._inside == 0


def test_who_is_in_a_batch_that_has_begun_is_not_told_busy_at_their_deadline(threads: ThreadPoolExecutor) -> None:
    till = Till()
    first = till.fill(threads, "a")
    follower = threads.submit(till.buy, "b", 1, 0.3)
    until(lambda: till.waiting() == 1)
    till.answer = lambda requests: (
        (time.sleep(0.5) if requests[0].user_id == "b" else None) or [told(r) for r in requests]
    )
    till.open.set()
    assert whose(first[0]) == "a"
    assert whose(follower) == "b"


def test_without_a_slot_the_batch_is_tried_again_with_those_who_came_meanwhile(threads: ThreadPoolExecutor) -> None:
    till = Till()
    tries = iter([None, None])
    till.answer = lambda requests: [None] * len(requests) if next(tries, "had") is None else [told(r) for r in requests]
    buyers = till.fill(threads, "abc")
    till.open.set()
    assert [whose(buyer) for buyer in buyers] == list("abc")
    assert till.batches[0] == ["a"]
    assert till.batches[-1] == list("abc")


def test_a_leader_at_its_deadline_leaves_those_with_time_to_the_next(threads: ThreadPoolExecutor) -> None:
    till = Till()
    free = threading.Event()
    till.answer = lambda requests: [told(r) for r in requests] if free.is_set() else [None] * len(requests)
    till.open.set()
    leader = threads.submit(till.buy, "leader", 1, 0.2)
    until(lambda: bool(till.batches))
    follower = threads.submit(till.buy, "follower")
    with pytest.raises(Busy):
        leader.result(PATIENCE)
    free.set()
    assert whose(follower) == "follower"
    assert not till.line._queues


@pytest.mark.parametrize("refusal", [Unavailable, Busy])
def test_a_refusal_of_the_whole_batch_reaches_each_of_it_and_the_next_is_served(
    threads: ThreadPoolExecutor, refusal: type[Refusal]
) -> None:
    till = Till(batch_max=3)

    def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
        if requests[0].user_id == "b":
            raise refusal()
        return [told(r) for r in requests]

    till.answer = answer
    buyers = till.fill(threads, "abcde")
    till.open.set()
    assert whose(buyers[0]) == "a"
    for buyer in buyers[1:4]:
        with pytest.raises(refusal):
            buyer.result(PATIENCE)
    assert whose(buyers[4]) == "e"


def test_one_bad_request_spoils_no_other(threads: ThreadPoolExecutor) -> None:
    till = Till()

    def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
        if any(request.user_id == "d" for request in requests):
            raise ValueError("d")
        return [told(r) for r in requests]

    till.answer = answer
    buyers = till.fill(threads, "abcdefgh")
    till.open.set()
    with pytest.raises(ValueError, match="d"):
        buyers[3].result(PATIENCE)
    assert [whose(buyer) for buyer in buyers if buyer is not buyers[3]] == list("abcefgh")
    assert not till.line._queues


def test_the_end_of_a_leader_s_thread_strands_nobody(threads: ThreadPoolExecutor) -> None:
    till = Till(batch_max=2)

    def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
        if requests[0].user_id == "b":
            raise SystemExit
        return [told(r) for r in requests]

    till.answer = answer
    buyers = till.fill(threads, "abcde")
    till.open.set()
    assert whose(buyers[0]) == "a"
    with pytest.raises(SystemExit):
        buyers[1].result(PATIENCE)
    with pytest.raises(Unavailable):  # nobody knows how far the transaction came
        buyers[2].result(PATIENCE)
    assert [whose(buyer) for buyer in buyers[3:]] == ["d", "e"]
    assert not till.line._queues


def test_who_gave_up_on_a_batch_is_never_asked_to_lead(threads: ThreadPoolExecutor) -> None:
    till = Till(grace=0.1)
    till.open.set()
    began, leave = threading.Event(), threading.Event()

    def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
        if len(requests) == 1 and not began.is_set():
            return [None]  # the leader waits for a slot until somebody has joined it
        if requests[0].user_id == "leader" and not leave.is_set():
            began.set()
            leave.wait(PATIENCE)
            return [None] * len(requests)
        return [told(r) for r in requests]

    till.answer = answer
    leader = threads.submit(till.buy, "leader")
    until(lambda: bool(till.batches))
    given_up = threads.submit(till.buy, "b", 1, 0.2)
    assert began.wait(PATIENCE)
    with pytest.raises(Unavailable):
        given_up.result(PATIENCE)
    leave.set()
    assert whose(leader) == "leader"
    assert whose(threads.submit(till.buy, "d")) == "d"
    assert not till.line._queues


def test_who_is_put_back_and_late_is_told_busy_and_the_line_goes_on(threads: ThreadPoolExecutor) -> None:
    till = Till()
    free = threading.Event()
    till.answer = lambda requests: [told(r) for r in requests] if free.is_set() else [None] * len(requests)
    till.open.set()
    buyers = [threads.submit(till.buy, str(n), 1, 0.1 + n * 0.1) for n in range(5)]
    for buyer in buyers:
        with pytest.raises(Busy):
            buyer.result(PATIENCE)
    free.set()
    assert whose(threads.submit(till.buy, "next")) == "next"
    assert not till.line._queues
    assert till.line._inside == 0


def test_a_failure_of_everything_is_told_within_the_deadline(threads: ThreadPoolExecutor) -> None:
    till = Till()

    def answer(requests: Sequence[PurchaseRequest]) -> Outcomes:
        time.sleep(0.05)
        raise ValueError("all of them")

    till.answer = answer
    first = threads.submit(till.buy, "a", 1, 0.5)
    until(lambda: bool(till.batches))
    others = [threads.submit(till.buy, str(n), 1, 0.5) for n in range(50)]
    until(lambda: till.waiting() == 50)
    began = time.monotonic()
    till.open.set()
    for buyer in [first, *others]:
        with pytest.raises((ValueError, Busy)):
            buyer.result(PATIENCE)
    assert time.monotonic() - began < PATIENCE / 2


def test_a_line_that_moves_slowly_turns_nobody_away(threads: ThreadPoolExecutor) -> None:
    till = Till(batch_max=2, inside_max=1)
    till.answer = lambda requests: time.sleep(0.1) or [told(r) for r in requests]
    till.open.set()
    for buyer in [threads.submit(till.buy, str(n)) for n in range(40)]:  # two seconds' work
        buyer.result(PATIENCE)


def test_who_came_first_is_served_first_when_more_may_lead(threads: ThreadPoolExecutor) -> None:
    leaders = [1]
    till = Till()
    till.line._leaders_of = lambda goods_id: leaders[0]
    waiting = till.fill(threads, "ab")
    leaders[0] = 2
    newcomer = threads.submit(till.buy, "c")
    until(lambda: len(till.batches) == 2)
    assert till.batches[1][0] == "b"
    till.open.set()
    assert [whose(buyer) for buyer in [*waiting, newcomer]] == list("abc")


def test_while_a_sale_is_stuck_only_so_many_wait_and_others_are_told_at_once(threads: ThreadPoolExecutor) -> None:
    till = Till(inside_max=3)
    patient = till.fill(threads, "abc")
    time.sleep(1.1)  # longer than a line may stand still before it counts as stuck
    began = time.monotonic()
    with pytest.raises(Busy):
        till.buy("d")
    assert time.monotonic() - began < PATIENCE / 2
    other = threads.submit(till.buy, "e", 2)
    until(lambda: ["e"] in till.batches)  # another item is open
    till.open.set()
    assert [whose(buyer) for buyer in [*patient, other]] == list("abce")


def test_a_burst_that_is_being_served_is_not_turned_away(threads: ThreadPoolExecutor) -> None:
    till = Till(batch_max=1, inside_max=1)
    till.answer = lambda requests: time.sleep(0.002) or [told(r) for r in requests]
    till.open.set()
    for buyer in [threads.submit(till.buy, str(n)) for n in range(40)]:
        buyer.result(PATIENCE)
