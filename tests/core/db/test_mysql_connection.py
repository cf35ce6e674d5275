"""The driver's connection with its own reading: large and small answers, time-outs, TLS, and what is asked past it."""

import hashlib
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import mysql.connector
import pytest
from mysql.connector.errors import ReadTimeoutError
from mysql.connector.utils import get_platform
from sqlalchemy.engine import make_url

from core.db import mysql_connection
from core.db.mysql_connection import PROGRAM, Connection, ReadAhead
from harness.database_server import DatabaseServer, numbers
from harness.kinds import SERVERS, on

MIB = 2**20
SECONDS = 1  # of the time-outs below
SLACK = 12.0  # what a busy machine may add
ENOUGH = 60  # of time-outs that are not to pass


@pytest.fixture(scope="module", params=[on(kind) for kind in SERVERS])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """A server that takes TLS: MySQL makes its own certificate, MariaDB is given one."""
    directory = tmp_path_factory.mktemp("tls")
    options = []
    if request.param == "mariadb":
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        certificate, key = directory / "certificate.pem", directory / "key.pem"
        self_signed = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
        subprocess.run(
            [str(shutil.which("openssl")), *self_signed, "-keyout", key, "-out", certificate],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        options = [f"--ssl-cert={certificate}", f"--ssl-key={key}", f"--ssl-ca={certificate}"]
    made = SERVERS[request.param](directory / "server", options)
    made.start()
    made.create_database("shop")
    yield made
    made.stop()


@pytest.fixture(params=[False, True], ids=["plain", "TLS"])
def connect(server: DatabaseServer, request: pytest.FixtureRequest) -> Iterator[Callable[..., Connection]]:
    """Opens connections as the service does, once without TLS and once with it."""
    opened: list[Connection] = []

    def make(**options: Any) -> Connection:
        times = {"connection_timeout": ENOUGH, "read_timeout": SECONDS, "write_timeout": SECONDS}
        made = Connection(
            host="127.0.0.1",
            port=server.port,
            user="root",
            database="shop",
            charset="utf8mb4",
            collation="utf8mb4_unicode_ci",
            ssl_disabled=not request.param,
            **{**times, **options},
        )
        opened.append(made)
        return made

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def connection(connect: Callable[..., Connection], request: pytest.FixtureRequest) -> Connection:
    made = connect(read_timeout=ENOUGH, write_timeout=ENOUGH)
    cipher = rows(made, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1]
    assert bool(cipher) is ("TLS" in request.node.name), "not the kind of connection that is to be tested"
    assert isinstance(made.sock, ReadAhead)
    return made


def rows(connection: Connection, statement: str, *values: object) -> list[Any]:
    cursor = connection.cursor()
    try:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.with_rows else []
    finally:
        cursor.close()


def test_answers_of_all_sizes_are_read_to_the_byte(connection: Connection) -> None:
    piece = mysql_connection.READ_BYTES
    for size in [0, 1, 250, 251, piece - 10, piece - 9, piece, piece + 1, 65_535, 65_536, MIB, 15 * MIB]:
        ((text, after),) = rows(connection, "SELECT REPEAT('ab', %s), 'the end'", size // 2)
        assert (len(text), after) == (size // 2 * 2, "the end")
        assert text == "ab" * (size // 2)
    assert rows(connection, "SELECT 1") == [(1,)]


def test_a_result_of_many_rows_is_read_in_order(connection: Connection) -> None:
    found = rows(
        connection, f"SELECT seq, REPEAT(CHAR(97 + seq % 26 USING utf8mb4), seq % 300), NULL FROM {numbers(40_000)}"
    )
    assert len(found) == 40_000
    assert all(row == (number, chr(97 + number % 26) * (number % 300), None) for number, row in enumerate(found, 1))


def test_many_small_answers_are_each_that_of_their_question(connection: Connection) -> None:
    for number in range(3000):
        assert rows(connection, "SELECT %s", number) == [(number,)]


def test_a_large_statement_is_sent_whole(connection: Connection) -> None:
    text = "键盘" * MIB
    ((length, sum_of_it),) = rows(connection, "SELECT CHAR_LENGTH(@sent := %s), SHA2(@sent, 256)", text)
    assert (length, sum_of_it) == (2 * MIB, hashlib.sha256(text.encode()).hexdigest())


def test_no_piece_of_a_statement_waits_for_the_server_to_confirm_the_others(connection: Connection) -> None:
    opened = connection.sock
    if opened.family != socket.AF_UNIX:
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_command_is_run_for_a_connection_and_the_server_sees_whose_it_is(
    connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    get_platform.cache_clear()  # of the driver, which would run `lsb_release`
    monkeypatch.setattr(subprocess, "Popen", None)
    connection = connect(read_timeout=ENOUGH)
    if "MariaDB" not in rows(connection, "SELECT VERSION()")[0][0]:  # it keeps no such table by default
        table = "performance_schema.session_connect_attrs WHERE processlist_id = CONNECTION_ID()"
        assert ("program_name", PROGRAM) in rows(connection, f"SELECT attr_name, attr_value FROM {table}")


def test_an_answer_that_comes_too_late_is_a_time_out(connect: Callable[..., Connection]) -> None:
    slow = connect()
    began = time.monotonic()
    with pytest.raises(ReadTimeoutError):
        rows(slow, "SELECT SLEEP(40)")
    assert SECONDS * 0.9 < time.monotonic() - began < SECONDS + SLACK


def test_a_time_out_may_be_other_than_the_one_at_the_opening(connect: Callable[..., Connection]) -> None:
    patient = connect(read_timeout=ENOUGH)
    assert rows(patient, "SELECT SLEEP(1.5)") == [(0,)]
    endless = connect(read_timeout=None, write_timeout=None)
    assert rows(endless, "SELECT SLEEP(1.5)") == [(0,)]


def test_a_server_that_stands_still_is_a_time_out_in_the_middle_of_an_answer_too(
    server: DatabaseServer, connect: Callable[..., Connection]
) -> None:
    waiting = connect(read_timeout=ENOUGH)
    cursor = waiting.cursor()
    # More than what the system keeps between the two, so that the rest is yet to be sent.
    cursor.execute(f"SELECT REPEAT('x', 1000) FROM {numbers(200_000)}")
    cursor.fetchone()
    server.freeze()
    waiting.read_timeout = SECONDS
    try:
        began = time.monotonic()
        with pytest.raises(ReadTimeoutError):
            cursor.fetchall()
        assert time.monotonic() - began < SECONDS + SLACK
    finally:
        server.thaw()


def test_a_connection_that_the_server_ends_is_lost_and_not_silent(connect: Callable[..., Connection]) -> None:
    ended, other = (connect(read_timeout=ENOUGH) for _ in range(2))
    ((number,),) = rows(ended, "SELECT CONNECTION_ID()")
    rows(other, f"KILL {number}")
    with pytest.raises(mysql.connector.Error) as caught:
        rows(ended, "SELECT 1")
    assert caught.value.errno in (2006, 2013, 2055)


def test_a_connection_can_be_opened_again(connection: Connection) -> None:
    connection.reconnect()
    assert isinstance(connection.sock, ReadAhead)
    assert rows(connection, "SELECT REPEAT('x', 100000)") == [("x" * 100_000,)]


HOSTILE = ["'", '"', "\\", "\\'", "%s", "%%", "'; DROP TABLE x; -- ", "\0", "\n", "\x1a", "键盘", "😀", "", "`", "é'"]


def test_values_are_sent_as_they_are_whatever_is_in_them(connection: Connection) -> None:
    for value in [*HOSTILE, "".join(HOSTILE), "x" * 100_000]:
        found, changed = connection.execute("SELECT %s, %s, NULL, CHAR_LENGTH(%s)", value, value[::-1], value)
        assert found == [(value, value[::-1], None, str(len(value)))]
        assert changed == 0


def test_a_change_tells_how_many_rows_it_changed(connection: Connection) -> None:
    rows(connection, "CREATE TEMPORARY TABLE held (id INT PRIMARY KEY, units INT)")
    assert connection.execute("INSERT INTO held VALUES (1, %s), (2, %s)", "5", "5") == ([], 2)
    assert connection.execute("UPDATE held SET units = units - 1 WHERE units >= %s", "6") == ([], 0)
    assert connection.execute("UPDATE held SET units = units - 1 WHERE units >= %s", "5") == ([], 2)
    assert connection.execute("SELECT id, units FROM held WHERE units > %s", "9") == ([], 0)
    with pytest.raises(mysql.connector.Error) as caught:
        connection.execute("INSERT INTO held VALUES (1, %s)", "5")
    assert caught.value.errno == 1062
    assert connection.execute("SELECT COUNT(*) FROM held") == ([("2",)], 0)


def test_what_is_asked_past_the_cursor_has_the_same_time_out(connect: Callable[..., Connection]) -> None:
    began = time.monotonic()
    with pytest.raises(ReadTimeoutError):
        connect().execute("SELECT SLEEP(40)")
    assert time.monotonic() - began < SECONDS + SLACK


@pytest.fixture
def pair() -> Iterator[tuple[ReadAhead, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield ReadAhead(near), far


def test_what_arrived_together_is_handed_out_piece_by_piece(pair: tuple[ReadAhead, socket.socket]) -> None:
    near, far = pair
    far.sendall(b"abcdefg")
    buffer = bytearray(4)
    assert [near.recv_into(memoryview(buffer), size) for size in (4, 2, 4)] == [4, 2, 1]
    assert buffer == b"gfcd"
    far.close()
    assert near.recv_into(memoryview(buffer), 4) == 0


def test_neither_reading_nor_writing_outlasts_its_time(pair: tuple[ReadAhead, socket.socket]) -> None:
    near, _ = pair
    near.settimeout(0.2)
    for act in (lambda: near.recv_into(memoryview(bytearray(4)), 4), lambda: near.sendall(b"x" * 50 * MIB)):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            act()
        assert 0.15 < time.monotonic() - began < 0.2 + SLACK


def test_without_a_time_it_waits(pair: tuple[ReadAhead, socket.socket]) -> None:
    near, far = pair
    near.settimeout(0.1)
    near.settimeout(None)
    threading.Timer(0.4, far.sendall, [b"late"]).start()
    buffer = bytearray(4)
    assert near.recv_into(memoryview(buffer), 4) == 4


def test_a_signal_does_not_end_a_wait(pair: tuple[ReadAhead, socket.socket]) -> None:
    near, far = pair
    near.settimeout(ENOUGH)
    before = signal.signal(signal.SIGALRM, lambda *arguments: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        threading.Timer(0.4, far.sendall, [b"late"]).start()
        assert near.recv_into(memoryview(bytearray(4)), 4) == 4
    finally:
        signal.signal(signal.SIGALRM, before)


def test_the_service_s_own_connections_read_ahead(make_app: Callable[..., Any], server_uri: str) -> None:
    engine = make_app(server_uri, DATABASE_TIMEOUT_SECONDS=ENOUGH).extensions["seckill"].database.engine
    assert make_url(server_uri).database
    with engine.connect() as connection:
        opened = connection.connection.dbapi_connection
        assert isinstance(opened, Connection)
        connection.exec_driver_sql("SELECT 1").all()
        assert isinstance(opened.sock, ReadAhead)
        assert opened.sock.gettimeout() == ENOUGH
