"""The settings of the log: which requests have a line, how severe the others are, and for whom they are written."""

import contextlib
import fcntl
import io
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

import config
from config import Settings
from core.ops import log_output
from harness.eventually import eventually
from harness.service import Service
from resources.http import request_log
from resources.http.request_log import AnsweredRequest
from tests.resources.calls import OPERATOR, Calls
from tests.resources.test_metrics import figures, rise


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """What is set up here is put back."""
    root, driver = logging.getLogger(), logging.getLogger("mysql")
    before = root.handlers[:], request_log.log.handlers[:], root.level, driver.level
    yield
    root.handlers[:], request_log.log.handlers[:], root.level, driver.level = before


def configured(**settings: object) -> io.StringIO:
    written = io.StringIO()
    request_log.configure(config.load(SECRET_KEY="x" * 32, **settings), written)
    return written


def lines_of(written: io.StringIO) -> list[str]:
    request_log.flush(seconds=20)
    return written.getvalue().splitlines()


def note(status: int, code: str | None = None, user: str | None = None) -> None:
    request_log.note(AnsweredRequest("mine-1", "GET", "/x", status, code, time.perf_counter(), user))


STATUSES = (200, 304, 409, 429, 500, 503)


@pytest.mark.parametrize(
    ("which", "kept"), [("all", STATUSES), ("errors", (500, 503)), ("off", ()), ("sampled:1", STATUSES)]
)
def test_the_requests_that_the_setting_names_have_a_line(which: str, kept: tuple[int, ...]) -> None:
    written = configured(LOG_REQUESTS=which)
    for status in STATUSES:
        note(status)
    assert [json.loads(line)["status"] for line in lines_of(written)] == list(kept)


def test_of_a_sample_one_in_so_many_has_a_line_and_every_failure_has() -> None:
    written = configured(LOG_REQUESTS="sampled:4")
    for _ in range(4000):
        note(201)
    for _ in range(50):
        note(503, "busy")
    statuses = [json.loads(line)["status"] for line in lines_of(written)]
    assert statuses.count(503) == 50
    assert 700 <= statuses.count(201) <= 1300  # eleven standard deviations


@pytest.mark.parametrize("which", ["errors", "sampled:1000000", "off"])
def test_requests_without_a_line_are_counted(sqlite_call: Calls, which: str) -> None:
    before = figures(sqlite_call)
    configured(LOG_REQUESTS=which)
    for _ in range(3):
        sqlite_call.get("/goods", OPERATOR)
    after = figures(sqlite_call)
    assert rise(before, after, "seckill_http_requests_total", route="/goods", method="GET", status="200") == 3


def test_lines_below_the_level_are_left_out_but_requests_have_a_setting_of_their_own() -> None:
    written = configured(LOG_LEVEL="error")
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("seckill").log(level, "something")
    note(200)
    assert {json.loads(line)["levelname"] for line in lines_of(written)} == {"ERROR", "INFO"}
    assert len(lines_of(written)) == 2


@pytest.mark.parametrize(
    ("settings", "on_terminal", "as_text"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"DEBUG": True}, False, True),
        ({"LOG_FORMAT": "json"}, True, False),
        ({"LOG_FORMAT": "text"}, False, True),
        ({"LOG_FORMAT": "json", "DEBUG": True}, True, False),
    ],
)
def test_the_log_is_text_on_a_terminal_and_json_elsewhere(
    settings: dict[str, object], on_terminal: bool, as_text: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else the request is written before the warning comes, if this thread stands still between the two.
    monkeypatch.setattr(log_output, "GATHER_SECONDS", 600)
    end, other = os.openpty() if on_terminal else os.pipe()
    with os.fdopen(end, "rb", buffering=0) as reads, os.fdopen(other, "w") as writes:
        request_log.configure(Settings.model_construct(**settings), writes)
        note(409, "sold_out", '爱丽丝"')
        logging.getLogger("seckill").warning("look at this", extra={"request_id": "mine-1"})
        request_log.flush(seconds=20)
        seen = b""
        while seen.count(b"\n") < 2:
            seen += reads.read(10_000)
    warning, request = seen.decode().splitlines()
    assert warning.startswith("{") is not as_text
    assert request.startswith("{") is not as_text
    if as_text:
        assert warning.endswith("WARNING seckill look at this request_id=mine-1")
        assert "INFO seckill.requests GET /x 409 sold_out " in request
        assert request.endswith(' ms request_id=mine-1 user_id="爱丽丝\\""')


def test_a_reader_of_the_log_that_has_stopped_does_not_hold_up_answers_or_the_stop(
    start_service: Callable[..., Service], sqlite_uri: str, tmp_path: Path
) -> None:
    pipe = tmp_path / "service-0.log"  # the name that the service's log will have
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    text = b""

    def is_greeted() -> bool:
        nonlocal text
        with contextlib.suppress(BlockingIOError):
            text += os.read(reader, 65536)
        return b"Ctrl-C stops it" in text

    # A worker that does not stop would be killed after the time that an answer may take, and the test fail long before.
    service = start_service(sqlite_uri, PURCHASE_WAIT_SECONDS=60)
    assert eventually(is_greeted)
    with requests.Session() as client:
        for _ in range(100):
            assert client.get(f"{service.url}/healthz", timeout=20).ok
    assert service.stop() == 0
    os.close(reader)
