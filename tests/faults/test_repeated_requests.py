"""A restock whose answer was lost is sent again, as `unavailable` advises: it is booked once."""

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
import requests
from flask import Flask
from werkzeug.test import TestResponse

from core import idempotency
from core.db.transaction import run
from harness.service import Service
from tests.faults.proxy import Cut, Proxy
from tests.faults.test_killed_workers import kill
from tests.faults.test_lost_commit import cut_off_app, proxy
from tests.races.inside import Inside, until
from tests.resources.calls import OPERATOR, Calls

__all__ = ["cut_off_app", "proxy"]
KEY = {"Idempotency-Key": "k"}


def restock(call: Calls, headers: dict[str, str]) -> TestResponse:
    return call.patch("/goods/1", OPERATOR, json={"stock_delta": 5}, headers=headers)


def restock_with_a_cut_commit(app: Flask, proxy: Proxy, cut: Cut, headers: dict[str, str], passing: int = 0) -> None:
    """Restock twice, by the same request; a COMMIT of the first is cut, after so many that pass."""
    call = Calls(app)
    call.create(stock=10)
    proxy.cut_next(cut, passing)
    first = restock(call, headers)
    assert proxy.cuts == 1
    again = restock(call, headers)
    assert again.status_code == 200, again.text
    if first.status_code == 200:
        assert again.data == first.data
    assert call.goods(1)["stock"] == 15


@pytest.mark.parametrize("passing", [pytest.param(0, id="of-the-key"), pytest.param(1, id="of-the-effect")])
@pytest.mark.parametrize("cut", Cut)
@pytest.mark.representative
def test_a_lost_answer_to_a_commit_books_once(cut_off_app: Flask, proxy: Proxy, cut: Cut, passing: int) -> None:
    restock_with_a_cut_commit(cut_off_app, proxy, cut, KEY, passing)


def test_without_a_key_it_is_booked_twice(cut_off_app: Flask, proxy: Proxy) -> None:
    with pytest.raises(AssertionError, match="20 == 15"):
        restock_with_a_cut_commit(cut_off_app, proxy, Cut.AFTER, {})


def test_with_the_answer_stored_in_a_transaction_of_its_own_it_is_booked_twice(
    cut_off_app: Flask, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apart(database: Any, request: Any, act: Callable[[], Any], prepare: Any) -> tuple[Any, bool]:
        find = idempotency.key_row(request)
        with database.reading() as connection:
            known = idempotency.stored_answer(connection.execute(find).one_or_none(), request)
        if known is not None:
            return known, True
        answer = act()

        def keep(connection: Any) -> None:
            idempotency.make_row(connection, request)
            idempotency.store_answer(connection, connection.execute(find).one(), request, answer)

        run(database, keep, idempotency.deadline_of_request(3))
        return answer, False

    monkeypatch.setattr(idempotency, "once", apart)
    with pytest.raises(AssertionError, match="20 == 15"):
        restock_with_a_cut_commit(cut_off_app, proxy, Cut.AFTER, KEY)


@pytest.mark.representative
def test_restocks_that_are_sent_again_while_workers_are_killed_are_booked_once(
    own_uri: str, start_service: Callable[..., Service], inside: Inside
) -> None:
    service = start_service(own_uri, workers=2)
    item = service.create_goods(stock=0)
    lost = 0

    def send(number: int) -> bool:
        nonlocal lost
        headers = service.headers("operator", admin=True, **{"Idempotency-Key": f"k{number}"})
        try:
            answer = requests.patch(f"{service.url}/goods/{item}", json={"stock_delta": 1}, headers=headers, timeout=60)
        except requests.RequestException:
            lost += 1
            return False
        lost += answer.status_code != 200
        return answer.status_code == 200

    def kill_when_it_waits() -> None:
        pids = service.worker_pids()
        until(inside.waiting, 60)
        kill(pids)

    for number in range(60):
        if number % 20 == 10:
            with inside.row_held(item):
                # It waits for the item's row when its worker dies; whatever became of it, it is sent again.
                killer = Thread(target=kill_when_it_waits)
                killer.start()
                send(number)
                killer.join()
        until(lambda number=number: send(number), 60)
    assert lost >= 3
    assert service.goods(item)["stock"] == 60
    answered = inside.query("SELECT COUNT(*) FROM idempotency_keys WHERE status = 200")
    assert answered == [(60,)]
