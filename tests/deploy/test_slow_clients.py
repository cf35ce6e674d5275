"""Clients that dawdle or say nothing: others are served all the while. Each other has a minute; none is timed."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from harness.nginx import Nginx
from harness.service import Service
from load.slow_connections import Sizes, SlowConnections
from tests.deploy.conftest import sold

BUYERS = 24
PURCHASES = 8  # of each
PATIENCE_SECONDS = 60
SLOW_CONNECTIONS = Sizes(slow_headers=150, slow_bodies=150, idle=1000)

StartService = Callable[..., Service]
StartNginx = Callable[..., Nginx]


def _slow_connections(service: Service, port: int, goods_id: int, sizes: Sizes) -> SlowConnections:
    return SlowConnections(("127.0.0.1", port), sizes, f"/seckill/{goods_id}", service.headers("dawdler"))


def _outcomes(service: Service, url: str, goods_id: int) -> Counter[int | str]:
    """What becomes of the purchases of others: statuses, and the names of errors."""

    def buy(buyer: int) -> list[int | str]:
        outcomes: list[int | str] = []
        for _ in range(PURCHASES):
            try:
                answer = requests.post(
                    f"{url}/seckill/{goods_id}", headers=service.headers(f"buyer-{buyer}"), timeout=PATIENCE_SECONDS
                )
                outcomes.append(answer.status_code)
            except requests.RequestException as error:
                return [*outcomes, type(error).__name__]
        return outcomes

    with ThreadPoolExecutor(BUYERS) as pool:
        return Counter(outcome for outcomes in pool.map(buy, range(BUYERS)) for outcome in outcomes)


@pytest.mark.nginx
def test_behind_nginx_slow_and_idle_clients_keep_nobody_out(
    start_service: StartService, start_nginx: StartNginx, sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri, threads=16)
    goods_id = service.create_goods(stock=10_000)
    nginx = start_nginx(service.port)
    with _slow_connections(service, nginx.port, goods_id, SLOW_CONNECTIONS) as connections:
        assert _outcomes(service, nginx.url, goods_id) == {201: BUYERS * PURCHASES}
        assert connections.waiting() == SLOW_CONNECTIONS.all  # all the while: none was turned away
        assert connections.finish_bodies() == [201] * SLOW_CONNECTIONS.slow_bodies  # and who is slow buys as well
    assert sold(sqlite_uri, goods_id) == BUYERS * PURCHASES + SLOW_CONNECTIONS.slow_bodies


def test_without_a_proxy_slow_and_idle_clients_keep_nobody_out_either(
    start_service: StartService, sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri, threads=16)
    goods_id = service.create_goods(stock=10_000)
    with _slow_connections(service, service.port, goods_id, SLOW_CONNECTIONS) as connections:
        assert _outcomes(service, service.url, goods_id) == {201: BUYERS * PURCHASES}
        assert connections.finish_bodies() == [201] * SLOW_CONNECTIONS.slow_bodies
    assert sold(sqlite_uri, goods_id) == BUYERS * PURCHASES + SLOW_CONNECTIONS.slow_bodies


def test_where_bodies_are_waited_for_by_the_thread_that_receives_they_do(
    start_service: StartService, sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri, threads=16, without_guard=["bodies_hold_the_loop"])
    goods_id = service.create_goods(stock=10_000)
    with _slow_connections(service, service.port, goods_id, SLOW_CONNECTIONS), pytest.raises(requests.RequestException):
        requests.post(f"{service.url}/seckill/{goods_id}", headers=service.headers("alice"), timeout=2)


def test_the_service_itself_holds_a_thousand_idle_connections(start_service: StartService, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, threads=16)  # one worker: all of them are its own
    goods_id = service.create_goods(stock=10_000)
    idle = Sizes(idle=1000)
    with _slow_connections(service, service.port, goods_id, idle) as connections:
        assert _outcomes(service, service.url, goods_id) == {201: BUYERS * PURCHASES}
        assert connections.waiting() == idle.all
