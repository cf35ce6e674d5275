"""`/live`: a sale as it runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from core import refusals as codes
from core.db.clock import iso
from core.live.live import Picture
from core.live.tally import FAILURES, PLACED, REPLAYED, Tally, longest, quantile
from core.live.unpaid import Unpaid
from core.live.window import SECONDS, Point
from core.tokens import Identity
from resources import live_models as models
from resources.http.auth import Access
from resources.http.context import services
from resources.http.operation import ApiResource, Operation, operation

# The first who looks waits so long for the database.
_WAIT_SECONDS = 1.5
_RATE_SECONDS = 3
_NONE = Unpaid(0, 0)


class Live(ApiResource):
    @operation(
        Operation(
            "getLive",
            "Console",
            Access.ADMIN,
            {200: models.LiveFigures},
            query=models.LiveQuery,
            refusals=(codes.GOODS_NOT_FOUND, codes.UNAVAILABLE),
        )
    )
    def get(self, caller: Identity, query: models.LiveQuery) -> dict[str, Any]:
        """Watch a sale, or all sales, as they run.

        Over the last ten minutes, of all workers of all hosts: this host's at most a second old, others' four. Computed
        at most twice a second in a worker however often it is asked for, and answered with the database frozen too.
        """
        return live_json(services().monitor.live.picture(query.goods_id, _WAIT_SECONDS))


def live_json(seen: Picture) -> dict[str, Any]:
    """The live figures as the contract shows them."""
    row = seen.items.get(seen.goods_id) if seen.goods_id is not None else None
    since = min(seen.alarms.values(), default=None)
    return {
        "at": iso(seen.at),
        "goods_id": seen.goods_id,
        "alarm": since is not None,
        "alarm_since": None if since is None else iso(seen.at + timedelta(seconds=since - seen.at.timestamp())),
        "complete": seen.complete,
        "hosts": seen.hosts,
        "workers": seen.workers,
        "now": _now(seen)
        | {
            "transactions_cap": None if row is None else seen.cap(row),
            "stock": None if row is None else row.stock,
            "sold": None if row is None else row.sold,
        },
        "totals": _totals([*(point.outcomes for point in seen.points), seen.present.outcomes]),
        "series": _series(seen),
        "items": _items(seen),
    }


def _is_refusal(code: str) -> bool:
    return code not in FAILURES and code not in (PLACED, REPLAYED)


def _is_failure(code: str) -> bool:
    return code in FAILURES


def _rate(count: int) -> float:
    return round(count / _RATE_SECONDS, 1)


def _rates(outcomes: Mapping[str, int], wanted: Callable[[str], bool]) -> dict[str, float]:
    return {code: _rate(count) for code, count in sorted(outcomes.items()) if wanted(code)}


def _now(seen: Picture) -> dict[str, Any]:
    counted, waits = seen.lately, seen.waits
    unpaid = list(seen.unpaid.values()) if seen.goods_id is None else [seen.unpaid.get(seen.goods_id, _NONE)]
    return {
        "purchases_per_second": _rate(counted.purchases),
        "refusals_per_second": _rates(counted.outcomes, _is_refusal),
        "failures_per_second": _rates(counted.outcomes, _is_failure),
        "waiting": sum(tally.waiting for tally in seen.newest.values()),
        "longest_wait_ms": longest(waits.waits),
        "p50_ms": quantile(waits.waits, 0.5),
        "p99_ms": quantile(waits.waits, 0.99),
        "batch_size": round(waits.batched / waits.batches, 1) if waits.batches else None,
        "transactions_open": sum(tally.transactions for tally in seen.newest.values()),
        "unpaid": sum(each.orders for each in unpaid),
        "expiring": sum(each.soon for each in unpaid),
    }


def _totals(seconds: Iterable[Mapping[str, int]]) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for outcomes in seconds:
        for code, count in outcomes.items():
            counts[code] = counts.get(code, 0) + count
    return {
        "purchases": counts.get(PLACED, 0),
        "replays": counts.get(REPLAYED, 0),
        "refusals": {code: count for code, count in sorted(counts.items()) if _is_refusal(code)},
        "failures": {code: count for code, count in sorted(counts.items()) if _is_failure(code)},
    }


def _series(seen: Picture) -> dict[str, Any]:
    points = seen.points
    codes = sorted({code for point in points for code in point.outcomes})
    return {
        "from": iso(seen.at.replace(microsecond=0) - timedelta(seconds=SECONDS)),
        "seconds": 1,
        "purchases": [point.outcomes.get(PLACED, 0) for point in points],
        "refusals": {code: _column(points, code) for code in codes if _is_refusal(code)},
        "failures": {code: _column(points, code) for code in codes if _is_failure(code)},
        "waiting": [point.waiting for point in points],
        "stock": _stock(points),
        "p50_ms": [point.p50_ms for point in points],
        "p99_ms": [point.p99_ms for point in points],
        "longest_wait_ms": [point.longest_ms for point in points],
        "batch_size": [point.batch_size for point in points],
        "transactions_open": [point.transactions for point in points],
    }


def _column(points: Sequence[Point], code: str) -> list[int]:
    return [point.outcomes.get(code, 0) for point in points]


def _stock(points: Sequence[Point]) -> list[int | None]:
    """What was left, by the last that was seen before."""
    stock: list[int | None] = []
    for point in points:
        stock.append(point.stock if point.stock is not None or not stock else stock[-1])
    return stock


def _items(seen: Picture) -> list[dict[str, Any]]:
    nothing = Tally()
    found = []
    for key, row in seen.items.items():
        counted, newest = seen.by_item.get(key, nothing), seen.newest.get(key, nothing)
        refused = sum(count for code, count in counted.outcomes.items() if _is_refusal(code))
        unpaid = seen.unpaid.get(key, _NONE)
        found.append(
            {
                "goods_id": key,
                "name": row.name,
                "status": seen.status(row),
                "stock": row.stock,
                "sold": row.sold,
                "purchases_per_second": _rate(counted.purchases),
                "refusals_per_second": _rate(refused),
                "waiting": newest.waiting,
                "transactions_open": newest.transactions,
                "transactions_cap": seen.cap(row),
                "unpaid": unpaid.orders,
                "expiring": unpaid.soon,
                "alarm": key in seen.alarms,
            }
        )
    demand = {item["goods_id"]: item["purchases_per_second"] + item["refusals_per_second"] for item in found}
    return sorted(found, key=lambda item: (not item["alarm"], -demand[item["goods_id"]], item["goods_id"]))
