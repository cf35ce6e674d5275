"""The state of an item's sale, derived from its row and the database's time."""

from datetime import datetime
from typing import Protocol

from sqlalchemy import ColumnElement, and_, case, literal

from core.db.clock import utc_now
from models import Goods

ENDED = "ended"
PAUSED = "paused"
UPCOMING = "upcoming"
SOLD_OUT = "sold_out"
ON_SALE = "on_sale"
STATUSES = (ENDED, PAUSED, UPCOMING, SOLD_OUT, ON_SALE)


class OnSale(Protocol):
    """What the state of a sale depends on."""

    @property
    def starts_at(self) -> datetime | None: ...
    @property
    def ends_at(self) -> datetime | None: ...
    @property
    def paused(self) -> bool: ...
    @property
    def stock(self) -> int: ...


def status(goods: OnSale, now: datetime, stock: int | None = None) -> str:
    """The first of STATUSES that fits. A sale is open from `starts_at` on and closed from `ends_at` on.

    `stock` is what is left of the item's, where that is not what its row says.
    """
    if goods.ends_at is not None and goods.ends_at <= now:
        return ENDED
    if goods.paused:
        return PAUSED
    if goods.starts_at is not None and goods.starts_at > now:
        return UPCOMING
    return SOLD_OUT if (goods.stock if stock is None else stock) == 0 else ON_SALE


def status_in_sql() -> ColumnElement[str]:
    """The same rule as `status`, for a WHERE; a test holds the two equal."""
    return case(
        (and_(Goods.ends_at.is_not(None), Goods.ends_at <= utc_now()), literal(ENDED)),
        (Goods.paused.is_(True), literal(PAUSED)),
        (and_(Goods.starts_at.is_not(None), Goods.starts_at > utc_now()), literal(UPCOMING)),
        (Goods.stock == 0, literal(SOLD_OUT)),
        else_=literal(ON_SALE),
    )
