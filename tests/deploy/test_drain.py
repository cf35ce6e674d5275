"""A host that is stopped in the middle of a sale, behind nginx: nobody is left without an answer."""

import signal
import threading
from collections import Counter
from collections.abc import Callable

import pytest
import requests

from harness.nginx import Nginx
from harness.service import Service
from tests.deploy.conftest import sold

BUYERS = 12


@pytest.mark.nginx
def test_stopping_a_host_leaves_nobody_without_an_answer(
    start_service: Callable[..., Service], start_nginx: Callable[..., Nginx], sqlite_uri: str
) -> None:
    stopped, other = start_service(sqlite_uri), start_service(sqlite_uri)
    nginx = start_nginx(stopped.port, other.port)
    goods_id = other.create_goods(stock=100_000)
    codes: Counter[str] = Counter()
    enough = threading.Event()

    def buy(buyer: int) -> None:
        with requests.Session() as session:
            while not enough.is_set():
                answer = session.post(
                    f"{nginx.url}/seckill/{goods_id}", headers=other.headers(f"buyer-{buyer}"), timeout=10
                )
                codes[answer.json().get("code", "accepted")] += 1

    buyers = [threading.Thread(target=buy, args=(number,)) for number in range(BUYERS)]
    for thread in buyers:
        thread.start()
    enough.wait(0.5)
    assert stopped.stop(signal.SIGTERM) == 0
    enough.wait(0.5)
    enough.set()
    for thread in buyers:
        thread.join()
    # A purchase can meet a connection that is just being closed: its buyer is told so, and may have bought.
    assert codes.keys() <= {"accepted", "busy", "unavailable"}
    assert codes["unavailable"] <= BUYERS  # once each at most, and not for as long as the host is down
    assert codes["accepted"] <= sold(sqlite_uri, goods_id) <= codes["accepted"] + codes["unavailable"]
