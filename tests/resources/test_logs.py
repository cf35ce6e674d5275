"""One line of JSON for each request, and nothing in it that is nobody's business."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from core import goods
from resources import request_log
from tests.core.forged_tokens import signed
from tests.resources.calls import OPERATOR, Calls
from tests.servers.service import SECRET


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the service writes to its log."""
    root, driver = logging.getLogger(), logging.getLogger("mysql")
    before = root.handlers[:], request_log.log.handlers[:], root.level, driver.level
    written = io.StringIO()
    request_log.configure(False, written)
    yield written
    root.handlers[:], request_log.log.handlers[:], root.level, driver.level = before


def written_by_now(stream: io.StringIO) -> str:
    """What the log holds once the lines that are still gathered are written."""
    for handler in logging.getLogger().handlers:
        handler.stream.flush()
    return stream.getvalue()


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in written_by_now(stream).split("\n") if line]


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
    def broken(*arguments: object) -> None:
        words = " ".join(["what", "went", "wrong"])  # not so in the source, which the trace shows
        raise KeyError(words)

    monkeypatch.setattr(goods, "find", broken)
    answer = sqlite_call.get("/goods/1")
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
    with sqlite_call.shop.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE orders RENAME COLUMN purchased_at TO gone")
    assert sqlite_call.buy(item["id"], by="user-marker", key="key-marker").status_code == 500
    error = lines(stream)[-2]
    assert "OperationalError" in error["message"]
    assert "marker" not in error["message"]


def test_a_user_s_name_cannot_break_a_line(sqlite_call: Calls, stream: io.StringIO) -> None:
    user = '爱丽丝"}\u2028{'
    sqlite_call.get("/orders", user)
    (line,) = lines(stream)
    assert line["user_id"] == user
    assert "爱丽丝" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1
