"""Serves a WSGI application with granian, set as serve.py sets it.

python -m bench.peers.on_granian MODULE:FACTORY PORT WORKERS THREADS
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


def main(target: str, port: int, workers: int, threads: int) -> None:
    multiprocessing.set_start_method("fork")
    module, _, factory = target.partition(":")

    def load() -> Any:
        return getattr(importlib.import_module(module), factory)()

    Granian(
        target,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        backpressure=serve.BACKPRESSURE,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=serve.HEADER_SECONDS * 1000),
        websockets=False,
        log_level=LogLevels.error,
    ).serve(target_loader=load, wrap_loader=False)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
