"""Whatever fails once a batch is committed, its buyers hear that they have bought, and none buys twice."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest

from harness.eventually import eventually
from tests.resources.calls import Calls

BUYERS = "first", "second", "third"


def fail(*arguments: Any) -> NoReturn:
    raise MemoryError


def buy_together(call: Calls) -> None:
    """Three buy in one batch, without keys, so that nothing but the answer tells them that they have bought."""
    services = call.services
    item = call.create(stock=10, per_user_limit=5)["id"]
    with ThreadPoolExecutor(len(BUYERS)) as pool:
        with services.database.sqlite_writer:
            answers = [pool.submit(call.post, f"/seckill/{item}", user) for user in BUYERS]
            assert eventually(lambda: services.checkout.pending == len(BUYERS))
        assert [each.result().status_code for each in answers] == [201] * len(BUYERS)
    sale = call.get(f"/goods/{item}").json
    assert (sale["stock"], sale["sold"]) == (7, 3)


def test_a_count_that_fails_changes_no_outcome(sqlite_call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_call.services.checkout.counter, "batch", fail)
    buy_together(sqlite_call)


def test_it_would_if_it_were_not_guarded(sqlite_call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_call.services.checkout.counter, "batch", fail)
    monkeypatch.setattr("core.purchase.checkout.record", lambda figure: figure())
    with pytest.raises(AssertionError, match=r"\[500, 500, 500\]"):
        buy_together(sqlite_call)
