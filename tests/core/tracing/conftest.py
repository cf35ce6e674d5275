"""A tracer whose spans stay in memory, and applications that it traces."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import config
from core.tracing.tracer import Tracer
from harness.service import SECRET
from tests.core.tracing.spans import Spans
from tests.resources.calls import Calls


@pytest.fixture
def make_spans() -> Iterator[Callable[[str], Spans]]:
    """Makes tracers by the setting TRACES."""
    made: list[Tracer] = []

    def make(traces: str = "all") -> Spans:
        exporter = InMemorySpanExporter()
        made.append(Tracer(config.load(TRACES=traces, SECRET_KEY=SECRET), exporter))
        return Spans(made[-1], exporter)

    yield make
    for tracer in made:
        tracer.close(10)


@pytest.fixture
def spans(make_spans: Callable[[], Spans]) -> Spans:
    """Those of a tracer that traces every request."""
    return make_spans()


@pytest.fixture
def call(make_app: Callable[..., Flask], app_uri: str, spans: Spans) -> Calls:
    """Requests to an application that is traced."""
    return Calls(make_app(app_uri, tracer=spans.tracer))


@pytest.fixture
def sqlite_call(make_app: Callable[..., Flask], sqlite_uri: str, spans: Spans) -> Calls:
    return Calls(make_app(sqlite_uri, tracer=spans.tracer))
