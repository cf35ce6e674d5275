"""One log line and one count for each request, and the id by which both can be found."""

import json
import logging
import random
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import lru_cache
from typing import NamedTuple, TextIO

from prometheus_client import Counter
from pythonjsonlogger.json import JsonFormatter

from config import Settings, share_of
from core.ops.log_output import GatheredLines
from core.ops.metrics import BufferedCounter

_REQUESTS = BufferedCounter(Counter("seckill_http_requests_total", "Requests answered.", ["route", "method", "status"]))

log = logging.getLogger("seckill.requests")

_to_json = json.JSONEncoder(ensure_ascii=False).encode
# A method is the caller's to choose: an unknown one must not make a new series.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
FAILED = 500  # from this status on a request has failed: its line is written, unless all are off


class AnsweredRequest(NamedTuple):
    """What is logged and counted of a request. `began` is the `time.perf_counter()` of its arrival."""

    id: str
    method: str
    route: str
    status: int
    code: str | None
    began: float
    user_id: str | None = None


class _Handler(logging.Handler):
    """Ordinary lines are gathered; what somebody should look at is written first, and at once."""

    def __init__(self, lines: GatheredLines) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
            return
        if record.levelno >= logging.WARNING:
            self.lines.write_first(line)
        else:
            self.lines.write(line)


class _Text(logging.Formatter):
    """A record as people read it, with the id of its request where it has one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 (logging's name)
        return _moment(record.created)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        request_id = getattr(record, "request_id", None)
        return super().formatMessage(record) + (f" request_id={request_id}" if request_id else "")


class _RequestLines(_Handler):
    """Writes the requests' lines as they are: logging's own way costs more than many a request."""

    def __init__(self, lines: GatheredLines, as_text: bool, which: str) -> None:
        """`which` is the setting LOG_REQUESTS, but for `off`."""
        super().__init__(lines)
        self._line = _text_line if as_text else _json_line
        self.write: Callable[[AnsweredRequest], None] = self._write
        if which != "all":
            self.write = self._write_share(share_of(which))

    def _write(self, answered: AnsweredRequest) -> None:
        took = time.perf_counter() - answered.began
        self.lines.write((self._line, (answered, took, time.time())))

    def _write_share(self, share: float) -> Callable[[AnsweredRequest], None]:
        """Writes the lines of all failures, and of this share of the rest."""
        write, any_number = self._write, random.random

        def write_share(answered: AnsweredRequest) -> None:
            if answered.status >= FAILED or any_number() < share:
                write(answered)

        return write_share


def _text_line(answered: AnsweredRequest, took: float, at: float) -> str:
    """The line of a request that took so many seconds and was answered at `at`, for people."""
    outcome = f"{answered.status}" if answered.code is None else f"{answered.status} {answered.code}"
    user = "" if answered.user_id is None else f" user_id={_to_json(answered.user_id)}"
    what = f"{answered.method} {answered.route} {outcome} {round(took * 1000, 2)} ms"
    return f"{_moment(at)} INFO {log.name} {what} request_id={answered.id}{user}\n"


def _json_line(answered: AnsweredRequest, took: float, at: float) -> str:
    """The same as JSON, for programs."""
    milliseconds = round(took * 1000, 2)
    # Put together by hand: but for the user's id, all of it is our own words or plain characters.
    head, tail = _around(answered.method, answered.route, answered.status, answered.code)
    user = "null" if answered.user_id is None else _to_json(answered.user_id)
    return (
        f'{head}{milliseconds} ms", "request_id": "{answered.id}"{tail}{milliseconds},'
        f' "user_id": {user}, "timestamp": "{_moment(at)}"}}\n'
    )


def _moment(at: float) -> str:
    return f"{_second(int(at))}.{int(at % 1 * 1_000_000):06d}+00:00"


@lru_cache(maxsize=10)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=1000)
def _around(method: str, route: str, status: int, code: str | None) -> tuple[str, str]:
    """What is the same in many lines: before and between that which differs."""
    shown_code = "null" if code is None else f'"{code}"'
    return (
        f'{{"levelname": "INFO", "name": "{log.name}", "message": "{method} {route} {status} ',
        f', "method": "{method}", "route": "{route}", "status": {status}, "code": {shown_code}, "duration_ms": ',
    )


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send the process's logs to `stream`, by default standard output, as the settings LOG_… say."""
    stream = stream or sys.stdout
    as_text = settings.LOG_FORMAT == "text" or (not settings.LOG_FORMAT and (settings.DEBUG or _is_terminal(stream)))
    lines = GatheredLines(stream)
    handler = _Handler(lines)
    if as_text:
        handler.setFormatter(_Text())
    else:
        handler.setFormatter(
            JsonFormatter("%(levelname)s %(name)s %(message)s", timestamp=True, json_ensure_ascii=False)
        )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.LOG_LEVEL.upper())
    # Its lines do not pass through the logger, so its level is no matter: LOG_REQUESTS says which are written.
    log.handlers[:] = [] if settings.LOG_REQUESTS == "off" else [_RequestLines(lines, as_text, settings.LOG_REQUESTS)]
    logging.getLogger("mysql").setLevel(logging.WARNING)  # it logs every connection


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return False


def flush(seconds: float) -> None:
    """Have all lines written that wait for it, before this returns, but wait no longer than `seconds`."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Handler):
            handler.lines.drain(seconds)


def note(answered: AnsweredRequest) -> None:
    """Count an answer and write its line."""
    if answered.method not in METHODS:
        answered = answered._replace(method="other")
    _REQUESTS.add(answered.route, answered.method, str(answered.status))
    for handler in log.handlers:
        if isinstance(handler, _RequestLines):
            handler.write(answered)
