"""A start tries what it relies on, and says what a server does instead."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy.exc import DBAPIError

from app import create_app
from config import ROOT, Settings, load
from core.db import server_proof
from core.db.database import Database
from core.db.server_proof import BrokenPromise, prove
from harness.database_server import DatabaseServer
from harness.kinds import SERVERS, on
from harness.lying_proxy import FOUND_ROWS, SEVERAL_STATEMENTS, Change, LyingProxy, without
from harness.mysql import MySQL
from harness.service import SECRET, environment, run_command
from server.prepare import upgrade
from tests.database_line import after_database_line
from tests.tables import engine


def settings_of(uri: str) -> Settings:
    return load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET)


def set_up(uri: str) -> str:
    upgrade(create_app(settings_of(uri)))
    return uri


@pytest.fixture(scope="module", params=map(on, SERVERS))
def ready(request: pytest.FixtureRequest) -> Iterator[tuple[DatabaseServer, str]]:
    """A server and the address of a database on it with our tables, once of each kind."""
    server: DatabaseServer = request.getfixturevalue(request.param)
    with server.throwaway_database() as uri:
        yield server, set_up(uri)


def rows(uri: str) -> int:
    with engine(uri).connect() as connection:
        return int(connection.exec_driver_sql("SELECT COUNT(*) FROM server_proof").scalar_one())


def locks_more(statement: str) -> str:
    """A join that returns the row that it is asked for, and locks those behind it as well."""
    found = re.search(r'JSON_TABLE\(\'\[\[\\?"(\w+)\\?",1\],.* held .*SKIP LOCKED', statement)
    if found is None:
        return statement
    return (
        "SELECT MIN(number), MIN(units) FROM server_proof"
        f" WHERE run = '{found.group(1)}' AND number >= 2 FOR UPDATE SKIP LOCKED"
    )


def goes_on_after_an_error(statement: str) -> str:
    """Of the three changes in one packet the third is carried out ahead of the second, which fails."""
    first, *others = statement.split(";UPDATE server_proof")
    return ";UPDATE server_proof".join([first, *reversed(others)])


ISOLATION = "READ COMMITTED"
LIES: dict[str, tuple[Change, str]] = {
    "FOR UPDATE is dropped": (without("FOR UPDATE( OF held)?"), "SELECT … FOR UPDATE does not wait"),
    "FOR UPDATE is dropped from what waits": (
        without("FOR UPDATE$"),
        "SELECT … FOR UPDATE does not wait for a row that another transaction has locked",
    ),
    "FOR UPDATE is dropped from joins": (
        without("FOR UPDATE( OF held)?$", only_with="JOIN"),
        "a join with FOR UPDATE does not wait",
    ),
    "FOR UPDATE is dropped where SKIP LOCKED is added, as TiDB does": (
        without("FOR UPDATE( OF held)? SKIP LOCKED"),
        "FOR UPDATE SKIP LOCKED returns a locked row",
    ),
    "SKIP LOCKED is dropped": (without("SKIP LOCKED"), "SKIP LOCKED waits for a locked row"),
    "a join with SKIP LOCKED loses FOR UPDATE": (
        without("FOR UPDATE( OF held)? SKIP LOCKED", only_with="JOIN"),
        "a join with FOR UPDATE SKIP LOCKED returns a locked row",
    ),
    "a join loses SKIP LOCKED": (
        without("SKIP LOCKED", only_with="JOIN"),
        "a join with SKIP LOCKED waits for a locked row",
    ),
    "a join locks rows that it does not name": (locks_more, "locks rows that it does not name"),
    "the isolation level is dropped": (
        without("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", instead="DO 0"),
        "does not read what another has committed since it began",
    ),
    "it reads what is not committed": (
        without(ISOLATION, instead="READ UNCOMMITTED"),
        "reads what another has not committed",
    ),
    "ROLLBACK is a COMMIT": (without("^ROLLBACK$", instead="COMMIT"), "ROLLBACK leaves a change in place"),
    "a JSON null is a text, as of MySQL 8.0.20": (
        without(r"\[\[null\]\]", instead=r'[["null"]]'),
        "a JSON null in JSON_TABLE is 'null' and not NULL",
    ),
    "of several statements the first alone is carried out": (
        without(";UPDATE server_proof.*"),
        "of several statements in one packet it says nothing of one that fails",
    ),
    "of several statements all are carried out, whichever fails": (
        goes_on_after_an_error,
        "it carries out what stands behind one that fails",
    ),
    "SYSDATE is NOW": (without("SYSDATE", instead="NOW"), "SYSDATE() stands still"),
    "a committed row is not found": (
        without("^SELECT units FROM server_proof WHERE", instead="SELECT units FROM server_proof WHERE FALSE AND"),
        "does not find a row that was committed",
    ),
    "a committed row is not found by a join": (
        without("(FOR UPDATE( OF held)?)$", only_with="JOIN", instead=r"AND FALSE \1"),
        "does not find a row that was committed",
    ),
}
# What a server may not know, and what of it is said.
REFUSED: dict[str, tuple[Change, str]] = {
    "JSON_TABLE": (without("JSON_TABLE", instead="JSON_TALBE"), "JSON_TABLE"),
    "a lock": (without("^(SELECT units.*) FOR UPDATE$", instead=r"\1 FOR UPDATING"), "SELECT … FOR UPDATE"),
    "a lock of a join": (
        without("FOR UPDATE( OF held)?$", only_with="JOIN", instead="FOR UPDATING"),
        "a join with FOR UPDATE",
    ),
    "SKIP LOCKED": (
        without("^(SELECT number.*) SKIP LOCKED", instead=r"\1 SKIPPING LOCKED"),
        "SELECT … FOR UPDATE SKIP LOCKED",
    ),
    "SKIP LOCKED of a join": (
        without("SKIP LOCKED", only_with="JOIN", instead="SKIPPING LOCKED"),
        "a join with FOR UPDATE SKIP LOCKED",
    ),
}


@pytest.fixture
def through(ready: tuple[DatabaseServer, str]) -> Iterator[Callable[..., str]]:
    """The database's address by way of a proxy that lies."""
    server, uri = ready
    proxies: list[LyingProxy] = []

    def by(change: Change, address: str = uri, forget: int = 0) -> str:
        proxies.append(LyingProxy(server.port, change, forget))
        return proxies[-1].address(address)

    yield by
    for proxy in proxies:
        proxy.close()


def test_an_honest_server_is_proven_and_nothing_is_left(ready: tuple[DatabaseServer, str]) -> None:
    prove(settings_of(ready[1]))
    assert rows(ready[1]) == 0


def test_it_is_proven_through_a_proxy_that_changes_nothing(through: Callable[..., str]) -> None:
    prove(settings_of(through(lambda statement: statement)))


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_named(through: Callable[..., str], monkeypatch: pytest.MonkeyPatch, lie: str) -> None:
    change, message = LIES[lie]
    if "does not wait" in message:
        monkeypatch.setattr(server_proof, "WAIT_SECONDS", 5)  # an answer ends it; on a busy machine it may take a while
    with pytest.raises(BrokenPromise) as named:
        prove(settings_of(through(change)))
    assert message in str(named.value)
    assert "\n" not in str(named.value)


@pytest.mark.parametrize("refused", REFUSED)
def test_what_a_server_refuses_is_named_and_nothing_is_left(
    ready: tuple[DatabaseServer, str], through: Callable[..., str], refused: str
) -> None:
    change, what = REFUSED[refused]
    with pytest.raises(BrokenPromise, match=rf"^it refuses {re.escape(what)} \(\d+\)$"):
        prove(settings_of(through(change)))
    assert rows(ready[1]) == 0


def test_a_connection_that_ends_meanwhile_is_no_lie(
    ready: tuple[DatabaseServer, str], through: Callable[..., str]
) -> None:
    with ready[0].throwaway_database() as uri:  # a proof that was cut short leaves its rows
        killed = through(without("^SELECT STRAIGHT_JOIN.*", instead="KILL CONNECTION_ID()"), set_up(uri))
        with pytest.raises(DBAPIError):
            prove(settings_of(killed))
        env = environment(killed) | {"COLUMNS": "250"}
        ended = run_command(["init-db"], env, seconds=120)
        assert (ended.returncode, after_database_line(ended.stderr).count("\n")) == (1, 1)
        assert "trying its locks failed" in ended.stderr
        ended = run_command(["doctor"], env, seconds=120)
    assert (ended.returncode, after_database_line(ended.stderr)) == (1, "")
    assert "cannot be used" in ended.stdout


def test_a_server_that_counts_changed_rows_is_named(through: Callable[..., str]) -> None:
    with pytest.raises(BrokenPromise, match="counts the rows that it changed"):
        prove(settings_of(through(lambda statement: statement, forget=FOUND_ROWS)))


def test_a_server_that_takes_one_statement_at_a_time_is_named(through: Callable[..., str]) -> None:
    with pytest.raises(BrokenPromise, match=r"several statements in one packet are refused \(1064\)"):
        prove(settings_of(through(lambda statement: statement, forget=SEVERAL_STATEMENTS)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("CONSTRAINT server_proof_mark UNIQUE", instead="INDEX server_proof_mark"), "a unique key takes"),
        (without(r", \n\tCONSTRAINT \w+ CHECK \(units >= 0\)"), "a CHECK takes a row that violates it"),
    ],
)
def test_a_server_that_keeps_no_constraint_is_named(
    ready: tuple[DatabaseServer, str], through: Callable[..., str], change: Change, message: str
) -> None:
    with ready[0].throwaway_database() as empty:
        set_up(through(change, empty))
        with pytest.raises(BrokenPromise, match=message):
            prove(settings_of(empty))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        LIES["FOR UPDATE is dropped where SKIP LOCKED is added, as TiDB does"],
        LIES["a committed row is not found"],
        REFUSED["JSON_TABLE"],
    ],
)
def test_a_server_that_lies_is_refused_in_one_line(through: Callable[..., str], change: Change, message: str) -> None:
    env = environment(through(change)) | {"COLUMNS": "250"}
    for command in (["init-db"], ["doctor"]):
        ended = run_command(command, env, seconds=120)
        assert ended.returncode == 1
        assert message in (ended.stderr if command == ["init-db"] else ended.stdout)
        assert after_database_line(ended.stderr).count("\n") == (1 if command == ["init-db"] else 0)


def test_the_doctor_says_that_a_proxy_on_this_host_leads_to_a_server_elsewhere(through: Callable[..., str]) -> None:
    def connection(change: Change) -> str:
        """What the doctor says of the connection, through a proxy on this host and without TLS."""
        ended = run_command(["doctor"], environment(through(change)) | {"COLUMNS": "250"}, seconds=120)
        (line,) = [line for line in ended.stdout.splitlines() if "; login by" in line]
        return line

    assert "no TLS, but on this host" in connection(lambda statement: statement)
    elsewhere = connection(without(r"SUBSTRING_INDEX\(USER\(\), '@', -1\)", instead="'10.0.0.7'"))
    assert "no TLS: whoever sits in between" in elsewhere


@pytest.mark.mysql
def test_the_doctor_goes_on_where_the_members_of_a_group_may_not_be_read(
    through: Callable[..., str], ready: tuple[DatabaseServer, str]
) -> None:
    """A user without a grant for them, as the service's own may be."""
    if not isinstance(ready[0], MySQL):
        pytest.skip("a group is MySQL's")

    def in_a_group(statement: str) -> str:
        if "group\\_replication" in statement:
            return "SELECT 'group_replication_group_name', 'a group'"
        if "replication_group_members" in statement:
            return "SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142"
        return statement

    ended = run_command(["doctor"], environment(through(in_a_group)) | {"COLUMNS": "250"}, seconds=120)
    assert after_database_line(ended.stderr) == ""
    assert "its members cannot be read" in ended.stdout
    assert "two transactions wait for and skip each other's rows" in ended.stdout


def test_hosts_prove_at_the_same_time(ready: tuple[DatabaseServer, str]) -> None:
    failures: list[BaseException] = []

    def once() -> None:
        try:
            prove(settings_of(ready[1]))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert rows(ready[1]) == 0


def test_what_a_killed_proof_leaves_does_no_harm_and_goes_away(ready: tuple[DatabaseServer, str]) -> None:
    _, uri = ready
    command = [sys.executable, "-m", "harness.interrupted", "3", "prove"]
    assert subprocess.run(command, env=environment(uri), cwd=ROOT, timeout=60, check=False).returncode == -9
    assert rows(uri) == 3
    prove(settings_of(uri))
    assert rows(uri) == 3
    with engine(uri).begin() as connection:
        connection.exec_driver_sql("UPDATE server_proof SET made_at = made_at - INTERVAL 2 HOUR")
    prove(settings_of(uri))
    assert rows(uri) == 0


class TestSqlite:
    def test_it_is_proven_and_nothing_is_left(self, sqlite_uri: str) -> None:
        set_up(sqlite_uri)
        prove(settings_of(sqlite_uri))
        assert rows(sqlite_uri) == 0

    @pytest.mark.parametrize(
        ("lost", "message"),
        [
            (", CONSTRAINT server_proof_mark UNIQUE (run, mark)", "a unique key takes"),
            (", CONSTRAINT server_proof_units_not_negative CHECK (units >= 0)", "a CHECK takes"),
        ],
    )
    def test_a_constraint_that_does_not_hold_is_named(self, sqlite_uri: str, lost: str, message: str) -> None:
        set_up(sqlite_uri)
        with engine(sqlite_uri).begin() as connection:
            made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'server_proof'").scalar_one()
            made = re.sub(r"\s+", " ", made)
            assert lost in made
            connection.exec_driver_sql("DROP TABLE server_proof")
            connection.exec_driver_sql(made.replace(lost, ""))
        with pytest.raises(BrokenPromise, match=message):
            prove(settings_of(sqlite_uri))

    def test_a_second_writer_is_named(self, sqlite_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
        set_up(sqlite_uri)
        monkeypatch.setattr(server_proof, "WRITES", "nothing")  # a plain BEGIN, which locks nothing
        with pytest.raises(BrokenPromise, match="lets a second writer in"):
            prove(settings_of(sqlite_uri))

    def test_a_file_system_on_which_the_journal_cannot_be_wal_is_named(
        self, sqlite_uri: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_up(sqlite_uri)  # leaves SQLite's default journal, as does a file system without shared memory
        monkeypatch.setattr(
            Database, "set_up_sqlite", lambda self, opened, record: setattr(opened, "isolation_level", None)
        )
        with pytest.raises(BrokenPromise, match="the journal is in mode delete and not WAL"):
            prove(settings_of(sqlite_uri))
