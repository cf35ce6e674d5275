"""People at a flash sale: they watch the countdown, buy when it opens, retry as `Retry-After` says, look at the order.

`make load` starts it. Whatever its web page is given, it speaks to the service of the options alone, and within bounds.
"""

import logging
import os
import random
import time
import uuid
from typing import Any

import gevent
from locust import HttpUser, between, events, task

import config
from core.tokens import Tokens
from load import sale as item
from load.options import MAX_SPAWN, MAX_USERS, parse
from load.tally import ACCEPTED, COME_BACK, FAILED, LIMITED, REPLAYED, RunCounts, outcome
from server.loopback import reach_directly

reach_directly()
OPTIONS = parse([], os.environ)
TOKENS = Tokens(config.load().SECRET_KEY)
# Seconds before the sale opens: time for the buyers to gather.
COUNTDOWN_SECONDS = 5
# Times that somebody tries to buy before they have had enough.
TRIES = 6
# Who presses the button twice, of all who buy.
DOUBLE_CLICKS = 0.1
# Seconds that somebody waits for an answer.
PATIENCE_SECONDS = 35


class Sale:
    """The item of one run, and what is found out about it."""

    def __init__(self) -> None:
        self.tally = RunCounts()
        self.closes = time.monotonic() + OPTIONS.seconds
        self._item = item.Sale(OPTIONS, TOKENS, COUNTDOWN_SECONDS)
        self.goods_id = self._item.goods_id

    def sold(self) -> int:
        return self._item.sold()


def _bearer(user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS.issue(user, hours=1)}"}


class Person(HttpUser):
    """One who comes, buys or gives up, and is followed by the next."""

    wait_time = between(1, 3)
    sale: Any = None  # the Sale of the run

    def __init__(self, *arguments: Any) -> None:
        self.host = OPTIONS.url  # not what the web page's form says
        super().__init__(*arguments)

    @task
    def visit(self) -> None:
        tally = self.sale.tally
        self.headers = _bearer(f"load-{uuid.uuid4().hex[:16]}")
        seen = self._watch()
        if seen != "on_sale":
            tally.ended[f"left: {seen}"] += 1
            return
        order, ending = self._buy()
        tally.ended[ending] += 1
        if order is not None:
            self._look_up(order)

    def _leaving(self) -> bool:
        """Whether the run is over: nobody begins anything new then."""
        return time.monotonic() > self.sale.closes or self.environment.runner.state in ("stopping", "stopped")

    def _watch(self) -> str:
        """Look at the sale about once a second until it is not `upcoming` any more; returns what it is then."""
        status, etag = "upcoming", ""
        while status == "upcoming":
            if self._leaving():
                return "the run was over"
            headers = {"If-None-Match": etag} if etag else {}
            answer = self._send("watch", "GET", f"/seckill/{self.sale.goods_id}", headers, (200, 304))
            if answer.status_code == 200:
                status, etag = answer.json()["status"], answer.headers["ETag"]
            if status == "upcoming":
                gevent.sleep(random.uniform(0.5, 1.5))
        return status

    def _buy(self) -> tuple[dict[str, Any] | None, str]:
        """Try to buy, with one key for all tries; returns the order or None, and how it ended."""
        key = {"Idempotency-Key": uuid.uuid4().hex}
        found = FAILED
        for _ in range(TRIES):
            answer, found = self._send_purchase(key)
            if found in (ACCEPTED, REPLAYED):
                order: dict[str, Any] = answer.json()
                if random.random() < DOUBLE_CLICKS:
                    again, second = self._send_purchase(key)
                    if second == ACCEPTED or (second == REPLAYED and again.json()["order_no"] != order["order_no"]):
                        self.sale.tally.complain("the same key bought twice")
                return order, "bought"
            if found not in (*COME_BACK, FAILED):
                return None, f"refused: {found}"
            if self._leaving():
                break
            # A little later than `Retry-After`, each by chance: else all come back in the same instant.
            gevent.sleep(float(answer.headers.get("Retry-After", 1)) * random.uniform(1, 1.5))
        return None, f"gave up: {found}"

    def _send_purchase(self, key: dict[str, str]) -> tuple[Any, str]:
        answer = self._send("buy", "POST", f"/seckill/{self.sale.goods_id}", key)
        found: str = answer.outcome
        self.sale.tally.outcomes[found] += 1
        return answer, found

    def _look_up(self, order: dict[str, Any]) -> None:
        answer = self._send("order", "GET", f"/orders/{order['order_no']}", {}, (200,))
        if answer.status_code == 200 and answer.json()["order_no"] != order["order_no"]:
            self.sale.tally.complain("another order was shown")
        elif answer.status_code == 404:
            self.sale.tally.complain("an order that was answered is not there")

    def _send(self, step: str, method: str, path: str, headers: dict[str, str], fine: tuple[int, ...] = ()) -> Any:
        """Send a request. On locust's page each outcome of a purchase has a row; `fine` are other steps' statuses."""
        json = {"quantity": 1} if method == "POST" else None
        with self.client.request(
            method,
            path,
            name=step,
            json=json,
            headers=self.headers | headers,
            timeout=PATIENCE_SECONDS,
            allow_redirects=False,
            catch_response=True,
        ) as answer:
            self.sale.tally.time(step, answer.request_meta["response_time"])
            replayed = answer.headers.get("Idempotent-Replayed") == "true"
            answer.outcome = outcome(answer.status_code, _code(answer), replayed) if step == "buy" else ""
            if step == "buy":
                answer.request_meta["name"] = f"buy: {answer.outcome}"
            self.sale.tally.limited += _code(answer) == LIMITED
            if answer.status_code in fine or answer.outcome not in ("", FAILED):
                answer.success()
            else:
                self.sale.tally.complain(f"{step} was answered {answer.status_code or 'not at all'}")
                answer.failure(f"status {answer.status_code}")
        return answer


def _code(answer: Any) -> str | None:
    if "json" not in answer.headers.get("Content-Type", ""):
        return None
    code: str | None = answer.json().get("code")
    return code


@events.init.add_listener
def _keep_within_bounds(environment: Any, runner: Any, **_: Any) -> None:
    start = runner.start

    def bounded(user_count: int, spawn_rate: float, **options: Any) -> Any:
        return start(min(user_count, MAX_USERS), min(spawn_rate, MAX_SPAWN), **options)

    runner.start = bounded
    # The summary at the end is shorter.
    logging.getLogger("locust.stats_logger").disabled = True


@events.test_start.add_listener
def _open(environment: Any, **_: Any) -> None:
    Person.sale = None
    try:
        Person.sale = Sale()
    except (RuntimeError, OSError) as error:
        print(f"error: {error}", flush=True)
        environment.process_exit_code = 1
        environment.runner.quit()
        return
    if environment.web_ui is not None:
        gevent.spawn_later(OPTIONS.seconds, _stop, environment, Person.sale)


def _stop(environment: Any, sale: Sale) -> None:
    if Person.sale is sale:  # not a later run, started on the page
        environment.runner.stop()


@events.test_stop.add_listener
def _sum_up(environment: Any, **_: Any) -> None:
    sale = Person.sale
    if sale is None:
        return
    try:
        sold = sale.sold()
    except (OSError, ValueError, KeyError):
        print("error: the service does not say what was sold in the end", flush=True)
        environment.process_exit_code = 1
        return
    print(sale.tally.summary(OPTIONS.stock, sold), flush=True)
    environment.process_exit_code = 1 if sale.tally.verdict(OPTIONS.stock, sold) else 0
