"""Which requests are traced, and where their spans go. Names of attributes are OpenTelemetry's, where it has one."""

import os
import random
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from config import Settings, share_of
from core import threads
from core.held import held
from core.tracing import exporters
from core.version import __version__

_NAME = "flash-sale"
# Spans that wait to be sent, how many are sent together, and how often. More than wait are lost.
QUEUE_MAX = 4096
_SENT_TOGETHER = 512
_SEND_MILLISECONDS = 5000
_MAX_ATTRIBUTE = 4096  # characters; the longest text, the changes of a batch with coupons, has 2,700
_MAX_LINKS = 1024  # a batch has fewer purchases

_traceparent = TraceContextTextMapPropagator()


class Tracer:
    """Makes spans and sends them, in a thread of its own. Safe to share between threads."""

    def __init__(self, settings: Settings, exporter: SpanExporter | None = None) -> None:
        """`exporter` takes the spans, by default the one for TRACES_TO. To be made in the process that makes spans."""
        self._share = share_of(settings.TRACES)
        own = {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", _NAME),
            "service.version": __version__,
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        }
        self._provider = TracerProvider(
            # The environment's OTEL_RESOURCE_ATTRIBUTES come with it.
            resource=Resource.create(own),
            sampler=ALWAYS_ON,  # `is_sampled` decides, and no variable of the environment
            shutdown_on_exit=False,  # it could wait for a collector for a minute
            span_limits=SpanLimits(max_span_attribute_length=_MAX_ATTRIBUTE, max_links=_MAX_LINKS),
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporters.Guarded(exporter or exporters.of(settings)),
                max_queue_size=QUEUE_MAX,
                schedule_delay_millis=_SEND_MILLISECONDS,
                max_export_batch_size=_SENT_TOGETHER,
            )
        )
        self._tracer = self._provider.get_tracer(_NAME, __version__)

    def is_sampled(self) -> bool:
        """Whether to trace the next request. Ours to decide: a caller must not choose what tracing costs."""
        return random.random() < self._share  # noqa: S311 (no secret)

    def request(self, traceparent: str | None, began: float) -> Span:
        """The span of a request that arrived at `began` (`time.perf_counter`). It continues the caller's trace."""
        parent = _traceparent.extract({"traceparent": traceparent}, Context()) if traceparent else Context()
        arrived = time.time_ns() - int((time.perf_counter() - began) * 1e9)
        return self._tracer.start_span("request", parent, SpanKind.SERVER, start_time=arrived)

    def part(
        self,
        name: str,
        of: Span,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, str | int] | None = None,
    ) -> Span:
        """A span within another one."""
        return self._tracer.start_span(name, trace.set_span_in_context(of), kind, attributes)

    @contextmanager
    def shared(self, name: str, of: Sequence[Span], began: int | None = None) -> Iterator[Span]:
        """Let this thread work within the block for a span that many share. It `began` then (ns of Unix time), or now.

        It is a trace of its own, with a link to each of them and a link from each.
        """
        span = self._tracer.start_span(name, Context(), start_time=began)
        share(span, of)
        try:
            with working_for(span):
                yield span
        except BaseException as error:
            end_failed(span, error)
            raise
        span.end()

    def flush(self) -> None:
        """Send what waits."""
        self._provider.force_flush()

    def close(self, seconds: float) -> None:
        """Send what waits, but take no longer than `seconds`: the library's own end can take minutes."""
        end = threads.start("tracer", self._provider.shutdown)
        if end is not None:
            end.join(seconds)


def share(span: Span, of: Sequence[Span]) -> None:
    """Link a span that many share with those of more of them."""
    for each in of:
        span.add_link(each.get_span_context())
        if each.is_recording():  # its request may have been refused for waiting too long
            each.add_link(span.get_span_context())


# The library's own way to keep it costs twenty times as much, at each statement that is not traced.
_current: ContextVar[Span | None] = ContextVar("span", default=None)


def current() -> Span | None:
    """The span that this thread works for; None where it works for none that is traced."""
    return _current.get()


def working_for(span: Span) -> AbstractContextManager[None]:
    """Let this thread work for `span` within the block."""
    return held(_current, span)


def end_failed(span: Span, error: BaseException) -> None:
    """End a span as an error. Of the error it has the class: its text may have values in it."""
    span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("error.type", type(error).__name__)
    span.end()
