"""One thing to measure."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.measure import Run
from bench.stage import Stage
from bench.wrk import Load

CONNECTIONS = 64  # by default


@dataclass(frozen=True)
class Trial:
    """One thing to measure, in the round that it is given. `once`: in the first round only."""

    scenario: str
    name: str
    measure: Callable[[Stage, int], Run]
    once: bool = False


def purchases(
    scenario: str,
    name: str,
    contender: str,
    load: Load,
    connections: Callable[[Stage], int] | None = None,
) -> Trial:
    """Purchases of new items, after a warm-up."""

    def measure(stage: Stage, number: int) -> Run:
        seller = stage.contender(contender)
        wanted = replace(load, first=seller.put_up(load.items), seconds=stage.options.seconds)
        if connections:
            wanted = replace(wanted, connections=connections(stage))
        stage.warm_up(seller, wanted)
        return stage.measure(seller, wanted, (scenario, name, number))

    return Trial(scenario, name, measure)
