"""The course of a sale, order by order: what was left at each moment, and who got units that had come back."""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from models import HOLDING_STATUSES, OrderStatus

# Orders with units that came back that are named.
NAMED = 100


@dataclass
class Money:
    """Amounts of a currency's orders, in its minor unit."""

    paid: int = 0
    unpaid: int = 0
    discount: int = 0
    shipping: int = 0
    refund_due: int = 0
    refunded: int = 0


@dataclass
class Resale:
    """An order that had units which came back."""

    order_no: str
    user_id: str
    units: int
    purchased_at: datetime


@dataclass
class Course:
    """Takes in an item's orders in the order of service; `end` takes in what happened after the last."""

    changes: list[tuple[datetime, int]]  # when administrators added or withdrew units, the oldest first
    statuses: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    money: dict[str, Money] = field(default_factory=dict)
    held: Counter[str] = field(default_factory=Counter)  # by user
    orders_by_second: Counter[int] = field(default_factory=Counter)
    stock_by_second: dict[int, int] = field(default_factory=dict)
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    sold_out_at: datetime | None = None
    sold_again: int = 0
    resales: list[Resale] = field(default_factory=list)
    resales_left_out: int = 0
    latest: datetime | None = None
    _fresh: int = 0  # units that were never sold
    _returned: int = 0
    _releases: list[tuple[datetime, int]] = field(default_factory=list)
    _changes_done: int = 0

    def add(self, row: Any) -> None:
        """Take in an order."""
        self._until(row.purchased_at)
        self._see(row.purchased_at, row.paid_at, row.closed_at, row.refunded_at)
        self.first_order_at = self.first_order_at or row.purchased_at
        self.last_order_at = row.purchased_at
        second = int(row.purchased_at.timestamp())
        self.orders_by_second[second] += 1
        self._take(row)
        self.stock_by_second[second] = self.stock
        if self.stock == 0 and self.sold_out_at is None:
            self.sold_out_at = row.purchased_at
        self._count(row)

    def end(self) -> None:
        """Take in what happened after the last order."""
        self._until(None)

    @property
    def stock(self) -> int:
        return max(0, self._fresh + self._returned)

    @property
    def offered(self) -> int:
        return sum(delta for _, delta in self.changes)

    def _take(self, row: Any) -> None:
        """Units that were never sold go first."""
        again = min(max(0, row.quantity - max(0, self._fresh)), self._returned)
        self._fresh -= row.quantity - again
        self._returned -= again
        if not again:
            return
        self.sold_again += again
        if len(self.resales) < NAMED:
            self.resales.append(Resale(row.order_no, row.user_id, again, row.purchased_at))
        else:
            self.resales_left_out += 1

    def _count(self, row: Any) -> None:
        self.statuses[row.status] += 1
        self.units["placed"] += row.quantity
        money = self.money.setdefault(row.currency, Money())
        match row.status:
            case OrderStatus.PAID:
                money.paid += row.total
                money.discount += row.discount
                money.shipping += row.shipping_fee
            case OrderStatus.PENDING:
                money.unpaid += row.total
            case OrderStatus.REFUND_DUE:
                money.refund_due += row.total
            case OrderStatus.REFUNDED:
                money.refunded += row.total
        holds = row.status in HOLDING_STATUSES or (row.status == OrderStatus.REFUNDED and row.closed_at is None)
        if holds:
            self.units["unpaid" if row.status == OrderStatus.PENDING else "paid"] += row.quantity
            self.held[row.user_id] += row.quantity
        else:
            self.units["came_back"] += row.quantity
            if row.closed_at is not None:
                heapq.heappush(self._releases, (row.closed_at, row.quantity))

    def _until(self, moment: datetime | None) -> None:
        """Let happen what did up to a moment, in the order of time; all of it at None."""
        while True:
            change = self.changes[self._changes_done] if self._changes_done < len(self.changes) else None
            release = self._releases[0] if self._releases else None
            due = [each[0] for each in (change, release) if each is not None]
            if not due or (moment is not None and min(due) > moment):
                return
            at = min(due)
            if change is not None and change[0] == at:
                self._changes_done += 1
                self._fresh += change[1]
            else:
                self._returned += heapq.heappop(self._releases)[1]
            self._see(at)
            self.stock_by_second[int(at.timestamp())] = self.stock

    def _see(self, *moments: datetime | None) -> None:
        for moment in moments:
            if moment is not None and (self.latest is None or moment > self.latest):
                self.latest = moment


def buyers(held: Counter[str]) -> tuple[list[tuple[int, int]], int]:
    """How many buyers hold how many units, and the most that one holds."""
    shares = Counter(held.values())
    return sorted(shares.items())[:NAMED], max(shares, default=0)


def in_order_of_service(rows: Iterable[Any], course: Course, sample: dict[str, int]) -> list[int]:
    """Take all orders in. Returns the arrivals of those in `sample`, in the order of service."""
    served = []
    for row in rows:
        course.add(row)
        arrival = sample.get(row.order_no)
        if arrival is not None:
            served.append(arrival)
    course.end()
    return served
