"""A buyer's way through: counted, a place in the line, an outcome."""

from core.clock import Deadline
from core.database import Database
from core.metrics import PURCHASES, record
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
            # Each leader has a connection: one item must leave some to the others. The slots keep the cap itself.
            leaders_of=lambda goods_id: min(caps.last_known(goods_id), max(1, settings.DATABASE_POOL_SIZE // 2)),
            batch_max=settings.BATCH_MAX,
            inside_max=settings.LINE_MAX,
            # A batch that has begun ends by itself: a lock wait, a statement, a connection, the look for a lost COMMIT.
            grace_seconds=settings.LOCK_WAIT_SECONDS + 4 * settings.DATABASE_TIMEOUT_SECONDS,
        )

    def buy(self, request: PurchaseRequest) -> Outcome:
        """Settle `request`. Raises Busy (nothing was bought) or Unavailable (perhaps it was)."""
        with self._in_progress.counted(request.goods_id):
            try:
                outcome = self._line.buy(request, Deadline(self._wait_seconds))
            except Refusal as refusal:
                _count(refusal.code)
                raise
        _count(_label(outcome))
        return outcome


def _count(label: str) -> None:
    record(lambda: PURCHASES.labels(label).inc())


def _label(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        return outcome.refusal.code
    return "replayed" if isinstance(outcome, Replayed) else "placed"
