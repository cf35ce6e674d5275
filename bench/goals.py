"""What the service is meant to reach. Only reported: nothing fails for being slow."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.ratios import Runs, Spread


@dataclass(frozen=True)
class Goal:
    """`values` are one for each round; their median is held against `bound`, which is the least, or the most.

    In `every` round the bound has to hold where one that breaks it is one too many.
    """

    name: str
    bound: float
    values: Callable[[Runs], list[float]]
    at_most: bool = False
    every: bool = False

    def reached(self, spread: Spread) -> bool:
        if self.every:
            return spread.high <= self.bound if self.at_most else spread.low >= self.bound
        return spread.median <= self.bound if self.at_most else spread.median >= self.bound


@dataclass(frozen=True)
class Outcome:
    """A goal and what came of it; no `spread` where it was not measured."""

    goal: Goal
    spread: Spread | None

    @property
    def word(self) -> str:
        if self.spread is None:
            return "not measured"
        return "pass" if self.goal.reached(self.spread) else "miss"


def _ratio(over: tuple[str, str], under: tuple[str, str]) -> Callable[[Runs], list[float]]:
    return lambda runs: runs.ratios(over, under)


def _lowest_past_peak(runs: Runs) -> list[float]:
    return [min(run.per_second for run in [best, *past]) / best.per_second for best, past in runs.peaks()]


def _tail_at_peak(runs: Runs) -> list[float]:
    return [best.latency["p99"] / best.latency["p50"] for best, _ in runs.peaks() if best.latency]


def _goodput(runs: Runs) -> list[float]:
    pairs = [(run.per_second, runs.peak_at(run.round)) for run in runs.of("overload", "5 × peak")]
    return [rate / peak for rate, peak in pairs if peak]


def _errors(runs: Runs) -> list[float]:
    """Of each round: requests of the service that failed, and runs whose books do not fit."""
    ours = [run for run in runs.all if run.contender.startswith("ours")]
    return [sum(run.failed + len(run.problems) for run in ours if run.round == number) for number in runs.rounds]


_HOT = ("hot_item", "ours")

GOALS = (
    Goal(
        "one hot item, against a Flask-RESTful endpoint that does nothing", 0.60, _ratio(_HOT, ("hot_item", "nothing"))
    ),
    Goal("one hot item, against one locking transaction a buyer", 25, _ratio(_HOT, ("hot_item", "textbook"))),
    Goal("one hot item, against FastAPI and Redis", 1.2, _ratio(_HOT, ("hot_item", "fastapi_redis"))),
    Goal("100 items, against one", 0.8, _ratio(("items", "100 items"), ("items", "1 item"))),
    Goal("with shipping, against a plain purchase", 0.8, _ratio(("choices", "shipping"), ("choices", "plain"))),
    Goal("with a coupon, against a plain purchase", 0.6, _ratio(("choices", "coupon"), ("choices", "plain"))),
    Goal(
        "sold out, no key: refusals against a bare callable", 0.5, _ratio(("sold_out", "no key"), ("sold_out", "bare"))
    ),
    Goal("sold out, a new key each: the same", 0.1, _ratio(("sold_out", "new key"), ("sold_out", "bare"))),
    Goal("live reads against a bare callable", 0.4, _ratio(("reads", "live"), ("reads", "bare"))),
    Goal(
        "one connection, against one locking transaction a buyer", 0.9, _ratio(("alone", "ours"), ("alone", "textbook"))
    ),
    Goal("more connections than at the peak: the lowest against the peak", 0.8, _lowest_past_peak),
    Goal("at the peak: p99 against p50", 4, _tail_at_peak, at_most=True),
    Goal("five times the peak due: purchases against the peak", 0.8, _goodput),
    Goal("many orders in the table, against few", 0.9, _ratio(("orders", "many"), ("orders", "few"))),
    Goal("errors, units oversold or undersold, purchases doubled or lost", 0, _errors, at_most=True, every=True),
)


def outcomes(runs: Runs) -> list[Outcome]:
    """What came of each goal."""
    return [Outcome(goal, Spread.of(goal.values(runs))) for goal in GOALS]
