"""Turns: a few inside, the rest in line, and nobody left behind."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from core.clock import Deadline
from core.purchase.turns import Turns
from core.refusals import Busy

PATIENCE = 10  # seconds after which a test gives up


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as pool:
        yield pool


def until(condition: Callable[[], bool]) -> None:
    deadline = Deadline(PATIENCE)
    while not condition():
        assert not deadline.passed, "it never came about"
        time.sleep(0.001)


def waiting(turns: Turns, goods_id: int = 1) -> int:
    queue = turns._queues.get(goods_id)
    return len(queue.waiting) if queue else 0


def test_no_more_than_the_width_are_inside_at_once(threads: ThreadPoolExecutor) -> None:
    turns, lock, inside, most = Turns(lambda _: 3, 1000), threading.Lock(), 0, 0

    def visit() -> None:
        nonlocal inside, most
        with turns.turn(1, Deadline(PATIENCE)):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.002)
            with lock:
                inside -= 1

    for visitor in [threads.submit(visit) for _ in range(60)]:
        visitor.result(PATIENCE)
    assert most == 3


def test_who_came_first_is_served_first(threads: ThreadPoolExecutor) -> None:
    turns, served = Turns(lambda _: 1, 1000), []

    def visit(number: int) -> None:
        with turns.turn(1, Deadline(PATIENCE)):
            served.append(number)

    visitors: list[Future] = []
    with turns.turn(1, Deadline(PATIENCE)):
        for number in range(10):
            visitors.append(threads.submit(visit, number))
            until(lambda expected=number + 1: waiting(turns) == expected)
    for visitor in visitors:
        visitor.result(PATIENCE)
    assert served == list(range(10))


def test_who_waits_past_the_deadline_is_told_busy() -> None:
    turns = Turns(lambda _: 1, 1000)
    with turns.turn(1, Deadline(PATIENCE)):
        began = time.monotonic()
        with pytest.raises(Busy), turns.turn(1, Deadline(0.05)):
            raise AssertionError("let in")
        assert 0.04 < time.monotonic() - began < 2


def test_a_time_out_leaves_no_trace(threads: ThreadPoolExecutor) -> None:
    turns = Turns(lambda _: 1, 1000)

    def give_up() -> None:
        with pytest.raises(Busy), turns.turn(1, Deadline(0.01)):
            raise AssertionError("let in")

    with turns.turn(1, Deadline(PATIENCE)):
        for visitor in [threads.submit(give_up) for _ in range(20)]:
            visitor.result(PATIENCE)
        assert waiting(turns) == 0
    with turns.turn(1, Deadline(0)):
        pass
    assert turns._queues == {}


def test_turns_that_end_as_others_give_up_are_never_lost(threads: ThreadPoolExecutor) -> None:
    turns, entered, refused, lock = Turns(lambda _: 2, 1000), 0, 0, threading.Lock()

    def visit(number: int) -> None:
        nonlocal entered, refused
        try:
            # About as long as a turn lasts: some are called in the very moment in which they give up.
            with turns.turn(1, Deadline(0.001 * (number % 7))):
                time.sleep(0.001)
            with lock:
                entered += 1
        except Busy:
            with lock:
                refused += 1

    for visitor in [threads.submit(visit, number) for number in range(600)]:
        visitor.result(PATIENCE)
    assert entered + refused == 600
    assert entered
    assert refused
    assert turns._queues == {}
    with turns.turn(1, Deadline(0)), turns.turn(1, Deadline(0)):
        pass


def test_an_error_inside_gives_the_turn_back() -> None:
    turns = Turns(lambda _: 1, 1000)
    with pytest.raises(ZeroDivisionError), turns.turn(1, Deadline(0)):
        raise ZeroDivisionError
    with turns.turn(1, Deadline(0)):
        pass


def test_the_items_queue_apart() -> None:
    turns = Turns(lambda _: 1, 1000)
    with turns.turn(1, Deadline(0)), turns.turn(2, Deadline(0)):
        pass


def test_a_queue_is_forgotten_when_nobody_stands_in_it() -> None:
    turns = Turns(lambda _: 1, 1000)
    for goods_id in range(1000):
        with turns.turn(goods_id, Deadline(0)):
            pass
    assert turns._queues == {}


def test_a_width_that_grows_lets_those_in_line_in(threads: ThreadPoolExecutor) -> None:
    width = 1
    turns, inside, leave = Turns(lambda _: width, 1000), threading.Semaphore(0), threading.Event()

    def visit() -> None:
        with turns.turn(1, Deadline(PATIENCE)):
            inside.release()
            leave.wait(PATIENCE)

    with turns.turn(1, Deadline(PATIENCE)):
        visitors = [threads.submit(visit) for _ in range(3)]
        until(lambda: waiting(turns) == 3)
        width = 3
    for _ in range(3):
        assert inside.acquire(timeout=PATIENCE)
    leave.set()
    for visitor in visitors:
        visitor.result(PATIENCE)


def test_while_a_sale_is_stuck_only_so_many_wait_and_others_are_told_at_once(threads: ThreadPoolExecutor) -> None:
    turns, leave = Turns(lambda _: 1, 2), threading.Event()

    def hold() -> None:
        with turns.turn(1, Deadline(PATIENCE)):
            leave.wait(PATIENCE)

    def visit(goods_id: int) -> None:
        with turns.turn(goods_id, Deadline(PATIENCE)):
            pass

    holder = threads.submit(hold)
    until(lambda: bool(turns._queues) and turns._queues[1].inside == 1)
    patient = [threads.submit(visit, 1) for _ in range(2)]
    until(lambda: waiting(turns) == 2)
    time.sleep(1.6)  # longer than a queue may stand still before it counts as stuck
    began = time.monotonic()
    with pytest.raises(Busy):
        visit(1)
    assert time.monotonic() - began < PATIENCE / 2
    visit(2)  # another item is open
    leave.set()
    for visitor in [holder, *patient]:
        visitor.result(PATIENCE)
    assert not turns._queues


def test_a_burst_that_is_being_served_is_not_turned_away(threads: ThreadPoolExecutor) -> None:
    turns = Turns(lambda _: 1, 1)

    def visit() -> None:
        with turns.turn(1, Deadline(PATIENCE)):
            time.sleep(0.002)

    for visitor in [threads.submit(visit) for _ in range(40)]:
        visitor.result(PATIENCE)
