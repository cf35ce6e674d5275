"""Whether buyers were served in the order in which they came: Kendall's tau-b."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


class Agreement(NamedTuple):
    """`tau` is 1 for the same order, 0 for chance, -1 for the reverse; `in_order` the share of pairs in order.

    None where there is no pair to compare.
    """

    sample: int
    tau: float | None
    in_order: float | None


def agreement(arrivals: Sequence[int]) -> Agreement:
    """How the arrivals, given in the order of service, agree with it. Those at the same time agree with any order."""
    count = len(arrivals)
    pairs = count * (count - 1) // 2
    tied = sum(same * (same - 1) // 2 for same in Counter(arrivals).values())
    compared = pairs - tied
    if not compared:
        return Agreement(count, None, None)
    reversed_pairs = _inversions(list(arrivals))
    agreeing = compared - reversed_pairs
    tau = (agreeing - reversed_pairs) / (compared * pairs) ** 0.5
    return Agreement(count, round(tau, 4), round(agreeing / compared, 4))


def _inversions(values: list[int]) -> int:
    """How many pairs are in the reverse order. Sorts `values` (merge sort, from the bottom up)."""
    found, width = 0, 1
    while width < len(values):
        for begin in range(0, len(values), 2 * width):
            left, right = values[begin : begin + width], values[begin + width : begin + 2 * width]
            merged, taken, place = [], 0, 0
            while taken < len(left) and place < len(right):
                if right[place] < left[taken]:
                    found += len(left) - taken
                    merged.append(right[place])
                    place += 1
                else:
                    merged.append(left[taken])
                    taken += 1
            values[begin : begin + 2 * width] = merged + left[taken:] + right[place:]
        width *= 2
    return found
