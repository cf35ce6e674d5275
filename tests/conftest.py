"""What the tests stand on: an application or a running service, on SQLite and on a real MariaDB."""

import itertools
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

import config
from app import create_app
from config import Settings
from core.shop import Shop
from prepare import upgrade
from tests.servers.mariadb import MariaDB
from tests.servers.service import SECRET, Service

_numbers = itertools.count(1)


def pytest_configure() -> None:
    # What the developer's own shell has set is not what is tested.
    for name in [name for name in os.environ if name.startswith(config.PREFIX) and "TEST" not in name]:
        del os.environ[name]


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A server that many tests share. Who kills or freezes one takes `own_mariadb`."""
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_mariadb(tmp_path: Path) -> Iterator[MariaDB]:
    """A server for one test alone."""
    server = MariaDB(tmp_path / "mariadb")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mariadb_uri(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database on MariaDB, or on the server that SECKILL_TEST_DATABASE_URI names (which is then emptied)."""
    given = os.environ.get("SECKILL_TEST_DATABASE_URI")
    if given:
        _empty(given)
        yield given
        return
    server: MariaDB = request.getfixturevalue("mariadb")
    name = f"test_{next(_numbers)}_{uuid.uuid4().hex[:6]}"
    yield server.create_database(name)
    server.drop_database(name)


def _empty(uri: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, connect_args={"charset": "utf8mb4", "collation": "utf8mb4_unicode_ci"})
    with engine.begin() as connection:
        for table in sqlalchemy.inspect(connection).get_table_names():
            connection.exec_driver_sql(f"DROP TABLE {table}")
    engine.dispose()


@pytest.fixture
def sqlite_uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'seckill.db'}"


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def database_uri(request: pytest.FixtureRequest) -> str:
    """An empty database; the test runs once on each kind."""
    return request.getfixturevalue(f"{request.param}_uri")


@pytest.fixture
def make_app() -> Iterator[Callable[..., Flask]]:
    """Makes applications on a database, its tables there; settings by name."""
    made: list[Flask] = []

    def make(uri: str, runtime_dir: Path | None = None, **settings: object) -> Flask:
        # One address makes all requests here; what is tested about limits asks for them.
        told = {"SQLALCHEMY_DATABASE_URI": uri, "SECRET_KEY": SECRET, "RATE_LIMITS": False, **settings}
        app = create_app(config.load(**told), runtime_dir)
        upgrade(app)
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["seckill"].database.engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask], database_uri: str) -> Flask:
    """An application on an empty database, once on SQLite and once on MariaDB. TESTING is off, as in production."""
    return make_app(database_uri)


@pytest.fixture
def sqlite_app(make_app: Callable[..., Flask], sqlite_uri: str) -> Flask:
    return make_app(sqlite_uri)


@pytest.fixture
def shop(app: Flask) -> Shop:
    return app.extensions["seckill"]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def settings(shop: Shop) -> Settings:
    return shop.settings


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts services: `start_service(uri, workers=4, threads=16, API_ORDER_LIMIT=3)`."""
    numbers = itertools.count()
    with ExitStack() as running:

        def start(uri: str, **options: object) -> Service:
            service = Service(uri, tmp_path / f"service-{next(numbers)}.log", **options)  # type: ignore[arg-type]
            running.callback(service.stop)
            return service

        yield start
