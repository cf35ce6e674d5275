"""What the tests stand on: an application or a running service, on SQLite and on a real MySQL and MariaDB."""

import gc
import itertools
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine

import config
from app import create_app
from config import Settings
from core.ops.host_memory import HostMemory
from core.services import Services
from harness.database_server import DatabaseServer
from harness.kinds import SERVERS, on
from harness.made_once import compile_routes_once, compile_statements_once
from harness.schema_copy import Copies, Recycled, is_fresh
from harness.service import PATIENT, SECRET, Service
from server.loopback import reach_directly
from server.prepare import upgrade
from tests.dns import Dns

if TYPE_CHECKING:
    from core.tracing.tracer import Tracer

_MEMORY = Path("/dev/shm")
_ROOM = 4 * 2**30  # bytes

_numbers = itertools.count(1)


# Tests that take long or want the machine for themselves. They run on MySQL; those that are marked `representative` run
# on MariaDB as well, and some of these, marked `every_run`, in `make test`. All other tests that touch a server run on
# both.
LONG = ("tests/races/", "tests/faults/", "tests/contract/test_sales_model.py")
# What starts whole services or commands: on MariaDB it is long as well. What they ask of MariaDB, other tests try.
LONG_ON_MARIADB = (
    "tests/core/live/test_served.py",
    "tests/test_cli.py",
    "tests/test_interrupted_setup.py",
    "tests/test_serve.py",
    "tests/test_server_settings.py",
    "tests/events/test_served.py",
    "tests/contract/test_schemathesis.py",
    "tests/core/ops/test_audit_money.py",
    "tests/core/payments/test_refunds.py",
    "tests/events/test_publisher.py",
    "tests/events/test_sequencer.py",
    "tests/resources/test_idempotency.py",
    "tests/test_migration_0012.py",
    "tests/test_schema.py",
    "tests/runbooks/test_backup.py",
)


def pytest_configure() -> None:
    reach_directly()
    compile_routes_once()
    compile_statements_once()
    # What the developer's own shell has set is not what is tested.
    for name in [name for name in os.environ if name.startswith(config.PREFIX) and "TEST" not in name]:
        del os.environ[name]
    # What a shell runs in the background ignores Ctrl-C, and so does all that it starts, which the tests end by it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored under nohup


def pytest_collection_finish() -> None:
    # What is loaded by now stays. Full collections that walked through it took a quarter of the time of all tests, and
    # each of them a second in which nothing else of the process ran: longer than some deadlines on a busy machine.
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 100)  # full ones are ten times rarer than by default


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        on_mariadb = item.get_closest_marker("mariadb") is not None
        if item.nodeid.startswith(LONG) or (on_mariadb and item.nodeid.startswith(LONG_ON_MARIADB)):
            item.add_marker("long")
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server_kind" not in metafunc.fixturenames:
        return
    only_mysql = metafunc.definition.nodeid.startswith(LONG)
    if only_mysql and metafunc.definition.get_closest_marker("representative") is None:
        kinds = ["mysql"]
    else:
        kinds = list(SERVERS)
    metafunc.parametrize("server_kind", [on(kind) for kind in kinds], indirect=True)


@pytest.fixture
def server_kind(request: pytest.FixtureRequest) -> str:
    """`mysql` or `mariadb`, the kind of server that this run of the test is on."""
    return request.param


def _shared(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    # In memory where there is room: what is killed or frozen is not shared, and a disk makes the tests wait.
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp(kind)
        if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"seckill-{kind}-", dir=_MEMORY)))
        server = SERVERS[kind](directory / "server")
        server.start()
        stack.callback(server.stop)
        yield server


@pytest.fixture(scope="session")
def mysql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """A server that many tests share. A test that kills or freezes its server takes `own_server`."""
    yield from _shared("mysql", tmp_path_factory)


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """The same of MariaDB."""
    yield from _shared("mariadb", tmp_path_factory)


@pytest.fixture
def server(request: pytest.FixtureRequest, server_kind: str) -> DatabaseServer:
    """The shared server, once of each kind."""
    return request.getfixturevalue(server_kind)


@pytest.fixture
def own_server(tmp_path: Path, server_kind: str) -> Iterator[DatabaseServer]:
    """A server for one test alone."""
    server = SERVERS[server_kind](tmp_path / "server")
    server.start()
    yield server
    server.stop()


def _empty_database(request: pytest.FixtureRequest, kind: str) -> Iterator[str]:
    """An empty database on the shared server, or on the one that SECKILL_TEST_DATABASE_URI names (then emptied)."""
    given = os.environ.get("SECKILL_TEST_DATABASE_URI")
    if given:
        _empty(given)
        yield given
        return
    server: DatabaseServer = request.getfixturevalue(kind)
    name = f"test_{next(_numbers)}_{uuid.uuid4().hex[:6]}"
    yield server.create_database(name)
    server.drop_database(name)


@pytest.fixture
def mysql_uri(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database on MySQL."""
    yield from _empty_database(request, "mysql")


@pytest.fixture
def mariadb_uri(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database on MariaDB."""
    yield from _empty_database(request, "mariadb")


@pytest.fixture
def server_uri(request: pytest.FixtureRequest, server_kind: str) -> str:
    """An empty database on a server, once of each kind."""
    return request.getfixturevalue(f"{server_kind}_uri")


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


@pytest.fixture(params=["sqlite", *map(on, SERVERS)])
def database_uri(request: pytest.FixtureRequest) -> str:
    """An empty database; the test runs once on each kind."""
    return request.getfixturevalue(f"{request.param}_uri")


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dns]:
    """The resolver of names, which can fall silent."""
    made = Dns(monkeypatch)
    yield made
    made.speak()


@pytest.fixture(scope="session")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    return Copies(tmp_path_factory.mktemp("copies"))


@pytest.fixture
def make_app(copies: Copies) -> Iterator[Callable[..., Flask]]:
    """Makes applications on a database, its tables there; settings by name."""
    made: list[Flask] = []

    def make(uri: str, host: HostMemory | None = None, tracer: "Tracer | None" = None, **settings: object) -> Flask:
        values = {
            "SQLALCHEMY_DATABASE_URI": uri,
            "SECRET_KEY": SECRET,
            # One address makes all requests here; what is tested about limits asks for them.
            "RATE_LIMITS": False,
            **PATIENT,
            **settings,
        }
        app = create_app(config.load(**values), host, tracer=tracer)
        engine = app.extensions["seckill"].database.engine
        if not copies.fill(engine):
            fresh = is_fresh(engine)
            upgrade(app)
            copies.learn(engine, fresh)
        made.append(app)
        return app

    yield make
    for app in made:
        services: Services = app.extensions["seckill"]
        # Else its threads wait for purchases until the last test has run: thousands of them, with all that they hold.
        services.checkout.close(seconds=0)
        services.database.engine.dispose()


@pytest.fixture(scope="session")
def recycled() -> dict[str, Recycled]:
    """The databases of each server that tests use one after the other."""
    return {}


@pytest.fixture(params=["sqlite", *map(on, SERVERS)])
def app_uri(request: pytest.FixtureRequest, recycled: dict[str, Recycled], copies: Copies) -> Iterator[str]:
    """A database without rows for one application, once on each kind. On a server its tables may be there."""
    kind = request.param
    if kind == "sqlite" or "SECKILL_TEST_DATABASE_URI" in os.environ:
        yield request.getfixturevalue(f"{kind}_uri")
        return
    databases = recycled.setdefault(kind, Recycled(request.getfixturevalue(kind), copies))
    uri = databases.take()
    yield uri
    databases.give_back(uri)


@pytest.fixture
def app(app_uri: str, make_app: Callable[..., Flask]) -> Flask:
    """An application on an empty database, once on each kind. TESTING is off, as in production."""
    return make_app(app_uri)


@pytest.fixture
def sqlite_app(make_app: Callable[..., Flask], sqlite_uri: str) -> Flask:
    return make_app(sqlite_uri)


@pytest.fixture
def services(app: Flask) -> Services:
    return app.extensions["seckill"]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def settings(services: Services) -> Settings:
    return services.settings


@pytest.fixture
def start_service(tmp_path: Path, copies: Copies) -> Iterator[Callable[..., Service]]:
    """Starts services: `start_service(uri, workers=4, threads=16, API_ORDER_LIMIT=3)`. They are PATIENT.

    An empty database has its tables before, where a copy is known: the migrations take a third of a start.
    """
    numbers = itertools.count()
    with ExitStack() as running:

        def start(uri: str, **options: object) -> Service:
            engine = create_engine(uri)
            copies.fill(engine)
            engine.dispose()
            log = tmp_path / f"service-{next(numbers)}.log"
            service = Service(uri, log, **{"fork": True, **PATIENT, **options})  # type: ignore[arg-type]
            running.callback(service.stop)
            return service

        yield start
