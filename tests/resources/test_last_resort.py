"""A request whose answer cannot be made is answered all the same: by the fewest steps, and once."""

from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from core.db.deadlines import Deadlines, Pending
from tests.resources.calls import Calls
from tests.resources.test_fast_path_and_flask_agree import ByDispatcher


def fail(*arguments: Any) -> NoReturn:
    raise MemoryError


def internal_error(answer: TestResponse) -> None:
    assert answer.status_code == 500
    assert answer.content_type == "application/problem+json"
    assert (answer.json or {})["code"] == "internal_error"
    assert answer.headers["X-Request-ID"] == (answer.json or {})["request_id"]
    assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


@pytest.fixture
def ahead(sqlite_call: Calls, monkeypatch: pytest.MonkeyPatch) -> Iterator[ByDispatcher]:
    """The application as the event loop calls it, where no answer can be completed."""
    pipeline: Any = sqlite_call.app.wsgi_app
    sqlite_call.create()
    monkeypatch.setattr(pipeline.envelope, "seal", fail)
    return ByDispatcher(pipeline)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthz"),  # in the loop
        ("GET", "/orders"),  # in a thread
        ("GET", "/seckill/1"),  # later, by the thread that has the row
        ("POST", "/seckill/1"),  # later, or at once without a token
    ],
)
def test_an_answer_that_cannot_be_completed(ahead: ByDispatcher, method: str, path: str) -> None:
    environ = EnvironBuilder(method=method, path=path).get_environ()
    internal_error(TestResponse(*run_wsgi_app(ahead, environ), None))  # type: ignore[arg-type]


def test_one_that_comes_too_late(ahead: ByDispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Deadlines.watch

    def at_once(deadlines: Deadlines, pending: Pending) -> None:
        expire = pending.take()
        assert expire is not None
        expire()
        watch(deadlines, pending)

    monkeypatch.setattr(Deadlines, "watch", at_once)
    environ = EnvironBuilder(path="/readyz").get_environ()
    internal_error(TestResponse(*run_wsgi_app(ahead, environ), None))  # type: ignore[arg-type]
