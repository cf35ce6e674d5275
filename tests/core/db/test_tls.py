"""TLS to the database and the login: made once a process, verified as the address says, no password in clear."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mysql.connector
import pytest
from flask import Flask

from core.db import mysql_connection, mysql_login, tls
from core.db.tls import Contexts, Protection, Unprotected, is_local, is_loopback
from core.ops.finding import State, judge_protection
from harness.mysql import MySQL
from server.prepare import CannotStart, upgrade
from tests.faults.proxy import Proxy

PASSWORD = "open-sesame-9713"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQL]:
    """MySQL as it is when fresh, with a user who has a password."""
    made = MySQL(tmp_path_factory.mktemp("login") / "server")
    made.start()
    made.create_database("shop")
    run(made, f"CREATE USER shop IDENTIFIED BY '{PASSWORD}'", "GRANT ALL ON shop.* TO shop")
    yield made
    made.stop()


@pytest.fixture
def uncached(server: MySQL) -> MySQL:
    """The server, which has nobody's password in its cache."""
    run(server, "FLUSH PRIVILEGES")
    return server


pytestmark = pytest.mark.mysql


def run(server: MySQL, *statements: str) -> None:
    connection = server.connect()
    for statement in statements:
        connection.cursor().execute(statement)
    connection.close()


def address(server: MySQL, query: str = "", port: int | None = None) -> str:
    return f"mysql+mysqlconnector://shop:{PASSWORD}@127.0.0.1:{port or server.port}/shop{query}"


def options(server: MySQL, **more: Any) -> dict[str, Any]:
    given = {"host": "127.0.0.1", "port": server.port, "user": "shop", "password": PASSWORD, "database": "shop"}
    return given | {"charset": "utf8mb4", "collation": "utf8mb4_unicode_ci", "connection_timeout": 60} | more


def opened(server: MySQL, **more: Any) -> Protection:
    connection = mysql_connection.open(options(server, **more))
    try:
        return connection.protection()
    finally:
        connection.close()


def ca(server: MySQL) -> str:
    return str(server.directory / "data" / "ca.pem")


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Counts what is made and read for TLS from now on."""
    counted = {"contexts": 0, "certificates": 0}
    load, default = ssl.SSLContext.load_verify_locations, ssl.SSLContext.set_default_verify_paths

    def count(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **named: Any) -> Any:
            counted[name] += 1
            return act(*arguments, **named)

        return counting

    monkeypatch.setattr(tls, "contexts", Contexts(count("contexts", tls.make_context)))
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", count("certificates", load))
    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", count("certificates", default))
    return counted


def test_all_connections_of_a_process_share_one_context(server: MySQL, loads: dict[str, int]) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: opened(server), range(16)))
    assert all(each.cipher for each in found)
    assert loads == {"contexts": 1, "certificates": 0}
    verified = {"ssl_ca": ca(server), "ssl_verify_cert": True}
    for _ in range(3):
        assert opened(server, **verified).verified
    assert loads == {"contexts": 2, "certificates": 1}


def test_without_the_shared_context_each_connection_makes_its_own(
    server: MySQL, loads: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tls.contexts
    monkeypatch.setattr(tls, "contexts", SimpleNamespace(of=lambda options: Contexts(shared.make).of(options)))
    for _ in range(3):
        opened(server)
    assert loads["contexts"] == 3


def test_a_certificate_that_was_renewed_is_read_again(server: MySQL, loads: dict[str, int], tmp_path: Path) -> None:
    copy = tmp_path / "ca.pem"
    copy.write_text(Path(ca(server)).read_text())
    assert opened(server, ssl_ca=str(copy), ssl_verify_cert=True).verified
    copy.write_text("# renewed\n" + Path(ca(server)).read_text())
    assert opened(server, ssl_ca=str(copy), ssl_verify_cert=True).verified
    assert loads["contexts"] == 2


def test_the_workers_of_the_service_share_it_too(
    make_app: Callable[..., Flask], server: MySQL, loads: dict[str, int]
) -> None:
    database = make_app(address(server)).extensions["seckill"].database
    with database.engine.connect() as first, database.engine.connect() as second, database.read_engine.connect():
        assert first.connection.dbapi_connection is not second.connection.dbapi_connection
    assert loads == {"contexts": 1, "certificates": 0}


@pytest.mark.parametrize("disabled", [True, "true", "1"])
@pytest.mark.parametrize("verified", [False, "false", "0"])
def test_options_in_an_address_are_text_and_mean_what_they_say(server: MySQL, disabled: Any, verified: Any) -> None:
    assert not opened(server, ssl_disabled=disabled).cipher
    found = opened(server, ssl_disabled=verified, ssl_verify_identity=verified, ssl_verify_cert=verified)
    assert found.cipher
    assert not found.verified


def test_tls_versions_are_kept_to(server: MySQL) -> None:
    assert opened(server, tls_versions="[TLSv1.2]").cipher.startswith("TLSv1.2 ")
    assert opened(server, tls_versions="TLSv1.2,TLSv1.3").cipher.startswith("TLSv1.3 ")


def test_a_client_s_certificate_is_shown_to_the_server(server: MySQL) -> None:
    run(server, "CREATE USER IF NOT EXISTS known IDENTIFIED BY 'x' REQUIRE X509", "GRANT ALL ON shop.* TO known")
    data = server.directory / "data"
    shown = {"ssl_cert": str(data / "client-cert.pem"), "ssl_key": str(data / "client-key.pem")}
    assert opened(server, user="known", password="x", **shown).cipher
    with pytest.raises(mysql.connector.Error, match="1045"):
        opened(server, user="known", password="x")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?ssl_verify_cert=true", "certificate is refused"),
        ("?ssl_ca={ca}&ssl_verify_identity=true", "certificate is refused"),
        ("?ssl_ca=/nowhere/ca.pem&ssl_verify_cert=true", "cannot be read"),
        ("?ssl_ca={broken}&ssl_verify_cert=true", "do not work"),
    ],
)
def test_a_start_that_cannot_trust_the_server_says_why_in_one_line(
    app_on: Callable[[str], Flask], server: MySQL, tmp_path: Path, query: str, message: str
) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    with pytest.raises(CannotStart, match=message) as caught:
        upgrade(app_on(address(server, query.format(ca=ca(server), broken=broken))))
    assert "\n" not in caught.value.message
    assert PASSWORD not in caught.value.message


@pytest.fixture
def app_on() -> Callable[[str], Flask]:
    import config
    from app import create_app
    from harness.service import SECRET

    return lambda uri: create_app(config.load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET))


@pytest.mark.mariadb
@pytest.mark.parametrize("wanted", ["ssl_verify_cert=true", "ssl_verify_identity=true", "ssl_ca={ca}"])
def test_a_server_without_tls_is_refused_where_the_address_wants_it(
    app_on: Callable[[str], Flask], server: MySQL, mariadb_uri: str, wanted: str
) -> None:
    with pytest.raises(CannotStart, match=r"TLS|2026"):
        upgrade(app_on(f"{mariadb_uri}?{wanted.format(ca=ca(server))}"))


class Wire(Proxy):
    """Keeps what the client sends."""

    def __init__(self, port: int) -> None:
        self.sent = b""
        super().__init__(port)

    def _take_cut(self, data: bytes = b"") -> None:  # type: ignore[override]
        return None

    def _to_server(self, client: socket.socket, server: socket.socket, *states: threading.Event) -> None:
        try:
            while data := client.recv(65536):
                self.sent += data
                server.sendall(data)
        except OSError:
            pass
        for end in (client, server):
            end.close()


@pytest.fixture
def wire(uncached: MySQL) -> Iterator[Wire]:
    made = Wire(uncached.port)
    yield made
    made.close()


def test_without_tls_a_user_logs_in_on_this_host_and_the_password_is_encrypted(uncached: MySQL, wire: Wire) -> None:
    assert not opened(uncached, port=wire.port, ssl_disabled=True).cipher
    assert b"shop" in wire.sent
    assert PASSWORD.encode() not in wire.sent
    # Now the server has it in its cache, and the proof is enough.
    assert not opened(uncached, port=wire.port, ssl_disabled=True).cipher


def test_the_driver_alone_sends_the_password_in_clear_and_is_refused_all_the_same(uncached: MySQL, wire: Wire) -> None:
    with pytest.raises(mysql.connector.Error, match="1045"):
        mysql.connector.connect(**options(uncached, port=wire.port, ssl_disabled=True, use_pure=True))
    assert PASSWORD.encode() in wire.sent


def test_a_wrong_password_is_refused_without_tls_too(uncached: MySQL) -> None:
    with pytest.raises(mysql.connector.Error, match="1045"):
        opened(uncached, ssl_disabled=True, password="wrong")


def test_a_long_password_is_encrypted_whole(uncached: MySQL) -> None:
    long = "xyz" * 40
    run(uncached, f"CREATE USER IF NOT EXISTS longer IDENTIFIED BY '{long}'", "GRANT ALL ON shop.* TO longer")
    run(uncached, "FLUSH PRIVILEGES")
    assert not opened(uncached, ssl_disabled=True, user="longer", password=long).cipher


def test_beyond_this_host_the_password_is_not_sent_without_tls(
    app_on: Callable[[str], Flask], uncached: MySQL, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql_login, "is_local", lambda sock: False)
    with pytest.raises(CannotStart, match=r"in clear.*use TLS.*\(2061\)") as caught:
        upgrade(app_on(address(uncached, "?ssl_disabled=true", wire.port)))
    assert "\n" not in caught.value.message
    assert PASSWORD.encode() not in wire.sent
    # Through TLS it may.
    upgrade(app_on(address(uncached)))


def test_a_login_by_sha256_password_without_tls_is_refused_in_a_line_that_says_so(
    app_on: Callable[[str], Flask], server: MySQL
) -> None:
    run(server, f"CREATE USER older IDENTIFIED WITH sha256_password BY '{PASSWORD}'", "GRANT ALL ON shop.* TO older")
    older = address(server).replace("//shop:", "//older:")
    with pytest.raises(CannotStart, match=r"in clear.*use TLS.*\(2061\)") as caught:
        upgrade(app_on(f"{older}?ssl_disabled=true"))
    assert "\n" not in caught.value.message
    upgrade(app_on(older))


def test_a_unix_socket_needs_no_tls(uncached: MySQL) -> None:
    run(uncached, "FLUSH PRIVILEGES")
    connection = uncached.connect()
    cursor = connection.cursor()
    cursor.execute("SELECT @@socket")
    ((path,),) = cursor.fetchall()
    connection.close()
    assert opened(uncached, unix_socket=path) == Protection("", False, False, True)


@pytest.mark.parametrize(
    ("guard", "allowed"),
    [
        (Protection("", False, False, False), False),
        (Protection("TLSv1.3 x", False, False, False), False),
        (Protection("TLSv1.3 x", True, False, False), True),
        (Protection("", False, False, True), True),
    ],
)
def test_a_server_that_asks_for_the_password_in_clear_gets_it_only_where_nobody_else_can(
    guard: Protection, allowed: bool
) -> None:
    authenticator = mysql_login.Authenticator(unix_socket=False)
    authenticator.protection = guard
    switch = authenticator._switch_auth_strategy  # noqa: SLF001 (the driver calls it)
    if allowed:
        switch("mysql_clear_password")
        assert authenticator.plugin == "mysql_clear_password"
    else:
        with pytest.raises(Unprotected, match="in clear"):
            switch("mysql_clear_password")


@pytest.mark.parametrize(
    ("family", "peer", "local"),
    [
        (socket.AF_INET, ("127.0.0.1", 1), True),
        (socket.AF_INET, ("127.9.0.1", 1), True),
        (socket.AF_INET, ("10.0.0.1", 1), False),
        (socket.AF_INET, ("192.0.2.7", 1), False),
        (socket.AF_INET6, ("::1", 1, 0, 0), True),
        (socket.AF_INET6, ("::ffff:127.0.0.1", 1, 0, 0), True),
        (socket.AF_INET6, ("::ffff:10.0.0.1", 1, 0, 0), False),
        (socket.AF_INET6, ("fe80::1%eth0", 1, 0, 2), False),
        (socket.AF_UNIX, "", True),
    ],
)
def test_only_this_host_is_local(family: int, peer: Any, local: bool) -> None:
    assert is_local(SimpleNamespace(family=family, getpeername=lambda: peer)) is local


@pytest.mark.parametrize(
    ("seen_as", "local"),
    [
        ("localhost", True),
        ("localhost.localdomain", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("10.0.0.7", False),
        ("shop-1.example", False),
        ("localhost.example", False),
    ],
)
def test_a_server_that_sees_another_address_is_not_on_this_host(seen_as: str, local: bool) -> None:
    assert is_loopback(seen_as) is local


@pytest.mark.parametrize(
    ("guard", "state", "message"),
    [
        (Protection("TLSv1.3 AES", True, True, False), State.OK, "verified, its host name too"),
        (Protection("TLSv1.3 AES", True, False, False), State.OK, "verified, its host name not"),
        (Protection("TLSv1.3 AES", False, False, False), State.WARNING, "not verified"),
        (Protection("", False, False, False), State.WARNING, "no TLS: whoever"),
        (Protection("TLSv1.3 AES", False, False, True), State.OK, "not verified"),
        (Protection("", False, False, True), State.OK, "no TLS, but on this host"),
    ],
)
def test_the_doctor_says_what_guards_the_connection(guard: Protection, state: State, message: str) -> None:
    finding = judge_protection(guard, "caching_sha2_password")
    assert finding.state is state
    assert message in finding.found
    assert "caching_sha2_password" in finding.found
    assert ("ssl_ca" in finding.mend and "ssl_verify_cert" in finding.mend) is (state is not State.OK)


def test_an_engine_for_long_work_is_guarded_like_any_other(server: MySQL, loads: dict[str, int]) -> None:
    import config
    from core.db.database import patient_engine
    from harness.service import SECRET

    engine = patient_engine(config.load(SQLALCHEMY_DATABASE_URI=address(server), SECRET_KEY=SECRET))
    with engine.connect() as connection:
        assert isinstance(connection.connection.dbapi_connection, mysql_connection.Connection)
    engine.dispose()
    assert loads == {"contexts": 1, "certificates": 0}
