"""The package: its wheel has all that the service needs, and runs from any folder; it writes nothing beside itself."""

import contextlib
import os
import signal
import site
import subprocess
import sys
import tomllib
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from config import ROOT
from core.tokens import Tokens
from core.version import __version__
from harness import env_example
from harness.database_server import free_port
from harness.eventually import eventually
from harness.service import SECRET

Run = Callable[..., subprocess.CompletedProcess[str]]


def _environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SECKILL_", "PYTHON"))}
    return kept | {"SECKILL_SECRET_KEY": SECRET, "SECKILL_RATE_LIMITS": "off", **more}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; what it depends on is that of the tests."""
    folder = tmp_path_factory.mktemp("package")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder / "wheels"]
    subprocess.run(build, cwd=ROOT, check=True, timeout=100)
    (wheel,) = (folder / "wheels").iterdir()
    assert wheel.name.startswith(f"flash_sale-{__version__}-")
    venv.create(folder / "venv")
    program = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", program, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, timeout=100)
    (packages,) = (folder / "venv" / "lib").glob("python3*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return folder / "venv"


@pytest.fixture
def seckill(installed: Path, tmp_path: Path) -> Run:
    """Runs the program in an empty folder: `seckill("doctor", SECKILL_INSTANCE="…")`."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        return subprocess.run(
            [installed / "bin" / "seckill", *arguments],
            cwd=tmp_path / "elsewhere",
            env=_environment(**environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@contextlib.contextmanager
def _serving(installed: Path, folder: Path, **environment: str) -> Iterator[str]:
    port = free_port()
    env = _environment(PORT=str(port), WORKERS="1", **environment)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [installed / "bin" / "seckill", "serve"], cwd=folder, env=env, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{url}/readyz", timeout=2).ok
        return False

    try:
        assert eventually(is_ready)
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_the_wheel_serves_and_sells_from_another_folder(installed: Path, seckill: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    instance = home / ".local" / "share" / "seckill"
    before = {path for path in installed.rglob("*") if "__pycache__" not in path.parts}
    with _serving(installed, elsewhere, HOME=str(home)) as url:
        buyer = {"Authorization": f"Bearer {Tokens(SECRET).issue('alice')}"}
        assert requests.post(f"{url}/seckill/1", headers=buyer, timeout=20).status_code == 201
        assert requests.get(f"{url}/openapi.json", timeout=20).json()["info"]["version"] == __version__
        for page in ("/", "/admin", "/docs", "/problems/sold_out", "/static/client/v1/seckill.js"):
            assert requests.get(url + page, timeout=20).ok, page
        audit = seckill("audit", HOME=str(home))
        assert audit.returncode == 0, audit.stderr
    assert {path.name for path in instance.iterdir()} >= {"seckill.db"}
    assert {path for path in installed.rglob("*") if "__pycache__" not in path.parts} == before
    assert [path.name for path in elsewhere.iterdir()] == ["log"]


def test_it_keeps_what_it_writes_where_it_is_told(seckill: Run, tmp_path: Path) -> None:
    ended = seckill("init-db", HOME="/nowhere", SECKILL_INSTANCE=str(tmp_path / "kept"))
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "kept" / "seckill.db").exists()
    ended = seckill("init-db", HOME="/nowhere", XDG_DATA_HOME=str(tmp_path / "data"))
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "data" / "seckill" / "seckill.db").exists()


def test_help_and_version_need_no_settings(seckill: Run) -> None:
    version = seckill("--version", SECKILL_SQLALCHEMY_DATABASE_URI="wrong")
    assert (version.returncode, version.stdout) == (0, f"seckill, version {__version__}\n")
    shown = seckill("--help", SECKILL_SQLALCHEMY_DATABASE_URI="wrong")
    assert (shown.returncode, shown.stderr) == (0, "")
    for name in ("serve", "init-db", "doctor", "audit", "token"):
        assert f"\n  {name} " in shown.stdout


def test_wrong_settings_are_one_line(seckill: Run) -> None:
    ended = seckill("doctor", SECKILL_SQLALCHEMY_DATABASE_URI="wrong")
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("Error: SECKILL_SQLALCHEMY_DATABASE_URI")


def test_serve_takes_no_arguments(seckill: Run) -> None:
    ended = seckill("serve", "--port=9000")
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: seckill serve takes no arguments")


def test_a_health_check_tells_whether_the_service_answers(installed: Path, tmp_path: Path) -> None:
    check = [installed / "bin" / "python", "-m", "seckill.healthcheck"]
    nobody = subprocess.run(
        check, env=_environment(PORT=str(free_port())), capture_output=True, timeout=60, check=False
    )
    assert nobody.returncode == 1
    with _serving(installed, tmp_path, SECKILL_INSTANCE=str(tmp_path / "instance")) as url:
        port = url.rpartition(":")[2]
        env = _environment(PORT=port, HOST="0.0.0.0", http_proxy="http://127.0.0.1:9")
        assert eventually(lambda: subprocess.run(check, env=env, timeout=60, check=False).returncode == 0)


def test_the_release_is_named_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"\n## {__version__} " in changelog
    for path in (ROOT / "compose.yaml", *(ROOT / "deploy" / "kubernetes").glob("*.yaml")):
        text = path.read_text()
        assert text.count("flash-sale:") == text.count(f"flash-sale:{__version__}")


def _pins(name: str) -> dict[str, str]:
    """The versions in a file of requirements, by package."""
    lines = (line.split() for line in (ROOT / name).read_text().splitlines())
    pairs = (words[0].split("==") for words in lines if words and "==" in words[0])
    return dict(pairs)


def test_every_package_that_the_project_names_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned, with_traces = _pins("requirements.txt"), _pins("requirements/traces.txt")
    for packages, named in (
        (pinned, project["dependencies"]),
        (with_traces, project["optional-dependencies"]["traces"]),
    ):
        assert {needed.partition(">")[0].partition("[")[0] for needed in named} <= packages.keys()
    assert pinned.items() <= with_traces.items()


def test_the_example_of_a_file_of_settings_is_that_of_config() -> None:
    assert env_example.TARGET.read_text() == env_example.text()
