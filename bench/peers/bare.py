"""A bare WSGI callable: what the server alone costs. It answers anything, and reads nothing.

python -m bench.peers.on_granian bench.peers.bare:app
"""

from collections.abc import Callable, Iterable
from typing import Any

_BODY = b'{"status": "nothing"}'
_HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))]


def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", _HEADERS)
    return [_BODY]


def app() -> Callable[..., Iterable[bytes]]:
    return answer
