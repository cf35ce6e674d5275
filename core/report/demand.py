"""What the workers counted of an item, added up over its sale."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from core.live.board import Row
from core.live.tally import FAILURES, PLACED, REPLAYED

# Arrivals that are compared; of more, every so many.
_SAMPLE = 20_000


@dataclass
class Demand:
    """Requests for an item, by second and in all."""

    outcomes: Counter[str] = field(default_factory=Counter)
    waits: Counter[int] = field(default_factory=Counter)
    by_second: dict[int, Counter[str]] = field(default_factory=dict)
    arrivals: dict[str, int] = field(default_factory=dict)  # by order number, in milliseconds since 1970

    def add(self, rows: Iterable[Row]) -> "Demand":
        for row in rows:
            if not row.tally.outcomes:
                continue
            self.outcomes.update(row.tally.outcomes)
            self.waits.update(row.tally.waits)
            self.by_second.setdefault(row.second, Counter()).update(row.tally.outcomes)
            self.arrivals.update(row.tally.arrivals)
        return self

    @property
    def requests(self) -> int:
        return sum(self.outcomes.values())

    @property
    def purchases(self) -> int:
        return self.outcomes[PLACED]

    @property
    def replays(self) -> int:
        return self.outcomes[REPLAYED]

    @property
    def refusals(self) -> dict[str, int]:
        return {code: count for code, count in sorted(self.outcomes.items()) if is_refusal(code)}

    @property
    def failures(self) -> dict[str, int]:
        return {code: count for code, count in sorted(self.outcomes.items()) if code in FAILURES}

    def sample(self) -> dict[str, int]:
        """The arrivals that are compared with the order of service."""
        every = -(-len(self.arrivals) // _SAMPLE) or 1
        return dict(sorted(self.arrivals.items())[::every])


def is_refusal(code: str) -> bool:
    return code not in FAILURES and code not in (PLACED, REPLAYED)
