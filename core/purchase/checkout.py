"""A buyer's way through: counted, a place in the line, an outcome."""

from core.clock import Deadline
from core.database import Database
from core.metrics import PURCHASES
from core.purchase import batch
from core.purchase.decide import Outcome, PurchaseRequest, Refused, Replayed
from core.purchase.in_progress import InProgress
from core.purchase.line import Line
from core.purchase.slots import Caps
from core.refusals import Refusal


class Checkout:
    """Sells. Shared by all threads of a process."""

    def __init__(self, database: Database, in_progress: InProgress) -> None:
        settings = database.settings
        caps = Caps(database, settings.API_ORDER_LIMIT)
        self._wait_seconds = settings.PURCHASE_WAIT_SECONDS
        self._in_progress = in_progress
        self._line = Line(
            lambda requests, deadline: batch.serve(database, caps, requests, deadline),
            leaders_of=caps.last_known,
            batch_max=settings.BATCH_MAX,
            waiting_max=settings.LINE_MAX,
            # A batch that has begun ends by itself: a lock wait, a statement, a connection, the look for a lost COMMIT.
            grace_seconds=settings.LOCK_WAIT_SECONDS + 4 * settings.DATABASE_TIMEOUT_SECONDS,
        )

    def buy(self, request: PurchaseRequest) -> Outcome:
        """Settle `request`. Raises Busy (nothing was bought) or Unavailable (perhaps it was)."""
        with self._in_progress.counted(request.goods_id):
            try:
                outcome = self._line.buy(request, Deadline(self._wait_seconds))
            except Refusal as refusal:
                PURCHASES.labels(refusal.code).inc()
                raise
        PURCHASES.labels(_label(outcome)).inc()
        return outcome


def _label(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        return outcome.refusal.code
    return "replayed" if isinstance(outcome, Replayed) else "placed"
