"""A host that is stopped in the middle of a sale, behind nginx: nobody is left without an answer."""

import signal
import threading
from collections import Counter
from collections.abc import Callable

import pytest
import requests

from harness.eventually import eventually
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
    answers: list[str] = []
    enough = threading.Event()

    def buy(buyer: int) -> None:
        with requests.Session() as session:
            while not enough.is_set():
                answer = session.post(
                    f"{nginx.url}/seckill/{goods_id}", headers=other.headers(f"buyer-{buyer}"), timeout=60
                )
                answers.append(answer.json().get("code", "accepted"))

    buyers = [threading.Thread(target=buy, args=(number,)) for number in range(BUYERS)]
    for thread in buyers:
        thread.start()

    def go_on() -> None:
        """Wait until the sale has gone on for a while."""
        wanted = len(answers) + 5 * BUYERS
        assert eventually(lambda: len(answers) >= wanted), "the sale stands still"

    try:
        go_on()
        assert stopped.stop(signal.SIGTERM) == 0
        go_on()
    finally:
        enough.set()
        for thread in buyers:
            thread.join()
    codes = Counter(answers)
    # A purchase can meet a connection that is just being closed: its buyer is told so, and may have bought.
    assert codes.keys() <= {"accepted", "busy", "unavailable"}
    assert codes["unavailable"] <= BUYERS  # once each at most, and not for as long as the host is down
    assert codes["accepted"] <= sold(sqlite_uri, goods_id) <= codes["accepted"] + codes["unavailable"]
