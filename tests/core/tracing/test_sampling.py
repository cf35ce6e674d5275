"""Which requests are traced, and whose trace they continue."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from flask import Flask
from opentelemetry.trace import StatusCode
from sqlalchemy.exc import OperationalError, ProgrammingError

from config import ROOT, share_of
from core.db.clock import Deadline
from core.tracing.tracer import working_for
from harness.service import environment
from tests.core.tracing.spans import Spans
from tests.resources.calls import Calls

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("flags", ["00", "01"], ids=["not sampled by the caller", "sampled by the caller"])
def test_a_request_continues_its_callers_trace(sqlite_call: Calls, spans: Spans, flags: str) -> None:
    sqlite_call.get("/goods", headers={"traceparent": f"00-{TRACE}-{PARENT}-{flags}"})
    request = spans.one("GET /goods")
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, PARENT)  # type: ignore[union-attr]
    assert {span.context.trace_id for span in spans.within(request)} == {int(TRACE, 16)}


@pytest.mark.parametrize(
    "header", ["", "00-0-0-01", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", "x" * 5000, f"00-{TRACE}"]
)
def test_what_is_no_traceparent_begins_a_new_trace(sqlite_call: Calls, spans: Spans, header: str) -> None:
    assert sqlite_call.get("/goods", headers={"traceparent": header}).status_code == 200
    request = spans.one("GET /goods")
    assert request.parent is None
    assert request.context.trace_id not in (0, int(TRACE, 16))


def test_a_caller_does_not_choose_what_is_traced(
    make_app: Callable[..., Flask], sqlite_uri: str, make_spans: Callable[[str], Spans]
) -> None:
    spans = make_spans("sampled:100000000")
    call = Calls(make_app(sqlite_uri, tracer=spans.tracer))
    item = call.create()["id"]
    sampled = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert call.post(f"/seckill/{item}", "alice", headers=sampled).status_code == 201
    assert call.get("/goods", headers=sampled).status_code == 200
    assert spans.all == ()


@pytest.mark.parametrize(("traces", "wanted"), [("all", 1), ("sampled:1", 1), ("sampled:4", 0.25)])
def test_the_share_that_is_traced(traces: str, wanted: float) -> None:
    assert share_of(traces) == wanted


def test_one_in_n_is_traced(
    make_app: Callable[..., Flask], sqlite_uri: str, make_spans: Callable[[str], Spans]
) -> None:
    spans = make_spans("sampled:4")
    call = Calls(make_app(sqlite_uri, tracer=spans.tracer))
    for _ in range(400):
        call.get("/goods/1")
    # Of 400 draws of a quarter, fewer than 40 or more than 160 come once in 10^13 times.
    assert 40 <= len(spans.named("GET /goods/<goods_id>")) <= 160


def test_an_unknown_method_makes_no_name(sqlite_call: Calls, spans: Spans) -> None:
    assert sqlite_call.send("BREW", "/goods").status_code == 405
    assert (spans.one("_OTHER none").attributes or {})["http.request.method"] == "_OTHER"


def test_a_statement_that_fails_tells_the_number_and_no_text(call: Calls, spans: Spans) -> None:
    request = spans.tracer.request(None, 0.0)
    with (
        working_for(request),
        pytest.raises((OperationalError, ProgrammingError), match="no_such_table"),
        call.services.database.connect(Deadline(10)) as connection,
    ):
        connection.exec_driver_sql("SELECT * FROM no_such_table")
    request.end()
    failed = [span for span in spans.all if span.status.status_code is StatusCode.ERROR]
    (statement,) = failed
    assert statement.status.description is None
    assert statement.events == ()
    attributes = dict(statement.attributes or {})
    if call.services.database.is_sqlite:
        assert attributes["error.type"] == "OperationalError"
    else:
        assert (attributes["error.type"], attributes["db.response.status_code"]) == ("ProgrammingError", "1146")


def test_nothing_is_loaded_where_traces_are_off(sqlite_uri: str) -> None:
    # The driver loads the SDK by itself where it finds it; ours and the exporter are loaded by nobody.
    program = (
        "import sys, app, config; app.create_app(config.load());"
        "print([name for name in sys.modules if 'tracing' in name or name.startswith('opentelemetry.exporter')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(sqlite_uri),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.strip() == "[]"
