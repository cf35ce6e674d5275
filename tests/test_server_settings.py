"""Servers that are set up otherwise than ours: what is in the way is said in one line, the rest works."""

import json
import subprocess
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import inspect
from sqlalchemy.engine import make_url

from core.db import server_version
from core.db.server_settings import LOOKED_AT, obstacles
from harness.database_server import DatabaseServer
from harness.kinds import SERVERS, on
from harness.service import environment, run_command
from tests.database_line import after_database_line
from tests.tables import engine

# Settings of a server that are unlike the defaults, and must not matter.
HARMLESS = {
    "mysql": (
        "--default-storage-engine=MyISAM",
        "--sql-require-primary-key=ON",
        "--sql-generate-invisible-primary-key=ON",
    ),
    "mariadb": ("--default-storage-engine=Aria", "--lower-case-table-names=1"),
}


@pytest.fixture(scope="module", params=map(on, SERVERS))
def odd_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    options = ("--log-bin=changes", "--server-id=1", "--character-set-server=latin1", *HARMLESS[request.param])
    server = SERVERS[request.param](tmp_path_factory.mktemp("odd"), options)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def odd_uri(odd_server: DatabaseServer) -> Iterator[str]:
    with odd_server.throwaway_database() as uri:
        yield uri


def execute(server: DatabaseServer, *statements: str) -> None:
    connection = server.connect()
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def flask(uri: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_command(arguments, environment(uri) | {"COLUMNS": "250"}, seconds=120)


def refused(uri: str) -> str:
    ended = flask(uri, "init-db")
    assert (ended.returncode, ended.stdout, after_database_line(ended.stderr).count("\n")) == (1, "", 1)
    return ended.stderr


def test_settings_that_do_not_matter_do_not(odd_uri: str) -> None:
    made = flask(odd_uri, "init-db")
    assert (made.returncode, after_database_line(made.stderr)) == (0, "")
    with engine(odd_uri).connect() as connection:
        engines = connection.exec_driver_sql(
            "SELECT DISTINCT ENGINE FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME <> 'alembic_version'"
        )
        assert engines.scalars().all() == ["InnoDB"]


def test_a_binary_log_by_statement_is_refused_before_anything_is_made(odd_server: DatabaseServer, odd_uri: str) -> None:
    execute(odd_server, "SET GLOBAL binlog_format = 'STATEMENT'")
    try:
        line = refused(odd_uri)
        assert "binlog_format=STATEMENT" in line
        assert "SET GLOBAL binlog_format = 'ROW'" in line
        with engine(odd_uri).connect() as connection:
            assert inspect(connection).get_table_names() == []
        assert "binlog_format=STATEMENT" in flask(odd_uri, "doctor").stdout
    finally:
        execute(odd_server, "SET GLOBAL binlog_format = 'ROW'")  # as the line says
    assert flask(odd_uri, "init-db").returncode == 0


@pytest.fixture
def user_s_uri(odd_server: DatabaseServer, odd_uri: str) -> Iterator[str]:
    """The address of the same database for a user who has all rights on it, and no others."""
    user = f"user_{uuid.uuid4().hex[:8]}"
    url = make_url(odd_uri)
    execute(odd_server, f"CREATE USER {user}@'127.0.0.1'", f"GRANT ALL ON {url.database}.* TO {user}@'127.0.0.1'")
    yield url.set(username=user).render_as_string(hide_password=False)
    execute(odd_server, f"DROP USER {user}@'127.0.0.1'")


@pytest.mark.long
def test_a_database_that_is_read_only_is_refused_and_finished_when_it_is_not(
    odd_server: DatabaseServer, user_s_uri: str
) -> None:
    for _ in ("nothing is there", "all is there"):
        execute(odd_server, "SET GLOBAL read_only = ON")
        try:
            assert "the database is read-only (1290)" in refused(user_s_uri)
        finally:
            execute(odd_server, "SET GLOBAL read_only = OFF")
        assert flask(user_s_uri, "init-db").returncode == 0


def problems(uri: str) -> dict[str, str]:
    """What the doctor finds wrong, and how to mend it."""
    ended = flask(uri, "doctor", "--json")
    assert ended.returncode == 1, ended.stdout
    found = [check for check in json.loads(ended.stdout)["checks"] if check["state"] == "problem"]
    mends = {check["name"]: check["mend"] for check in found}
    assert len(mends) == len(found)
    return mends


@pytest.mark.long
@pytest.mark.parametrize(
    ("setting", "usual", "name", "mend"),
    [
        ("read_only = ON", "read_only = OFF", "writable", "point the URL at a primary"),
        ("binlog_format = 'STATEMENT'", "binlog_format = 'ROW'", "binlog_format", "SET GLOBAL binlog_format = 'ROW'"),
    ],
)
def test_the_doctor_does_not_blame_the_address_for_what_the_server_is_set_to(
    odd_server: DatabaseServer, user_s_uri: str, setting: str, usual: str, name: str, mend: str
) -> None:
    assert flask(user_s_uri, "init-db").returncode == 0
    execute(odd_server, f"SET GLOBAL {setting}")
    try:
        found = problems(user_s_uri)
    finally:
        execute(odd_server, f"SET GLOBAL {usual}")
    found.pop("sync_binlog", None)  # MariaDB's default
    assert list(found) == [name]
    assert mend in found[name]


@pytest.mark.long
def test_the_doctor_says_that_a_grant_is_missing(odd_server: DatabaseServer, user_s_uri: str) -> None:
    assert flask(user_s_uri, "init-db").returncode == 0
    url = make_url(user_s_uri)
    execute(odd_server, f"REVOKE DELETE ON {url.database}.* FROM {url.username}@'127.0.0.1'")
    assert "grants" in problems(user_s_uri)["database"]


def test_the_doctor_says_that_an_option_of_the_address_is_unknown(odd_uri: str) -> None:
    assert "options" in problems(f"{odd_uri}?ssl_nonsense=1")["database"]


@pytest.mark.parametrize(
    ("found", "in_the_way"),
    [
        ({"log_bin": "ON", "binlog_format": "STATEMENT"}, ["binlog_format"]),
        ({"log_bin": "1", "binlog_format": "STATEMENT"}, ["binlog_format"]),
        ({"log_bin": "OFF", "binlog_format": "STATEMENT"}, []),
        ({"log_bin": "ON", "binlog_format": "MIXED"}, []),
        ({"log_bin": "ON", "binlog_format": "ROW"}, []),
        ({"log_bin": "ON"}, []),  # a server without the variable
        ({"check_constraint_checks": "OFF"}, ["check_constraint_checks"]),
        ({"check_constraint_checks": "ON", "unique_checks": "1", "sql_safe_updates": "0"}, []),
        ({"unique_checks": "OFF", "sql_safe_updates": "ON"}, ["unique_checks", "sql_safe_updates"]),
    ],
)
def test_settings_are_judged(found: dict[str, str], in_the_way: list[str]) -> None:
    assert set(found) <= set(LOOKED_AT)
    assert [obstacle.name for obstacle in obstacles(found)] == in_the_way


@pytest.mark.mysql
@pytest.mark.parametrize(
    ("supported", "possible", "exit_code", "message"),
    [
        ((99, 1), (8, 0, 17), 0, "warning: the server is MySQL 9."),
        ((99, 1), (99, 1), 1, "Error: the server is MySQL 9."),
    ],
)
def test_an_old_server_is_tried_and_warned_about_or_refused(
    mysql_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    supported: tuple[int, ...],
    possible: tuple[int, ...],
    exit_code: int,
    message: str,
) -> None:
    from app import create_app

    for name, version in (("SUPPORTED", supported), ("POSSIBLE", possible)):
        monkeypatch.setitem(getattr(server_version, name), "MySQL", version)
    for setting, value in environment(mysql_uri).items():
        monkeypatch.setenv(setting, value)
    result = create_app().test_cli_runner().invoke(args=["init-db"])
    assert result.exit_code == exit_code, result.output
    assert message in result.stderr
    assert after_database_line(result.stderr).count("\n") == 1
    if exit_code:
        with monkeypatch.context() as upgraded:
            upgraded.setitem(server_version.POSSIBLE, "MySQL", (8, 0, 17))
            assert create_app().test_cli_runner().invoke(args=["init-db"]).exit_code == 0
    looked = create_app().test_cli_runner().invoke(args=["doctor"])
    assert looked.exit_code == exit_code, looked.output
    (line,) = [line for line in looked.stdout.splitlines() if " MySQL 9." in line]
    assert f"│ {'problem' if exit_code else 'warning'}" in line
