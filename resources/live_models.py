"""The query and the answer of the live figures, as typed models with an example."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from resources.http import fields
from resources.http.bases import Answer, Query, example
from resources.schemas import SaleStatus

_TIME = "2026-11-23T12:00:01.250Z"
_ITEM: dict[str, Any] = {
    "goods_id": 1,
    "name": "Mechanical keyboard 机械键盘",
    "status": "on_sale",
    "stock": 58,
    "sold": 42,
    "purchases_per_second": 21.0,
    "refusals_per_second": 3.5,
    "waiting": 17,
    "transactions_open": 1,
    "transactions_cap": 2,
    "unpaid": 40,
    "expiring": 4,
    "alarm": False,
}
_LIVE: dict[str, Any] = {
    "at": _TIME,
    "goods_id": 1,
    "alarm": False,
    "alarm_since": None,
    "complete": True,
    "hosts": 1,
    "workers": 2,
    "now": {
        "purchases_per_second": 21.0,
        "refusals_per_second": {"limit_reached": 2.0, "sold_out": 1.5},
        "failures_per_second": {},
        "waiting": 17,
        "longest_wait_ms": 48.0,
        "p50_ms": 11.3,
        "p99_ms": 38.1,
        "batch_size": 16.0,
        "transactions_open": 1,
        "transactions_cap": 2,
        "stock": 58,
        "sold": 42,
        "unpaid": 40,
        "expiring": 4,
    },
    "totals": {"purchases": 42, "replays": 1, "refusals": {"limit_reached": 4, "sold_out": 3}, "failures": {}},
    "series": {
        "from": _TIME,
        "seconds": 1,
        "purchases": [0, 20, 22],
        "refusals": {"limit_reached": [0, 2, 2], "sold_out": [0, 0, 3]},
        "failures": {},
        "waiting": [0, 12, 17],
        "stock": [100, 80, 58],
        "p50_ms": [None, 9.5, 11.3],
        "p99_ms": [None, 32.0, 38.1],
        "longest_wait_ms": [None, 45.3, 53.8],
        "batch_size": [None, 14.0, 16.0],
        "transactions_open": [0, 1, 1],
    },
    "items": [_ITEM],
}


class LiveQuery(Query):
    """What to look at."""

    goods_id: fields.IdInQuery | None = Field(None, description="one item; without it, all of them added up")


class LiveNow(Answer):
    """The last seconds. Rates are means over the last three whole seconds, waits those of the last ten."""

    purchases_per_second: float
    refusals_per_second: dict[str, float] = Field(description="by code")
    failures_per_second: dict[str, float] = Field(description="`busy`, `unavailable` and `internal_error`, by code")
    waiting: int = Field(description="purchases that wait for an outcome now")
    longest_wait_ms: float | None = Field(description="from arrival in the queue to the outcome; null without any")
    p50_ms: float | None
    p99_ms: float | None
    batch_size: float | None = Field(description="purchases, of the item, settled together, on average")
    transactions_open: int = Field(description="purchase transactions open")
    transactions_cap: int | None = Field(description="the item's cap; null for all items together")
    stock: int | None = Field(description="of the item; null for all items together")
    sold: int | None = Field(description="of the item; null for all items together")
    unpaid: int = Field(description="pending orders whose time is not over")
    expiring: int = Field(description="those of them whose time is over within a minute")


class LiveTotals(Answer):
    """What was counted in the time of the series, and in the second that is not over yet."""

    purchases: int
    replays: int = Field(description="requests whose key had bought before")
    refusals: dict[str, int] = Field(description="by code")
    failures: dict[str, int] = Field(description="by code")


class LiveSeries(Answer):
    """Columns of one value for each interval, the oldest first. Null where nothing is known of that interval."""

    first: datetime = Field(alias="from", description="the begin of the first interval")
    seconds: int = Field(description="the length of an interval")
    purchases: list[int]
    refusals: dict[str, list[int]] = Field(description="by code")
    failures: dict[str, list[int]] = Field(description="by code")
    waiting: list[int]
    stock: list[int | None] = Field(description="of the item at the end of the interval; nulls for all items together")
    p50_ms: list[float | None]
    p99_ms: list[float | None]
    longest_wait_ms: list[float | None]
    batch_size: list[float | None]
    transactions_open: list[int]


class LiveItem(Answer):
    """An item that was asked for in the last ten minutes."""

    goods_id: int
    name: str
    status: SaleStatus
    stock: int
    sold: int
    purchases_per_second: float
    refusals_per_second: float
    waiting: int
    transactions_open: int
    transactions_cap: int
    unpaid: int
    expiring: int
    alarm: bool = Field(description="buyers come, and none of them gets an answer but `busy` or `unavailable`")


class LiveFigures(Answer):
    """A sale as it runs, over all workers of all hosts; this host's figures are at most a second old."""

    model_config = ConfigDict(json_schema_extra=example(_LIVE))

    at: datetime = Field(description="the database's time of the figures")
    goods_id: int | None
    alarm: bool = Field(description="of any item: buyers come, and nothing moves")
    alarm_since: datetime | None
    complete: bool = Field(description="`false`: the database did not answer, so other hosts' last figures are missing")
    hosts: int = Field(description="that have sold or refused within ten minutes, this one at least")
    workers: int = Field(description="that have sold or refused within a minute, one at least")
    now: LiveNow
    totals: LiveTotals
    series: LiveSeries
    items: list[LiveItem] = Field(description="the item, or those in most demand first, 50 at most")
