"""Makes the report of a sale. The same data give the same report: nothing in it depends on when it is made."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from config import Settings
from core.catalogue import goods, sale
from core.db.clock import EPOCH, iso
from core.live import store
from core.live.tally import longest, quantile
from core.ops import audit
from core.refusals import Unavailable
from core.report.chart import chart
from core.report.course import Course, buyers, in_order_of_service
from core.report.demand import Demand
from core.report.order_of_service import agreement
from models import GoodsChange, Order, OrderStatus

# What is read of each order.
_COLUMNS = tuple(
    Order.__table__.columns[name]
    for name in (
        *("order_no", "user_id", "quantity", "currency", "total", "discount", "shipping_fee", "status"),
        *("purchased_at", "paid_at", "closed_at", "refunded_at"),
    )
)
_ROWS_AT_ONCE = 2000


def make(settings: Settings, goods_id: int, audited: audit.Report, seconds: float | None = None) -> dict[str, Any]:
    """The report, as the contract has it. It is read within `seconds`.

    Raises Refusal goods_not_found, or Unavailable where the database cannot be read to the end.
    """
    try:
        with audit.reading(settings, seconds) as connection:
            item = goods.read(connection, goods_id)
            changes = connection.execute(
                select(GoodsChange.changed_at, GoodsChange.stock_delta)
                .where(GoodsChange.goods_id == goods_id)
                .order_by(GoodsChange.id)
            )
            moved = sorted((row.changed_at, row.stock_delta) for row in changes)
            latest_change = moved[-1][0] if moved else item.created_at
            demand = Demand().add(store.of_item(connection, goods_id))
            course = Course([(at, delta) for at, delta in moved if delta])
            query = select(*_COLUMNS).where(Order.goods_id == goods_id).order_by(Order.purchased_at, Order.id)
            options = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}
            rows = connection.execute(query, execution_options=options)
            served = in_order_of_service(rows, course, demand.sample())
    except (DBAPIError, audit.CannotAudit) as error:
        raise Unavailable() from error
    return _put_together(item, latest_change, course, demand, served, audited)


def _put_together(
    item: Any, latest_change: datetime, course: Course, demand: Demand, served: list[int], audited: audit.Report
) -> dict[str, Any]:
    counted = sorted(demand.by_second)
    passed = (moment for moment in (item.starts_at, item.ends_at) if moment is not None and moment <= item.now)
    moments = [latest_change, course.latest, _second(counted[-1] + 1) if counted else None, *passed]
    until = max(moment for moment in moments if moment is not None)
    return {
        "goods": _goods(item) | {"status": sale.status(item, until)},
        "data_until": iso(until),
        "offered": course.offered,
        "orders": {status: course.statuses[status] for status in OrderStatus},
        "units": {
            "placed": course.units["placed"],
            "held": course.units["paid"] + course.units["unpaid"],
            "paid": course.units["paid"],
            "unpaid": course.units["unpaid"],
            "came_back": course.units["came_back"],
        },
        "revenue": [{"currency": name, **asdict(money)} for name, money in sorted(course.money.items())],
        "course": _course(item, course),
        "demand": {
            "counted_from": iso(_second(counted[0])) if counted else None,
            "counted_until": iso(_second(counted[-1] + 1)) if counted else None,
            "requests": demand.requests,
            "purchases": demand.purchases,
            "replays": demand.replays,
            "refusals": demand.refusals,
            "failures": demand.failures,
        },
        "peak": _peak(course, demand),
        "waits": {
            "measured": sum(demand.waits.values()),
            "p50_ms": quantile(demand.waits, 0.5),
            "p90_ms": quantile(demand.waits, 0.9),
            "p99_ms": quantile(demand.waits, 0.99),
            "longest_ms": longest(demand.waits),
        },
        "came_back": {
            "units": course.units["came_back"],
            "sold_again": course.sold_again,
            "orders": [asdict(each) | {"purchased_at": iso(each.purchased_at)} for each in course.resales],
            "left_out": course.resales_left_out,
        },
        "buyers": _buyers(course),
        "order_of_service": _order_of_service(served),
        "audit": _audit(audited, item.id),
        "chart": chart(course, demand),
    }


def _second(second: int) -> datetime:
    return EPOCH + timedelta(seconds=second)


def _optional(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def _goods(item: Any) -> dict[str, Any]:
    names = ("id", "name", "currency", "price", "stock", "sold", "per_user_limit", "order_limit")
    window = {"starts_at": _optional(item.starts_at), "ends_at": _optional(item.ends_at)}
    return {name: getattr(item, name) for name in names} | window


def _course(item: Any, course: Course) -> dict[str, Any]:
    began = item.created_at if item.starts_at is None else max(item.starts_at, item.created_at)
    sold_out = course.sold_out_at
    if course.first_order_at is not None and course.first_order_at < began:  # the window was moved since
        began = course.first_order_at
    return {
        "began_at": iso(began),
        "first_order_at": _optional(course.first_order_at),
        "last_order_at": _optional(course.last_order_at),
        "sold_out_at": _optional(sold_out),
        "seconds_to_sell_out": None if sold_out is None else round((sold_out - began).total_seconds(), 3),
    }


def _peak(course: Course, demand: Demand) -> dict[str, Any]:
    orders_at, orders = _busiest(course.orders_by_second)
    requests_by_second = {second: sum(outcomes.values()) for second, outcomes in demand.by_second.items()}
    requests_at, requests = _busiest(requests_by_second)
    return {
        "orders_per_second": orders,
        "orders_at": orders_at,
        "requests_per_second": requests,
        "requests_at": requests_at,
    }


def _busiest(by_second: Mapping[int, int]) -> tuple[str | None, int]:
    """The first of the busiest seconds."""
    if not by_second:
        return None, 0
    second = min(by_second, key=lambda each: (-by_second[each], each))
    return iso(_second(second)), by_second[second]


def _buyers(course: Course) -> dict[str, Any]:
    shares, most = buyers(course.held)
    units = [{"units": units, "buyers": count} for units, count in shares]
    return {"count": len(course.held), "units": units, "most_units": most}


def _order_of_service(served: list[int]) -> dict[str, Any]:
    found = agreement(served)
    return {"sample": found.sample, "kendall_tau": found.tau, "in_order": found.in_order}


def _audit(report: audit.Report, goods_id: int) -> dict[str, Any]:
    breaches, others = [], 0
    for result in report.results:
        ours = sum(breach.goods_id == goods_id for breach in result.breaches)
        if ours:
            breaches.append({"name": result.check.name, "promise": result.check.promise, "rows": ours})
        others += result.count - ours
    return {"ok": report.clean, "checks": len(report.results), "breaches": breaches, "of_other_items": others}
