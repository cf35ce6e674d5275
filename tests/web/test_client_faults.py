"""The client against the real service, while answers are lost and the service dies: no double purchase, and an answer
for everybody."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from config import ROOT
from harness.eventually import eventually
from harness.lossy_proxy import ANSWER, REQUEST, LossyProxy, losing
from harness.service import Service
from tests.races.buyers import assert_audit_clean

pytestmark = pytest.mark.node
PROGRAM = ROOT / "tests" / "web" / "client" / "buyers.js"
BUYERS = [f"buyer-{number}" for number in range(12)]


class Buyers:
    """A process with all buyers in it, at `url`."""

    def __init__(self, url: str, service: Service, goods: int, folder: Path, program: Path = PROGRAM) -> None:
        tokens = [service.headers(name)["Authorization"].removeprefix("Bearer ") for name in BUYERS]
        self._process = subprocess.Popen(
            ["node", program, url, str(goods), folder, *tokens], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "begun\n"

    def answers(self) -> list[list[str]]:
        """What each click of each buyer was answered."""
        out, _ = self._process.communicate(timeout=250)
        assert self._process.returncode == 0
        return json.loads(out)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def orders_of(service: Service, buyer: str) -> list[str]:
    answer = requests.get(f"{service.url}/orders", headers=service.headers(buyer), timeout=30)
    assert answer.ok, answer.text
    return [order["order_no"] for order in answer.json()["items"]]


def assert_bought_once(service: Service, all_answers: list[list[str]]) -> None:
    """Every buyer has one order, and got it as the answer to every click."""
    for buyer, answers in zip(BUYERS, all_answers, strict=True):
        (order,) = orders_of(service, buyer)
        assert set(answers) == {order}, buyer
    assert_audit_clean(service)


def test_with_answers_lost_nobody_buys_twice_and_everybody_is_answered(
    start_service: Callable[..., Service], sqlite_uri: str, tmp_path: Path
) -> None:
    service = start_service(sqlite_uri)
    goods = service.create_goods(stock=1000)
    with LossyProxy(service.port, losing(0.4, seed=1)) as proxy:
        all_answers = Buyers(proxy.url, service, goods, tmp_path / "storage").answers()
    assert min(proxy.lost[REQUEST], proxy.lost[ANSWER]) > 0
    assert sum(proxy.lost.values()) > 4
    assert_bought_once(service, all_answers)
    assert service.goods(goods)["sold"] == len(BUYERS)


@pytest.mark.mysql
def test_with_the_service_killed_and_started_anew_likewise(
    start_service: Callable[..., Service], mysql_uri: str, tmp_path: Path
) -> None:
    service = start_service(mysql_uri, workers=2)
    goods = service.create_goods(stock=1000)
    with LossyProxy(service.port, losing(0.2, seed=2)) as proxy:
        buyers = Buyers(proxy.url, service, goods, tmp_path / "storage")
        assert eventually(lambda: service.goods(goods)["sold"] >= 1)
        for pid in [service.process.pid, *service.worker_pids()]:
            os.kill(pid, signal.SIGKILL)
        service.process.wait()
        service = start_service(mysql_uri, workers=2)
        proxy.port = service.port
        all_answers = buyers.answers()
    assert_bought_once(service, all_answers)


def test_a_page_that_is_killed_is_gone_on_with(
    start_service: Callable[..., Service], sqlite_uri: str, tmp_path: Path
) -> None:
    service = start_service(sqlite_uri)
    goods = service.create_goods(stock=1000)
    with LossyProxy(service.port, lambda method, path: ANSWER if method == "POST" else None) as proxy:
        buyers = Buyers(proxy.url, service, goods, tmp_path / "storage")
        assert eventually(lambda: service.goods(goods)["sold"] == len(BUYERS))
        buyers.kill()
        proxy.fate = losing(0.2, seed=3)
        all_answers = Buyers(proxy.url, service, goods, tmp_path / "storage").answers()
    assert_bought_once(service, all_answers)


def test_at_a_sale_of_few_units_everybody_is_answered(
    start_service: Callable[..., Service], sqlite_uri: str, tmp_path: Path
) -> None:
    service = start_service(sqlite_uri)
    goods = service.create_goods(stock=5)
    with LossyProxy(service.port, losing(0.3, seed=4)) as proxy:
        all_answers = Buyers(proxy.url, service, goods, tmp_path / "storage").answers()
    won = 0
    for buyer, answers in zip(BUYERS, all_answers, strict=True):
        orders = orders_of(service, buyer)
        assert len(orders) <= 1
        assert set(answers) <= {*orders, "sold_out"}, buyer
        won += len(orders)
        if orders:
            assert orders[0] in answers
    assert won == service.goods(goods)["sold"] == 5
    assert_audit_clean(service)


def test_twin_without_keys_the_same_buyers_buy_twice(
    start_service: Callable[..., Service], sqlite_uri: str, tmp_path: Path
) -> None:
    """Shows that the tests above would notice."""
    service = start_service(sqlite_uri)
    goods = service.create_goods(stock=1000)
    stripped = tmp_path / "stripped.mjs"
    text = PROGRAM.read_text().replace('"./', f'"{PROGRAM.parent.as_uri()}/')
    without = (
        "const whole = globalThis.fetch;\n"
        'globalThis.fetch = (url, { headers, ...rest }) => (delete headers["Idempotency-Key"],'
        " whole(url, { headers, ...rest }));\n"
    )
    stripped.write_text(text.replace('console.log("begun");', without + 'console.log("begun");'))
    with LossyProxy(service.port, losing(0.4, seed=1)) as proxy:
        Buyers(proxy.url, service, goods, tmp_path / "storage", stripped).answers()
    assert service.goods(goods)["sold"] > len(BUYERS)
