"""One line of JSON for each request, and nothing in it that is nobody's business."""

import io
import json
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from config import Settings
from core.catalogue import goods
from core.ops import log_output
from core.ops.metrics import BufferedCounter
from harness.service import SECRET, Service
from resources.http import request_log
from resources.http.pipeline import Pipeline
from resources.http.request_log import AnsweredRequest
from tests.core.forged_tokens import signed
from tests.resources.calls import ADDRESS, OPERATOR, Calls, without_fast_path


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the service writes to its log."""
    root, driver = logging.getLogger(), logging.getLogger("mysql")
    before = root.handlers[:], request_log.log.handlers[:], root.level, driver.level
    written = io.StringIO()
    request_log.configure(Settings.model_construct(), written)
    yield written
    root.handlers[:], request_log.log.handlers[:], root.level, driver.level = before


def written_by_now(stream: io.StringIO) -> str:
    """What the log holds once the lines that are still gathered are written."""
    request_log.flush(seconds=20)
    return stream.getvalue()


def lines(stream: io.StringIO) -> list[dict]:
    written = [json.loads(line) for line in written_by_now(stream).split("\n") if line]
    # Threads of earlier tests may warn meanwhile: the database of theirs is gone.
    return [line for line in written if line["levelname"] != "WARNING"]


def test_no_line_has_an_address_or_a_coupon_s_code(sqlite_call: Calls, stream: io.StringIO) -> None:
    item = sqlite_call.create(shippable=True)
    sqlite_call.create_method()
    sqlite_call.create_coupon("HUSH-HUSH")
    chosen = {"coupon_code": "HUSH-HUSH", "shipping_method": "express", "address": ADDRESS}
    sqlite_call.bought(item["id"], **chosen)
    sqlite_call.quote(item["id"], **chosen)
    sqlite_call.buy(item["id"], **chosen | {"shipping_method": "none"})
    assert [line["route"] for line in lines(stream)][-3:] == [
        "/seckill/<goods_id>",
        "/seckill/<goods_id>/quote",
        "/seckill/<goods_id>",
    ]
    written = written_by_now(stream)
    assert not [text for text in ("HUSH", ADDRESS["name"], ADDRESS["phone"], ADDRESS["line1"]) if text in written]


def test_each_request_has_one_line_with_its_fields(sqlite_call: Calls, stream: io.StringIO) -> None:
    item = sqlite_call.create()
    written_by_now(stream)
    stream.seek(0)
    stream.truncate()
    sqlite_call.buy(item["id"], key="k")
    sqlite_call.get(f"/goods/{item['id']}")
    sqlite_call.get("/nowhere/at/all")
    sqlite_call.get("/goods/999")
    sqlite_call.get("/orders")
    sqlite_call.send("PUT", "/goods")
    shown = ("method", "route", "status", "code", "user_id")
    assert [tuple(line[name] for name in shown) for line in lines(stream)] == [
        ("POST", "/seckill/<goods_id>", 201, None, "alice"),
        ("GET", "/goods/<goods_id>", 200, None, None),
        ("GET", "none", 404, "not_found", None),
        ("GET", "/goods/<goods_id>", 404, "goods_not_found", None),
        ("GET", "/orders", 401, "unauthenticated", None),
        ("PUT", "none", 405, "method_not_allowed", None),
    ]
    for line in lines(stream):
        assert line["duration_ms"] >= 0
        assert line["timestamp"]
        assert line["levelname"] == "INFO"
        assert line["request_id"]


def test_a_line_has_the_request_s_id(sqlite_call: Calls, stream: io.StringIO) -> None:
    sqlite_call.get("/healthz", headers={"X-Request-ID": "mine-1"})
    made = sqlite_call.get("/nowhere").headers["X-Request-ID"]
    assert [line["request_id"] for line in lines(stream)] == ["mine-1", made]


def test_no_token_key_query_or_body_is_in_a_line(
    sqlite_call: Calls, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = sqlite_call.create(name="name-marker", description="text-marker")
    token = signed(SECRET, sub="alice")
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "key-marker", "Cookie": "cookie-marker"}
    place = f"/seckill/{item['id']}"
    sqlite_call.post(place, headers=headers, json={"quantity": 1})
    sqlite_call.post(place, headers=headers, json={"quantity": 2})
    sqlite_call.post(place, headers=headers, json={"address": {"line1": "address-marker", "phone": "phone-marker"}})
    sqlite_call.post(place, headers={"Authorization": "Bearer bad-marker"})
    sqlite_call.post("/goods", OPERATOR, data=b'{"broken-marker', content_type="application/json")
    sqlite_call.get("/goods?q=query-marker&cursor=cursor-marker")
    sqlite_call.get("/path-marker")
    text = written_by_now(stream)
    assert len(lines(stream)) == 8
    assert "marker" not in text
    assert token.rpartition(".")[2] not in text
    assert SECRET not in text


def test_a_bug_leaves_its_trace_in_the_log_and_not_in_the_answer(
    sqlite_call: Calls, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **named: object) -> None:
        words = " ".join(["what", "went", "wrong"])  # not so in the source, which the trace shows
        raise KeyError(words)

    monkeypatch.setattr(goods, "list_page", broken)
    answer = sqlite_call.get("/goods")
    error, request = lines(stream)
    assert error["levelname"] == "ERROR"
    # Where, but not what: the words of an error can quote a buyer's data.
    assert "in broken" in error["message"]
    assert "KeyError" in error["message"]
    assert "what went wrong" not in stream.getvalue()
    assert error["request_id"] == request["request_id"]
    assert (request["status"], request["code"]) == (500, "internal_error")
    assert request["request_id"] == answer.headers["X-Request-ID"]
    assert "what went wrong" not in answer.text


def test_what_the_database_says_and_was_sent_is_not_in_the_log(sqlite_call: Calls, stream: io.StringIO) -> None:
    item = sqlite_call.create()
    with sqlite_call.services.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE orders RENAME COLUMN purchased_at TO gone")
    assert sqlite_call.buy(item["id"], by="user-marker", key="key-marker").status_code == 500
    (error,) = [line for line in lines(stream) if line["levelname"] == "ERROR"]
    assert "OperationalError" in error["message"]
    assert "marker" not in error["message"]


def test_a_user_s_name_cannot_break_a_line(sqlite_call: Calls, stream: io.StringIO) -> None:
    user = '爱丽丝"}\u2028{'
    sqlite_call.get("/orders", user)
    (line,) = lines(stream)
    assert line["user_id"] == user
    assert "爱丽丝" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_what_is_answered_ahead_of_flask_has_the_line_that_flask_writes(
    sqlite_call: Calls, stream: io.StringIO
) -> None:
    item, closed = sqlite_call.create(stock=5)["id"], sqlite_call.create(stock=0)["id"]
    sale_cache, pipeline = sqlite_call.services.sale_cache, sqlite_call.app.wsgi_app
    assert isinstance(pipeline, Pipeline)
    sale_cache.hot_requests = 0
    while not sale_cache.refusal(closed) or not sale_cache.seen("goods", item):
        time.sleep(0.01)

    def send_all() -> list[dict]:
        written_by_now(stream)
        stream.seek(0)
        stream.truncate()
        headers = {"X-Request-ID": "mine-1"}
        for path, user, key in [(item, "alice", "k"), (item, '爱丽丝"}', "k"), (closed, None, None)]:
            by_key = {} if key is None else {"Idempotency-Key": key}
            sqlite_call.post(f"/seckill/{path}", user, headers=headers | by_key)
        sqlite_call.post(f"/seckill/{item}", "alice", headers=headers | {"Idempotency-Key": "k"}, json={"quantity": 2})
        for noun in ("goods", "seckill"):
            etag = sqlite_call.get(f"/{noun}/{item}", headers=headers).headers["ETag"]
            sqlite_call.get(f"/{noun}/{item}", headers=headers | {"If-None-Match": etag})
        return lines(stream)

    def shape(line: dict) -> list[tuple[str, Any]]:
        own = {"timestamp", "duration_ms", "message"}
        return [(name, type(value) if name in own else value) for name, value in line.items()]

    ahead = send_all()
    assert [(line["status"], line["code"], line["user_id"]) for line in ahead] == [
        (201, None, "alice"),
        (201, None, '爱丽丝"}'),
        (409, "sold_out", None),
        (422, "idempotency_key_reused", "alice"),
        *[(200, None, None), (304, None, None)] * 2,
    ]
    sqlite_call.app.wsgi_app, sale_cache.hot_requests = without_fast_path(pipeline), 10**9  # type: ignore[method-assign]
    # But buyers of a hot item are refused before anybody checks who they are.
    sqlite_call.post("/healthz")
    flask = send_all()
    assert [shape(line) for line in ahead[:2] + ahead[3:]] == [shape(line) for line in flask[:2] + flask[3:]]
    assert [name for name, _ in shape(ahead[2])] == [name for name, _ in shape(flask[2])]


def test_lines_of_many_threads_are_all_there_whole_and_in_order(stream: io.StringIO) -> None:
    def note_many(thread: int) -> None:
        for number in range(500):
            request_log.note(
                AnsweredRequest(f"{thread}-{number}", "GET", "/x", 200, None, time.perf_counter(), "爱丽丝")
            )
            if number % 100 == 0:
                time.sleep(0.03)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(note_many, range(8)))
    ids = [line["request_id"] for line in lines(stream)]
    assert len(ids) == 8 * 500
    for thread in range(8):
        own = [one for one in ids if one.startswith(f"{thread}-")]
        assert own == [f"{thread}-{number}" for number in range(500)]


def wait_for(text: str, stream: io.StringIO) -> None:
    began = time.monotonic()
    while text not in stream.getvalue():
        assert time.monotonic() < began + 60
        time.sleep(0.01)


class NoMetric:
    """What cannot be counted, as when the disk is full."""

    def labels(self, *labels: str) -> None:
        raise OSError("no space left")


def test_a_figure_that_cannot_be_saved_does_not_stop_the_log(stream: io.StringIO) -> None:
    BufferedCounter(NoMetric()).add("x")  # type: ignore[arg-type]
    request_log.note(AnsweredRequest("mine-1", "GET", "/x", 200, None, time.perf_counter()))
    wait_for("a figure or a span was not recorded", stream)
    logging.getLogger("seckill").warning("look at this")
    wait_for("look at this", stream)


def test_a_line_that_cannot_be_put_together_takes_no_other_along(stream: io.StringIO) -> None:
    request_log.note(AnsweredRequest("mine-1", "GET", "/x", 200, None, 0.0, object()))  # type: ignore[arg-type]
    request_log.note(AnsweredRequest("mine-2", "GET", "/x", 200, None, time.perf_counter()))
    wait_for("mine-2", stream)


def test_lines_are_written_soon_by_themselves_in_their_order_but_warnings_first(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_log.note(AnsweredRequest("mine-1", "GET", "/x", 200, None, time.perf_counter()))
    wait_for("mine-1", stream)
    # Else the next line is written before the warning comes, if this thread stands still between the two.
    monkeypatch.setattr(log_output, "GATHER_SECONDS", 600)
    request_log.note(AnsweredRequest("mine-2", "GET", "/x", 200, None, time.perf_counter()))
    logging.getLogger("seckill").warning("look at this")
    wait_for("look at this", stream)
    wait_for("mine-2", stream)
    assert [line.get("request_id") or line["message"] for line in map(json.loads, stream.getvalue().splitlines())] == [
        "mine-1",
        "look at this",
        "mine-2",
    ]


def test_a_log_that_cannot_be_written_costs_nobody_their_answer(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError("no space left")

    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.setattr(stream, "flush", full)
    logging.getLogger("seckill").warning("look at this")


def _note_in_a_worker() -> None:
    for number in range(3):
        request_log.note(AnsweredRequest(f"worker-{number}", "GET", "/x", 200, None, time.perf_counter()))
        time.sleep(0.2)  # longer than lines are gathered
    request_log.note(AnsweredRequest("worker-last", "GET", "/x", 200, None, time.perf_counter()))


def test_a_worker_that_is_forked_while_lines_are_gathered_writes_its_own(stream: io.StringIO, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        request_log.configure(Settings.model_construct(), file)
        request_log.note(AnsweredRequest("parent", "GET", "/x", 200, None, time.perf_counter()))
        worker = multiprocessing.get_context("fork").Process(target=_note_in_a_worker)
        worker.start()
        worker.join(60)
        written_by_now(stream)
        ids = [json.loads(line)["request_id"] for line in (tmp_path / "log").read_text().splitlines()]
        assert sorted(ids) == ["parent", "worker-0", "worker-1", "worker-2", "worker-last"]
        request_log.configure(Settings.model_construct(), stream)


@pytest.mark.parametrize("whom", ["a worker", "the service"])
def test_the_last_lines_are_written_when_a_worker_ends(
    sqlite_uri: str, start_service: Callable[..., Service], whom: str
) -> None:
    service = start_service(sqlite_uri, workers=1, DRAIN_SECONDS=0)
    item, ids = service.create_goods(stock=0), [f"last-{number}" for number in range(40)]
    (pid,) = service.worker_pids()
    with requests.Session() as client:
        for number, name in enumerate(ids):  # by Flask, and ahead of it
            path = "/healthz" if number % 2 else f"/seckill/{item}"
            client.request("GET" if number % 2 else "POST", service.url + path, headers={"X-Request-ID": name})
    os.kill(pid if whom == "a worker" else service.process.pid, signal.SIGTERM)
    began = time.monotonic()
    while pid in service.worker_pids() if service.process.poll() is None else False:
        assert time.monotonic() < began + 60
        time.sleep(0.05)
    service.stop()
    written = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    assert [line["request_id"] for line in written if str(line.get("request_id")).startswith("last-")] == ids
