"""What traces cost: processor time of one process for a purchase, with and without them, in turn.

    .venv/bin/python -m bench.tracing [TRACES] [PAIRS]

Sells one hot item on a MySQL of its own, in waves of 16 purchases, 320 a turn, and prints the median of the ratios of
so many PAIRS of turns (200), with and without the setting TRACES (`sampled:100`). The spans are sent to a collector in
another process. Takes three minutes. With `off` it compares the same with the same: what is left is noise.
"""

import itertools
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
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
from resources.http import request_log
from resources.http.dispatch import Dispatcher
from resources.http.reply import Headers
from serve import THREADS
from server import prepare

BUYERS = 16  # in a wave
WAVES = 20  # in a turn


class _Wave:
    """The way back of purchases that come together; the next ones come when all are answered: so batches are alike."""

    def __init__(self) -> None:
        self._answered = threading.Semaphore(0)
        self.failed = False

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        self.failed = self.failed or status != 201
        self._answered.release()

    def response_chunks(self, status: int, headers: Headers, chunks: Iterable[bytes]) -> None:
        raise NotImplementedError

    def wait(self) -> None:
        for _ in range(BUYERS):
            self._answered.acquire()
        assert not self.failed, "a purchase was not answered 201"


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
        wave = _Wave()
        spent = time.process_time()
        for _ in range(WAVES):
            for _ in range(BUYERS):
                headers = {"HTTP_AUTHORIZATION": next(self._tokens), "REMOTE_ADDR": "127.0.0.1"}
                self._dispatcher.receive(wave, environ("POST", f"/seckill/{self._item}", **headers))
            wave.wait()
        return (time.process_time() - spent) / (WAVES * BUYERS) * 1e6


def _collect(address: Connection) -> None:
    with receiving() as receiver:
        address.send(receiver.url)
        address.recv()


def main(traces: str = "sampled:100", pairs: int = 200) -> None:
    here, there = multiprocessing.get_context("spawn").Pipe()
    multiprocessing.get_context("spawn").Process(target=_collect, args=(there,), daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        server = BenchMySQL(Path(folder) / "mysql")
        server.start()
        try:
            settings = config.load(SECRET_KEY=SECRET, TRACES=traces, TRACES_TO=f"{here.recv()}/v1/traces")
            request_log.configure(settings, Path(os.devnull).open("w"))  # noqa: SIM115 (until the end)
            without = _Shop(server.create_database("without"), None)
            traced = _Shop(server.create_database("traced"), None if traces == "off" else Tracer(settings))
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
        f" ratio {statistics.median(ratios):.3f},"
        f" half of the pairs from {ratios[pairs // 4]:.3f} to {ratios[-1 - pairs // 4]:.3f}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))
    sys.stdout.flush()
    os._exit(0)  # threads of both shops still run
