"""One call to a subscriber: signed, held to the address that was judged, and bounded in everything."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from core.events import webhook_call
from core.events.webhook_call import Answer, Message, send
from core.name_lookup import NameLookup
from core.refusals import Busy
from harness.receiver import Receiver, receiving, status
from tests.no_threads import no_more_threads

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs="
OTHER = "whsec_D2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs="


def message(body: str = '{"name":"键盘"}') -> Message:
    return Message("evt_7", datetime.now(timezone.utc), body, [SECRET])


def call(receiver: Receiver) -> Answer:
    return send(receiver.url, message(), private=True)


def test_the_library_verifies_what_was_sent_on_the_raw_body(receiver: Receiver) -> None:
    assert call(receiver) == Answer(204, None)
    (request,) = receiver.received
    assert Webhook(SECRET).verify(request.body, request.headers) == {"name": "键盘"}
    assert request.id == "evt_7"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    for body, secret in ((request.body.replace(b"name", b"Name"), SECRET), (request.body, OTHER)):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, request.headers)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        *((code, None) for code in (200, 201, 202, 204, 299)),
        *((code, "redirect") for code in (300, 301, 302, 303, 304, 307, 308)),
        *((code, "status") for code in (400, 401, 404, 429, 500, 503)),
        (410, "gone"),
    ],
)
def test_only_2xx_is_taken_for_yes(receiver: Receiver, code: int, error: str | None) -> None:
    receiver.act = status(code)
    assert call(receiver) == Answer(code, error)


def test_without_a_thread_to_end_it_a_call_is_not_made(receiver: Receiver) -> None:
    with no_more_threads(), pytest.raises(Busy):
        call(receiver)
    assert receiver.received == []


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    with receiving() as other:
        for code in (301, 302, 303, 307, 308):
            receiver.act = status(code, Location=other.url)
            assert call(receiver) == Answer(code, "redirect")
        assert other.received == []


def test_the_environment_s_proxy_is_not_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert call(receiver).error is None
        assert proxy.received == []


def test_a_name_is_resolved_once_and_that_answer_is_connected_to(receiver: Receiver) -> None:
    hosts: list[str] = []

    def changing(host: str, port: int) -> Sequence[str]:
        hosts.append(host)
        return ["127.0.0.1"] if len(hosts) == 1 else ["203.0.113.1"]

    url = f"http://shop.example:{receiver.port}/hook"
    assert send(url, message(), private=True, names=NameLookup(changing)) == Answer(204, None)
    assert hosts == ["shop.example"]
    assert receiver.received[0].headers["host"] == f"shop.example:{receiver.port}"


def test_a_name_that_leads_inside_by_now_is_not_connected_to(receiver: Receiver) -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    rebinding = lambda host, port: next(answers)  # noqa: E731
    from core.events.url_policy import addresses, parse

    url = f"https://shop.example:{receiver.port}/hook"
    assert addresses(parse(url), False, NameLookup(rebinding))  # as at the subscription
    assert send(url, message(), private=False, names=NameLookup(rebinding)) == Answer(None, "forbidden_target")
    assert receiver.received == []


def test_a_second_address_is_tried_where_the_first_takes_no_connection(receiver: Receiver) -> None:
    found = ["127.0.0.2", "127.0.0.1"]  # the receiver listens on the latter alone
    url = f"http://shop.example:{receiver.port}/hook"
    assert send(url, message(), private=True, names=NameLookup(lambda host, port: found)) == Answer(204, None)


def test_nobody_there_is_an_error_of_the_connection() -> None:
    with receiving() as gone:
        pass
    assert send(gone.url, message(), private=True) == Answer(None, "connection")
    assert send("https://nowhere.invalid/", message(), True, NameLookup(lambda *_: ())) == Answer(None, "unresolved")


@contextmanager
def raw_server(answer: bytes, then: float = 30) -> Iterator[str]:
    """Sends `answer` whatever it is asked, byte by byte if it is slow, and then is silent for `then` seconds."""
    server = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(answer)
                while not done.wait(0.05) and then:
                    connection.sendall(b"x")
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    finally:
        done.set()
        thread.join()
        server.close()


def test_what_is_no_http_is_an_error_of_the_protocol() -> None:
    for answer in (b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200):
        with raw_server(answer, then=0) as url:
            assert send(url, message(), private=True) == Answer(None, "protocol")


def test_a_subscriber_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    monkeypatch.setattr(webhook_call, "READ_SECONDS", 0.2)
    release = threading.Event()
    receiver.act = lambda handler: (release.wait(50), status(204)(handler))
    assert call(receiver) == Answer(None, "timeout")
    release.set()


def test_one_that_trickles_its_headers_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_call, "WHOLE_SECONDS", 0.5)
    with raw_server(b"HTTP/1.1 200 OK\r\nX: ") as url:
        began = time.monotonic()
        assert send(url, message(), private=True) == Answer(None, "timeout")
    # Each byte alone would have come in time for ever.
    assert time.monotonic() - began < webhook_call.READ_SECONDS


def test_a_body_without_end_is_not_read(receiver: Receiver) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    receiver.act = endless
    assert call(receiver) == Answer(200, None)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for shop.example, which vouches for itself."""
    path = tmp_path_factory.mktemp("tls") / "shop.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=shop.example"),
            *("-addext", "subjectAltName=DNS:shop.example", "-keyout", str(path), "-out", f"{path}.crt"),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@contextmanager
def tls_receiver(certificate: Path, names: list[str | None]) -> Iterator[int]:
    """Takes one call over TLS and answers 204; `names` gets the name that was asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda sock, name, _: names.append(name)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                received = b""
                while not received.endswith(message().body.encode()):
                    received += secured.recv(65536)
                secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        except OSError:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        thread.join()
        server.close()


@pytest.mark.parametrize(
    ("host", "trusted", "answer"),
    [
        ("shop.example", True, Answer(204, None)),
        ("other.example", True, Answer(None, "tls")),
        ("127.0.0.1", True, Answer(None, "tls")),
        ("shop.example", False, Answer(None, "tls")),
    ],
)
def test_the_certificate_must_be_trusted_and_for_the_name_though_the_address_is_fixed(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, host: str, trusted: bool, answer: Answer
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    webhook_call.tls_context.cache_clear()
    names: list[str | None] = []
    with tls_receiver(certificate, names) as port:
        url = f"https://{host}:{port}/hook"
        assert send(url, message(), private=True, names=NameLookup(lambda *_: ["127.0.0.1"])) == answer
    webhook_call.tls_context.cache_clear()
    assert names == [None if host == "127.0.0.1" else host]
