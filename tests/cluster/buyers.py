"""Buyers who retry as the contract advises: the same request under the same key, after `Retry-After` seconds."""

import itertools
import random
import time
from collections import Counter

import requests

from harness.group import Group
from harness.service import Service
from tests.faults.buyers import Buyers, Purchase

_CODES_TO_RETRY = ("busy", "unavailable")
# Of those who are told `busy`, the share that goes away: they must have bought nothing.
_SHARE_THAT_GIVES_UP = 0.25


class RetryingBuyers(Buyers):
    """`threads` buyers, each of whom asks for a unit until there is an order, and then for the next."""

    def __init__(self, service: Service, items: int = 3, threads: int = 24) -> None:
        super().__init__(service, items, threads)
        # When each order was acknowledged (time.monotonic).
        self.moments: list[float] = []
        self.codes: Counter[tuple[int, str]] = Counter()
        # Purchases that were acknowledged with more than one order.
        self.doubled: set[Purchase] = set()
        self.replays = 0
        # Purchases of which a request had no certain answer: `busy` to a later one says nothing of the earlier.
        self._uncertain: set[Purchase] = set()

    def _buy(self, number: int) -> None:
        chance = random.Random(number)
        item, user, count = self._items[number % len(self._items)], f"buyer-{number}", 0
        while not self._done.is_set():
            count += 1
            purchase = (user, f"key-{count}")
            self.open[purchase] = item
            while not self._done.is_set() and not self._try(purchase, item):
                if purchase in self.busy and chance.random() < _SHARE_THAT_GIVES_UP:
                    break
                self.busy.discard(purchase)
            if purchase in self.acknowledged and chance.random() < 0.1:
                self._send_again(purchase, item)

    def _try(self, purchase: Purchase, item: int) -> bool:
        """Ask once, and wait as long as the answer advises. Whether there is an order."""
        try:
            answer = self._service.buy(item, purchase[0], key=purchase[1], timeout=self._timeout)
        except requests.RequestException:
            self.codes[0, "no answer"] += 1
            self._uncertain.add(purchase)
            self._done.wait(1)
            return False
        if answer.status_code == 201:
            self.moments.append(time.monotonic())
            self.acknowledged[purchase] = answer.json()["order_no"]
            self.open.pop(purchase)
            return True
        code = answer.json()["code"]
        self.codes[answer.status_code, code] += 1
        self.refusals.add((answer.status_code, code))
        if code == "unavailable":
            self._uncertain.add(purchase)
        elif code == "busy" and purchase not in self._uncertain:
            self.busy.add(purchase)
        self._done.wait(float(answer.headers.get("Retry-After", 1)))
        return False

    def _send_again(self, purchase: Purchase, item: int) -> None:
        """Send an answered request once more: it has to be the same order."""
        try:
            answer = self._service.buy(item, purchase[0], key=purchase[1], timeout=self._timeout)
        except requests.RequestException:
            return
        if answer.status_code == 201:
            self.replays += 1
            if answer.json()["order_no"] != self.acknowledged[purchase]:
                self.doubled.add(purchase)
        else:
            self.refusals.add((answer.status_code, answer.json()["code"]))

    def longest_silence(self, since: float) -> float:
        """The longest time after the moment `since` in which nobody was acknowledged an order, in seconds."""
        moments = [since, *sorted(moment for moment in list(self.moments) if moment > since), time.monotonic()]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))


class InsideGroup:
    """Looks into a database of the group, by way of its primary (as `tests.races.inside.Inside` into one server's)."""

    def __init__(self, group: Group, database: str) -> None:
        self._group = group
        self._database = database

    def query(self, statement: str) -> list:
        """The rows of one statement."""
        return self._group.primary().execute(statement, self._database)
