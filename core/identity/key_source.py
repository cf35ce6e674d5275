"""Reads an identity provider's key set: from a file, or by HTTPS. Every wait and size is bounded.

Proxies of the environment are not used, and redirects not followed: keys come from the address that was set.
"""

import http.client
import os
import ssl
import stat
import threading
from pathlib import Path
from urllib.parse import urlsplit

from core.cut_off import cut_off
from core.identity.key_set import MAX_BYTES

CONNECT_SECONDS = 5.0
WHOLE_SECONDS = 10.0  # from the connection on: an answer that comes byte by byte would never exceed a time-out
_CHUNK = 16 * 1024


class Unreadable(Exception):
    """The keys cannot be read; says why, in words of ours: none of the other side's text gets into a log."""


def read(source: str) -> bytes:
    """The bytes at `source`, at most one more than a key set may have. Raises Unreadable."""
    return _fetch(source) if "://" in source else _read_file(Path(source))


def _read_file(path: Path) -> bytes:
    try:
        # A FIFO would wait for whoever writes to it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Unreadable("it is not a file")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(os.strerror(error.errno) if error.errno else "it cannot be read") from None


def _fetch(address: str) -> bytes:
    parts = urlsplit(address)
    assert parts.hostname
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=CONNECT_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=CONNECT_SECONDS)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    late = threading.Event()
    watch: threading.Timer | None = None
    try:
        connection.connect()
        watch = threading.Timer(WHOLE_SECONDS, cut_off, (connection.sock, late))
        watch.daemon = True
        watch.start()
        # Not encoded: a small body could otherwise grow without a bound.
        connection.request("GET", target, headers={"Accept": "application/json", "Connection": "close"})
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise Unreadable(f"the answer has status {answer.status}")
        body = _body(answer)
        if late.is_set():
            raise TimeoutError  # what was cut off looks like the end of a body without a length
    except TimeoutError:
        raise Unreadable("no answer in time") from None
    except ssl.SSLError as error:
        raise Unreadable("no answer in time" if late.is_set() else f"TLS: {error.reason or 'none'}") from None
    except (OSError, http.client.HTTPException):
        raise Unreadable("no answer in time" if late.is_set() else "no connection, or no HTTP answer") from None
    finally:
        if watch is not None:
            watch.cancel()
        connection.close()
    return body


def _body(answer: http.client.HTTPResponse) -> bytes:
    found = b""
    while len(found) <= MAX_BYTES and (chunk := answer.read(_CHUNK)):
        found += chunk
    return found[: MAX_BYTES + 1]
