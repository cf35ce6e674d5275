"""What traces cost: processor time of one process for a purchase, with and without them, in turn.

    .venv/bin/python -m bench.tracing [TRACES] [PAIRS]

Sells one hot item on a MySQL of its own to 64 buyers at once, a thousand purchases a turn, and prints the median of the
ratios of so many PAIRS of turns (30), with and without the setting TRACES (`sampled:100`). The spans are sent to a
collector in another process. Takes two minutes.
"""

import itertools
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from pathlib import Path

import app
import config
from bench.profile import environ
from bench.servers import BenchMySQL
from core.catalogue import goods
from core.tracing.tracer import Tracer
from harness.receiver import receiving
from harness.service import SECRET
from resources import request_log
from resources.dispatch import Dispatcher
from resources.reply import Headers
from serve import THREADS
from server import prepare

BUYERS = 64
PURCHASES = 1000  # a turn


class _Buyer:
    """One buyer of a turn, who buys again with each answer. The way back of its requests."""

    def __init__(self, buy: Callable[["_Buyer"], None]) -> None:
        self._buy = buy

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        assert status == 201, body
        self._buy(self)

    def response_chunks(self, status: int, headers: Headers, chunks: Iterable[bytes]) -> None:
        raise NotImplementedError


class _Shop:
    """An application with one item on sale."""

    def __init__(self, uri: str, tracer: Tracer | None) -> None:
        application = app.create_app(config.load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET), None, None, tracer)
        prepare.upgrade(application)
        services = application.extensions["seckill"]
        item = {"name": "item", "currency": "CNY", "price": 100, "stock": 10**8}
        self._item = goods.create(services.database, "bench", item).id
        self._dispatcher = Dispatcher(application.wsgi_app, THREADS)  # type: ignore[arg-type]
        self._tokens = itertools.cycle(f"Bearer {services.tokens.issue(f'buyer-{n}')}" for n in range(1000))

    def turn(self) -> float:
        """Microseconds of processor time that this process takes for a purchase."""
        left = itertools.count(PURCHASES, -1)
        done = threading.Semaphore(0)

        def buy(buyer: _Buyer) -> None:
            if next(left) <= 0:
                done.release()
                return
            headers = {"HTTP_AUTHORIZATION": next(self._tokens), "REMOTE_ADDR": "127.0.0.1"}
            self._dispatcher.receive(buyer, environ("POST", f"/seckill/{self._item}", **headers))

        spent = time.process_time()
        for _ in range(BUYERS):
            buy(_Buyer(buy))
        for _ in range(BUYERS):
            done.acquire()
        return (time.process_time() - spent) / PURCHASES * 1e6


def _collect(address: Connection) -> None:
    with receiving() as receiver:
        address.send(receiver.url)
        address.recv()


def main(traces: str = "sampled:100", pairs: int = 30) -> None:
    here, there = multiprocessing.get_context("spawn").Pipe()
    multiprocessing.get_context("spawn").Process(target=_collect, args=(there,), daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        server = BenchMySQL(Path(folder) / "mysql")
        server.start()
        try:
            settings = config.load(SECRET_KEY=SECRET, TRACES=traces, TRACES_TO=f"{here.recv()}/v1/traces")
            request_log.configure(settings, Path(os.devnull).open("w"))  # noqa: SIM115 (until the end)
            without = _Shop(server.create_database("without"), None)
            traced = _Shop(server.create_database("traced"), Tracer(settings))
            for shop in (without, traced) * 3:
                shop.turn()
            found = []
            for number in range(pairs):
                first, second = (without, traced) if number % 2 else (traced, without)
                spent = {first: first.turn(), second: second.turn()}
                found.append((spent[traced], spent[without]))
        finally:
            server.kill()
            here.send(None)
    ratios = sorted(with_them / without_them for with_them, without_them in found)
    medians = [statistics.median(times) for times in zip(*found, strict=True)]
    print(
        f"TRACES={traces}: {medians[0]:.0f} µs a purchase, {medians[1]:.0f} without;"
        f" ratio {statistics.median(ratios):.3f}, half of the pairs from {ratios[pairs // 4]:.3f} to {ratios[-1 - pairs // 4]:.3f}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))
    sys.stdout.flush()
    os._exit(0)  # threads of both shops still run
