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


def _cpu(runs: Runs) -> list[float]:
    """Of each round: microseconds of processor time a purchase, of the workers and the database."""
    return [run.cpu["server"] + run.cpu["database"] for run in runs.of(*_HOT) if run.cpu]


def _tail_beside(runs: Runs) -> list[float]:
    """Of each round: the p99 of the quiet item over that of the flooded one."""
    pairs = [(run.told["beside"]["p99"], run.latency) for run in runs.of("flooded", "flooded item")]
    return [quiet / latency["p99"] for quiet, latency in pairs if latency]


def _tail_beside_slow_clients(runs: Runs) -> list[float]:
    found = []
    for number in runs.rounds:
        alone, beside = (runs.one("slow_clients", name, number) for name in ("alone", "beside them"))
        if alone and beside and alone.latency and beside.latency:
            found.append(beside.latency["p99"] / alone.latency["p99"])
    return found


def _worker_megabytes(runs: Runs) -> list[float]:
    return [run.told["worker_mb"] for run in runs.of(*_HOT)]


_HOT = ("hot_item", "ours")
_PLAIN = ("choices", "plain")
_BARE_REFUSALS = ("sold_out", "bare")


def goals(server: str) -> tuple[Goal, ...]:
    """The goals on that kind of server."""

    def bound(mariadb: float, mysql: float) -> float:
        return mysql if server == "mysql" else mariadb

    return (
        Goal(
            "one hot item, against a Flask-RESTful endpoint that does nothing",
            bound(1.0, 0.8),
            _ratio(_HOT, ("hot_item", "nothing")),
        ),
        Goal(
            "one hot item, against one locking transaction a buyer",
            bound(30, 25),
            _ratio(_HOT, ("hot_item", "textbook")),
        ),
        Goal("one hot item, against FastAPI and Redis", bound(1.8, 1.4), _ratio(_HOT, ("hot_item", "fastapi_redis"))),
        Goal("one hot item: processor time a purchase, workers and database, µs", bound(450, 600), _cpu, at_most=True),
        Goal("100 items, against one", 0.9, _ratio(("items", "100 items"), ("items", "1 item"))),
        Goal("with a charset in its type, against a plain purchase", 0.95, _ratio(("choices", "charset"), _PLAIN)),
        Goal("with shipping, against a plain purchase", 0.85, _ratio(("choices", "shipping"), _PLAIN)),
        Goal("with a coupon, against a plain purchase", 0.75, _ratio(("choices", "coupon"), _PLAIN)),
        Goal("sold out, no key: refusals against a bare callable", 0.6, _ratio(("sold_out", "no key"), _BARE_REFUSALS)),
        Goal("sold out, a new key each: the same", 0.25, _ratio(("sold_out", "new key"), _BARE_REFUSALS)),
        Goal("live reads against a bare callable", 0.6, _ratio(("reads", "live"), ("reads", "bare"))),
        Goal(
            "one hot item on MySQL, against MariaDB",
            0.8,
            _ratio(("servers", "mysql, purchases"), ("servers", "mariadb, purchases")),
        ),
        Goal(
            "live reads on MySQL, against MariaDB",
            0.9,
            _ratio(("servers", "mysql, reads"), ("servers", "mariadb, reads")),
        ),
        Goal(
            "one connection, against one locking transaction a buyer",
            0.9,
            _ratio(("alone", "ours"), ("alone", "textbook")),
        ),
        Goal("more connections than at the peak: the lowest against the peak", 0.8, _lowest_past_peak),
        Goal("at the peak: p99 against p50", 2, _tail_at_peak, at_most=True),
        Goal("five times the peak due: purchases against the peak", 0.85, _goodput),
        Goal("a quiet item beside a flooded one: its p99 against the flooded one's", 1, _tail_beside, at_most=True),
        Goal(
            "64 slow bodies and 1,000 idle connections: p99 of others, against without",
            1.2,
            _tail_beside_slow_clients,
            at_most=True,
        ),
        Goal(
            "beside a console that looks once a second: purchases against without",
            0.98,
            _ratio(("watched", "a console"), ("watched", "nobody looks")),
        ),
        Goal("a worker at rest, MB", 80, _worker_megabytes, at_most=True),
        Goal("many orders in the table, against few", 0.9, _ratio(("orders", "many"), ("orders", "few"))),
        Goal("errors, units oversold or undersold, purchases doubled or lost", 0, _errors, at_most=True, every=True),
    )


def outcomes(runs: Runs, server: str) -> list[Outcome]:
    """What came of each goal on that kind of server."""
    return [Outcome(goal, Spread.of(goal.values(runs))) for goal in goals(server)]
