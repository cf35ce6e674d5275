"""A database error is read by its number, whatever class the driver gave it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import mysql.connector
import pytest
from mysql.connector import errors
from sqlalchemy.exc import DBAPIError

from core.db.faults import Kind, read


def wrapped(original: BaseException, invalidated: bool = False) -> DBAPIError:
    """As SQLAlchemy hands it on."""
    return DBAPIError("SELECT 1", {}, original, connection_invalidated=invalidated)


@pytest.mark.parametrize("dress", [wrapped, lambda error: error], ids=["wrapped", "bare"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InternalError(errno=1213, msg="Deadlock found"), Kind.RERUN),
        (errors.DatabaseError(errno=1205, msg="Lock wait timeout"), Kind.RERUN),
        (errors.OperationalError(errno=1020, msg="Record has changed"), Kind.RERUN),
        (errors.IntegrityError(errno=1062, msg="Duplicate entry"), Kind.RERUN),
        *[
            (errors.OperationalError(errno=errno, msg="x"), Kind.LOST)
            for errno in (2002, 2003, 2006, 2013, 2055, 4031, 1040, 1047, 1053, 1203, 1290, 1317, 1927)
        ],
        (errors.DatabaseError(errno=29_999, msg="x", sqlstate="40001"), Kind.RERUN),
        (errors.DatabaseError(errno=29_999, msg="x", sqlstate="40003"), Kind.LOST),
        (errors.DatabaseError(errno=29_999, msg="x", sqlstate="08S01"), Kind.LOST),
        (errors.DatabaseError(errno=29_999, msg="x", sqlstate="HY000"), Kind.OTHER),
        (errors.DatabaseError(errno=9003, msg="Command not supported"), Kind.OTHER),
        (errors.ProgrammingError(errno=1064, msg="You have an error in your SQL syntax"), Kind.OTHER),
        (errors.IntegrityError(errno=1048, msg="Column cannot be null"), Kind.OTHER),
        (errors.DataError(errno=1406, msg="Data too long"), Kind.OTHER),
    ],
    ids=lambda value: str(getattr(value, "errno", value)),
)
def test_the_number_of_a_mysql_error_decides(
    error: mysql.connector.Error, kind: Kind, dress: Callable[[BaseException], BaseException]
) -> None:
    fault = read(dress(error))
    assert fault.kind is kind
    assert fault.errno == str(error.errno)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Got error 149 - 'Lock deadlock; Retry transaction' during COMMIT", Kind.RERUN),
        ("Got error 28 - 'No space left on device' during COMMIT", Kind.LOST),
    ],
)
def test_a_commit_that_failed_by_a_deadlock_was_rolled_back(text: str, kind: Kind) -> None:
    assert read(errors.DatabaseError(errno=1180, msg=text)).kind is kind


def test_a_connection_that_sqlalchemy_gave_up_is_lost_whatever_its_number() -> None:
    assert read(wrapped(errors.InterfaceError(errno=-1, msg="gone"), invalidated=True)).kind is Kind.LOST


@pytest.mark.parametrize(
    "error", [ValueError("x"), RuntimeError("x"), OSError(2, "no such file"), ConnectionResetError(104, "reset")]
)
def test_an_error_of_another_kind_is_no_database_fault(error: Exception) -> None:
    assert read(error).kind is Kind.OTHER


def _provoke(statement: Callable[[], object]) -> sqlite3.Error:
    with pytest.raises(sqlite3.Error) as caught:
        statement()
    return caught.value


def test_a_busy_sqlite_file_is_worth_another_run(tmp_path: Path) -> None:
    holder, late = (sqlite3.connect(tmp_path / "x.db", isolation_level=None, timeout=0) for _ in range(2))
    holder.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, k TEXT UNIQUE, m TEXT NOT NULL)")
    holder.execute("BEGIN IMMEDIATE")
    error = _provoke(lambda: late.execute("BEGIN IMMEDIATE"))
    holder.close()
    late.close()
    assert read(error).kind is Kind.RERUN
    assert read(wrapped(error)).kind is Kind.RERUN


def test_a_duplicate_in_sqlite_is_worth_another_run_and_a_missing_value_is_not(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    connection.execute("CREATE TABLE t (k TEXT UNIQUE, m TEXT NOT NULL)")
    connection.execute("INSERT INTO t VALUES ('a', 'm')")
    duplicate = _provoke(lambda: connection.execute("INSERT INTO t VALUES ('a', 'm')"))
    missing = _provoke(lambda: connection.execute("INSERT INTO t VALUES ('b', NULL)"))
    unknown = _provoke(lambda: connection.execute("SELECT * FROM nowhere"))
    connection.close()
    assert read(duplicate).kind is Kind.RERUN
    assert read(missing).kind is Kind.OTHER
    assert read(unknown).kind is Kind.OTHER


def test_a_sqlite_file_that_cannot_be_opened_is_lost(tmp_path: Path) -> None:
    assert read(_provoke(lambda: sqlite3.connect(tmp_path / "nowhere" / "x.db"))).kind is Kind.LOST


def test_a_real_server_s_errors_are_read_as_they_come(server_uri: str, server) -> None:
    connection = server.connect(server_uri.rpartition("/")[2])
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    cursor.execute("INSERT INTO t VALUES (1)")

    def kind(statement: str) -> Kind:
        with pytest.raises(mysql.connector.Error) as caught:
            cursor.execute(statement)
        return read(caught.value).kind

    assert kind("INSERT INTO t VALUES (1)") is Kind.RERUN
    assert kind("SELECT * FROM nowhere") is Kind.OTHER
    assert kind("KILL CONNECTION_ID()") is Kind.LOST
    connection.close()
