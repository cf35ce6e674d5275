"""docs/runbooks/backup.md, its lines as they stand: a copy of a real server is restored, and its audit is clean."""

import getpass
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from config import ROOT
from core.ops import audit
from harness import mysql
from harness.database_server import DatabaseServer
from harness.kinds import SERVERS
from harness.service import SECRET
from tests.core.selling import Selling

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
PAGE = (ROOT / "docs" / "runbooks" / "backup.md").read_text()


def lines(name: str) -> str:
    """The block of the page that is marked with a name."""
    (block,) = re.findall(rf"^```sh {name}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return block


@pytest.fixture
def shell(own_server: DatabaseServer, server_kind: str, tmp_path: Path) -> Callable[[str], str]:
    """Runs lines of the page where `mysql` and `mysqldump` are this server's, as they are on its host.

    What they say on standard error is returned.
    """
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("mysql", "mysqldump"):
        if server_kind == "mysql":
            command = mysql.program(name)
        else:
            command = [shutil.which({"mysql": "mariadb", "mysqldump": "mariadb-dump"}[name]) or name]
        address = ["--no-defaults", "-h127.0.0.1", f"-P{own_server.port}", "-uroot"]
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join([*command, *address])} "$@"\n')
        script.chmod(0o755)
    (folder / "seckill-ctl").symlink_to(ROOT / "deploy" / "seckill-ctl")
    env = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "DATABASE": "shop", "COPY": "shop_copy"}
    (only_mysql,) = re.findall(r'^ONLY_MYSQL="(.*?)"', PAGE, flags=re.MULTILINE)
    env |= {"BACKUP": str(tmp_path / "backup"), "CLONES": str(tmp_path / "clones")}
    env |= {"SECKILL_USER": getpass.getuser(), "SECKILL_ENV_FILE": str(tmp_path / "seckill.env")}
    env |= {"ONLY_MYSQL": only_mysql if server_kind == "mysql" else ""}

    def run(block: str) -> str:
        # Settings are files of this test's; neither the service nor the server has a user of its own here.
        block = re.sub(r" -[go] \w+", "", block.replace("/etc/seckill", f"{tmp_path}/seckill"))
        done = subprocess.run(
            ["bash", "-euc", block], env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stderr

    run(lines("folder"))
    return run


@pytest.fixture
def shop(own_server: DatabaseServer, make_app: Callable[..., Flask]) -> tuple[str, int]:
    """The address of a shop, and how many orders it has."""
    uri = own_server.create_database("shop")
    selling = Selling(make_app(uri).extensions["seckill"])
    item = selling.item(name="键盘 'x' \\ \"y\"", stock=100)
    for number in range(20):
        selling.bought(item, f"user-{number}")
    return uri, 20


def assert_whole(make_app: Callable[..., Flask], uri: str, orders: int) -> None:
    report = audit.run(make_app(uri).extensions["seckill"].settings)
    assert report.clean, [result for result in report.results if result.count]
    assert report.orders == orders


def test_a_dump_is_restored_and_its_audit_is_clean(
    shell: Callable[[str], str],
    shop: tuple[str, int],
    own_server: DatabaseServer,
    make_app: Callable[..., Flask],
    tmp_path: Path,
) -> None:
    uri, orders = shop
    connection = own_server.connect()
    for statement in re.findall(r"^(?:CREATE USER|GRANT) .*?;$", OPERATIONS, flags=re.MULTILINE):
        connection.cursor().execute(statement)
    connection.close()
    user = uri.replace("root@", "shop:…@")
    (tmp_path / "seckill.env").write_text(
        f"SECKILL_SQLALCHEMY_DATABASE_URI='{user}?connection_timeout=3'\nSECKILL_SECRET_KEY={SECRET}\n"
    )
    assert shell(lines("dump")) == ""
    shell(lines("restore"))
    output = shell(lines("audit"))
    assert re.findall(r"^Database: \S+/(\w+) ", output, flags=re.MULTILINE) == ["shop", "shop_copy"]
    assert_whole(make_app, f"{uri}_copy", orders)


def test_a_dump_that_was_cut_off_is_told(shell: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "backup" / "shop.sql").write_text("INSERT INTO orders VALUES (1);\n")
    (check,) = [line for line in lines("dump").splitlines() if line.startswith("tail ")]
    assert shell(check) == "the dump is incomplete\n"


@pytest.fixture
def restored(server_kind: str, tmp_path: Path) -> Iterator[Callable[[Path], DatabaseServer]]:
    """Starts a server of this kind on a copy of a data directory."""
    servers: list[DatabaseServer] = []

    def start(data: Path) -> DatabaseServer:
        server = SERVERS[server_kind](tmp_path / "restored")
        shutil.rmtree(tmp_path / "restored" / "data")
        shutil.copytree(data, tmp_path / "restored" / "data", symlinks=True)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


def test_a_cold_copy_of_the_data_is_a_server_whose_audit_is_clean(
    shell: Callable[[str], str],
    shop: tuple[str, int],
    own_server: DatabaseServer,
    restored: Callable[[Path], DatabaseServer],
    make_app: Callable[..., Flask],
    tmp_path: Path,
) -> None:
    _, orders = shop
    own_server.stop()
    (copy,) = [line for line in lines("cold").splitlines() if line.startswith("cp ")]
    shell(copy.replace("/var/lib/mysql", str(own_server.directory / "data")))
    server = restored(tmp_path / "backup" / "data")
    assert_whole(make_app, f"mysql+mysqlconnector://root@127.0.0.1:{server.port}/shop", orders)


def test_a_mysql_that_copies_itself_while_it_works_makes_a_server_whose_audit_is_clean(
    server_kind: str,
    shell: Callable[[str], str],
    shop: tuple[str, int],
    restored: Callable[[Path], DatabaseServer],
    make_app: Callable[..., Flask],
    tmp_path: Path,
) -> None:
    if server_kind != "mysql":
        pytest.skip("the plugin is MySQL's")
    shell(lines("clone"))
    server = restored(tmp_path / "clones" / "shop")
    assert_whole(make_app, f"mysql+mysqlconnector://root@127.0.0.1:{server.port}/shop", shop[1])
