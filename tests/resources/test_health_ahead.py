"""Health is answered ahead of Flask, and in Flask's words."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from core.ops.host_memory import HostMemory
from resources.http.pipeline import Pipeline
from tests.resources.calls import without_fast_path
from tests.resources.test_fast_path import headers_of
from tests.resources.test_fast_path_and_flask_agree import ByDispatcher


def send(application: Any, method: str, path: str, headers: dict[str, str]) -> TestResponse:
    environ = EnvironBuilder(method=method, path=path, headers={"X-Request-ID": "mine", **headers}).get_environ()
    return TestResponse(*run_wsgi_app(application, environ), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/healthz?x=1"])
@pytest.mark.parametrize("draining", [False, True])
def test_health_is_told_as_flask_tells_it(
    make_app: Callable[..., Flask], sqlite_uri: str, path: str, draining: bool
) -> None:
    host = HostMemory()
    host.draining = draining
    pipeline = make_app(sqlite_uri, host).wsgi_app
    assert isinstance(pipeline, Pipeline)
    ahead, flask = ByDispatcher(pipeline), without_fast_path(pipeline)
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        for headers in ({}, {"Origin": "https://evil.example"}, {"Accept-Language": "zh"}):
            one, other = (send(application, method, path, headers) for application in (ahead, flask))
            assert one.status_code == other.status_code
            assert one.data == other.data
            assert headers_of(one) == headers_of(other)


def test_flask_is_not_asked_for_it(sqlite_app: Flask) -> None:
    pipeline: Any = sqlite_app.wsgi_app
    pipeline.application = None  # whoever calls it fails
    ahead = ByDispatcher(pipeline)
    for path in ("/healthz", "/readyz"):
        assert [send(ahead, method, path, {}).status_code for method in ("GET", "HEAD")] == [200, 200]
