"""What became of everything that a run of people tried, and how long each step took them."""

import statistics
from collections import Counter
from dataclasses import dataclass, field

ACCEPTED = "accepted"
REPLAYED = "replayed"
FAILED = "failed"
# Nothing is decided yet: the buyer comes again later.
LIMITED = "rate_limited"
COME_BACK = ("busy", "unavailable", LIMITED)


def outcome(status: int, code: str | None, replayed: bool) -> str:
    """The outcome of a purchase: accepted, replayed, a refusal's code, or failed for what should never be answered."""
    if status == 201:
        return REPLAYED if replayed else ACCEPTED
    refused = status in (409, 503) or (status == 429 and code is not None)
    return code if refused and code else FAILED


@dataclass
class RunCounts:
    """Counts and latencies of one run."""

    outcomes: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    latencies: dict[str, list[float]] = field(default_factory=dict)
    complaints: Counter[str] = field(default_factory=Counter)
    limited: int = 0

    def time(self, step: str, milliseconds: float) -> None:
        self.latencies.setdefault(step, []).append(milliseconds)

    def complain(self, what: str) -> None:
        """Note what should not have been."""
        self.complaints[what] += 1

    def verdict(self, stock: int, sold: int) -> list[str]:
        """What is wrong, given the `stock` put up and the units `sold` in the end; empty if all adds up.

        More may be sold than were accepted: an answer can be lost, and its buyer can have given up.
        """
        wrong = [f"{what}: {count} times" for what, count in self.complaints.items()]
        if sold > stock:
            wrong.append(f"oversold: {sold} of {stock}")
        if self.outcomes[ACCEPTED] > sold:
            wrong.append(f"orders lost: {self.outcomes[ACCEPTED]} were accepted, {sold} are sold")
        return wrong

    def summary(self, stock: int, sold: int) -> str:
        """All of it, for people to read."""
        lines = ["", f"{'step':10}{'requests':>10}{'p50 ms':>10}{'p95 ms':>10}{'p99 ms':>10}"]
        for step, times in self.latencies.items():
            cuts = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
            lines.append(f"{step:10}{len(times):10}{cuts[49]:10.1f}{cuts[94]:10.1f}{cuts[98]:10.1f}")
        lines += ["", "purchase requests by outcome"]
        lines += [f"{count:10}  {name}" for name, count in self._ordered(self.outcomes)]
        if self.ended:
            lines += ["", "people, by how it ended for them"]
            lines += [f"{count:10}  {name}" for name, count in self._ordered(self.ended)]
        if self.limited:
            lines += ["", f"{self.limited} requests met the limits on callers, who all have one address here."]
            lines += ["For a load test start the service with SECKILL_RATE_LIMITS=off."]
        lines += ["", f"sold {sold} of {stock}, {self.outcomes[ACCEPTED]} accepted"]
        lines += [f"WRONG  {what}" for what in self.verdict(stock, sold)] or ["all adds up"]
        return "\n".join(lines)

    @staticmethod
    def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
        first = (ACCEPTED, REPLAYED)
        return sorted(counts.items(), key=lambda item: (item[0] not in first, item[0] == FAILED, item[0]))
