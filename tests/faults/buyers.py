"""Buyers who go on buying while things break, and remember the answers that they got."""

import threading
import time
from types import TracebackType

import requests

from harness.service import Service
from tests.races.buyers import assert_audit_clean
from tests.races.inside import Inside

# (user, idempotency key)
Purchase = tuple[str, str]


class Buyers:
    """Threads that buy one unit after another, each under a key of its own, while the `with` block runs."""

    def __init__(self, service: Service, items: int = 6, threads: int = 12, timeout: float = 40) -> None:
        self._service = service
        self._timeout = timeout
        self._items = [service.create_goods(stock=10**6) for _ in range(items)]
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._buy, args=(number,)) for number in range(threads)]
        # What was acknowledged, and what was asked for and not answered with an order.
        self.acknowledged: dict[Purchase, str] = {}
        self.open: dict[Purchase, int] = {}
        # Purchases that were answered `busy`: nothing may have been bought.
        self.busy: set[Purchase] = set()
        self.refusals: set[tuple[int, str]] = set()

    def __enter__(self) -> "Buyers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _buy(self, number: int) -> None:
        item = self._items[number % len(self._items)]
        user = f"buyer-{number}"
        count = 0
        while not self._done.is_set():
            count += 1
            self._send((user, f"key-{count}"), item, self._timeout)

    def _send(self, purchase: Purchase, item: int, timeout: float) -> None:
        self.open[purchase] = item
        try:
            answer = self._service.buy(item, purchase[0], key=purchase[1], timeout=timeout)
        except requests.RequestException:
            time.sleep(0.02)
            return
        if answer.status_code == 201:
            self.acknowledged[purchase] = answer.json()["order_no"]
            del self.open[purchase]
        else:
            code = answer.json()["code"]
            self.refusals.add((answer.status_code, code))
            if code == "busy":
                self.busy.add(purchase)
            time.sleep(0.02)

    def wait_for(self, more: int, seconds: float = 120) -> None:
        """Wait until so many more purchases were acknowledged."""
        wanted, deadline = len(self.acknowledged) + more, time.monotonic() + seconds
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, f"the sale does not go on; refusals: {self.refusals}"
            time.sleep(0.02)

    def retry_open(self, seconds: float = 120) -> None:
        """Ask again, under the same keys, for all that got no order."""
        deadline = time.monotonic() + seconds
        while self.open:
            assert time.monotonic() < deadline, f"{len(self.open)} purchases get no answer; refusals: {self.refusals}"
            for purchase, item in list(self.open.items()):
                # A short wait: a worker that died may have left connections that nobody answers.
                self._send(purchase, item, timeout=20)


def assert_nothing_lost(service: Service, inside: Inside, buyers: Buyers) -> None:
    """Every acknowledged order is there, a retry of the others makes one order a key, and the figures add up.

    To be called when the buyers have stopped.
    """
    before = stored(inside)
    missing = {purchase: number for purchase, number in buyers.acknowledged.items() if before.get(purchase) != number}
    assert not missing, f"{len(missing)} of {len(buyers.acknowledged)} acknowledged orders are not there"
    assert not buyers.busy & before.keys(), "somebody who was told `busy` has bought"
    buyers.retry_open()
    assert stored(inside) == buyers.acknowledged
    assert inside.query("SELECT COUNT(*) FROM orders") == [(len(buyers.acknowledged),)]
    # A refusal for the fault itself is allowed, an error is not.
    assert {status for status, _ in buyers.refusals} <= {503}, buyers.refusals
    assert_audit_clean(service)


def stored(inside: Inside) -> dict[Purchase, str]:
    """The orders that the database has."""
    rows = inside.query("SELECT user_id, idempotency_key, order_no FROM orders")
    return {(user, key): order_no for user, key, order_no in rows}
