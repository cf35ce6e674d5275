"""`make bench BENCH="--only lists"`: milliseconds that each list takes, with each of its filters, over many orders.

The lists are asked of the application in this process, a hundred rows a page: the first page, and the one behind it.
`python -m bench.lists 1e6 mysql` measures so many orders on one server.
"""

import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from app import create_app
from bench import list_rows
from bench.list_rows import HEAVY_USER, HOT_ITEM
from config import load
from core.db.clock import iso
from core.db.database import patient_engine
from core.tokens import Tokens
from harness.database_server import DatabaseServer
from harness.mariadb import MariaDB
from harness.mysql import MySQL
from harness.service import SECRET
from models import DeliveryStatus, OrderStatus
from server.prepare import upgrade

log = logging.getLogger("bench")

LONGEST_MS = 200
REPEATS = 3
PAYMENTS_SHARE = 10  # so many orders for each payment
COUPONS_SHARE = 10  # and for each coupon
CHANGES_SHARE = 10  # and for each change of the hot item
_SIZES = ("--innodb-buffer-pool-size=4G", "--innodb-redo-log-capacity=2G")
_SIZES_OF_MARIADB = ("--innodb-buffer-pool-size=4G", "--innodb-log-file-size=1G")


@dataclass(frozen=True)
class Figure:
    """What one list took, in milliseconds: the median and the longest of its pages.

    `rows` is how many rows and index entries the server read for one page, at the most; None where it has no count.
    """

    path: str
    by: str
    median: float
    longest: float
    rows: int | None


def main(orders: int, servers: Sequence[str] = ()) -> int:
    """Measure on each server, by default on all, and print a table. Returns 1 where a read took longer than it may."""
    found: dict[str, list[Figure]] = {}
    for name in servers or _SERVERS:
        with tempfile.TemporaryDirectory(prefix="bench-lists-", ignore_cleanup_errors=True) as directory:
            found[name] = _SERVERS[name](Path(directory), orders)
    print(_table(found, orders), flush=True)
    return 1 if any(figure.longest > LONGEST_MS for figures in found.values() for figure in figures) else 0


def _on_mysql(directory: Path, orders: int) -> list[Figure]:
    return _on_server(MySQL(directory / "server", [*_SIZES, "--skip-log-bin"]), orders)


def _on_mariadb(directory: Path, orders: int) -> list[Figure]:
    return _on_server(MariaDB(directory / "server", _SIZES_OF_MARIADB), orders)


def _on_server(server: DatabaseServer, orders: int) -> list[Figure]:
    server.start()
    try:
        return _measure(server.create_database("lists"), orders)
    finally:
        server.kill()  # its data is thrown away, and there may be much of it to write back


def _on_sqlite(directory: Path, orders: int) -> list[Figure]:
    return _measure(f"sqlite:///{directory / 'lists.db'}", orders)


_SERVERS: dict[str, Callable[[Path, int], list[Figure]]] = {
    "mysql": _on_mysql,
    "mariadb": _on_mariadb,
    "sqlite": _on_sqlite,
}


def _measure(uri: str, orders: int) -> list[Figure]:
    settings = load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET, RATE_LIMITS=False)
    app = create_app(settings)
    upgrade(app)
    engine = create_engine(make_url(uri)) if settings.on_sqlite else patient_engine(settings)
    list_rows.fill(engine, orders)
    list_rows.fill_payments(engine, orders // PAYMENTS_SHARE)
    list_rows.fill_coupons(engine, orders // COUPONS_SHARE)
    webhook = _make_item_and_webhook(app)
    list_rows.fill_changes(engine, orders // CHANGES_SHARE)
    list_rows.fill_events(engine, orders)
    list_rows.fill_deliveries(engine, orders, webhook)
    engine.dispose()
    figures = measure_lists(app, webhook, orders)
    app.extensions["seckill"].database.engine.dispose()
    return figures


def _make_item_and_webhook(app: Flask) -> int:
    """Put up the hot item, and subscribe to its events. Returns the subscription's id."""
    client, headers = app.test_client(), {"Authorization": f"Bearer {Tokens(SECRET).issue('operator', is_admin=True)}"}
    goods = {"name": "Mechanical keyboard", "currency": "CNY", "price": 19_900, "stock": 1}
    made = client.post("/goods", json=goods, headers=headers).get_json()
    assert made["id"] == HOT_ITEM, made
    subscribed = client.post("/webhooks", json={"url": "https://93.184.216.34/hooks"}, headers=headers).get_json()
    return int(subscribed["id"])


def measure_lists(app: Flask, webhook: int, events: int) -> list[Figure]:
    """Measure each list of an application whose tables are filled, with so many `events`."""
    client = app.test_client()
    tokens = Tokens(SECRET)
    database = app.extensions["seckill"].database
    status = None if database.is_sqlite else database.engine.connect()

    def rows_read() -> int:
        if status is None:
            return 0
        values = status.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Handler_read%'").all()
        return sum(int(value) for _, value in values)

    def fetch(path: str, by: str) -> tuple[float, Any]:
        headers = {"Authorization": f"Bearer {tokens.issue(by, is_admin=by == 'operator')}"}
        began = time.perf_counter()
        answer = client.get(path, headers=headers)
        for _ in range(REPEATS):
            if answer.status_code != 503:
                break
            # The machine stood still, or the list takes too long: either way it shows in the time.
            log.warning("%s: %s", path, answer.text)
            answer = client.get(path, headers=headers)
        took = (time.perf_counter() - began) * 1000
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
        return took, answer.json

    newest = datetime.fromisoformat(fetch("/orders?limit=1", "operator")[1]["items"][0]["purchased_at"])
    middle = iso(newest - timedelta(days=list_rows.DAYS // 2))
    figures = []
    for path, by in _lists(middle, webhook, events):
        took: list[float] = []
        fewest = 0
        pages = [path]
        for each in pages:
            rows = []
            for _ in range(REPEATS):
                before, again = rows_read(), rows_read()
                milliseconds, page = fetch(each, by)
                took.append(milliseconds)
                rows.append(rows_read() - again - (again - before))  # the question itself reads some
            fewest = max(fewest, min(rows))  # others may read meanwhile
            if each == path and page["next_cursor"] is not None:
                pages.append(f"{path}&cursor={page['next_cursor']}")
        # The first of all reads what nobody has read before.
        figures.append(Figure(path, by, statistics.median(took), max(took), None if database.is_sqlite else fewest))
        log.info("%-90s %8.1f %8.1f %s", f"{by} {path}", figures[-1].median, figures[-1].longest, figures[-1].rows)
    if status is not None:
        status.close()
    return figures


def _lists(middle: str, webhook: int, events: int) -> list[tuple[str, str]]:
    statuses = ["", *(f"&status={status}" for status in OrderStatus)]
    owners = ["", f"&goods_id={HOT_ITEM}", "&goods_id=777"]
    buyers = [f"&user_id={HEAVY_USER}", "&user_id=user-48271", "&user_id=nobody"]
    times = ["", f"&purchased_to={middle}", f"&purchased_from={middle}"]
    sorts = ["-purchased_at", "purchased_at"]
    made = [
        (f"/orders?limit=100&sort={sort}{owner}{status}{when}", "operator")
        for sort, status, (owner, when) in product(sorts, statuses, product([*owners, *buyers], times))
    ]
    made += [
        (f"/orders?limit=100&sort={sort}{status}&user_id={HEAVY_USER}&goods_id={item}{when}", "operator")
        for sort, status, item, when in product(sorts, statuses, [HOT_ITEM, 777], times)
    ]
    made += [
        (f"/payments?limit=100{outcome}{resolved}", "operator")
        for outcome, resolved in product(
            ["", "&outcome=mismatch", "&outcome=failed", "&outcome=paid", "&outcome=refund_due"],
            ["", "&resolved=true", "&resolved=false"],
        )
    ]
    made += [
        (f"/payments?limit=100&order_no={order_no}{rest}", "operator")
        for order_no, rest in product(["4711", "none"], ["", "&outcome=paid", "&resolved=false", "&outcome=mismatch"])
    ]
    made += [(f"/events?limit=100&after={after}", "operator") for after in (0, events // 2, events - 50)]
    made += [
        (f"/webhooks/{webhook}/deliveries?limit=100{status}", "operator")
        for status in ("", *(f"&status={status}" for status in DeliveryStatus))
    ]
    made += [(f"/goods/{HOT_ITEM}/changes?limit=100", "operator")]
    made += [
        (f"/coupons?limit=100&sort={sort}{kind}{active}", "operator")
        for sort, kind, active in product(
            ["code", "-code", "created_at", "-created_at"],
            ["", "&kind=percent", "&kind=free_shipping"],
            ["", "&active=true", "&active=false"],
        )
    ]
    made += [
        (f"/orders?limit=100&sort={sort}{status}{item}", by)
        for sort, status, item, by in product(
            sorts, statuses, ["", f"&goods_id={HOT_ITEM}"], [HEAVY_USER, "user-48271"]
        )
    ]
    return made


def _table(found: dict[str, list[Figure]], orders: int) -> str:
    lines = [f"{orders:,} orders, a page of 100, ms (median / longest), rows and index entries read", ""]
    names = list(found)
    lines.append(f"| list | {' | '.join(names)} |")
    lines.append(f"|---|{'---|' * len(names)}")
    for row in zip(*found.values(), strict=True):
        cells = " | ".join(
            f"{figure.median:.1f} / {figure.longest:.1f}{'' if figure.rows is None else f', {figure.rows:,}'}"
            for figure in row
        )
        lines.append(f"| {row[0].by} `{row[0].path.replace('limit=100&', '')}` | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    sys.exit(main(int(float(sys.argv[1])), sys.argv[2:]))
