"""One look for all who come with a key to a sale that is closed: it tells who has bought already.

The gate alone may not refuse them. It may be behind: after a restock somebody may have won, with this very key, through
another worker a moment ago. So the database is asked, once for all who wait, and nothing else is believed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core import sale
from core.clock import Deadline, database_now
from core.database import Database
from core.order_numbers import new_order_no
from core.purchase import statements
from core.purchase.batch import known_orders_and_held_units
from core.purchase.decide import Locked, Outcome, PurchaseRequest, Rules, decide

_RULES = Rules()  # nothing is placed by a look


@dataclass(frozen=True)
class Open:
    """The sale is open after all: the request belongs in the line."""


def look(database: Database, requests: Sequence[PurchaseRequest], deadline: Deadline) -> list[Outcome | Open | None]:
    """What each request comes to without an open sale, in their order; `Open` for those whose sale is open.

    Raises Busy or Unavailable.
    """
    with database.reading(deadline) as connection, connection.begin():
        # The items first: whoever has no order after that had none while the item was closed.
        items, now = statements.read_goods(connection, sorted({request.goods_id for request in requests}))
        now = now or database_now(connection)
        known, _ = known_orders_and_held_units(connection, requests, {}, now, _RULES)
    is_open = {key for key, item in items.items() if sale.status(item, now) == sale.ON_SALE}
    closed = [request for request in requests if request.goods_id not in is_open]
    decided = iter(decide(closed, Locked(items, now, known), _RULES, new_order_no))
    return [Open() if request.goods_id in is_open else next(decided) for request in requests]
