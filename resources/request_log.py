"""One log line and one count for each request, and the id by which both can be found."""

import contextlib
import json
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from functools import lru_cache
from multiprocessing import util
from typing import Any, TextIO

from prometheus_client import Counter
from pythonjsonlogger.json import JsonFormatter

from core.ops.metrics import BufferedCounter
from core.ops.text_output import LineWriter

_REQUESTS = BufferedCounter(Counter("seckill_http_requests_total", "Requests answered.", ["route", "method", "status"]))

log = logging.getLogger("seckill.requests")

# Seconds that a line may wait to be written together with others.
_GATHER_SECONDS = 0.1
_GATHERED = 100_000  # lines; when more are waiting, the oldest are lost
_to_json = json.JSONEncoder(ensure_ascii=False).encode
# A method is the caller's to choose: an unknown one must not make a new series.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


# A function that makes a line, and what it needs: plain values, cheaper than a closure over them.
Made = tuple[Callable[..., str], tuple[Any, ...]]


class _GatheredLines:
    """Writes lines to `stream` some at a time, from a thread of its own: a write for each would stop all threads."""

    def __init__(self, stream: TextIO | None) -> None:
        self._writer = LineWriter(stream)
        self._begin()
        util.register_after_fork(self, _GatheredLines._begin)  # threads and their locks do not come along

    def _begin(self) -> None:
        # Bounded: whoever reads the log may have stopped to.
        self._lines: deque[str | Made] = deque(maxlen=_GATHERED)
        self._there_are_some = threading.Event()
        self._hurry = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        util.Finalize(None, self.flush, exitpriority=0)

    def write(self, line: str | Made) -> None:
        """Have `line` written, or what is made by then: who is answered need not wait for it to be put together."""
        self._lines.append(line)
        if not self._there_are_some.is_set():
            self._there_are_some.set()
            if self._thread is None:
                thread = threading.Thread(target=self._run, daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads for now
                    self._there_are_some.clear()
                else:
                    self._thread = thread

    def hurry(self) -> None:
        """Have all lines written now. Does not wait for it: whoever reads the log may have stopped to."""
        self._hurry.set()

    def flush(self) -> None:
        BufferedCounter.settle()  # figures are no later than lines; a failure to count is a line itself
        with self._writing:
            self._there_are_some.clear()
            lines = []
            while self._lines:
                line = self._lines.popleft()
                with contextlib.suppress(Exception):  # one line that cannot be put together takes no others along
                    lines.append(line if isinstance(line, str) else line[0](*line[1]))
            self._writer.write(lines)

    def _run(self) -> None:
        while self._there_are_some.wait():
            self._hurry.wait(_GATHER_SECONDS)
            self._hurry.clear()
            self.flush()


class _Handler(logging.StreamHandler[_GatheredLines]):
    """Ordinary lines are gathered; what somebody should look at is written at once."""

    def flush(self) -> None:
        pass

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        if record.levelno >= logging.WARNING:
            self.stream.hurry()


class _RequestLines(_Handler):
    """Writes the requests' lines as they are: logging's own way costs more than many a request."""

    def __init__(self, lines: _GatheredLines, debug: bool) -> None:
        super().__init__(lines)
        self._debug = debug

    def tell(
        self, request_id: str, method: str, route: str, status: int, code: str | None, began: float, user_id: str | None
    ) -> None:
        took, at = time.perf_counter() - began, time.time()
        self.stream.write((self._line, (request_id, method, route, status, code, took, at, user_id)))

    def _line(
        self,
        request_id: str,
        method: str,
        route: str,
        status: int,
        code: str | None,
        took: float,
        at: float,
        user_id: str | None,
    ) -> str:
        now = f"{_second(int(at))}.{int(at % 1 * 1_000_000):06d}+00:00"
        milliseconds = round(took * 1000, 2)
        if self._debug:
            return f"{now} INFO {log.name} {method} {route} {status} {milliseconds} ms\n"
        # Put together by hand: but for the user's id, all of it is our own words or plain characters.
        head, tail = _around(method, route, status, code)
        user = "null" if user_id is None else _to_json(user_id)
        return (
            f'{head}{milliseconds} ms", "request_id": "{request_id}"{tail}{milliseconds},'
            f' "user_id": {user}, "timestamp": "{now}"}}\n'
        )


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


def configure(debug: bool, stream: TextIO | None = None) -> None:
    """Send the process's logs to `stream`, by default standard output: JSON lines, or readable text under DEBUG."""
    lines = _GatheredLines(stream or sys.stdout)
    handler = _Handler(lines)
    if debug:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    else:
        handler.setFormatter(
            JsonFormatter("%(levelname)s %(name)s %(message)s", timestamp=True, json_ensure_ascii=False)
        )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    log.handlers[:] = [_RequestLines(lines, debug)]
    logging.getLogger("mysql").setLevel(logging.WARNING)  # it tells of every connection


def flush() -> None:
    """Have all lines written that wait for it, before this returns."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Handler):
            handler.stream.flush()


def note(
    request_id: str, method: str, route: str, status: int, code: str | None, began: float, user_id: str | None = None
) -> None:
    """Count an answer and write its line. `began` is the `time.perf_counter()` of the request's arrival."""
    if method not in _METHODS:
        method = "other"
    _REQUESTS.add(route, method, str(status))
    for handler in log.handlers:
        if isinstance(handler, _RequestLines):
            handler.tell(request_id, method, route, status, code, began, user_id)
