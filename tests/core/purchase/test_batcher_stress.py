"""The batcher under everything at once: many threads, several items, and batches that end as luck would have it."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from core.purchase.decide import PurchaseRequest, Refused
from core.purchase.queue import PurchaseQueue
from core.refusals import Busy, Unavailable
from tests.core.purchase.fake_settler import PATIENCE, FakeSettler, Outcomes, outcome_of
from tests.core.purchase.test_batcher_deadlines import Hasty

SECONDS = 3.0
THREADS = 64
ITEMS = 6
GRACE = 0.15
CULPRIT = "!"  # whose batch fails
LATE = 0.02  # how much sooner than asked for a sleep may end
KINDS = ("bought", "busy", "unavailable", "failed")


class Luck:
    """Settles batches at random, and remembers what was really done."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.bought: Counter[str] = Counter()
        self.unknown: set[str] = set()

    def known_to_be_unknown(self) -> set[str]:
        with self._lock:
            return set(self.unknown)

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
                raise SystemExit if share < 0.1 else Unavailable
            served = [request.goods_id not in without for request in requests]
            self.bought.update(user for user, was_served in zip(users, served, strict=True) if was_served)
        return [
            outcome_of(request) if was_served else None for request, was_served in zip(requests, served, strict=True)
        ]


def each_gets_one_true_outcome(queue: type[PurchaseQueue], seed: int) -> Counter[str]:
    with FakeSettler(
        batch_max=8, queue_max=THREADS // 2, workers=3, slow=0.2, grace=GRACE, queue=queue, clock=time.monotonic
    ) as settler:
        luck = Luck(seed)
        settler.answer = luck.answer
        settler.joined_items = set(range(ITEMS))
        ends = time.monotonic() + SECONDS
        answers: Counter[str] = Counter()
        busy_users: list[str] = []
        wrong: list[BaseException] = []

        def goes_on() -> bool:
            """For the time, and until there was an answer of each kind: all may stand still for most of it."""
            now = time.monotonic()
            return now < ends or (now < ends + PATIENCE and not wrong and not all(answers[kind] for kind in KINDS))

        def keep_buying(thread: int) -> None:
            own = random.Random(seed * 1000 + thread)
            count = 0
            while goes_on():
                count += 1
                user = f"<{thread}-{count}{CULPRIT if own.random() < 0.05 else ''}>"
                seconds = own.choice([0.01, 0.1, 0.3, 1.0])
                began = time.monotonic()
                future = settler.submit(user, min(own.randrange(ITEMS), own.randrange(ITEMS)), seconds)
                try:
                    outcome = future.result(PATIENCE)
                except Busy:
                    assert not luck.bought[user], "told busy, and bought"
                    answers["busy"] += 1
                    busy_users.append(user)  # it may not be bought later either
                except Unavailable:
                    waited = time.monotonic() - began
                    assert user in luck.unknown or waited >= seconds + GRACE - LATE or failed_beside(user)
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

        def failed_beside(user: str) -> bool:
            """Whether the worker died in another part of the same batch."""
            unknown = luck.known_to_be_unknown()
            return any(user in batch and any(other in batch for other in unknown) for batch in list(settler.batches))

        def run(thread: int) -> None:
            try:
                keep_buying(thread)
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS + 2 * PATIENCE)
        if wrong:
            raise wrong[0]
        assert not [user for user in busy_users if luck.bought[user]], "told busy, and bought later"
        assert max(luck.bought.values()) == 1, "bought twice"
    return answers


@pytest.mark.parametrize("seed", [1, 2])
def test_every_request_is_told_the_truth_once_and_nothing_is_left_behind(seed: int) -> None:
    answers = each_gets_one_true_outcome(PurchaseQueue, seed)
    assert min(answers[kind] for kind in KINDS) > 0, answers


def test_with_busy_for_requests_in_running_batches_it_is_a_lie() -> None:
    def each_of_several_times() -> None:
        for seed in range(1, 6):  # luck alone decides whether a batch ends after a deadline
            each_gets_one_true_outcome(Hasty, seed)

    with pytest.raises(AssertionError, match="told busy, and bought"):
        each_of_several_times()
