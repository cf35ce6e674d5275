"""The state of an item's sale, derived from its row and the database's time."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sqlalchemy import ColumnElement, and_, case, literal

from core.db.clock import utc_now
from models import Goods


class SaleStatus(StrEnum):
    """The states of a sale. Where several fit, the first of them counts."""

    ENDED = "ended"
    PAUSED = "paused"
    UPCOMING = "upcoming"
    SOLD_OUT = "sold_out"
    ON_SALE = "on_sale"


class OnSale(Protocol):
    """The fields of an item that its sale status depends on."""

    @property
    def starts_at(self) -> datetime | None: ...
    @property
    def ends_at(self) -> datetime | None: ...
    @property
    def paused(self) -> bool: ...
    @property
    def stock(self) -> int: ...


def status(goods: OnSale, now: datetime, stock: int | None = None) -> SaleStatus:
    """The first SaleStatus that fits. A sale is open from `starts_at` on and closed from `ends_at` on.

    `stock` replaces the stock of the item's row, if given.
    """
    if goods.ends_at is not None and goods.ends_at <= now:
        return SaleStatus.ENDED
    if goods.paused:
        return SaleStatus.PAUSED
    if goods.starts_at is not None and goods.starts_at > now:
        return SaleStatus.UPCOMING
    return SaleStatus.SOLD_OUT if (goods.stock if stock is None else stock) == 0 else SaleStatus.ON_SALE


def status_in_sql() -> ColumnElement[str]:
    """The rule of `status` as SQL; a test holds the two equal."""
    return case(
        (and_(Goods.ends_at.is_not(None), Goods.ends_at <= utc_now()), literal(SaleStatus.ENDED)),
        (Goods.paused.is_(True), literal(SaleStatus.PAUSED)),
        (and_(Goods.starts_at.is_not(None), Goods.starts_at > utc_now()), literal(SaleStatus.UPCOMING)),
        (Goods.stock == 0, literal(SaleStatus.SOLD_OUT)),
        else_=literal(SaleStatus.ON_SALE),
    )
