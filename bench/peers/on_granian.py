"""Serves a WSGI application with granian, set as server/worker.py sets it.

python -m bench.peers.on_granian MODULE:FACTORY PORT WORKERS [THREADS]

With THREADS, requests come in and are handed to one of so many threads as in the service. Without, granian's own WSGI
threads call the application, BLOCKING_THREADS in each worker.
"""

import importlib
import multiprocessing
import signal
import sys
from collections.abc import Callable
from typing import Any

import uvloop
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from resources.fast_path import NoFastPath
from resources.http.api_request import ApiRequest
from resources.http.dispatch import Dispatcher
from resources.http.envelope import Envelope
from resources.http.pipeline import Pipeline
from resources.http.reply import Reply
from server import worker
from server.address import Address
from server.granian_adapter import GranianAdapter
from server.stop import STOP_SIGNALS

# So many did best of 1 to 96 with a callable that does nothing.
BLOCKING_THREADS = 8


class Unmarked(Envelope):
    """Notes no request."""

    def note(self, request: ApiRequest, status: int) -> None:
        """Nothing."""


class Bare(Pipeline):
    """Hands each request to the application, and its answer back as it is."""

    def __init__(self, application: Any) -> None:
        super().__init__(application, NoFastPath(), Unmarked(lambda request: ()), 60)

    def seal(self, request: ApiRequest, answer: Reply | Exception | None) -> Reply:
        """The application's answer."""
        return Reply(500, []) if isinstance(answer, Exception) else self.by_flask(request)


def main(target: str, port: int, workers: int, threads: int = 0) -> None:
    multiprocessing.set_start_method("fork")
    module, _, factory = target.partition(":")

    def load() -> Any:
        return getattr(importlib.import_module(module), factory)()

    if threads:
        _serve_as_the_service_does(load, Address("127.0.0.1", port, workers, threads))
        return
    Granian(
        target,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=BLOCKING_THREADS,
        backpressure=worker.BACKPRESSURE,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=worker.HEADER_SECONDS * 1000),
        websockets=False,
        log_level=LogLevels.error,
    ).serve(target_loader=load, wrap_loader=False)


def _serve_as_the_service_does(load: Callable[[], Any], address: Address) -> None:
    def run() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        adapter = GranianAdapter(Dispatcher(Bare(load()), address.threads))
        uvloop.run(worker.embedded_server(adapter, address).serve())

    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    running = [multiprocessing.Process(target=run) for _ in range(address.workers)]
    for process in running:
        process.start()
    signal.sigwait(STOP_SIGNALS)
    for process in running:
        process.terminate()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
