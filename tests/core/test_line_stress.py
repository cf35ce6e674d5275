"""The line under everything at once: many threads, several items, and a till that answers as luck would have it."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from core.purchase.decide import PurchaseRequest, Refused
from core.purchase.line import Line
from core.refusals import Busy, Unavailable
from tests.core.line_till import THREADS, Outcomes, Till, told, way  # noqa: F401

SECONDS = 3.0
ITEMS = 6
GRACE = 0.15
CULPRIT = "!"  # whose batch fails
LATE = 0.02  # how much sooner than asked for a sleep may end


class Luck:
    """Answers batches at random, and remembers what was really done."""

    def __init__(self, till: Till, seed: int) -> None:
        self._till = till
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.bought: Counter[str] = Counter()
        self.unknown: set[str] = set()

    def answer(self, requests: Sequence[PurchaseRequest]) -> Outcomes:
        users = [request.user_id for request in requests]
        with self._lock:
            fate, share = self._random.random(), self._random.random()
            slow = self._random.choice([0] * 10 + [0.001] * 10 + [0.01, 0.05, 0.2, 0.4])
            without = {item for item in range(ITEMS) if self._random.random() < 0.1}
        time.sleep(slow)
        with self._lock:
            if fate < 0.06:
                raise Busy
            if any(CULPRIT in user for user in users):
                raise ValueError
            if fate < 0.10:
                self.unknown.update(users)
                if share < 0.5:
                    self.bought.update(users)
                if share < 0.1:
                    # Whoever leads is told the same, also where they are in line themselves and not in this batch.
                    with self._till.line._lock:
                        self.unknown.update(place.request.user_id for place in self._till.line._leaders)
                    raise SystemExit
                raise Unavailable
            served = [request.goods_id not in without for request in requests]
            self.bought.update(user for user, was_served in zip(users, served, strict=True) if was_served)
        return [told(request) if was_served else None for request, was_served in zip(requests, served, strict=True)]


def each_is_told_the_truth_once(rule: type[Line], seed: int) -> Counter[str]:
    with Till(batch_max=8, inside_max=THREADS // 2, leaders_max=3, slow=0.2, grace=GRACE, rule=rule) as till:
        luck = Luck(till, seed)
        till.answer = luck.answer
        ends = time.monotonic() + SECONDS
        answers: Counter[str] = Counter()

        def keep_buying(thread: int) -> None:
            own = random.Random(seed * 1000 + thread)
            count = 0
            while time.monotonic() < ends:
                count += 1
                user = f"<{thread}-{count}{CULPRIT if own.random() < 0.05 else ''}>"
                seconds = own.choice([0.01, 0.1, 0.3, 1.0])
                began = time.monotonic()
                try:
                    outcome = till.buy(user, min(own.randrange(ITEMS), own.randrange(ITEMS)), seconds)
                except Busy:
                    assert not luck.bought[user], "told busy, and bought"
                    answers["busy"] += 1
                    # It may not be bought for later either.
                    told_busy.append(user)
                except SystemExit:
                    answers["ended"] += 1
                except Unavailable:
                    waited = time.monotonic() - began
                    assert user in luck.unknown or waited >= seconds + GRACE - LATE or ended_beside(user)
                    answers["unavailable"] += 1
                except ValueError:
                    assert CULPRIT in user
                    answers["failed"] += 1
                else:
                    assert isinstance(outcome, Refused)
                    assert outcome.refusal.details["user"] == user
                    assert luck.bought[user] == 1
                    answers["bought"] += 1
                time.sleep(own.choice([0, 0, 0.002]))

        def ended_beside(user: str) -> bool:
            """Whether the leader's thread was ended in another part of the same batch."""
            return any(user in batch and any(other in batch for other in luck.unknown) for batch in till.batches)

        told_busy: list[str] = []
        for buyer in [till._threads.submit(keep_buying, thread) for thread in range(THREADS)]:
            buyer.result(SECONDS + 30)
        assert not [user for user in told_busy if luck.bought[user]], "told busy, and bought later"
        assert max(luck.bought.values()) == 1, "bought twice"
    return answers


@pytest.mark.parametrize("seed", [1, 2])
def test_everybody_is_told_the_truth_once_and_nothing_is_left_behind(seed: int) -> None:
    answers = each_is_told_the_truth_once(Line, seed)
    assert min(answers[kind] for kind in ("bought", "busy", "unavailable", "failed")) > 0, answers


class Hasty(Line):
    """Tells `busy` at the deadline to those too who are in a batch that has begun."""

    def _patience(self, place):  # type: ignore[no-untyped-def]
        if place.taken_by is not None and not place.settled and place.deadline.passed:
            self._settle(place, error=Busy())
        return super()._patience(place)


def test_with_busy_for_who_is_in_hand_it_is_a_lie() -> None:
    with pytest.raises(AssertionError, match="told busy, and bought"):
        each_is_told_the_truth_once(Hasty, 1)
