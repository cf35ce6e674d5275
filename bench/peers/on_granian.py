"""Serves a WSGI application with granian, set as serve.py sets it.

python -m bench.peers.on_granian MODULE:FACTORY PORT WORKERS [THREADS]

With THREADS, requests come in and are handed to one of so many threads as in the service. Without, granian's own WSGI
threads call the application, BLOCKING_THREADS in each worker.
"""

import importlib
import multiprocessing
import sys
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

import serve
from resources.api_request import ApiRequest
from resources.dispatch import Dispatcher
from resources.envelope import Envelope
from resources.fast_path import NoFastPath
from resources.pipeline import Pipeline
from resources.reply import Reply
from server.granian_adapter import GranianAdapter

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
        application = getattr(importlib.import_module(module), factory)()
        if not threads:
            return application
        return GranianAdapter(Dispatcher(Bare(application), threads))

    Granian(
        target,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI if threads else Interfaces.WSGI,
        loop=Loops.uvloop,
        workers=workers,
        blocking_threads=None if threads else BLOCKING_THREADS,
        backpressure=serve.BACKPRESSURE,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=serve.HEADER_SECONDS * 1000),
        websockets=False,
        log_level=LogLevels.error,
    ).serve(target_loader=load, wrap_loader=False)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
