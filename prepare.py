"""Before the first request: a database that can be reached, at this release's schema, with demo goods on SQLite.

Whatever is in the way is said in one line: these are the errors that an operator meets first.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from click import ClickException
from flask import Flask
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from config import ROOT, Settings
from core import schema
from core.database import patient_engine
from core.doctor import OLDEST
from core.faults import DENIED
from models import Goods, db

MIGRATIONS = ROOT / "migrations"
_LOCK = "seckill_schema"
_LOCK_SECONDS = 60


class CannotStart(ClickException):
    """Why the service cannot start, in one line. The command line shows it and exits with code 1."""


def upgrade(app: Flask) -> None:
    """Bring the database of `app` to this release's schema. Raises CannotStart.

    Several hosts may do so at once: on MySQL one at a time does.
    """
    settings: Settings = app.extensions["seckill"].settings
    if settings.on_sqlite:
        _make_directory(Path(str(settings.database_url.database)).parent)
    engine = patient_engine(settings)
    try:
        with _reached(engine) as connection, _alone(connection):
            if not _stands(connection):
                connection.rollback()
                _migrate(app)
            schema.check(connection)
            schema.check_columns(connection)
    except schema.WrongSchema as error:
        raise CannotStart(str(error)) from error
    finally:
        engine.dispose()


def is_empty(app: Flask) -> bool:
    """Whether the database has no goods yet."""
    with app.extensions["seckill"].database.reading() as connection:
        return connection.execute(select(Goods.id).limit(1)).first() is None


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"cannot make the directory of the database, {path}: {error.strerror}") from error


@contextlib.contextmanager
def _reached(engine: Engine) -> Iterator[Connection]:
    try:
        connection = engine.connect()
    except DBAPIError as error:
        errno = getattr(error.orig, "errno", None)
        reason = DENIED.get(errno or 0, "it cannot be reached")
        raise CannotStart(f"database {_shown(engine.url)}: {reason} ({errno or type(error.orig).__name__})") from error
    except Exception as error:  # an option in the address that the driver does not know, for one
        raise CannotStart(
            f"database {_shown(engine.url)}: its address does not work ({type(error).__name__})"
        ) from error
    with connection:
        try:
            yield connection
        except DBAPIError as error:
            # The server's own words are left out: they can quote names and values.
            errno = getattr(error.orig, "errno", None) or type(error.orig).__name__
            raise CannotStart(f"database {_shown(engine.url)}: setting up the tables failed ({errno})") from error


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _stands(connection: Connection) -> bool:
    """Whether nothing is to be done. Raises WrongSchema where migrating would be wrong."""
    _require_version(connection)
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
    return False


def _require_version(connection: Connection) -> None:
    version = connection.dialect.server_version_info
    if connection.dialect.name == "sqlite" or version is None:
        return
    product = "MariaDB" if getattr(connection.dialect, "is_mariadb", False) else "MySQL"
    if tuple(version[:3]) < OLDEST[product]:
        oldest = ".".join(str(part) for part in OLDEST[product])
        raise CannotStart(f"the server is {product} {version[0]}.{version[1]}; {oldest} or newer is needed")


@contextlib.contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    if connection.dialect.name == "sqlite":
        yield
        return
    # The session's own limits are made for purchases; this one waits for others, idle, while they migrate.
    connection.execute(text("SET SESSION wait_timeout = 3600"))
    got = connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), {"name": _LOCK, "seconds": _LOCK_SECONDS})
    if got.scalar() != 1:
        raise CannotStart(f"another process has been changing the tables for over {_LOCK_SECONDS} seconds")
    connection.commit()
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _LOCK})
            connection.commit()


def offer_migrations(app: Flask) -> None:
    """Let `flask db …`, with which developers write migrations, work on `app`."""
    import flask_migrate  # late: the workers never need it

    flask_migrate.Migrate(app, db, directory=str(MIGRATIONS))


def _migrate(app: Flask) -> None:
    import flask_migrate

    offer_migrations(app)
    with app.app_context():
        flask_migrate.upgrade()
