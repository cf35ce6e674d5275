"""Calls of the public API, within the process.

The pages know no rule of the business: whatever they show or do is a request to the API, through the same pipeline
as any other, with a bearer token of the visitor. So limits, checks, refusals, keys and log lines are the API's own.
"""

import contextvars
import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import urlencode
from wsgiref.types import WSGIEnvironment

from flask import current_app, request
from werkzeug.datastructures import Headers

from resources.http.api_request import ApiRequest

# Of the visitor's request: where it comes from, and the server's own entries.
_TAKEN_OVER = (
    "HTTP_HOST",
    "HTTP_X_FORWARDED_FOR",
    "REMOTE_ADDR",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "wsgi.errors",
    "wsgi.multiprocess",
    "wsgi.multithread",
    "wsgi.run_once",
    "wsgi.url_scheme",
    "wsgi.version",
)


class Answer(NamedTuple):
    """An answer of the API: its status, its body, and its headers."""

    status: int
    data: dict[str, Any]
    headers: Headers

    @property
    def ok(self) -> bool:
        return self.status < 400

    @property
    def code(self) -> str:
        """The code of a refusal."""
        return str(self.data.get("code", "internal_error"))

    @property
    def details(self) -> dict[str, Any]:
        """The members of a refusal, and how many seconds to wait where the API says so."""
        wait = self.headers.get("Retry-After")
        return self.data if wait is None else {**self.data, "retry_after": int(wait)}


class Refused(Exception):
    """An answer that a page cannot do without is a refusal."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.code)
        self.answer = answer


def get(path: str, language: str, token: str | None = None, **query: object) -> dict[str, Any]:
    """The body of `GET path`. Raises Refused."""
    answer = call("GET", path, language, token, query=query)
    if not answer.ok:
        raise Refused(answer)
    return answer.data


def call(
    method: str,
    path: str,
    language: str,
    token: str | None = None,
    body: Mapping[str, Any] | None = None,
    key: str | None = None,
    query: Mapping[str, object] | None = None,
) -> Answer:
    """The API's answer to a request. `key` is its `Idempotency-Key`."""
    data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    given = {name: value for name, value in (query or {}).items() if value is not None}
    environ: WSGIEnvironment = {name: request.environ[name] for name in _TAKEN_OVER if name in request.environ}
    environ |= {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        # As WSGI has it: each character stands for a byte of the path in UTF-8.
        "PATH_INFO": path.encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": urlencode(given),
        "HTTP_ACCEPT_LANGUAGE": language,
        "HTTP_X_REQUEST_ID": ApiRequest.of(request.environ).id,  # both lines in the log have it
        "wsgi.input": BytesIO(data),
        "wsgi.input_terminated": True,
    }
    if body is not None:
        environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(data))}
    if token is not None:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    if key is not None:
        environ["HTTP_IDEMPOTENCY_KEY"] = key
    # In a context of its own: what the API notes about its request is not for the page's.
    return contextvars.copy_context().run(_run, environ)


def _run(environ: WSGIEnvironment) -> Answer:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    with app.app_context():
        status, headers, body = app.wsgi_app.reply(environ)
        content = body if isinstance(body, bytes) else b"".join(body)
    return Answer(status, json.loads(content) if content else {}, Headers(headers))
