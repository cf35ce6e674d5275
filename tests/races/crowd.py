"""Many clients at once, and what they were told."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import requests

from tests.servers.service import Service

Result = TypeVar("Result")


def at_once(calls: Iterable[Callable[[], Result]]) -> list[Result]:
    """Make all calls from threads that set out together; the results are in the order of the calls."""
    calls = list(calls)
    together = threading.Barrier(len(calls))

    def set_out(call: Callable[[], Result]) -> Result:
        together.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(set_out, calls))


def told(answers: Iterable[requests.Response]) -> Counter[str]:
    """How often each was said: `201`, or a refusal's code."""
    return Counter(str(answer.status_code) if answer.status_code < 400 else answer.json()["code"] for answer in answers)


def order_numbers(answers: Iterable[requests.Response]) -> set[str]:
    """The orders that were acknowledged."""
    return {answer.json()["order_no"] for answer in answers if answer.status_code == 201}


def assert_audit_clean(service: Service) -> None:
    """`flask audit` finds every invariant kept."""
    audit = service.audit()
    report = json.loads(audit.stdout) if audit.returncode in (0, 1) else {"checks": [], "said": audit.stderr[-2000:]}
    broken = [check for check in report["checks"] if check["breaches"]]
    assert (audit.returncode, broken) == (0, []), report.get("said")
