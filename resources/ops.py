"""The service itself: is it alive, can it serve, what are its figures."""

import logging
from concurrent.futures import Future

from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from core import refusals as codes
from core.ops.figures import HostFigures
from core.ops.metrics import BufferedCounter
from core.refusals import Unavailable
from core.services import Services
from resources import schemas
from resources.http.auth import Access
from resources.http.context import services
from resources.http.operation import ApiResource, Operation, operation
from resources.http.reply import Later, Reply, json_reply

log = logging.getLogger("seckill.metrics")

_TAG = "Service"
ALIVE = {"status": "ok"}
READY = {"status": "ready"}


def ready(services: Services) -> Later:
    """The answer whether this host can serve."""
    readiness = services.readiness

    def make(found: Future[bool]) -> Reply | Exception:
        return json_reply(READY) if readiness.holds(found) else Unavailable()

    return Later(readiness.latest(), make, late=Unavailable())


class Alive(ApiResource):
    @operation(Operation("getHealth", _TAG, Access.PUBLIC, {200: schemas.Health}, limited=False))
    def get(self) -> dict[str, str]:
        """Say that the process is alive. Never touches the database."""
        return ALIVE


class Ready(ApiResource):
    @operation(
        Operation(
            "getReadiness", _TAG, Access.PUBLIC, {200: schemas.Health}, refusals=(codes.UNAVAILABLE,), limited=False
        )
    )
    def get(self) -> Later:
        """Say whether this host can serve: database reachable, schema right, not about to stop.

        Looked up at most once a second.
        """
        return ready(services())


class Metrics(ApiResource):
    @operation(
        Operation(
            "getMetrics",
            _TAG,
            Access.PUBLIC,
            {200: None},
            media=("text/plain", "seckill_purchases_total 1.0"),
            limited=False,
        )
    )
    def get(self) -> Response:
        """The figures of all workers of this host, added up, in Prometheus' text format."""
        BufferedCounter.settle()
        host = services().host
        counted: Collector = REGISTRY if host is None else HostFigures(host)
        text = b"".join(_text(each) for each in (counted, services().shop_metrics))
        return Response(text, content_type=CONTENT_TYPE_LATEST)


def _text(collector: Collector) -> bytes:
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        return generate_latest(registry)
    except Exception as error:  # one kind of figures must not take the others along
        log.warning("figures were left out: %s", type(error).__name__)
        return b""
