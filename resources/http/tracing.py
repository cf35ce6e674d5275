"""Spans of requests, from their arrival to their log line. Loaded only where the setting TRACES is on."""

from collections.abc import Iterable, Iterator
from wsgiref.types import WSGIApplication

from opentelemetry.trace import Span, Status, StatusCode

from core.services import Services
from core.tracing.tracer import Tracer, working_for
from resources.fast_path import Answer, FastPath
from resources.http.api_request import ApiRequest
from resources.http.cors import CorsHeaders
from resources.http.envelope import Envelope
from resources.http.limits import Limits, NoLimits
from resources.http.pipeline import Pipeline
from resources.http.reply import Reply
from resources.http.request_log import FAILED, METHODS

_SPAN = "seckill.span"  # in a request's environment


def pipeline(
    tracer: Tracer,
    application: WSGIApplication,
    services: Services,
    limits: Limits | NoLimits,
    headers: CorsHeaders,
    wait_seconds: float,
) -> Pipeline:
    """The pipeline of `application`, with a span for each request that is sampled."""
    fast_path = TracedFastPath(tracer, services, limits)
    return TracedPipeline(application, fast_path, TracedEnvelope(headers), wait_seconds)


class TracedFastPath(FastPath):
    """Begins the span of each request that is sampled. `healthz` is not traced."""

    def __init__(self, tracer: Tracer, services: Services, limits: Limits | NoLimits) -> None:
        super().__init__(services, limits)
        self._tracer = tracer

    def answer(self, request: ApiRequest, holds_thread: bool = False) -> Answer:
        """As FastPath's."""
        if not self._tracer.is_sampled():
            return super().answer(request, holds_thread)
        span = request.environ[_SPAN] = self._tracer.request(request.header("traceparent"), request.began)
        with working_for(span):
            return super().answer(request, holds_thread)


class TracedPipeline(Pipeline):
    """Lets what Flask does for a request belong to its span."""

    def by_flask(self, request: ApiRequest) -> Reply:
        """As Pipeline's."""
        span = _span(request)
        if span is None:
            return super().by_flask(request)
        with working_for(span):
            reply = super().by_flask(request)
        return reply if isinstance(reply.body, bytes) else reply._replace(body=_within(span, reply.body))


class TracedEnvelope(Envelope):
    """Ends the spans of requests."""

    def end(self, request: ApiRequest, status: int) -> None:
        """As Envelope's."""
        super().end(request, status)
        span = _span(request)
        if span is None:
            return
        method = request.method if request.method in METHODS else "_OTHER"
        span.update_name(f"{method} {request.route}")
        span.set_attributes(
            {
                "http.request.method": method,
                "http.route": request.route,
                "http.response.status_code": status,
                "seckill.request_id": request.id,
            }
        )
        if request.code is not None:
            span.set_attribute("seckill.code", request.code)
        if status >= FAILED:
            span.set_status(Status(StatusCode.ERROR))
        span.end()


def _within(span: Span, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of a response, each made for `span`."""
    with working_for(span):
        yield from pieces


def _span(request: ApiRequest) -> Span | None:
    span: Span | None = request.environ.get(_SPAN)
    return span
