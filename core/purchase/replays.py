"""The look-up of idempotency keys at sales that are closed: which of the requests have bought already.

The sale cache alone may not refuse a request that has a key. It may be behind: after a restock, a buyer may have bought
with this very key through another worker a moment ago. So the database is read, once for all requests that wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.catalogue import sale
from core.catalogue.sale import SaleStatus
from core.db.clock import Deadline, database_now
from core.db.database import Database
from core.orders.order_numbers import new_order_no
from core.purchase import statements
from core.purchase.batch import read_standing
from core.purchase.decide import Locked, Outcome, PurchaseRequest, Rules, decide

_RULES = Rules()  # nothing is placed by a look-up


@dataclass(frozen=True)
class SaleOpen:
    """The sale is open after all: the request is to be queued as a purchase."""


def look_up(
    database: Database, requests: Sequence[PurchaseRequest], deadline: Deadline
) -> list[Outcome | SaleOpen | None]:
    """The outcome of each request at a closed sale, in their order; `SaleOpen` for those whose sale is open.

    Raises Busy or Unavailable.
    """
    with database.reading(deadline) as connection, connection.begin():
        # Read the items before the orders: a key without an order now had none while the item was closed.
        items, now = statements.read_goods(connection, sorted({request.goods_id for request in requests}))
        now = now or database_now(connection)
        known, _, _ = read_standing(connection, requests, {}, _RULES)
    is_open = {key for key, item in items.items() if sale.status(item, now) == SaleStatus.ON_SALE}
    closed = [request for request in requests if request.goods_id not in is_open]
    decided = iter(decide(closed, Locked(items, now, known), _RULES, new_order_no))
    return [SaleOpen() if request.goods_id in is_open else next(decided) for request in requests]
