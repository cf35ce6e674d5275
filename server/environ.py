"""The head of a request from granian's asynchronous interface (RSGI), as WSGI has it."""

from functools import lru_cache
from wsgiref.types import WSGIEnvironment

from granian.rsgi import Scope


def environ_of(scope: Scope) -> WSGIEnvironment:
    """The request's head as WSGI has it (PEP 3333), without the body."""
    path = scope.path
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope.method,
        # Text in WSGI is bytes, one a character.
        "PATH_INFO": path if path.isascii() else path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        **_server(scope.scheme, scope.server, scope.http_version),
    }
    own = len(environ)
    headers = scope.headers
    for name, value in headers.items():
        key = _KEYS.get(name) or _key(name)
        if key is not None:
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    names = headers.keys()
    if len(names) != len(environ) - own:
        # granian leaves out values that are no text: they must not pass for headers that were not sent.
        for key in map(_key, names):
            if key is not None:
                environ.setdefault(key, "")
    return environ


@lru_cache(maxsize=100)
def _server(scheme: str, server: str, http_version: str) -> WSGIEnvironment:
    host, _, port = server.rpartition(":")
    return {
        "wsgi.url_scheme": scheme,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{http_version}",
    }


def _key(name: str) -> str | None:
    """A header's name in WSGI. None for one with `_`, which would pass for another header, with `-`."""
    if "_" in name:
        return None
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


_KEYS = {
    name: _key(name)
    for name in (
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "if-none-match",
        "origin",
        "user-agent",
        "x-forwarded-for",
        "x-request-id",
    )
}
