"""Customers who buy with a coupon, then pay, in time, late or twice, cancel or forget; and their answers."""

import random
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Any

import requests

from examples.payment_provider import Event, Provider, new_secret
from examples.payment_provider.provider import SUCCEEDED
from harness.service import Service

KEY = new_secret()
# The shortest there is: an order is forgotten by doing nothing for so long.
PAYMENT_SECONDS = 1
# What the service runs with, for such customers.
SETTINGS: dict[str, object] = {
    "ORDER_PAYMENT_SECONDS": PAYMENT_SECONDS,
    "SWEEP_SECONDS": 0.2,
    "HOLD_COOLDOWN_SECONDS": 0,
    "PAYMENT_WEBHOOK_SECRETS": KEY,
}
# Few pay: what is paid never comes back, and the coupon and the items are to go from hand to hand.
HABITS = ("pay", "pay twice", "pay and cancel", "cancel and pay", "pay late", *["cancel"] * 5, *["forget"] * 5)


class Customers:
    """`count` customers in `threads`, each of whom buys again and again while the `with` block runs."""

    def __init__(
        self,
        service: Service,
        items: list[int],
        coupon: str,
        count: int = 200,
        threads: int = 50,
        habits: tuple[str, ...] = HABITS,
    ) -> None:
        self._service = service
        self._provider = Provider(f"{service.url}/payments/webhook", KEY, timeout=40)
        self._items = items
        self._coupon = coupon
        self._habits = habits
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._live, args=(range(first, count, threads),)) for first in range(threads)
        ]
        self.failed: list[BaseException] = []
        # (status, code) of every answer.
        self.answers: Counter[tuple[int, str]] = Counter()
        # Requests whose answer was lost, or `unavailable`, by (user, key): what was asked for.
        self.open: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        # Orders by number, and their states by the last answer about each.
        self.orders: dict[str, dict[str, Any]] = {}
        self.cancelled: set[str] = set()
        # What came of each event of a payment, by its id; and those that nobody has taken yet.
        self.outcomes: dict[str, tuple[str, str]] = {}
        self.untaken: dict[str, Event] = {}

    def __enter__(self) -> "Customers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()
        if kind is None and self.failed:
            raise self.failed[0]

    def wait_for(self, more: int, seconds: float = 120) -> None:
        """Wait until so many more orders were acknowledged."""
        wanted, deadline = len(self.orders) + more, time.monotonic() + seconds
        while len(self.orders) < wanted:
            assert time.monotonic() < deadline, f"the sale does not go on; answers: {self.answers}"
            time.sleep(0.02)

    def _live(self, numbers: range) -> None:
        lots = random.Random(numbers.start)
        count = 0
        try:
            while not self._done.is_set():
                count += 1
                user = f"customer-{lots.choice(numbers)}"
                choices = {"coupon_code": self._coupon} if lots.random() < 0.8 else {}
                wanted = lots.choice(self._items), {"quantity": lots.randint(1, 2), **choices}
                order = self.buy((user, f"key-{numbers.start}-{count}"), *wanted)
                if order is not None:
                    self._go_on(order, lots.choice(self._habits), lots)
                else:
                    time.sleep(0.05)
        except BaseException as error:
            self.failed.append(error)

    def buy(self, purchase: tuple[str, str], item: int, body: dict[str, Any]) -> dict[str, Any] | None:
        """The order, or None: refused, or not answered."""
        user, key = purchase
        self.open[purchase] = (item, body)
        try:
            answer = self._service.buy(item, user, key=key, timeout=40, **body)
        except requests.RequestException:
            return None
        content: dict[str, Any] = answer.json()
        self.answers[answer.status_code, content.get("code", "")] += 1
        if content.get("code") != "unavailable":
            del self.open[purchase]
        if answer.status_code != 201:
            return None
        self.orders[content["order_no"]] = content
        return content

    def _go_on(self, order: dict[str, Any], habit: str, lots: random.Random) -> None:
        event = Event(SUCCEEDED, order["order_no"], order["total"], order["currency"])
        if habit in ("pay", "pay and cancel"):
            self.deliver(event)
        if habit == "pay twice":
            self.deliver(event)
            self.deliver(event)
            self.deliver(Event(SUCCEEDED, order["order_no"], order["total"], order["currency"]))
        if habit in ("cancel", "pay and cancel", "cancel and pay"):
            self._cancel(order)
        if habit == "cancel and pay":
            self.deliver(event)
        if habit == "pay late":
            time.sleep(PAYMENT_SECONDS + lots.uniform(-0.1, 0.4))
            self.deliver(event)

    def deliver(self, event: Event) -> None:
        """Tell the service of a payment, once."""
        self.untaken[event.event_id] = event
        answer = self._provider.deliver(event).final
        self.answers[answer.status or 0, answer.body.get("code", "")] += 1
        if answer.taken:
            self.outcomes[event.event_id] = (event.order_no, answer.body["outcome"])
            del self.untaken[event.event_id]

    def _cancel(self, order: dict[str, Any]) -> None:
        try:
            answer = requests.post(
                f"{self._service.url}/orders/{order['order_no']}/cancel",
                headers=self._service.headers(order["user_id"]),
                timeout=40,
            )
        except requests.RequestException:
            return
        self.answers[answer.status_code, answer.json().get("code", "")] += 1
        if answer.status_code == 200:
            self.cancelled.add(order["order_no"])

    def settle(self, seconds: float = 120) -> None:
        """Send what had no answer again, until it has one. To be called when the customers have stopped."""
        deadline = time.monotonic() + seconds
        while self.open or self.untaken:
            left = f"{len(self.open)} purchases and {len(self.untaken)} payments"
            assert time.monotonic() < deadline, f"{left} get no answer; answers: {self.answers}"
            for purchase, wanted in list(self.open.items()):
                self.buy(purchase, *wanted)
            for event in list(self.untaken.values()):
                self.deliver(event)
