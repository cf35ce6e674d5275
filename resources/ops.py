"""The service itself: is it alive, can it serve, what are its figures."""

import contextlib
import logging

from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from core import refusals as codes
from core.db.clock import deadline_of_request
from core.ops.figures import HostFigures
from core.ops.metrics import BufferedCounter
from core.refusals import Unavailable
from resources import schemas
from resources.http.auth import Access
from resources.http.context import services
from resources.http.operation import ApiResource, Operation, operation

log = logging.getLogger("seckill.metrics")

_TAG = "Service"
ALIVE = {"status": "ok"}
READY = {"status": "ready"}


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
    def get(self) -> dict[str, str]:
        """Say whether this host can serve: database reachable, schema right, not about to stop.

        Looked up at most once a second.
        """
        readiness = services().readiness
        found = readiness.latest()
        with contextlib.suppress(TimeoutError):
            found.result(deadline_of_request(services().settings.PURCHASE_WAIT_SECONDS).remaining())
        if not found.done() or not readiness.holds(found):
            raise Unavailable()
        return READY


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
