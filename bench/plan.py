"""The order of things: rounds, in each of which every trial has its turn, and nobody is always first."""

import logging
from collections.abc import Sequence

from bench.measure import pause
from bench.scenarios import CANDIDATES, PEERS, SCENARIOS
from bench.stage import Stage
from bench.trial import CONNECTIONS, Trial, purchases
from bench.wrk import Load

log = logging.getLogger("bench")


def play(stage: Stage, names: Sequence[str]) -> None:
    """Play the scenarios, all rounds of them. The runs are in `stage.runs`.

    `orders` comes last, in rounds of its own: its large table would be in everybody's way.
    """
    if "hot_item" in names and not stage.options.quick:
        choose_connections(stage)
    last = [name for name in names if name == "orders"]
    for group in ([name for name in names if name not in last], last):
        for number in range(stage.options.rounds):
            for name in group:
                play_round(stage, SCENARIOS[name](), number)


def play_round(stage: Stage, trials: list[Trial], number: int) -> None:
    """Measure each trial once; the one that begins is another in each round."""
    first = number % len(trials)
    for trial in trials[first:] + trials[:first]:
        if trial.once and number:
            continue
        run = trial.measure(stage, number)
        stage.runs.append(run)
        void = f"  VOID: {'; '.join(run.problems)}" if run.void else ""
        log.info("round %d  %-10s %-18s %9.1f/s%s", number + 1, run.scenario, run.name, run.per_second, void)
        pause()


def choose_connections(stage: Stage) -> None:
    """Find the number of connections at which each contender sells most of the hot item; it keeps it in all rounds."""
    for name in PEERS:
        rates: dict[int, float] = {}
        for count in CANDIDATES:
            trial = purchases("connections", f"{name}, {count}", name, Load(connections=count))
            run = trial.measure(stage, 0)
            stage.runs.append(run)
            rates[count] = run.per_second
        stage.connections[name] = max(rates, key=lambda count: rates[count])
        log.info("%s: %d connections", name, stage.connections.get(name, CONNECTIONS))
