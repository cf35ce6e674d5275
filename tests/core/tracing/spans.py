"""What a tracer has made: spans by their names, and how they hang together."""

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from core.tracing.tracer import Tracer


class Spans:
    """The spans of one tracer."""

    def __init__(self, tracer: Tracer, exporter: InMemorySpanExporter) -> None:
        self.tracer = tracer
        self._exporter = exporter

    @property
    def all(self) -> Sequence[ReadableSpan]:
        """Those that have ended, in the order of their ends."""
        self.tracer.flush()
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (found,) = self.named(name)
        return found

    def within(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """The spans whose parent is this one, by their beginnings."""
        found = [span for span in self.all if span.parent and span.parent.span_id == parent.context.span_id]
        return sorted(found, key=lambda span: span.start_time or 0)


def linked(span: ReadableSpan) -> set[int]:
    """The ids of the spans that this one has links to."""
    return {link.context.span_id for link in span.links}
