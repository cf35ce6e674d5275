"""How many orders are unpaid, and how many of them run out soon."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, case, func, select

from models import Order, OrderStatus

SOON_SECONDS = 60
# A look takes this share of the time at most, however many orders there are.
_SHARE = 0.05


class Unpaid(NamedTuple):
    """Pending orders in time, and those of them whose time is over within SOON_SECONDS."""

    orders: int
    soon: int


class UnpaidOrders:
    """The counts by item, looked up again no sooner than what the last look took allows."""

    def __init__(self) -> None:
        self.counts: Mapping[int, Unpaid] = {}
        self._next_at = 0.0

    def look(self, connection: Connection, now: datetime) -> None:
        began = time.monotonic()
        if began < self._next_at:
            return
        soon = func.sum(case((Order.expires_at <= now + timedelta(seconds=SOON_SECONDS), 1), else_=0))
        query = select(Order.goods_id, func.count().label("orders"), soon.label("soon"))
        query = query.where(Order.status == OrderStatus.PENDING, Order.expires_at > now).group_by(Order.goods_id)
        try:
            self.counts = {row.goods_id: Unpaid(row.orders, int(row.soon)) for row in connection.execute(query)}
        finally:
            took = time.monotonic() - began
            self._next_at = began + took / _SHARE
