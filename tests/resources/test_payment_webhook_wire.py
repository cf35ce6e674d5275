"""`/payments/webhook` on the wire, under a real server."""

import socket
from collections.abc import Callable

import requests
import sqlalchemy

from examples.payment_provider import Provider
from harness.service import Service
from tests.resources.test_payment_webhook import JSON, KEY, PATH, UNPROVEN, event_of, headers
from tests.resources.whole_database import rows

CONNECT = {"charset": "utf8mb4", "collation": "utf8mb4_unicode_ci"}


def test_no_call_without_a_signature_changes_a_row_and_one_with_it_does(
    start_service: Callable[..., Service], server_uri: str
) -> None:
    # Nobody else writes meanwhile.
    settings = {"PAYMENT_WEBHOOK_SECRETS": KEY, "PUBLISHER": "off", "SWEEPER": "off"}
    service = start_service(server_uri, workers=2, **settings)
    order = service.buy(service.create_goods(), "alice").json()
    engine = sqlalchemy.create_engine(server_uri, connect_args=CONNECT)
    before = rows(engine)
    for name, make in UNPROVEN.items():
        body, signed = make(event_of(order).body)
        given = {**_sent(signed), "Content-Type": JSON}
        answer = requests.post(service.url + PATH, data=body, headers=given, timeout=20)
        assert answer.status_code == 401, (name, answer.text)
        assert rows(engine) == before, name
    sender = Provider(service.url + PATH, KEY)
    assert sender.deliver(event_of(order)).final.body["outcome"] == "paid"
    assert rows(engine) != before
    engine.dispose()


def _sent(signed: dict[str, str]) -> dict[str, bytes]:
    """Headers as bytes, beyond ASCII too."""
    return {name: value.strip().encode() for name, value in signed.items()}


def test_a_body_over_the_bound_is_refused_however_it_comes(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri, PAYMENT_WEBHOOK_SECRETS=KEY)
    large = b" " * (64 * 1024 + 1)
    given = {**headers(large), "Content-Type": JSON}
    whole = requests.post(service.url + PATH, data=large, headers=given, timeout=20)
    assert (whole.status_code, whole.json()["code"]) == (413, "body_too_large")
    in_chunks = requests.post(service.url + PATH, data=iter([large[:1000], large[1000:]]), headers=given, timeout=20)
    assert (in_chunks.status_code, in_chunks.json()["code"]) == (413, "body_too_large")


def test_a_body_that_is_cut_off_or_comes_in_chunks_is_judged_as_it_came(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri, PAYMENT_WEBHOOK_SECRETS=KEY)
    order = service.buy(service.create_goods(), "alice").json()
    body = event_of(order).body
    given = {**headers(body), "Content-Type": JSON}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        length = len(body) + 1
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{head}\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        assert b"200" not in (connection.recv(65536) or b"").partition(b"\r\n")[0]
    answer = requests.post(service.url + PATH, data=iter([body[:7], body[7:]]), headers=given, timeout=20)
    assert answer.json()["outcome"] == "paid"
