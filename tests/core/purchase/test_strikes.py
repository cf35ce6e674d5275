"""Accounts that never pay, played through a day by the rules of purchases and a clock of their own."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from config import Settings
from core.purchase import decide as rules_of_purchases
from core.purchase.batch import rules_of
from core.purchase.decide import Held, Locked, LockedGoods, Placed, PurchaseRequest, Refused, Rules, decide
from tests.core.purchase.test_decide import NOW

DAY = 86_400
ITEM = LockedGoods(1, "item", "CNY", 100, 10**6, False, None, None, None, False)
DEFAULTS = rules_of(Settings(_env_file=None))  # type: ignore[call-arg]


def at(second: float) -> datetime:
    return NOW + timedelta(seconds=second)


@dataclass
class Account:
    """An account that lets every order go after `keeps` seconds: at the end of its time, or by a cancel before that."""

    rules: Rules
    keeps: float
    orders: list[tuple[float, float]] = field(default_factory=list)

    def held(self, now: float) -> Held:
        """What the database tells the batch (tests/resources/test_cooldown.py tries that)."""
        ended = [end for _, end in self.orders if now - self.rules.hold_forget_seconds < end <= now]
        units = sum(1 for _, end in self.orders if end > now)
        return Held(units, len(ended), at(max(ended)) if ended else None)

    def buy(self, now: float) -> int:
        """Buy a unit. Returns the seconds that are still to be waited; 0 where it was bought."""
        locked = Locked({1: ITEM}, at(now), held={("mallory", 1): self.held(now)})
        (outcome,) = decide([PurchaseRequest(1, "mallory")], locked, self.rules, lambda: "n")
        if isinstance(outcome, Placed):
            self.orders.append((now, now + self.keeps))
            return 0
        assert isinstance(outcome, Refused)
        return int(outcome.refusal.details["retry_after"])

    def share_held(self, begin: float, end: float) -> float:
        """The part of the time in which it held a unit, or several."""
        seconds, reached = 0.0, begin
        for first, last in sorted(self.orders):
            first, last = max(first, reached), min(last, end)
            seconds += max(0.0, last - first)
            reached = max(reached, last)
        return seconds / (end - begin)


def one_after_the_other(account: Account, until: float) -> Iterator[float]:
    """Buy again as soon as nothing is held and the wait is over."""
    now = 0.0
    while now < until:
        now += account.buy(now) or account.keeps
        yield now


def relay(account: Account, until: float) -> Iterator[float]:
    """Buy the next unit a second before the last order ends: nothing has been given up by then."""
    now = 0.0
    while now < until:
        now += account.buy(now) or account.keeps - 1
        yield now


def several_at_once(account: Account, until: float) -> Iterator[float]:
    """Hold five units whenever it may, each bought a little after the other."""
    now = 0.0
    while now < until:
        wait = account.buy(now)
        for step in range(1, 5):
            if not wait:
                account.buy(now + step * account.keeps / 5)
        now += wait or account.keeps * 9 / 5
        yield now


WAYS = [one_after_the_other, relay, several_at_once]


def play(rules: Rules, way: Any, keeps: float, days: int = 1) -> tuple[Account, float]:
    """An account, and the second in which the last of its free strikes was used."""
    account = Account(rules, keeps)
    for _ in way(account, (days + 1) * DAY):
        pass
    return account, sorted(end for _, end in account.orders)[rules.hold_strikes - 1]


@pytest.mark.parametrize("keeps", [900, 899, 450, 60], ids=lambda keeps: f"{keeps}s")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_who_never_pays_holds_an_item_for_less_than_a_quarter_of_the_day_after_the_free_strikes(
    way: Any, keeps: float
) -> None:
    account, begin = play(DEFAULTS, way, keeps, days=9)
    assert 0 < account.share_held(begin, begin + DAY) < 0.25
    # Nor of any later day, though the first strikes are forgotten in the second week.
    for day in range(1, 9):
        assert account.share_held(begin + day * DAY, begin + (day + 1) * DAY) < 0.25


def test_without_the_doubling_it_is_most_of_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    def same_each_time(held: Held, rules: Rules, now: datetime) -> int:
        if held.last_strike_at is None or held.strikes < rules.hold_strikes:
            return 0
        until = held.last_strike_at + timedelta(seconds=rules.hold_cooldown_seconds)
        return max(0, math.ceil((until - now).total_seconds()))

    monkeypatch.setattr(rules_of_purchases, "cooldown", same_each_time)
    account, begin = play(DEFAULTS, one_after_the_other, 900)
    assert account.share_held(begin, begin + DAY) > 0.87


def test_each_further_strike_doubles_the_wait_up_to_a_day() -> None:
    account, waits = Account(Rules(900, 3, 60), 900), []
    now = 0.0
    for _ in range(16):
        wait = account.buy(now)
        if wait:
            waits.append(wait)
            assert account.buy(now + wait - 0.5) == 1
            now += wait
            assert account.buy(now) == 0
        now += 900
    assert waits == [60 * 2**n for n in range(11)] + [DAY] * 2


@pytest.mark.parametrize(
    ("rules", "held", "wait"),
    [
        (Rules(900, 1, 60), Held(0, 10**6, NOW), DAY),
        (Rules(900, 3, 0), Held(0, 99, NOW), 0),
        # A first wait that is longer than a day stays as it was set.
        (Rules(900, 3, 2 * DAY), Held(0, 9, NOW), 2 * DAY),
        # When the last strike is forgotten, so are all before it.
        (Rules(900, 3, 60, hold_forget_seconds=100), Held(0, 9, NOW), 100),
    ],
)
def test_the_wait_has_bounds(rules: Rules, held: Held, wait: int) -> None:
    locked = Locked({1: ITEM}, NOW, held={("mallory", 1): held})
    (outcome,) = decide([PurchaseRequest(1, "mallory")], locked, rules, lambda: "n")
    assert (outcome.refusal.details["retry_after"] if isinstance(outcome, Refused) else 0) == wait
