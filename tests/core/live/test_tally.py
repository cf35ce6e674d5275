"""Figures of a second: counted, added up, written down and read again."""

import json
import math
import random

import pytest

from core.live.tally import SAMPLE, Tally, bucket_of, longest, milliseconds_of, quantile
from core.live.window import STALLED_SECONDS, stalled_since


@pytest.mark.parametrize("milliseconds", [0.0, 0.1, 0.2, 1, 7, 50, 333, 2999, 60_000])
def test_a_wait_is_within_its_bucket(milliseconds: float) -> None:
    bucket = bucket_of(milliseconds / 1000)
    assert milliseconds <= milliseconds_of(bucket, 1) + 0.06
    assert milliseconds_of(bucket, 0) <= max(milliseconds, 0.2) + 0.06


def test_quantiles_are_exact_to_nine_percent() -> None:
    chance = random.Random(1)
    waits = sorted(chance.lognormvariate(-4, 1) for _ in range(5000))
    tally = Tally()
    for wait in waits:
        tally.waits[bucket_of(wait)] += 1
    for share in (0.5, 0.9, 0.99):
        exact = waits[math.ceil(share * len(waits)) - 1] * 1000
        assert quantile(tally.waits, share) == pytest.approx(exact, rel=0.095)
    assert longest(tally.waits) >= waits[-1] * 1000 * 0.999
    assert quantile({}, 0.5) is None
    assert longest({}) is None


def full() -> Tally:
    tally = Tally(waiting=3, transactions=1, batches=2, batched=9, stock=0, arrivals=[("a", 17)])
    tally.outcomes.update(placed=4, sold_out=2)
    tally.waits[12] = 6
    return tally


def test_what_is_written_down_is_read_again() -> None:
    assert Tally.unpacked(json.loads(json.dumps(full().packed()))) == full()
    assert Tally().packed() == {}
    assert full().copy() == full()


def test_the_same_worker_goes_on_and_others_are_added() -> None:
    later = full()
    later.then(Tally(waiting=1))
    assert (later.waiting, later.transactions, later.stock) == (1, 0, 0)
    both = full()
    both.beside(full())
    assert (both.waiting, both.transactions, both.outcomes["placed"], both.stock) == (6, 2, 8, 0)


def test_a_sample_stays_small() -> None:
    tally = Tally()
    for number in range(10):
        tally.then(Tally(arrivals=[(f"{number}-{each}", each) for each in range(SAMPLE)]))
    assert len(tally.arrivals) == SAMPLE


class TestStalled:
    def tally(self, waiting: int = 0, **outcomes: int) -> Tally:
        made = Tally(waiting=waiting)
        made.outcomes.update(outcomes)
        return made

    def test_buyers_who_wait_while_nothing_is_decided(self) -> None:
        seconds = {10: [self.tally(placed=3, waiting=2)], 11: [self.tally(waiting=4)], 12: [self.tally(busy=2)]}
        assert stalled_since(seconds, 11 + STALLED_SECONDS) == 11
        assert stalled_since(seconds, 11 + STALLED_SECONDS - 0.1) is None

    def test_a_refusal_is_a_decision(self) -> None:
        seconds = {10: [self.tally(waiting=4)], 12: [self.tally(waiting=4), self.tally(sold_out=1)]}
        assert stalled_since(seconds, 14) is None

    def test_told_busy_they_come_again(self) -> None:
        assert stalled_since({second: [self.tally(busy=1)] for second in (10, 11, 12)}, 13) == 10

    def test_where_nobody_comes_any_more_nothing_is_stalled(self) -> None:
        assert stalled_since({10: [self.tally(waiting=4)]}, 15) is None
        assert stalled_since({}, 15) is None

    def test_one_worker_that_moves_is_enough(self) -> None:
        seconds = {second: [self.tally(waiting=4), self.tally(placed=1)] for second in (10, 11, 12)}
        assert stalled_since(seconds, 13) is None
