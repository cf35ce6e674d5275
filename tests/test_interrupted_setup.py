"""A set-up or an upgrade that was interrupted anywhere is finished by the next start."""

import itertools
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from app import create_app
from config import ROOT, load
from harness.database_server import DatabaseServer
from harness.interrupted import Interrupted, before_change, counted_changes
from harness.service import SECRET, environment, run_command
from models import SCHEMA_REVISION
from server.prepare import CannotStart, offer_migrations, upgrade
from tests.database_line import after_database_line
from tests.tables import engine, rows, tables

Databases = Callable[[], str]
# Where an upgrade begins: nowhere, and at the two releases that had tables.
STARTS = (None, pytest.param("0001", marks=pytest.mark.long), pytest.param("0002", marks=pytest.mark.long))
_GOODS = (
    "INSERT INTO goods (name, currency, price, description, image_url, stock, sold, created_at, updated_at)"
    " VALUES ('Kettle', 'CNY', 100, '', '', 8, 2, '2026-11-01', '2026-11-01')"
)
_CHANGE = (
    "INSERT INTO goods_changes (goods_id, version, action, changed_by, changed_at, stock_delta, changes)"
    " VALUES (1, 1, 'created', 'root', '2026-11-01', 10, '{}')"
)
_ORDER = (
    "INSERT INTO orders (goods_id, goods_name, user_id, quantity, currency, unit_price, subtotal, discount,"
    " shipping_fee, total, purchased_at, expires_at, order_no, status, closed_at)"
    " VALUES (1, 'Kettle', 'alice', 1, 'CNY', 100, 100, 0, 0, 100, '2026-11-02 10:00:00.000',"
    " '2026-11-02 10:15:00.000', '{}', '{}', {})"
)
_PAYMENT = (
    "INSERT INTO payments (event_id, type, order_no, payment_id, amount, currency, outcome, received_at)"
    " VALUES ('e1', 'payment.failed', 'N1', 'p1', 100, 'CNY', 'failed', '2026-11-02 10:00:00.000')"
)


def application(uri: str) -> Flask:
    return create_app(load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET))


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("mysql", marks=pytest.mark.mysql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """Makes empty databases, on each kind of server."""
    if request.param == "sqlite":
        yield lambda: f"sqlite:///{tmp_path / uuid.uuid4().hex}.db"
        return
    server: DatabaseServer = request.getfixturevalue(request.param)
    names: list[str] = []

    def make() -> str:
        names.append(f"setup_{uuid.uuid4().hex[:8]}")
        return server.create_database(names[-1])

    yield make
    for name in names:
        server.drop_database(name)


def begun(uri: str, revision: str | None) -> str:
    """Bring an empty database to an earlier release's schema, with what was sold; returns its address."""
    if revision is None:
        return uri
    app = application(uri)
    offer_migrations(app)
    with app.app_context():
        flask_migrate.upgrade(revision=revision)
    with engine(uri).begin() as connection:
        closed = "'2026-11-02 10:01:00.000'"
        orders = (("N1", "pending", "NULL"), ("N2", "cancelled", closed), ("N3", "pending", "NULL"))
        for statement in (_GOODS, _CHANGE, *(_ORDER.format(*order) for order in orders)):
            connection.exec_driver_sql(statement)
        if revision != "0001":
            connection.exec_driver_sql(_PAYMENT)
    return uri


def state(uri: str) -> tuple[object, object]:
    """The tables and what is in them; events without their numbers, of which those rolled back leave gaps."""
    found = rows(uri)
    found["events"] = [event[1:] for event in found["events"]]
    return tables(uri), found


@pytest.mark.long
# One start for each change: on a server that takes half a minute.
@pytest.mark.parametrize(
    "databases",
    [
        "sqlite",
        pytest.param("mysql", marks=[pytest.mark.mysql, pytest.mark.long]),
        pytest.param("mariadb", marks=[pytest.mark.mariadb, pytest.mark.long]),
    ],
    indirect=True,
)
@pytest.mark.parametrize("revision", STARTS)
def test_it_is_finished_though_every_start_is_interrupted_after_one_change(
    databases: Databases, revision: str | None
) -> None:
    straight, interrupted = (begun(databases(), revision) for _ in range(2))
    upgrade(application(straight))
    stopped_at: list[str] = []
    changes = 1
    while True:
        try:
            with before_change(changes):
                upgrade(application(interrupted))
            break
        except Interrupted as stop:
            # One change more than were done before. What is committed together has to be reached in one go.
            changes = changes + 1 if str(stop) in stopped_at else 1 if "sqlite" not in straight else changes + 1
            stopped_at.append(str(stop))
    assert len(set(stopped_at)) >= {None: 25, "0001": 15, "0002": 1}[revision]
    assert state(interrupted) == state(straight)


@pytest.mark.parametrize(
    "change", [pytest.param(2, marks=pytest.mark.long), 12, pytest.param(27, marks=pytest.mark.long)]
)
def test_a_killed_set_up_is_finished_by_the_next(databases: Databases, change: int) -> None:
    straight, killed = databases(), databases()
    command = [sys.executable, "-m", "harness.interrupted", str(change)]
    ended = subprocess.run(command, env=environment(killed), cwd=ROOT, timeout=60, check=False)
    assert ended.returncode == -9
    for uri in (killed, straight):
        upgrade(application(uri))
    assert state(killed) == state(straight)


@contextmanager
def hosts(uri: str, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Several hosts that set one database up at the same time."""
    command = [Path(sys.executable).parent / "flask", "init-db"]
    started = [
        subprocess.Popen(command, env=environment(uri), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.long
@pytest.mark.parametrize("before", [pytest.param("nothing", marks=pytest.mark.long), "interrupted upgrade"])
def test_several_hosts_may_start_at_once(databases: Databases, before: str) -> None:
    first = "0001" if before == "interrupted upgrade" else None
    straight, shared = (begun(databases(), first) for _ in range(2))
    if before != "nothing":
        with pytest.raises(Interrupted), before_change(6):
            upgrade(application(shared))
    with hosts(shared, 3) as started:
        stderrs = [process.communicate(timeout=100)[1] for process in started]
        assert [after_database_line(errors) for errors in stderrs] == [""] * 3
        assert [process.returncode for process in started] == [0] * 3
    upgrade(application(straight))
    assert state(shared) == state(straight)


@pytest.mark.long
@pytest.mark.parametrize(
    "lacking", [pytest.param("CREATE", marks=pytest.mark.long), "INDEX", pytest.param("ALTER", marks=pytest.mark.long)]
)
def test_a_grant_that_was_missing_is_given_and_the_next_start_finishes(
    server: DatabaseServer, server_uri: str, lacking: str
) -> None:
    url = make_url(server_uri)
    user = f"user_{uuid.uuid4().hex[:8]}"
    root = server.connect()
    with root.cursor() as cursor:
        grants = {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "INDEX", "ALTER"} - {lacking}
        cursor.execute(f"CREATE USER {user}@'127.0.0.1'")
        cursor.execute(f"GRANT {', '.join(grants)} ON {url.database}.* TO {user}@'127.0.0.1'")
        env = environment(url.set(username=user).render_as_string(hide_password=False))
        for _ in range(2):
            refused = run_command(["init-db"], env, seconds=120)
            assert (refused.returncode, refused.stdout, after_database_line(refused.stderr).count("\n")) == (1, "", 1)
            assert "lacks a privilege" in refused.stderr
        cursor.execute(f"GRANT {lacking} ON {url.database}.* TO {user}@'127.0.0.1'")
        done = run_command(["init-db"], env, seconds=120)
        assert (done.returncode, after_database_line(done.stderr)) == (0, "")
        cursor.execute(f"DROP USER {user}@'127.0.0.1'")
    root.close()
    with server.throwaway_database() as straight:
        upgrade(application(straight))
        assert tables(server_uri) == tables(straight)


def test_a_set_up_that_an_earlier_release_left_unfinished_is_finished(databases: Databases) -> None:
    straight, unfinished = databases(), databases()
    upgrade(application(straight))
    app = application(unfinished)
    offer_migrations(app)
    with app.app_context():
        flask_migrate.upgrade(revision="0001")
    with engine(unfinished).begin() as connection:
        for statement in ("DELETE FROM alembic_version", "DROP TABLE goods_changes"):
            connection.exec_driver_sql(statement)
    upgrade(app)
    assert state(unfinished) == state(straight)


def test_schema_sql_that_was_loaded_half_is_finished(server_uri: str, server: DatabaseServer) -> None:
    statements = [each for each in (ROOT / "schema.sql").read_text().split(";\n") if each.strip()]
    with engine(server_uri).begin() as connection:
        for statement in itertools.islice(statements, len(statements) // 2):
            connection.exec_driver_sql(statement)
    upgrade(application(server_uri))
    with server.throwaway_database() as straight:
        upgrade(application(straight))
        assert tables(server_uri) == tables(straight)


_VERSIONS = "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (["CREATE TABLE goods (id INT)"], "tables of somebody else with our names (goods)"),
        (["CREATE TABLE events (id INT)"], "tables of somebody else with our names (events)"),
        ([_VERSIONS, "CREATE TABLE goods (id INT)"], "tables of somebody else with our names (goods)"),
        ([_VERSIONS, "CREATE TABLE payments (id INT)"], "tables of somebody else with our names (payments)"),
        (
            [_VERSIONS, "INSERT INTO alembic_version VALUES ('0001')", "CREATE TABLE orders (id INT)"],
            "tables of somebody else with our names (orders)",
        ),
        (
            [_VERSIONS, "INSERT INTO alembic_version VALUES ('0000')", "CREATE TABLE events (id INT)"],
            "a table events of somebody else",
        ),
        ([_VERSIONS, "INSERT INTO alembic_version VALUES ('0001')"], "has no table goods"),
        (
            [_VERSIONS, "INSERT INTO alembic_version VALUES ('ae1027a6acf')", "CREATE TABLE events (id INT)"],
            "is at ae1027a6acf, which this release does not know",
        ),
    ],
)
def test_tables_of_somebody_else_are_left_alone(databases: Databases, made: list[str], message: str) -> None:
    uri = databases()
    with engine(uri).begin() as connection:
        for statement in made:
            connection.exec_driver_sql(statement)
    before = tables(uri)
    with pytest.raises(CannotStart) as refused:
        upgrade(application(uri))
    assert message in refused.value.message
    assert {name: tables(uri)[name] for name in before} == before


def test_a_database_at_this_release_is_changed_by_no_start(databases: Databases) -> None:
    uri = databases()
    upgrade(application(uri))
    with before_change(1):
        upgrade(application(uri))
    assert rows(uri)["alembic_version"] == [(SCHEMA_REVISION,)]


def goods_and_coupons(uri: str) -> tuple[int, int]:
    found = rows(uri)
    return len(found["goods"]), len(found["coupons"])


@pytest.mark.long
def test_a_start_that_is_killed_among_the_demo_goods_leaves_none_for_the_next(sqlite_uri: str) -> None:
    def start(change: int) -> int:
        command = [sys.executable, "-m", "harness.interrupted", str(change), "start"]
        return subprocess.run(command, env=environment(sqlite_uri), cwd=ROOT, timeout=60, check=False).returncode

    with counted_changes() as made:
        upgrade(application(sqlite_uri))
    # Behind the tables: a row of the proof and two that are refused, coupons and methods, then goods and their changes.
    proof, catalogue = 3, 6
    before_third_item = made[0] + proof + catalogue + 5
    Path(str(make_url(sqlite_uri).database)).unlink()
    assert start(before_third_item) == -9
    assert goods_and_coupons(sqlite_uri) == (0, 3)
    assert start(1000) == 0
    assert goods_and_coupons(sqlite_uri) == (4, 3)
    assert start(1000) == 0
    assert goods_and_coupons(sqlite_uri) == (4, 3)


@pytest.mark.long
def test_processes_that_start_at_once_make_the_demo_goods_once(sqlite_uri: str) -> None:
    command = [sys.executable, "-m", "harness.interrupted", "1000", "start"]
    started = [
        subprocess.Popen(command, env=environment(sqlite_uri), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [process.communicate(timeout=100)[1] for process in started] == [""] * 3
    assert goods_and_coupons(sqlite_uri) == (4, 3)
