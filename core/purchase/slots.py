"""The cap: at most so many purchase transactions work on one item at once, over all hosts. See docs/locking.md.

A slot is a row of `purchase_slots`, locked ahead of the item's own row. It frees itself when its holder commits, dies
or loses its connection. On SQLite nothing is needed: it admits one writer at a time, which keeps any cap.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from core.db.clock import Deadline
from core.db.database import Database
from core.db.transaction import run
from core.purchase.statements import take_slots
from models import Goods, PurchaseSlot

# More transactions than this never help one row; a larger `order_limit` is kept by fewer slots than it allows.
MAX_SLOTS = 64
# A change of `order_limit` takes effect on every worker within this time.
_CAP_SECONDS = 0.5
_KNOWN_CAPS = 10_000

_ADD_SLOT = text("INSERT IGNORE INTO purchase_slots (goods_id, slot) VALUES (:goods_id, :slot)")


@dataclass(frozen=True)
class _Cap:
    slots: int
    sent_at: float


class Caps:
    """The cap of each item, read from the database at most half a second ago."""

    def __init__(self, database: Database, default: int) -> None:
        self._database = database
        self._default = default
        self._caps: dict[int, _Cap] = {}
        # The slot that this process had last: the others of its kind will be at others.
        self._preferred = 0
        self._open: Counter[int] = Counter()
        self._lock = threading.Lock()

    def of(self, goods_ids: Iterable[int], deadline: Deadline) -> dict[int, int]:
        """The number of slots of each item; an item that does not exist is left out. Raises Busy or Unavailable."""
        wanted = set(goods_ids)
        fresh_since = time.monotonic() - _CAP_SECONDS
        with self._lock:
            known = {key: self._caps[key] for key in wanted if key in self._caps}
        caps = {key: cap.slots for key, cap in known.items() if cap.sent_at >= fresh_since}
        return caps | self._read(wanted - caps.keys(), deadline)

    def take(self, connection: Connection, caps: Mapping[int, int]) -> set[int]:
        """Take a free slot of each item in `caps`, without waiting. Returns the items whose slot was had."""
        if not caps or connection.dialect.name == "sqlite":
            return set(caps)
        had = take_slots(connection, caps, self._preferred)
        if had:
            self._preferred = max(had.values())
        return set(had)

    def count(self, began: Iterable[int] = (), ended: Iterable[int] = ()) -> None:
        """Note that transactions on items have taken their slots, or have given them back."""
        with self._lock:
            self._open.update(began)
            for goods_id in ended:
                self._open[goods_id] -= 1
                if self._open[goods_id] <= 0:
                    del self._open[goods_id]

    def open(self) -> Mapping[int, int]:
        """Purchase transactions of this process that hold a slot now, by item."""
        with self._lock:
            return dict(self._open)

    def _read(self, goods_ids: set[int], deadline: Deadline) -> dict[int, int]:
        if not goods_ids:
            return {}
        sent_at = time.monotonic()
        made = select(func.count()).where(PurchaseSlot.goods_id == Goods.id).scalar_subquery()
        query = select(Goods.id, Goods.order_limit, made.label("made")).where(Goods.id.in_(sorted(goods_ids)))
        with self._database.reading(deadline) as connection:
            rows = connection.execute(query).all()
        caps: dict[int, int] = {}
        for row in rows:
            caps[row.id] = min(row.order_limit or self._default, MAX_SLOTS)
            if row.made < caps[row.id] and not self._database.is_sqlite:
                # From the first missing one on: those that others hold locked need not be waited for.
                self._make_slots(row.id, range(row.made, caps[row.id]), deadline)
        with self._lock:
            if len(self._caps) + len(caps) > _KNOWN_CAPS:
                self._caps.clear()
            self._caps.update({key: _Cap(slots, sent_at) for key, slots in caps.items()})
        return caps

    def _make_slots(self, goods_id: int, slots: range, deadline: Deadline) -> None:
        rows = [{"goods_id": goods_id, "slot": slot} for slot in slots]
        run(self._database, lambda connection: connection.execute(_ADD_SLOT, rows), deadline)
