"""What one worker counted of one item within one second, and what several of them add up to."""

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core import refusals as codes

PLACED = "placed"
REPLAYED = "replayed"
# What a purchase ends with when nothing was decided about it.
FAILURES = frozenset({codes.BUSY, codes.UNAVAILABLE, codes.INTERNAL_ERROR})
# Orders of which a worker keeps the arrival, for each item and second.
SAMPLE = 8
# Waits are counted in buckets, each 2^(1/4) as wide as the one below: a quantile is exact to 9 %.
_BUCKETS_PER_DOUBLING = 4
_LOWEST_MS = 0.125
_BUCKETS = 80  # the last one begins at two minutes


_ENDS = [_LOWEST_MS / 1000 * 2 ** ((bucket + 1) / _BUCKETS_PER_DOUBLING) for bucket in range(_BUCKETS)]  # in seconds


def bucket_of(seconds: float) -> int:
    """The bucket that a wait is counted in."""
    return bisect_right(_ENDS, seconds)


def milliseconds_of(bucket: int, place: float = 0.5) -> float:
    """A wait within a bucket: its lower bound at 0, its upper bound at 1."""
    return round(float(_LOWEST_MS * 2 ** ((bucket + place) / _BUCKETS_PER_DOUBLING)), 1)


def quantile(waits: Mapping[int, int], share: float) -> float | None:
    """The wait in milliseconds that `share` of those counted did not exceed; None where none was counted."""
    total = sum(waits.values())
    if not total:
        return None
    rank, passed = share * total, 0
    for bucket in sorted(waits):
        passed += waits[bucket]
        if passed >= rank:
            return milliseconds_of(bucket)
    return milliseconds_of(max(waits))


def longest(waits: Mapping[int, int]) -> float | None:
    """The upper bound of the longest wait, in milliseconds; None where none was counted."""
    return milliseconds_of(max(waits), 1) if waits else None


@dataclass(slots=True)
class Tally:
    """Figures of an item; those of item 0 are of no item, or of the whole worker."""

    outcomes: Counter[str] = field(default_factory=Counter)  # `placed`, `replayed` or a code
    waits: Counter[int] = field(default_factory=Counter)  # by bucket, of those that were queued
    waiting: int = 0  # purchases without an outcome, when last looked at
    transactions: int = 0  # purchase transactions open, when last looked at
    batches: int = 0  # with purchases of the item; those of item 0 are all batches of the worker
    batched: int = 0  # purchases of the item in them
    stock: int | None = None
    arrivals: list[tuple[str, int]] = field(default_factory=list)  # order number, milliseconds since 1970

    @property
    def purchases(self) -> int:
        return self.outcomes[PLACED]

    @property
    def moved(self) -> int:
        """Purchases about which something was decided."""
        return sum(count for code, count in self.outcomes.items() if code not in FAILURES)

    @property
    def wanted(self) -> bool:
        """Whether buyers came: some wait, or were turned away with nothing decided."""
        return self.waiting > 0 or any(code in FAILURES for code in self.outcomes)

    @property
    def active(self) -> bool:
        """Whether anything happened at all."""
        return bool(self.outcomes) or self.waiting > 0 or self.transactions > 0 or self.batches > 0

    def then(self, later: "Tally") -> None:
        """Add what the same worker counted later."""
        self._sum(later)
        self.waiting, self.transactions = later.waiting, later.transactions
        self.stock = self.stock if later.stock is None else later.stock
        if later.arrivals:
            every = self.arrivals + later.arrivals
            self.arrivals = every if len(every) <= SAMPLE else random.sample(every, SAMPLE)

    def beside(self, other: "Tally") -> None:
        """Add what another worker counted, or the same one of another item, at the same time."""
        self._sum(other)
        self.waiting += other.waiting
        self.transactions += other.transactions
        if other.stock is not None:
            self.stock = other.stock if self.stock is None else min(self.stock, other.stock)

    def copy(self) -> "Tally":
        """The same figures, which do not change when these do."""
        outcomes, waits, arrivals = Counter(self.outcomes), Counter(self.waits), list(self.arrivals)
        return replace(self, outcomes=outcomes, waits=waits, arrivals=arrivals)

    def _sum(self, other: "Tally") -> None:
        self.outcomes.update(other.outcomes)
        self.waits.update(other.waits)
        self.batches += other.batches
        self.batched += other.batched

    def packed(self, arrivals: bool = True) -> dict[str, Any]:
        """What JSON keeps of it; nothing of what is empty."""
        parts = {
            "o": dict(self.outcomes),
            "w": dict(self.waits),
            "q": self.waiting,
            "t": self.transactions,
            "b": self.batches,
            "n": self.batched,
            "a": self.arrivals if arrivals else [],
        }
        kept = {name: value for name, value in parts.items() if value}
        return kept if self.stock is None else kept | {"s": self.stock}

    @classmethod
    def unpacked(cls, parts: Mapping[str, Any]) -> "Tally":
        return cls(
            Counter(parts.get("o", {})),
            Counter({int(bucket): count for bucket, count in parts.get("w", {}).items()}),
            parts.get("q", 0),
            parts.get("t", 0),
            parts.get("b", 0),
            parts.get("n", 0),
            parts.get("s"),
            [(number, at) for number, at in parts.get("a", ())],
        )


def added_up(tallies: Iterable[Tally]) -> Tally:
    """The figures of several items or workers, of the same second."""
    total = Tally()
    for tally in tallies:
        total.beside(tally)
    return total
