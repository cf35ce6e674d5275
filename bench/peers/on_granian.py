"""Serves a WSGI application with granian, set as serve.py sets it.

python -m bench.peers.on_granian MODULE:FACTORY PORT WORKERS DOORS [THREADS]

With THREADS, granian's doors hand each request to one of so many threads, as the service does with all that is left to
its resources. Without, the door itself calls the application.
"""

import importlib
import multiprocessing
import sys
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

import serve
from core.clock import Deadline
from core.deadlines import Deadlines
from resources.reception import Reception
from supervisor import hand_over_requests


class NoFront:
    """Answers nothing ahead of the application."""

    waits = False
    deadlines = Deadlines()
    awaiting = ()

    def __init__(self, application: Any) -> None:
        self.application = application

    def deadline(self) -> Deadline:
        return Deadline(60)

    def tell_health(self, environ: Any, reply: Any) -> bool:
        return False

    def serve(self, environ: Any, reply: Any, leave: Any) -> bool:
        return False

    def fail(self, error: Exception, environ: Any, reply: Any) -> None:
        reply(500, [], b"")


def main(target: str, port: int, workers: int, doors: int, threads: int = 0) -> None:
    multiprocessing.set_start_method("fork")
    module, _, factory = target.partition(":")
    if threads:
        hand_over_requests()

    def load() -> Any:
        application = getattr(importlib.import_module(module), factory)()
        return Reception(NoFront(application), threads) if threads else application  # type: ignore[arg-type]

    Granian(
        target,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=doors,
        backpressure=serve.BACKPRESSURE,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=serve.HEADER_SECONDS * 1000),
        websockets=False,
        log_level=LogLevels.error,
    ).serve(target_loader=load, wrap_loader=False)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:6]))
