"""serve.py as `make run` starts it: what it prints, what it refuses, and how it keeps and stops its workers."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import requests
import sqlalchemy
from flask import Flask
from sqlalchemy import insert, select

import config
from config import ROOT
from core.db.clock import utc_now
from core.db.database import patient_engine
from core.ops import background_jobs
from core.ops.host_memory import HostMemory
from core.services import Services
from harness.database_server import DatabaseServer, free_port
from harness.eventually import eventually
from harness.service import Service, environment
from models import SCHEMA_REVISION, IdempotencyKey
from server import worker
from tests.core.selling import Selling

Start = Callable[..., Service]


def _refused(env: dict[str, str]) -> str:
    """The one line with which the service refuses to start."""
    ended = subprocess.run(
        [sys.executable, ROOT / "serve.py"], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, ROOT / "serve.py", *arguments]
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("arguments", [["--port", "9000"], ["--database=mysql://u:hunter2@h/d"], ["run"], ["--help=x"]])
def test_an_argument_that_it_does_not_know_is_refused_in_one_line(arguments: list[str]) -> None:
    ended = _run(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: serve.py takes no arguments but --help")
    assert "hunter2" not in line


@pytest.mark.parametrize("argument", ["-h", "--help"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_help_names_whatever_may_be_set(argument: str, encoding: str) -> None:
    ended = _run(argument, PYTHONIOENCODING=encoding)
    assert (ended.returncode, ended.stderr) == (0, "")
    for name in ("HOST", "PORT", "WORKERS", "THREADS"):
        assert re.search(rf"\b{name} \(", ended.stdout)
    for name in config.Settings.model_fields:
        assert f"  SECKILL_{name}\n" in ended.stdout


def test_a_fresh_sqlite_service_sells_demo_goods_and_its_printed_lines_work_when_pasted(
    start_service: Start, sqlite_uri: str, tmp_path: Path
) -> None:
    service = start_service(sqlite_uri)
    items = requests.get(f"{service.url}/goods", timeout=60).json()["items"]
    assert sorted(item["status"] for item in items) == ["on_sale", "on_sale", "sold_out", "upcoming"]
    assert [item["stock"] for item in items if item["status"] == "on_sale" and not item["shippable"]] == [100]
    assert eventually(lambda: "Ctrl-C" in service.log.read_text())
    lines = [line.strip() for line in service.log.read_text().splitlines() if line.startswith("  curl")]
    buying, changing = (
        subprocess.run(["curl", "-s", *shlex.split(line)[1:]], capture_output=True, text=True, check=True, cwd=tmp_path)
        for line in lines
    )
    assert '"status":"pending"' in buying.stdout
    assert '"stock":109' in changing.stdout
    for page in re.findall(r"http://\S+(?:docs|openapi\.json)", service.log.read_text()):
        assert requests.get(page, timeout=60).status_code == 200


def test_a_worker_that_dies_is_replaced_however_often(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, workers=2)
    for _ in range(5):
        victim = service.worker_pids()[0]
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda gone=victim: len(set(service.worker_pids()) - {gone}) == 2, 15)
        service.wait_until_ready()


def test_all_workers_that_die_at_once_are_replaced(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, workers=4)
    for _ in range(3):
        victims = service.worker_pids()
        for victim in reversed(victims):
            os.kill(victim, signal.SIGKILL)
        assert eventually(lambda gone=victims: len(set(service.worker_pids()) - set(gone)) == 4)
        service.wait_until_ready()
    assert service.stop() == 0


def test_a_fault_of_the_supervisor_ends_the_service_and_all_workers(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, workers=3, without_guard=["supervisor_fails"])
    workers = service.worker_pids()
    os.kill(workers[1], signal.SIGKILL)
    assert service.process.wait(60) == 1
    assert "the supervisor failed, and the service ends: LookupError" in service.log.read_text()
    assert eventually(lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()])


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
def test_stopping_the_service_stops_all_of_it(start_service: Start, sqlite_uri: str, stop_signal: int) -> None:
    service = start_service(sqlite_uri, workers=2)
    pids = [service.process.pid, *service.worker_pids()]
    assert service.stop(stop_signal) == 0
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_workers_do_not_outlive_a_supervisor_that_was_killed(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, workers=2)
    workers = service.worker_pids()
    service.process.kill()
    service.process.wait()
    assert eventually(lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()])


def test_readyz_fails_before_the_workers_stop(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, DRAIN_SECONDS=300)
    service.process.terminate()
    assert eventually(lambda: requests.get(f"{service.url}/readyz", timeout=60).status_code == 503)
    assert requests.get(f"{service.url}/healthz", timeout=60).status_code == 200


def test_a_worker_at_rest_takes_at_most_a_hundred_and_ten_megabytes(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri)
    service.buy(1, "alice")
    (pid,) = service.worker_pids()
    resident: list[int] = []

    def is_small() -> bool:
        # What the start has freed is given back to the system a moment later. Alone it takes 91 MB; beside other tests
        # 102 MB were seen.
        status = Path(f"/proc/{pid}/status").read_text()
        resident.append(int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)))
        return resident[-1] <= 110 * 1024

    assert eventually(is_small), f"{resident[-1]} KiB"


def test_a_worker_that_dies_while_the_host_drains_is_replaced(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, DRAIN_SECONDS=300)
    service.process.terminate()
    assert eventually(lambda: requests.get(f"{service.url}/readyz", timeout=60).status_code == 503)
    (dead,) = service.worker_pids()
    os.kill(dead, signal.SIGKILL)
    assert eventually(lambda: len(set(service.worker_pids()) - {dead}) == 1)

    def answers() -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{service.url}/goods", timeout=60).ok
        return False

    assert eventually(answers)
    assert requests.get(f"{service.url}/readyz", timeout=60).status_code == 503
    assert service.stop() == 0


def test_an_unknown_setting_is_warned_about(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, API_ORDER_LIMITS=3)
    assert "warning: SECKILL_API_ORDER_LIMITS is no setting" in service.log.read_text()


def test_a_host_may_be_a_name(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, process_environment={"HOST": "localhost"})
    assert requests.get(f"http://localhost:{service.port}/goods", timeout=60).ok


# The service, but for a port that somebody takes once it was found free.
TAKEN = """
import socket, serve
from server.address import Address
free = Address.when_free
def when_free(self):
    address = free(self)
    global other
    other = socket.create_server((address.host, address.port))
    return address
Address.when_free = when_free
serve.main()
"""


def test_a_port_that_is_taken_meanwhile_ends_the_service(sqlite_uri: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TAKEN],
        env=environment(sqlite_uri) | {"PORT": str(free_port()), "WORKERS": "2"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (1, "error: no worker could start; the log says why\n")
    assert "a worker cannot serve: RuntimeError: Address already in use" in ended.stdout


def test_a_port_in_use_is_one_clear_line(start_service: Start, sqlite_uri: str) -> None:
    service = start_service(sqlite_uri)
    assert "Address already in use" in _refused(service.environment)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"API_ORDER_LIMIT": "none"}, "SECKILL_API_ORDER_LIMIT"),
        ({"PURCHASE_WAIT_SECONDS": "-1"}, "SECKILL_PURCHASE_WAIT_SECONDS"),
        ({"SECRET_KEY": ""}, "SECKILL_SECRET_KEY is needed"),
        ({"SECRET_KEY": "k" * 31}, "SECKILL_SECRET_KEY is too short"),
        ({"SECRET_KEY": "changeme" * 4}, "SECKILL_SECRET_KEY is a known example"),
        ({"SECRET_KEY_FALLBACKS": "short"}, "SECKILL_SECRET_KEY_FALLBACKS is too short"),
        ({}, "it cannot be reached (2003)"),
    ],
)
def test_a_start_that_cannot_work_is_refused_in_one_line(settings: dict[str, str], message: str) -> None:
    uri = f"mysql+mysqlconnector://buyer:hunter2@127.0.0.1:{free_port()}/shop"
    line = _refused(environment(uri, **settings) | {"PORT": str(free_port())})
    assert message in line
    assert "hunter2" not in line


def test_a_file_that_is_no_database_is_one_clear_line_that_promises_nothing(sqlite_uri: str) -> None:
    Path(sqlite_uri.removeprefix("sqlite:///")).write_text("a letter to somebody" * 100)
    line = _refused(environment(sqlite_uri) | {"PORT": str(free_port())})
    assert line.endswith("the file holds something else than an SQLite database (SQLITE_NOTADB)")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("root:wrong@127.0.0.1:{port}/mysql", "refused the user or the password (1045)"),
        ("root@127.0.0.1:{port}/nowhere", "no such database"),
    ],
)
def test_a_database_that_refuses_is_one_clear_line(server: DatabaseServer, address: str, message: str) -> None:
    uri = "mysql+mysqlconnector://" + address.format(port=server.port)
    assert message in _refused(environment(uri) | {"PORT": str(free_port())})


@pytest.mark.parametrize(
    ("option", "message"), [("foo=bar", "its address does not work"), ("connection_timeout=soon", "has a wrong value")]
)
def test_an_address_with_a_wrong_option_is_one_clear_line(server: DatabaseServer, option: str, message: str) -> None:
    uri = f"mysql+mysqlconnector://root@127.0.0.1:{server.port}/mysql?{option}"
    assert message in _refused(environment(uri) | {"PORT": str(free_port())})


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (["CREATE TABLE goods (id INT)"], "tables of somebody else"),
        (
            ["CREATE TABLE alembic_version (version_num VARCHAR(32))", "INSERT INTO alembic_version VALUES ('9999')"],
            "at 9999, which this release does not know",
        ),
        (
            [
                "CREATE TABLE alembic_version (version_num VARCHAR(32))",
                f"INSERT INTO alembic_version VALUES ('{SCHEMA_REVISION}')",
            ],
            "has no table",
        ),
    ],
)
def test_a_wrong_schema_is_one_clear_line(server_uri: str, made: list[str], message: str) -> None:
    engine = patient_engine(config.load(SQLALCHEMY_DATABASE_URI=server_uri, SECRET_KEY="k" * 32))
    with engine.begin() as connection:
        for statement in made:
            connection.exec_driver_sql(statement)
    assert message in _refused(environment(server_uri) | {"PORT": str(free_port())})


def test_on_mysql_the_schema_is_brought_up_to_date_and_nothing_is_seeded_or_shown(
    start_service: Start, server_uri: str
) -> None:
    service = start_service(server_uri)
    assert requests.get(f"{service.url}/goods", timeout=60).json()["items"] == []
    assert eventually(lambda: "Ctrl-C" in service.log.read_text())
    assert "Bearer ey" not in service.log.read_text()  # no token in the log of a real sale
    engine = sqlalchemy.create_engine(server_uri, connect_args={"collation": "utf8mb4_unicode_ci"})
    with engine.connect() as connection:
        assert sqlalchemy.inspect(connection).has_table("purchase_slots")
    engine.dispose()


def background_jobs_of(monkeypatch: pytest.MonkeyPatch, services: Services) -> dict[str, Callable[[], object]]:
    """What a worker does beside answering, by its name; nothing of it is begun."""
    begun: dict[str, Callable[[], object]] = {}
    monkeypatch.setattr(background_jobs, "start", lambda name, seconds, work: begun.__setitem__(name, work))
    worker.start_background_jobs(services)
    return begun


def test_a_worker_sweeps_until_its_host_drains(
    monkeypatch: pytest.MonkeyPatch, make_app: Callable[..., Flask], sqlite_uri: str
) -> None:
    host = HostMemory()
    services = make_app(sqlite_uri, host=host).extensions["seckill"]
    sweep = background_jobs_of(monkeypatch, services)["sweeper"]
    selling = Selling(services)
    order = selling.bought(selling.item())
    selling.make_overdue(order)
    host.draining = True
    sweep()
    assert selling.status(order) == "pending"
    host.draining = False
    sweep()
    assert selling.status(order) == "expired"


def test_with_the_sweeper_off_no_worker_sweeps(
    monkeypatch: pytest.MonkeyPatch, make_app: Callable[..., Flask], sqlite_uri: str
) -> None:
    begun = background_jobs_of(monkeypatch, make_app(sqlite_uri, SWEEPER=False).extensions["seckill"])
    assert not begun.keys() & {"sweeper", "old keys"}


def test_a_worker_forgets_old_idempotency_keys_until_its_host_drains(
    monkeypatch: pytest.MonkeyPatch, make_app: Callable[..., Flask], sqlite_uri: str
) -> None:
    host = HostMemory()
    services = make_app(sqlite_uri, host=host).extensions["seckill"]
    forget = background_jobs_of(monkeypatch, services)["old keys"]
    with services.database.engine.begin() as connection:
        long_ago = datetime.fromisoformat("2001-01-01T00:00:00+00:00")
        for key, kept_at in (("old", long_ago), ("new", utc_now())):
            connection.execute(insert(IdempotencyKey).values(user_id="a", idempotency_key=key, kept_at=kept_at))

    def keys() -> list[str]:
        with services.database.reading() as connection:
            return sorted(connection.execute(select(IdempotencyKey.idempotency_key)).scalars())

    host.draining = True
    forget()
    assert keys() == ["new", "old"]
    host.draining = False
    forget()
    assert keys() == ["new"]
