"""The file that spans go to, and what becomes of spans that cannot be written."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from core.tracing import exporters
from core.tracing.exporters import FileExporter, Guarded


@pytest.fixture
def some() -> Sequence[ReadableSpan]:
    tracer = TracerProvider().get_tracer("test")
    made = [tracer.start_span(name) for name in ("a", "b")]
    for span in made:
        span.end()
    return [span for span in made if isinstance(span, ReadableSpan)]


def names(path: Path) -> list[str]:
    return [json.loads(line)["name"] for line in path.read_text().splitlines()]


def test_a_file_is_appended_to_and_turned_over_before_it_is_too_large(
    some: Sequence[ReadableSpan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, older = tmp_path / "spans.jsonl", tmp_path / "spans.jsonl.1"
    exporter, other = FileExporter(path), FileExporter(path)
    assert exporter.export(some) is SpanExportResult.SUCCESS
    assert other.export(some) is SpanExportResult.SUCCESS
    assert names(path) == ["a", "b"] * 2
    monkeypatch.setattr(exporters, "FILE_MAX_BYTES", path.stat().st_size + 10)
    assert exporter.export(some[:1]) is SpanExportResult.SUCCESS
    assert other.export(some[1:]) is SpanExportResult.SUCCESS
    assert (names(older), names(path)) == (["a", "b"] * 2, ["a", "b"])


def test_what_cannot_be_written_is_told_once_a_minute(
    some: Sequence[ReadableSpan], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = Guarded(FileExporter(tmp_path / "no such folder" / "spans.jsonl"))
    with caplog.at_level(logging.WARNING, "seckill.tracing"):
        assert exporter.export(some) is SpanExportResult.FAILURE
        assert exporter.export(some) is SpanExportResult.FAILURE
    assert caplog.messages == ["spans could not be sent to TRACES_TO (FileNotFoundError), lost: 2"]
