"""Where spans go: to a collector, by OTLP over HTTP, or to a file."""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from config import Settings
from core.address import LOOPBACK

SEND_SECONDS = 5.0
FILE_MAX_BYTES = 64 * 1024 * 1024
_LOG_SECONDS = 60.0

log = logging.getLogger("seckill.tracing")
# Guarded logs what failed, without the other side's text. That the queue is full, OpenTelemetry's SDK logs.
logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)


def of(settings: Settings) -> SpanExporter:
    """The exporter that TRACES_TO names: an address or a path. Connects to nothing yet."""
    target = settings.TRACES_TO
    if "://" not in target:
        return FileExporter(Path(target))
    session = requests.Session()
    session.max_redirects = 0  # spans go to the address that was set
    # No proxy can reach this host for us.
    session.trust_env = urlsplit(target).hostname not in LOOPBACK
    session.auth = _Authorization(settings.TRACES_AUTHORIZATION)
    return OTLPSpanExporter(target, timeout=SEND_SECONDS, session=session)


class _Authorization(requests.auth.AuthBase):
    """Sets the header, or none. Without it, `requests` would look for a password in ~/.netrc."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            request.headers["Authorization"] = self._value
        return request


class Guarded(SpanExporter):
    """An exporter that never raises, and logs once a minute what was lost."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._lost = 0
        self._logged_at = float("-inf")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand on the spans. FAILURE: they are lost."""
        reason = "refused"
        try:
            result = self._exporter.export(spans)
        except Exception as error:
            result, reason = SpanExportResult.FAILURE, type(error).__name__
        if result is not SpanExportResult.SUCCESS:
            self._lost += len(spans)
            if time.monotonic() - self._logged_at >= _LOG_SECONDS:
                log.warning("spans could not be sent to TRACES_TO (%s), lost: %s", reason, self._lost)
                self._logged_at, self._lost = time.monotonic(), 0
        return result

    def shutdown(self) -> None:
        """Close the exporter."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Whether the exporter has handed on all that it was given."""
        return self._exporter.force_flush(timeout_millis)


class FileExporter(SpanExporter):
    """Appends spans to a file, each a line of JSON as OpenTelemetry's console exporter has it.

    Several processes may write to one file. At FILE_MAX_BYTES it is renamed to `<name>.1`, in place of an older one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans, all in one call. Raises OSError."""
        lines = "".join(f"{span.to_json(indent=None)}\n" for span in spans).encode()
        with self._opened() as file:
            if os.fstat(file).st_size + len(lines) <= FILE_MAX_BYTES:
                return _written(file, lines)
            # Unless somebody else has turned it over since it was opened here, and perhaps not made a new one yet.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(self._path.stat(), os.fstat(file)):
                    self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        with self._opened() as file:
            return _written(file, lines)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """The file, for this process alone."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _written(file: int, lines: bytes) -> SpanExportResult:
    return SpanExportResult.SUCCESS if os.write(file, lines) == len(lines) else SpanExportResult.FAILURE
