"""Many clients at once, the outcomes of their requests, and buyers who buy again and again."""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import pytest
import requests

from harness.service import Service

Result = TypeVar("Result")

# Buyers are settled together in one transaction, or each in a transaction of their own: the guards are the same.
BATCHES = pytest.mark.parametrize(
    "batches", [pytest.param({}, id="together"), pytest.param({"BATCH_MAX": 1}, id="one-by-one")]
)


def at_once(calls: Iterable[Callable[[], Result]]) -> list[Result]:
    """Make all calls from threads that set out together; the results are in the order of the calls."""
    calls = list(calls)
    together = threading.Barrier(len(calls))

    def set_out(call: Callable[[], Result]) -> Result:
        together.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(set_out, calls))


def fails_soon(check: Callable[[], object], match: str, tries: int = 6) -> None:
    """Without its guard `check` fails, if not the first time: it has to lose a race for that.

    What it fails with has to be as `match` says: a service that is merely broken is no twin. `check` must not mind what
    its earlier tries have left behind.
    """
    for _ in range(tries):
        try:
            check()
        except AssertionError as error:
            if re.search(match, str(error)):
                return
            raise
    pytest.fail(f"did not fail in {tries} tries")


@contextmanager
def buyers_of(service: Service, item: int, buyers: int = 24) -> Iterator[Callable[[], None]]:
    """Buyers who buy again and again. Yields what adds one more."""
    done = threading.Event()
    threads: list[threading.Thread] = []

    def keep_buying(user: str) -> None:
        while not done.is_set():
            service.buy(item, user, timeout=60)

    def add_buyer() -> None:
        threads.append(threading.Thread(target=keep_buying, args=(f"buyer-{len(threads)}",)))
        threads[-1].start()

    try:
        for _ in range(buyers):
            add_buyer()
        yield add_buyer
    finally:
        done.set()
        for thread in threads:
            thread.join()


def outcomes(answers: Iterable[requests.Response]) -> Counter[str]:
    """How often each outcome was answered: `201`, or a refusal's code."""
    return Counter(str(answer.status_code) if answer.status_code < 400 else answer.json()["code"] for answer in answers)


def order_numbers(answers: Iterable[requests.Response]) -> set[str]:
    """The orders that were acknowledged."""
    return {answer.json()["order_no"] for answer in answers if answer.status_code == 201}


def assert_audit_clean(service: Service) -> None:
    """`flask audit` finds every invariant kept."""
    audit = service.audit()
    report = json.loads(audit.stdout) if audit.returncode in (0, 1) else {"checks": [], "error": audit.stderr[-2000:]}
    broken = [check for check in report["checks"] if check["breaches"]]
    assert (audit.returncode, broken) == (0, []), report.get("error")
