"""Before the first request: a database that can be reached, at this release's schema, with demo goods on SQLite.

Whatever prevents the start is printed in one line: these are the errors that an operator meets first.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from click import ClickException
from flask import Flask
from mysql.connector.errors import NotSupportedError
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from config import ROOT, Settings
from core.db import schema, server_proof, server_settings, server_version
from core.db.database import patient_engine
from core.db.faults import DENIED, MISSING_GRANT
from core.db.tls import Unprotected
from models import db

MIGRATIONS = ROOT / "migrations"
# How long to wait for another host that changes the tables.
_LOCK_SECONDS = 60
_IDLE_SECONDS = 30
_BUSY = f"another process has been changing the tables for over {_LOCK_SECONDS} seconds"
_GRANT = "the user lacks a privilege for the tables: grant ALL on the database"
# Why the tables could not be made, by the number of the error.
_FAILED: Mapping[int | str, str] = {
    **dict.fromkeys((1044, *MISSING_GRANT), _GRANT),
    **dict.fromkeys((1036, 1290, 1792, 1836, 1874, "SQLITE_READONLY"), "the database is read-only"),
    "SQLITE_BUSY": _BUSY,
    "SQLITE_NOTADB": "the file holds something else than an SQLite database",
}


class CannotStart(ClickException):
    """Why the service cannot start, in one line. The command line shows it and exits with code 1."""


def upgrade(app: Flask) -> None:
    """Bring the database of `app` to this release's schema. Raises CannotStart.

    Finishes what an earlier start began, wherever it was interrupted. Several hosts may do so at once: one at a time
    does.
    """
    settings: Settings = app.extensions["seckill"].settings
    if settings.on_sqlite:
        _make_directory(Path(str(settings.database_url.database)).parent)
    try:
        with alone(settings) as connection:
            if not _stands(connection):
                _migrate(connection)
            schema.check(connection)
            schema.check_columns(connection)
    except schema.WrongSchema as error:
        raise CannotStart(str(error)) from error


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"cannot make the directory of the database, {path}: {error.strerror}") from error


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[Connection]:
    """A connection for changes of tables, the only one that changes any: others wait. Raises CannotStart.

    On SQLite all is one transaction, and committed at the end. On MySQL each change of a table is committed by itself;
    the lock belongs to the connection that makes the changes, so it is free when this process or host is gone, and
    not before the server has finished what it was at.
    """
    engine = patient_engine(settings)
    if settings.on_sqlite:
        event.listen(engine, "connect", _begin_by_hand)
        event.listen(engine, "begin", _begin_writing)
    try:
        with _reached(engine) as connection:
            if not settings.on_sqlite:
                _lock(connection)
            yield connection
            connection.commit()
    finally:
        engine.dispose()


def _begin_by_hand(dbapi_connection: sqlite3.Connection, record: object) -> None:
    dbapi_connection.isolation_level = None
    dbapi_connection.execute(f"PRAGMA busy_timeout = {_LOCK_SECONDS * 1000}")


def _begin_writing(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _lock(connection: Connection) -> None:
    # Waiting for the lock is no idleness; a host that lost its power is idle, and must not keep the lock for long.
    connection.execute(text(f"SET SESSION wait_timeout = {_IDLE_SECONDS}"))
    name = f"seckill_schema_{hashlib.sha256(str(connection.engine.url.database).encode()).hexdigest()[:16]}"
    got = connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), {"name": name, "seconds": _LOCK_SECONDS})
    if got.scalar() != 1:
        raise CannotStart(_BUSY)
    connection.commit()


@contextlib.contextmanager
def _reached(engine: Engine) -> Iterator[Connection]:
    try:
        connection = engine.connect()
    except DBAPIError as error:
        errno = getattr(error.orig, "errno", None)
        reason = DENIED.get(errno or 0, "it cannot be reached")
        if isinstance(error.orig, Unprotected):
            reason = str(error.orig.msg)
        elif isinstance(error.orig, NotSupportedError):
            reason = "the driver does not know the way in which the server wants the user to log in"
        raise CannotStart(f"database {_shown(engine.url)}: {reason} ({errno or type(error.orig).__name__})") from error
    except Exception as error:  # an option in the address that the driver does not know, for one
        raise CannotStart(
            f"database {_shown(engine.url)}: its address does not work ({type(error).__name__})"
        ) from error
    with connection:
        try:
            yield connection
        except DBAPIError as error:
            failure = _failure(engine.url, error, "setting up the tables failed")
            next_time = "" if _number(error) == "SQLITE_NOTADB" else "; the next start goes on"
            raise CannotStart(f"{failure}{next_time}") from error


def _failure(url: URL, error: DBAPIError, otherwise: str) -> str:
    # The server's own words are left out: they can quote names and values.
    number = _number(error)
    return f"database {_shown(url)}: {_FAILED.get(number or 0, otherwise)} ({number or type(error.orig).__name__})"


def _number(error: DBAPIError) -> int | str | None:
    """The server's number of the error, or SQLite's name of it."""
    return getattr(error.orig, "errno", None) or getattr(error.orig, "sqlite_errorname", None)


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _stands(connection: Connection) -> bool:
    """Whether nothing is to be done. Raises WrongSchema where migrating would be wrong."""
    _require_server(connection)
    foreign = schema.foreign_tables(connection)
    if foreign:
        raise schema.WrongSchema(
            f"the database has tables of somebody else with our names ({', '.join(sorted(foreign))}); use an empty one"
        )
    found = schema.revision(connection)
    if found == schema.SCHEMA_REVISION:
        return True
    known = {path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    if found is not None and found not in known:
        raise schema.WrongSchema(f"the database's schema is at {found}, which this release does not know")
    schema.check_first(connection)
    return False


def _require_server(connection: Connection) -> None:
    """Raise CannotStart on a server on which the service cannot work, before anything is made there."""
    if connection.dialect.name == "sqlite":
        return
    server = server_version.server(str(connection.exec_driver_sql("SELECT VERSION()").scalar_one()))
    if server.refusal:
        raise CannotStart(server.refusal)
    if server.warning:
        click.echo(f"warning: {server.warning}", err=True)
    for obstacle in server_settings.obstacles(server_settings.values(connection, server_settings.LOOKED_AT)):
        raise CannotStart(f"the server has {obstacle}")


def prove(app: Flask) -> None:
    """Try the database's locks and constraints (core/db/server_proof.py). Raises CannotStart where they do not hold.

    The database is at this release's schema.
    """
    settings: Settings = app.extensions["seckill"].settings
    try:
        server_proof.prove(settings)
    except server_proof.BrokenPromise as broken:
        raise CannotStart(f"database {_shown(settings.database_url)}: nothing can be sold on it: {broken}") from broken
    except DBAPIError as error:
        raise CannotStart(_failure(settings.database_url, error, "trying its locks failed")) from error


def offer_migrations(app: Flask) -> None:
    """Let `flask db …`, with which developers write migrations, work on `app`."""
    import flask_migrate  # late: the workers never need it

    flask_migrate.Migrate(app, db, directory=str(MIGRATIONS))


def _migrate(connection: Connection) -> None:
    from alembic import command  # late: the workers never need it
    from alembic.config import Config

    if connection.dialect.name != "sqlite":
        connection.rollback()  # on MySQL Alembic begins and ends the transactions of its own
    configuration = Config(MIGRATIONS / "alembic.ini", attributes={"connection": connection})
    configuration.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(configuration, "head")
