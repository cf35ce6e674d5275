"""DNS falls silent while the service runs: each request is answered all the same, and no thread waits on."""

import re
import socket
import threading
from collections.abc import Callable

import pytest
from flask import Flask
from mysql.connector.errors import Error as DatabaseError

from core.db import mysql_connection
from core.db.tls import TcpSocket
from core.events import url_policy
from harness.database_server import free_port
from harness.eventually import eventually
from tests.dns import Dns
from tests.resources.calls import OPERATOR, Calls, problem

HOST = "localhost"  # a name, though of this host
SECONDS = 2.0
REQUESTS: tuple[tuple[str, str, str], ...] = (
    ("GET", "/orders", "alice"),
    ("GET", "/payments", OPERATOR),
    ("POST", "/seckill/{item}", "alice"),
    ("POST", "/orders/{order_no}/cancel", "bob"),
)


@pytest.fixture
def call(make_app: Callable[..., Flask], server_uri: str) -> Calls:
    """An application whose database has a name."""
    uri = server_uri.replace("@127.0.0.1:", f"@{HOST}:")
    assert HOST in uri
    return Calls(make_app(uri, PAYMENT_PROVIDER="test", DATABASE_TIMEOUT_SECONDS=SECONDS, PURCHASE_WAIT_SECONDS=20))


def test_who_needs_a_new_connection_is_told_so_and_the_others_need_none(call: Calls, dns: Dns) -> None:
    item = call.create()["id"]
    order_no = call.bought(item, "bob")["order_no"]
    call.services.database.engine.dispose()  # the database was restarted
    dns.fall_silent(HOST)
    for method, path, by in REQUESTS:
        problem(call.send(method, path.format(item=item, order_no=order_no), by), 503, "unavailable")
        # Its thread may get there a little after the answer.
        assert eventually(lambda: dns.waiting), "somebody waits for the resolver"
        assert dns.waiting == 1, "one thread waits for the resolver, however many ask"
    assert call.get("/healthz").status_code == 200
    dns.speak()
    for method, path, by in REQUESTS:
        path = path.format(item=item, order_no=order_no)
        # The database may stand still for longer than the time-out: until it did not.
        assert eventually(lambda: call.send(method, path, by).status_code in (200, 201)), path  # noqa: B023 (at once)


def test_without_the_bound_a_request_waits_for_as_long_as_dns_is_silent(
    call: Calls, dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TcpSocket, "look_up", lambda self, seconds: self.server_host)
    call.services.database.engine.dispose()
    dns.fall_silent(HOST)
    answered = threading.Event()

    def get_orders() -> None:
        call.get("/orders", "alice")
        answered.set()

    threading.Thread(target=get_orders, daemon=True).start()
    assert eventually(lambda: dns.waiting)
    assert not answered.wait(3 * SECONDS)
    dns.speak()
    assert answered.wait(60)


def test_names_of_subscribers_that_hang_keep_no_connection_from_the_database(call: Calls, dns: Dns) -> None:
    dns.fall_silent(".example")
    for number in range(1000):
        with pytest.raises(TimeoutError) as caught:
            url_policy.NAMES.addresses(f"{number}.example", 443, 0)
    assert "too many names are being looked up" in str(caught.value)
    call.services.database.engine.dispose()
    assert call.get("/orders", "alice").status_code == 200


@pytest.mark.parametrize(("forced", "taken"), [(False, "127.0.0.1"), (True, "::1")])
def test_of_several_addresses_the_driver_s_choice_is_taken(
    monkeypatch: pytest.MonkeyPatch, forced: bool, taken: str
) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 1, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1)),
    ]
    resolve, port = socket.getaddrinfo, free_port()
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **named: found if host == "db.example" else resolve(host, *rest, **named),
    )
    with pytest.raises(DatabaseError, match=re.escape(f"{taken}:{port}")):
        mysql_connection.open({"host": "db.example", "port": port, "user": "u", "force_ipv6": forced})


@pytest.mark.usefixtures("dns")
def test_a_name_without_an_address_is_named() -> None:
    with pytest.raises(DatabaseError, match=r"2005: .*db\.example.*Name or service not known"):
        mysql_connection.open({"host": "db.example", "port": 3306, "user": "u"})
