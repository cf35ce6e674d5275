"""Kendall's tau, against its definition."""

import itertools
import random

import pytest

from core.report.order_of_service import agreement


def by_definition(arrivals: list[int]) -> tuple[float, float]:
    pairs = list(itertools.combinations(arrivals, 2))
    agreeing, reversed_pairs = sum(a < b for a, b in pairs), sum(a > b for a, b in pairs)
    compared = agreeing + reversed_pairs
    return (agreeing - reversed_pairs) / (compared * len(pairs)) ** 0.5, agreeing / compared


@pytest.mark.parametrize("seed", range(20))
def test_it_is_what_its_definition_says(seed: int) -> None:
    chance = random.Random(seed)
    arrivals = [chance.randrange(40) for _ in range(chance.randrange(2, 60))] + [100]
    tau, in_order = by_definition(arrivals)
    found = agreement(arrivals)
    assert (found.sample, found.tau, found.in_order) == (len(arrivals), round(tau, 4), round(in_order, 4))


def test_the_same_order_is_one_and_the_reverse_is_minus_one() -> None:
    assert agreement(range(1000))[1:] == (1.0, 1.0)
    assert agreement(range(1000, 0, -1))[1:] == (-1.0, 0.0)


def test_where_there_is_no_pair_nothing_is_said() -> None:
    assert [agreement(values)[1:] for values in ([], [1], [1, 1])] == [(None, None)] * 3
