"""The service with a guard of the gate taken out: what the twins of its tests run against.

    python -m tests.races.gate_believed keys_believed

In the manner of tests/servers/sabotage.py.
"""

import sys
from collections.abc import Sequence
from typing import Any

from tests.servers import sabotage


def keys_believed() -> None:
    """Who comes with a key is told what the gate believes, without a look-up in the database."""
    from core.purchase import checkout
    from core.purchase.decide import PurchaseRequest, Refused
    from core.refusals import SOLD_OUT, Refusal

    def believe(database: Any, requests: Sequence[PurchaseRequest], deadline: Any) -> list[Refused]:
        return [Refused(Refusal(SOLD_OUT)) for _ in requests]

    checkout.look_up = believe  # type: ignore[assignment]


def long_memory() -> None:
    """What the gate has seen is believed for two seconds, and seldom looked at again."""
    from core.purchase import gate

    gate.MAX_AGE, gate._READ_SECONDS = 2.0, 1.5


if __name__ == "__main__":
    sabotage.SABOTAGES.update(keys_believed=keys_believed, long_memory=long_memory)
    sabotage.main(sys.argv[1:])
