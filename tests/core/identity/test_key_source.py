"""Where keys are read from: every wait and size is bounded, and nothing else is followed."""

import os
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from core import address
from core.identity import key_source
from core.identity.key_set import MAX_BYTES
from core.identity.key_source import Unreadable
from harness.identity_keys import publishing


@pytest.mark.parametrize(
    "source",
    [
        "https://login.example/keys",
        "https://login.example:8443/a/b?c=d",
        "http://127.0.0.1:9400/jwks",
        "http://localhost/jwks",
        "http://[::1]:80/jwks",
        "/etc/shop/jwks.json",
        "jwks.json",
    ],
)
def test_https_this_host_and_files_are_places_to_read_keys_from(source: str) -> None:
    assert address.fault(source) is None


@pytest.mark.parametrize(
    "source",
    [
        "http://login.example/keys",
        "http://localhost.example/keys",
        "http://127.0.0.1@login.example/keys",
        "http://10.0.0.1/keys",
        "https://user:secret@login.example/keys",
        "https:///keys",
        "https://login.example:99999/keys",
        "https://[::1/keys",
        "https://login.example/\nkeys",
        "https://login.example/é",
        f"https://login.example/{'x' * 2000}",
        "ftp://login.example/keys",
        "file:///etc/passwd",
        " ",
        "a\0b",
    ],
)
def test_no_other_is(source: str) -> None:
    assert address.fault(source)


def test_keys_are_read_by_http_and_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(b"the keys")
    assert key_source.read(str(tmp_path / "keys.json")) == b"the keys"
    with publishing(b"the keys") as publisher:
        assert key_source.read(f"{publisher.url}?v=1") == b"the keys"
    assert publisher.requested == ["/keys?v=1"]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(Unreadable):
            key_source.read(str(path))


def test_no_more_is_read_than_a_key_set_may_have(tmp_path: Path) -> None:
    (tmp_path / "huge").write_bytes(b" " * (MAX_BYTES + 999))
    assert len(key_source.read(str(tmp_path / "huge"))) == MAX_BYTES + 1

    def without_end(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b" " * 65_536)

    with publishing() as publisher:
        publisher.act = without_end
        assert len(key_source.read(publisher.url)) == MAX_BYTES + 1


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500, 204])
def test_only_a_plain_answer_counts_and_no_redirect_is_followed(status: int) -> None:
    with publishing(b"the keys") as elsewhere, publishing() as publisher:

        def act(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Location", elsewhere.url)
            handler.end_headers()

        publisher.act = act
        with pytest.raises(Unreadable, match=str(status)):
            key_source.read(publisher.url)
        assert elsewhere.requested == []


def drip(stop: threading.Event, body: bool) -> Callable[[BaseHTTPRequestHandler], None]:
    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if body else b"X: "))
        while not stop.wait(0.02):
            handler.wfile.write(b" ")

    return act


@pytest.mark.parametrize("body", [True, False], ids=["in its body", "in its headers"])
def test_an_answer_that_drips_is_cut_off(body: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_source, "WHOLE_SECONDS", 0.5)
    stop = threading.Event()
    with publishing() as publisher:
        publisher.act = drip(stop, body)
        with pytest.raises(Unreadable, match="in time"):
            key_source.read(publisher.url)
        stop.set()


def test_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_source, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(Unreadable, match="in time"):
            key_source.read(f"http://127.0.0.1:{silent.getsockname()[1]}/keys")
        with pytest.raises(Unreadable):  # no TLS comes either
            key_source.read(f"https://127.0.0.1:{silent.getsockname()[1]}/keys")
        port = silent.getsockname()[1]
    with pytest.raises(Unreadable, match="no connection"):
        key_source.read(f"http://127.0.0.1:{port}/keys")


def test_what_is_no_http_is_an_error_of_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail.example ESMTP\r\n")
                time.sleep(0.1)

        thread = threading.Thread(target=talk)
        thread.start()
        with pytest.raises(Unreadable):
            key_source.read(f"http://127.0.0.1:{server.getsockname()[1]}/keys")
        thread.join()
