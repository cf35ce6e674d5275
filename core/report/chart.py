"""The columns of a report's charts: as many intervals as an eye can tell apart."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from core.db.clock import EPOCH, iso
from core.report.course import Course
from core.report.demand import Demand

_INTERVALS = 240
_LENGTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 10_800, 21_600, 86_400)  # seconds
# What is left out at the end: few who come long after the rush would press the rush into one column.
_TAIL = 0.005


def chart(course: Course, demand: Demand) -> dict[str, Any]:
    """Orders, stock, requests and refusals, from the first order or request to when nearly all have come."""
    requests_by_second = {second: sum(outcomes.values()) for second, outcomes in demand.by_second.items()}
    weights = Counter(requests_by_second)
    weights.update(course.orders_by_second)
    if not weights:
        nothing: dict[str, list[int]] = {"orders": [], "stock": [], "requests": []}
        return {"from": None, "seconds": 1.0, **nothing, "refusals": {}, "failures": {}}
    first, last = min(weights), _end(weights)
    length = next((each for each in _LENGTHS if (last - first) // each < _INTERVALS), None)
    length = length or -(-(last - first + 1) // _INTERVALS)
    first -= first % length
    count = (last - first) // length + 1

    def column(values: Mapping[int, int]) -> list[int]:
        sums = [0] * count
        for second, value in values.items():
            if first <= second <= last:
                sums[(second - first) // length] += value
        return sums

    def of_code(code: str) -> dict[int, int]:
        return {second: outcomes[code] for second, outcomes in demand.by_second.items()}

    return {
        "from": iso(EPOCH + timedelta(seconds=first)),
        "seconds": float(length),
        "orders": column(course.orders_by_second),
        "stock": _stock(course.stock_by_second, first, length, count),
        "requests": column(requests_by_second),
        "refusals": {code: column(of_code(code)) for code in demand.refusals},
        "failures": {code: column(of_code(code)) for code in demand.failures},
    }


def _end(weights: Mapping[int, int]) -> int:
    """The second by which all but _TAIL have come."""
    enough, seen = sum(weights.values()) * (1 - _TAIL), 0
    for second in sorted(weights):
        seen += weights[second]
        if seen >= enough:
            return second
    return max(weights)


def _stock(by_second: Mapping[int, int], first: int, length: int, count: int) -> list[int]:
    """What was left at the end of each interval."""
    seconds = sorted(by_second)
    column, place, left = [], 0, 0
    for number in range(count):
        end = first + (number + 1) * length
        while place < len(seconds) and seconds[place] < end:
            left = by_second[seconds[place]]
            place += 1
        column.append(left)
    return column
