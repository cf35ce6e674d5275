"""Figures of several rounds, set against each other within each round: absolute ones drift with the machine."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.measure import Run


@dataclass(frozen=True)
class Spread:
    """The middle of a few values, the least and the most."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread | None":
        known = [value for value in values if value is not None]
        return cls(statistics.median(known), min(known), max(known)) if known else None

    def shown(self, digits: int = 2) -> str:
        """`1.20 (1.10–1.30)`; a single value alone."""
        if self.low == self.high:
            return f"{self.median:,.{digits}f}"
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


class Runs:
    """All runs of a benchmark; a void one counts for nothing."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.all = runs
        self.valid = [run for run in runs if not run.void]
        self.rounds = sorted({run.round for run in runs})

    def scenarios(self) -> list[str]:
        """In the order in which they were first played."""
        return list(dict.fromkeys(run.scenario for run in self.all))

    def names(self, scenario: str) -> list[str]:
        """The trials of a scenario in the order of its first round."""
        return list(dict.fromkeys(run.name for run in self.all if run.scenario == scenario))

    def of(self, scenario: str, name: str) -> list[Run]:
        return [run for run in self.valid if (run.scenario, run.name) == (scenario, name)]

    def one(self, scenario: str, name: str, number: int) -> Run | None:
        return next((run for run in self.of(scenario, name) if run.round == number), None)

    def spread(self, scenario: str, name: str, figure: Callable[[Run], float | None]) -> Spread | None:
        return Spread.of(figure(run) for run in self.of(scenario, name))

    def ratios(self, over: tuple[str, str], under: tuple[str, str]) -> list[float]:
        """For each round in which both are valid: the rate of one over that of the other. Each is (scenario, name)."""
        found = []
        for number in self.rounds:
            one, other = self.one(*over, number), self.one(*under, number)
            if one is not None and other is not None and other.per_second:
                found.append(one.per_second / other.per_second)
        return found

    def peaks(self) -> list[tuple[Run, list[Run]]]:
        """For each round of the sweep: its best run, and the runs with more connections than that."""
        found = []
        for number in self.rounds:
            runs = [run for run in self.valid if run.scenario == "sweep" and run.round == number]
            if runs:
                best = max(runs, key=lambda run: run.per_second)
                found.append((best, [run for run in runs if run.connections > best.connections]))
        return found

    def peak_at(self, number: int) -> float | None:
        """The most that the sweep of a round has seen, in purchases a second."""
        return next((best.per_second for best, _ in self.peaks() if best.round == number), None)
