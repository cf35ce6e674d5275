"""One worker: it loads the application, answers requests, and runs its share of the background jobs."""

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

import app
from config import Settings
from core import idempotency
from core.events import publisher
from core.ops import background_jobs, figures
from core.ops.host_memory import HostMemory
from core.ops.metrics import BufferedCounter
from core.orders import expiry
from core.services import Services
from resources.http import request_log
from resources.http.dispatch import Dispatcher
from resources.http.pipeline import Pipeline
from server.address import Address
from server.granian_adapter import GranianAdapter
from server.listening import limit_sending
from server.stop import Stop

if TYPE_CHECKING:
    from core.tracing.tracer import Tracer

# Connections that one worker keeps open, idle ones among them.
BACKPRESSURE = 4096
# Connections that wait in the kernel until a worker takes them.
BACKLOG = 1024
# Seconds that a client may take to send a request's headers.
HEADER_SECONDS = 10

log = logging.getLogger("seckill.server")


def run(part: int, host: HostMemory, address: Address, settings: Settings) -> None:
    """Answer requests until a signal to stop, with part number `part` of the host's memory.

    To be called in a process of its own, which ends with code 0 once it was signalled to stop, and with code 1 where it
    cannot serve.
    """
    with _exit_on_failure():
        figures.keep_in(host.take(part).figures)
        tracer = _tracer(settings)
        application = app.create_app(settings, host, address.threads, tracer)
        services: Services = application.extensions["seckill"]
        assert isinstance(application.wsgi_app, Pipeline)
        adapter = GranianAdapter(Dispatcher(application.wsgi_app, address.threads))
        server = embedded_server(adapter, address)
        server.on_startup(host.mine.start)  # called once the port is taken
        start_background_jobs(services)
        # What is loaded by now stays: without this, each full garbage collection walks through all of it.
        gc.collect()
        gc.freeze()
        uvloop.run(  # 1.15 times the refusals of asyncio's own loop
            _serve(
                server,
                address.port,
                in_hand=lambda: services.in_progress.here + adapter.in_hand,
                before_exit=partial(_close, services, tracer),
            )
        )


def embedded_server(application: object, address: Address) -> Server:
    """granian, set as the service needs it, for an application of its asynchronous interface (RSGI)."""
    return Server(
        application,
        address=address.host,
        port=address.port,
        interface=Interfaces.RSGI,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
        websockets=False,
        # granian's own lines go where ours go; its warnings judge the number of threads by another measure.
        log_level=LogLevels.error,
        log_dictconfig={"formatters": {}, "handlers": {}, "loggers": {"_granian": {"propagate": True}}},
    )


@contextlib.contextmanager
def _exit_on_failure() -> Iterator[None]:
    """Log a failure in one line, and end the worker."""
    try:
        yield
    except Exception as error:
        log.exception("a worker cannot serve: %s: %s", type(error).__name__, error)
        sys.exit(1)


async def _serve(server: Server, port: int, in_hand: Callable[[], int], before_exit: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    stop = Stop(lambda: loop.call_soon_threadsafe(server.stop), in_hand, before_exit)
    stop.watch()
    limiting = asyncio.create_task(limit_sending(port))
    await server.serve()
    limiting.cancel()
    stop.wait()  # blocks the event loop, which has nothing left to do: no connection is open


def _tracer(settings: Settings) -> "Tracer | None":
    """What traces this worker's requests, if the settings want it. OpenTelemetry is loaded only then."""
    if settings.TRACES == "off":
        return None
    from core.tracing.tracer import Tracer

    return Tracer(settings)


def _close(services: Services, tracer: "Tracer | None") -> None:
    """Leave nothing undone: called when a worker has answered all that it took up."""
    services.checkout.close(seconds=1.0)
    if tracer is not None:
        tracer.close(seconds=1.0)
    request_log.flush(seconds=1.0)


def start_background_jobs(services: Services) -> None:
    """What a worker does beside answering. Its threads are its own: it was forked by now."""
    services.monitor.start()
    if services.tokens.provider is not None:
        services.tokens.provider.start()
    # Also where no lines of requests are written, whose writer does it: another worker shows the counts of this one.
    background_jobs.start("counts", 1.0, BufferedCounter.settle)
    if services.settings.SWEEPER:
        seconds = services.settings.SWEEP_SECONDS
        background_jobs.start("sweeper", seconds, lambda: expiry.sweep(services.database, lambda: services.draining))
        forget = partial(idempotency.prune, services.database, lambda: services.draining)
        background_jobs.start("old keys", idempotency.PRUNE_SECONDS, forget)
    if services.settings.PUBLISHER:
        made = publisher.Publisher(
            services.database, lambda: services.draining, lambda: services.in_progress.here > publisher.BUSY_FROM
        )
        background_jobs.start("publisher", publisher.SECONDS, made.turn)
