"""The service, as its users start it, with everything on; and its books, which an audit goes over after each run."""

from dataclasses import dataclass
from pathlib import Path

import requests

import config
from bench import cpu, orders_table
from bench.contenders import PER_USER_LIMIT, THREADS, WORKERS, Contender, State, Verdict, count_problems
from bench.figures import Figures
from bench.peer_shops import accepted_of
from bench.servers import BenchDatabase
from bench.wrk import Answers, Load
from core.ops import audit
from harness.service import SECRET, Service

_ADDRESS = {"name": "Li Na", "phone": "13800138000", "region": "CN-31", "line1": "1 Nanjing Road", "postcode": "200000"}
# What buyers choose beside the units; so high a limit is counted and never met.
_COUPON = {"code": "BENCH", "kind": "percent", "percent": 10, "total_limit": 10**9, "per_user_limit": 10**6}
_METHOD = {"code": "bench", "name": "Courier", "base_fee": 800, "additional_fee": 200, "regions": ["CN"]}
SHIPPED = {"quantity": 1, "shipping_method": _METHOD["code"], "address": _ADDRESS}
WITH_COUPON = {"quantity": 1, "coupon_code": _COUPON["code"]}

_UNMET = "1000000000/minute"
_UNMET_LIMITS = {"RATE_LIMITS": "on", "RATE_LIMIT_PER_USER": _UNMET, "RATE_LIMIT_PER_ADDRESS": _UNMET}


@dataclass(frozen=True)
class Setup:
    """The settings of speed; by default those of `make run`."""

    workers: int = WORKERS
    batch_max: int = config.Settings.model_fields["BATCH_MAX"].default
    # Where callers are counted, for limits that nobody meets; all come from one address.
    limits: str | None = None
    publisher: bool = True


DEFAULTS = Setup()


class Ours(Contender):
    """The service on a database of its own, which is emptied for each run unless it is to keep orders."""

    def __init__(self, name: str, server: BenchDatabase, directory: Path, setup: Setup = DEFAULTS) -> None:
        self.name = name
        self._server = server
        self._database = f"bench_{name}"
        uri = server.create_database(self._database)
        self._settings = config.load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET)
        log = directory / f"{name}.log"
        more: dict[str, object] = {
            "BATCH_MAX": setup.batch_max,
            "PUBLISHER": setup.publisher,
            "WEBHOOKS_TO_PRIVATE": "on",
        }
        if setup.limits is not None:
            more |= {**_UNMET_LIMITS, "RATE_LIMIT_STORAGE": setup.limits}
        self._service = Service(
            uri,
            log,
            workers=setup.workers,
            threads=THREADS,
            **more,  # type: ignore[arg-type]
        )
        # At rest: nobody has bought yet.
        self._worker_mb = max(cpu.megabytes(pid) for pid in self._service.worker_pids())
        self._kept = 0
        self._next_id = 1
        self.port = self._service.port
        self.url = self._service.url

    def server_pids(self) -> list[int]:
        return cpu.tree(self._service.process.pid)

    def database_pids(self) -> list[int]:
        return [self._server.pid]

    def put_up(self, items: int = 1, stock: int = 10**8, shippable: bool = False) -> int:
        if not self._kept:
            # An item's id is never used twice: the service may remember what it knew of an item.
            orders_table.empty(self._server, self._database, self._next_id)
        first = self._service.create_goods(stock=stock, per_user_limit=PER_USER_LIMIT, shippable=shippable)
        orders_table.copy_goods(self._server, self._database, first, items)
        self._next_id = first + items
        return first

    def offer(self) -> None:
        """Make the coupon of WITH_COUPON and the shipping method of SHIPPED."""
        for path, body in (("coupons", _COUPON), ("shipping-methods", _METHOD)):
            headers = self._service.headers("operator", admin=True)
            requests.post(f"{self.url}/{path}", json=body, headers=headers, timeout=20).raise_for_status()

    def subscribe(self, url: str) -> None:
        """Have all events sent to `url`."""
        headers = self._service.headers("operator", admin=True)
        requests.post(f"{self.url}/webhooks", json={"url": url}, headers=headers, timeout=20).raise_for_status()

    def keep_orders(self, count: int) -> None:
        """Fill the table with `count` orders of others, once, and keep them from then on."""
        if self._kept:
            return
        goods_id = self.put_up()
        answer = self._service.buy(goods_id, "earlier-buyer", key="earlier")
        answer.raise_for_status()
        orders_table.fill(self._server, self._database, goods_id, count)
        self._kept = count

    def sell_out(self, goods_id: int, winners: int) -> None:
        """Sell one unit each to the first `winners` users, under the keys `won-0`, `won-1`, …"""
        for number in range(winners):
            answer = self._service.buy(goods_id, user_name(number), key=f"won-{number}")
            answer.raise_for_status()

    def etag(self, goods_id: int) -> str:
        """The ETag of the sale's live state now."""
        return requests.get(f"{self.url}/seckill/{goods_id}", timeout=20).headers["ETag"]

    def state(self) -> State:
        # Units, not rows: to count the rows of a large table takes seconds. The audit holds the two equal.
        units = int(self._server.rows(self._database, "SELECT COALESCE(SUM(sold), 0) FROM goods")[0][0])
        figures = Figures.read(self.url)
        return State(units, queued=figures.under_way(), counted=figures.outcomes().get("placed", 0), figures=figures)

    def judge(self, before: State, after: State, load: Load, answers: Answers) -> Verdict:
        change = after.figures.since(before.figures)
        outcomes, statuses = change.outcomes(), change.statuses()
        sold = after.units - before.units
        details = {
            "outcomes": outcomes,
            "cached_refusals": change.cached_refusals(),
            "statuses": statuses,
            "histograms": change.summaries(),
            "worker_mb": self._worker_mb,
        }
        problems = []
        if load.method == "POST":
            replayed = load.key == "won"
            problems += count_problems(
                outcomes.get("replayed", 0) if replayed else sold, accepted_of(answers), load.connections
            )
            if outcomes.get("placed", 0) != sold:
                problems.append(f"{outcomes.get('placed', 0)} purchases were counted, {sold} units are sold")
        problems += self._item_problems(load.first) if self._kept else self.audit()
        return Verdict(sold, statuses.get("503", 0), statuses.get("409", 0), details, tuple(problems))

    def _item_problems(self, goods_id: int) -> list[str]:
        """What an audit would find of one item: orders that were copied have no history, and many take it minutes."""
        sold, stock, put_in, rows, units, keys = self._server.rows(
            self._database,
            "SELECT goods.sold, goods.stock, put_in.units, bought.orders, bought.units, bought.owners FROM goods,"
            f" (SELECT SUM(stock_delta) AS units FROM goods_changes WHERE goods_id = {goods_id}) AS put_in,"
            " (SELECT COUNT(*) AS orders, SUM(quantity) AS units, COUNT(DISTINCT user_id, idempotency_key) AS owners"
            f" FROM orders WHERE goods_id = {goods_id}) AS bought WHERE goods.id = {goods_id}",
        )[0]
        if (sold, sold + stock, rows) == (units, put_in, keys) and stock >= 0:
            return []
        return [f"item {goods_id}: {sold} sold, {stock} left of {put_in}; {rows} orders, {units} units, {keys} keys"]

    def audit(self) -> list[str]:
        """What breaks the promises of a sale, over the whole database."""
        report = audit.run(self._settings)
        return [
            f"audit: {result.check.name} is broken {result.count} times" for result in report.results if result.count
        ]

    def stop(self) -> None:
        self._service.stop()


def user_name(number: int) -> str:
    """The user whose token is line `number` of the file of tokens, the first being 0."""
    return f"buyer-{number}"
