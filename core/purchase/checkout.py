"""A buyer's way through: a turn in this process, a slot in the database, an outcome."""

import random
import time

from core.clock import Deadline
from core.database import Database
from core.metrics import PURCHASES
from core.purchase import batch
from core.purchase.decide import Outcome, PurchaseRequest, Refused, Replayed
from core.purchase.in_progress import InProgress
from core.purchase.slots import Caps
from core.purchase.turns import Turns
from core.refusals import Busy, Refusal

# Seconds between two tries for a slot that other processes hold; about as long as a transaction takes.
_SLOT_PAUSE = 0.004


class Checkout:
    """Sells, one request at a time. Shared by all threads of a process."""

    def __init__(self, database: Database, in_progress: InProgress) -> None:
        self._database = database
        self._caps = Caps(database, database.settings.API_ORDER_LIMIT)
        self._turns = Turns(self._caps.last_known, database.settings.LINE_MAX)
        self._in_progress = in_progress

    def buy(self, request: PurchaseRequest) -> Outcome:
        """Settle `request`. Raises Busy (nothing was bought) or Unavailable (perhaps it was)."""
        with self._in_progress.counted(request.goods_id):
            try:
                outcome = self._serve(request, Deadline(self._database.settings.PURCHASE_WAIT_SECONDS))
            except Refusal as refusal:
                PURCHASES.labels(refusal.code).inc()
                raise
        PURCHASES.labels(_label(outcome)).inc()
        return outcome

    def _serve(self, request: PurchaseRequest, deadline: Deadline) -> Outcome:
        with self._turns.turn(request.goods_id, deadline):
            while True:
                (outcome,) = batch.serve(self._database, self._caps, [request], deadline)
                if outcome is not None:
                    return outcome
                if deadline.passed:
                    raise Busy()
                pause = random.uniform(0.5, 1.5) * _SLOT_PAUSE  # noqa: S311 (no secret)
                time.sleep(min(pause, deadline.remaining()))


def _label(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        return outcome.refusal.code
    return "replayed" if isinstance(outcome, Replayed) else "placed"
