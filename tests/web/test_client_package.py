"""The client as a package: its types are those of the API, a bundler takes it, and a program made with it works."""

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from config import ROOT
from harness.client_types import CLIENT, PROGRAMS, TYPES, make_types
from harness.service import Service

pytestmark = pytest.mark.node
SOURCES = ROOT / "tests" / "web" / "client"


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the package, installed from its tarball."""
    folder = tmp_path_factory.mktemp("consumer")
    packed = json.loads(run("npm", "pack", "--json", "--pack-destination", folder, folder=CLIENT))
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    run("npm", "install", "--offline", "--no-audit", "--no-fund", f"./{packed[0]['filename']}", folder=folder)
    return folder


def test_the_types_are_those_of_the_api(tmp_path: Path) -> None:
    make_types(tmp_path / "api.d.ts")
    assert (tmp_path / "api.d.ts").read_text() == TYPES.read_text(), "run `make client-types`"


def test_the_package_holds_the_modules_and_their_types_alone(installed: Path) -> None:
    package = installed / "node_modules" / "seckill-client"
    held = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    modules = {path.name for path in CLIENT.glob("*.js")} | {path.name for path in CLIENT.glob("*.d.ts")}
    assert held == modules | {"package.json", "README.md", "LICENSE"}
    assert {path.name for path in (installed / "node_modules").iterdir()} <= {"seckill-client", ".package-lock.json"}


def test_the_lock_file_names_no_registry() -> None:
    assert "resolved" not in (CLIENT / "package-lock.json").read_text()


def test_a_program_compiles_under_the_strictest_settings_is_bundled_and_makes_the_whole_journey(
    installed: Path, start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    for name in ("journey.ts", "tsconfig.json"):
        shutil.copy(SOURCES / name, installed)
    types = installed / "node_modules" / "@types" / "process"
    types.mkdir(parents=True, exist_ok=True)
    (types / "index.d.ts").write_text("declare const process: { argv: string[] };\n")
    run(PROGRAMS / "tsc", "--project", ".", folder=installed)
    bundle = ("--bundle", "--format=esm", "--outfile=bundle.js")
    run(PROGRAMS / "esbuild", "journey.js", *bundle, folder=installed)

    service = start_service(sqlite_uri, PAYMENT_PROVIDER="test")
    start = datetime.now(timezone.utc) + timedelta(seconds=2)
    goods = service.create_goods(price=1000, per_user_limit=2, starts_at=start.isoformat())
    service.create_coupon()
    token = service.headers("alice")["Authorization"].removeprefix("Bearer ")
    for program in ("journey.js", "bundle.js"):
        result = json.loads(run("node", program, service.url, token, str(goods), folder=installed))
        assert (goods in result["upcoming"]) == (program == "journey.js")
        assert (result["total"], result["discount"]) == (1800, 200)
        assert result["steps"][-1] == "sending"
        assert (result["cancelled"], result["paid"], result["statuses"][:2]) == (
            "cancelled",
            "paid",
            ["paid", "cancelled"],
        )
        assert result["refused"] == ["limit_reached", 409, 2, "超出每位买家的限购数量。"]
        assert result["late"] is True
        assert result["pending"] is None
        goods = service.create_goods(price=1000, per_user_limit=2)


def test_a_wrong_program_does_not_compile(installed: Path, tmp_path: Path) -> None:
    """Whether the test above would notice types that take anything."""
    shutil.copytree(installed, tmp_path / "wrong")
    text = (SOURCES / "journey.ts").read_text()
    for right, wrong in (
        ('status: "upcoming"', 'status: "soon"'),
        ("quantity: 2, coupon_code", 'quantity: "2", coupon_code'),
        ("bought.order.order_no", "bought.order_no"),
        ("progress.code", "progress.cod"),
    ):
        assert right in text
        (tmp_path / "wrong" / "journey.ts").write_text(text.replace(right, wrong, 1))
        shutil.copy(SOURCES / "tsconfig.json", tmp_path / "wrong")
        done = subprocess.run([PROGRAMS / "tsc", "--project", "."], cwd=tmp_path / "wrong", timeout=250, check=False)
        assert done.returncode != 0, wrong
