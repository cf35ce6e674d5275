"""Guards of the sale cache, to be taken out by `harness.without_guard`."""

from collections.abc import Sequence
from typing import Any


def keys_believed() -> None:
    """At a closed sale the key of a purchase is not looked up: all are refused, those who have bought by it too."""
    from core.purchase import checkout
    from core.purchase.decide import PurchaseRequest, Refused
    from core.refusals import SOLD_OUT, Refusal

    def believe(database: Any, requests: Sequence[PurchaseRequest], deadline: Any) -> list[Refused]:
        return [Refused(Refusal(SOLD_OUT)) for _ in requests]

    checkout.look_up = believe  # type: ignore[assignment]


def long_memory() -> None:
    """What the sale cache has seen is believed for two seconds, and seldom looked at again."""
    from core.purchase import sale_cache

    sale_cache.MAX_AGE, sale_cache.READ_SECONDS = 2.0, 1.5


WITHOUT_GUARD = (keys_believed, long_memory)
