"""The answer of a sale's report, as typed models with an example."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from resources.http.bases import Answer, example
from resources.schemas import SaleStatus

_BEGIN, _END = "2026-11-23T12:00:00.000Z", "2026-11-23T12:00:04.000Z"
_REPORT: dict[str, Any] = {
    "goods": {
        "id": 1,
        "name": "Mechanical keyboard 机械键盘",
        "currency": "CNY",
        "price": 19900,
        "status": "sold_out",
        "starts_at": _BEGIN,
        "ends_at": None,
        "stock": 0,
        "sold": 100,
        "per_user_limit": 2,
        "order_limit": None,
    },
    "data_until": "2026-11-23T12:16:02.000Z",
    "offered": 100,
    "orders": {"pending": 0, "paid": 90, "cancelled": 4, "expired": 5, "refund_due": 0, "refunded": 1},
    "units": {"placed": 110, "held": 100, "paid": 100, "unpaid": 0, "came_back": 10},
    "revenue": [
        {
            "currency": "CNY",
            "paid": 1990000,
            "unpaid": 0,
            "discount": 19900,
            "shipping": 0,
            "refund_due": 0,
            "refunded": 19900,
        }
    ],
    "course": {
        "began_at": _BEGIN,
        "first_order_at": "2026-11-23T12:00:00.120Z",
        "last_order_at": "2026-11-23T12:15:40.000Z",
        "sold_out_at": _END,
        "seconds_to_sell_out": 4.0,
    },
    "demand": {
        "counted_from": _BEGIN,
        "counted_until": "2026-11-23T12:16:00.000Z",
        "requests": 5210,
        "purchases": 100,
        "replays": 12,
        "refusals": {"sold_out": 5080, "limit_reached": 18},
        "failures": {},
    },
    "peak": {
        "orders_per_second": 31,
        "orders_at": "2026-11-23T12:00:01.000Z",
        "requests_per_second": 2140,
        "requests_at": "2026-11-23T12:00:02.000Z",
    },
    "waits": {"measured": 130, "p50_ms": 11.3, "p90_ms": 26.9, "p99_ms": 38.1, "longest_ms": 53.8},
    "came_back": {
        "units": 10,
        "sold_again": 10,
        "orders": [
            {
                "order_no": "019ab0f32d4a7c1e9b6d52f08a417e33",
                "user_id": "alice",
                "units": 1,
                "purchased_at": "2026-11-23T12:15:02.000Z",
            }
        ],
        "left_out": 9,
    },
    "buyers": {"count": 88, "units": [{"units": 1, "buyers": 76}, {"units": 2, "buyers": 12}], "most_units": 2},
    "order_of_service": {"sample": 80, "kendall_tau": 0.998, "in_order": 0.999},
    "audit": {"ok": True, "checks": 24, "breaches": [], "of_other_items": 0},
    "chart": {
        "from": _BEGIN,
        "seconds": 1.0,
        "orders": [24, 31, 28, 17],
        "stock": [76, 45, 17, 0],
        "requests": [24, 31, 2140, 1980],
        "refusals": {"sold_out": [0, 0, 2100, 1960]},
        "failures": {},
    },
}


class ReportGoods(Answer):
    """The item as it now stands."""

    id: int
    name: str
    currency: str
    price: int = Field(description="in the currency's minor unit")
    status: SaleStatus = Field(description="at `data_until`")
    starts_at: datetime | None
    ends_at: datetime | None
    stock: int
    sold: int
    per_user_limit: int | None
    order_limit: int | None


class ReportUnits(Answer):
    """Units of the item's orders. held = paid + unpaid, and placed = held + came_back."""

    placed: int = Field(description="of all orders that were placed")
    held: int = Field(description="that orders hold now: the item's `sold`")
    paid: int
    unpaid: int
    came_back: int = Field(description="that orders gave back: cancelled, expired or refunded with restock")


class ReportRevenue(Answer):
    """Money of a currency's orders, in its minor unit."""

    currency: str
    paid: int = Field(description="totals of paid orders")
    unpaid: int = Field(description="totals of pending orders")
    discount: int = Field(description="what coupons took off the paid orders")
    shipping: int = Field(description="what shipping added to the paid orders")
    refund_due: int = Field(description="totals of orders whose money is to be given back")
    refunded: int = Field(description="totals of orders whose money was given back")


class ReportCourse(Answer):
    """When it happened. Null where it did not."""

    began_at: datetime | None = Field(description="the later of the window's start and the item's creation")
    first_order_at: datetime | None
    last_order_at: datetime | None
    sold_out_at: datetime | None = Field(description="when the last unit went for the first time")
    seconds_to_sell_out: float | None = Field(description="from `began_at`")


class ReportDemand(Answer):
    """Purchase requests by what came of them, as the workers counted them; a crash loses the last second.

    Refused ahead of the purchase and not counted: requests without a valid token or body, and those over a caller's
    limit. Null and 0 where nothing was counted, or the figures are older than they are kept.
    """

    counted_from: datetime | None
    counted_until: datetime | None
    requests: int
    purchases: int = Field(description="orders placed, as counted; `orders` has those that are stored")
    replays: int
    refusals: dict[str, int] = Field(description="by code")
    failures: dict[str, int] = Field(description="by code")


class ReportPeak(Answer):
    """The busiest second."""

    orders_per_second: int
    orders_at: datetime | None
    requests_per_second: int
    requests_at: datetime | None


class ReportWaits(Answer):
    """Time from a request's arrival in the queue to its outcome, within 9 %."""

    measured: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    longest_ms: float | None


class ReportResale(Answer):
    """An order that had units which came back."""

    order_no: str
    user_id: str
    units: int
    purchased_at: datetime


class ReportCameBack(Answer):
    """Units that came back, and who got them: first those that were never sold go, then those that came back."""

    units: int
    sold_again: int
    orders: list[ReportResale] = Field(description="the first 100")
    left_out: int = Field(description="further such orders")


class ReportShare(Answer):
    """How many buyers hold so many units."""

    units: int
    buyers: int


class ReportBuyers(Answer):
    """Those who hold units now."""

    count: int
    units: list[ReportShare] = Field(description="by units, the first 100")
    most_units: int


class ReportOrderOfService(Answer):
    """Whether buyers were served in the order they came, from a sample of the orders: at most 8 a worker and second.

    `kendall_tau` compares arrival in the queues of all workers with the order in which orders were written: 1 where
    all are served in order, 0 by lot, -1 in reverse. `in_order` is the share of pairs of buyers served in the order
    they came. Arrival is by the clocks of the hosts, corrected by the database's: exact to some milliseconds.
    """

    sample: int
    kendall_tau: float | None
    in_order: float | None


class ReportBreach(Answer):
    """A promise that stored rows break, and how many rows of this item do."""

    name: str
    promise: str
    rows: int


class ReportAudit(Answer):
    """What an audit of the whole database found. `of_other_items` are breaches that do not name this item."""

    ok: bool
    checks: int
    breaches: list[ReportBreach]
    of_other_items: int


class ReportChart(Answer):
    """Columns of one value for each interval, the oldest first."""

    first: datetime | None = Field(alias="from", description="the begin of the first interval")
    seconds: float = Field(description="the length of an interval")
    orders: list[int]
    stock: list[int]
    requests: list[int]
    refusals: dict[str, list[int]] = Field(description="by code")
    failures: dict[str, list[int]] = Field(description="by code")


class SaleReport(Answer):
    """What became of a sale. The same data give the same report, byte by byte."""

    model_config = ConfigDict(json_schema_extra=example(_REPORT))

    goods: ReportGoods
    data_until: datetime = Field(description="the latest moment that the data tell of")
    offered: int = Field(description="units that the administrators put in, less those they withdrew")
    orders: dict[str, int] = Field(description="by status")
    units: ReportUnits
    revenue: list[ReportRevenue]
    course: ReportCourse
    demand: ReportDemand
    peak: ReportPeak
    waits: ReportWaits
    came_back: ReportCameBack
    buyers: ReportBuyers
    order_of_service: ReportOrderOfService
    audit: ReportAudit
    chart: ReportChart
