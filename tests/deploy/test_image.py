"""The Dockerfile: podman builds it, and what it makes sells with a root that is read-only, drains and ends with 0.

It needs root, and Debian's podman, runc and debootstrap; `make test-image` installs them and makes the base image.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from config import ROOT
from core.tokens import Tokens
from core.version import __version__
from harness.database_server import DatabaseServer, free_port
from harness.eventually import eventually
from harness.service import SECRET

IMAGE = "localhost/flash-sale:test"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# The defaults of podman may be above what this host allows.
LIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")

pytestmark = [pytest.mark.image, pytest.mark.timeout(1800)]


def _podman(*arguments: object, check: bool = True) -> str:
    ended = subprocess.run(
        ["podman", "--runtime", "runc", *map(str, arguments)], capture_output=True, text=True, timeout=1500, check=False
    )
    assert ended.returncode == 0 or not check, ended.stderr[-3000:]
    return ended.stdout.strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of this checkout, in the format that knows health checks. pip trusts whom it trusts on this host."""
    pip = tmp_path_factory.mktemp("image") / "pip.conf"
    pip.write_text("[global]\ncert = /host-certificates.pem\n")
    mounts = ("-v", f"{CERTIFICATES}:/host-certificates.pem:ro", "-v", f"{pip}:/etc/pip.conf:ro")
    _podman("build", "--format=docker", "--pull=never", "--network=host", *mounts, "-t", IMAGE, ROOT)
    return IMAGE


class Container:
    """A container on this host's network, its root read-only, without any capability."""

    def __init__(self, *options: str, port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.id = _podman(
            "run",
            "--detach",
            "--read-only",
            "--cap-drop=all",
            "--security-opt=no-new-privileges",
            "--network=host",
            *LIMITS,
            *("-e", "HOST=127.0.0.1", "-e", f"PORT={self.port}", "-e", "WORKERS=1"),
            *options,
            IMAGE,
        )

    def state(self) -> dict:
        return json.loads(_podman("inspect", "--format", "{{json .State}}", self.id))

    def log(self) -> str:
        return subprocess.run(["podman", "logs", self.id], capture_output=True, text=True, check=True).stderr

    def is_healthy(self) -> bool:
        """Whether the image's own health check says so."""
        assert self.state()["Running"], self.log()
        command = ["podman", "--runtime", "runc", "healthcheck", "run", self.id]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def buy(self, user: str, goods_id: int = 1) -> requests.Response:
        headers = {"Authorization": f"Bearer {Tokens(SECRET).issue(user)}"}
        return requests.post(f"{self.url}/seckill/{goods_id}", headers=headers, timeout=30)

    def remove(self) -> None:
        _podman("rm", "--force", self.id, check=False)


@pytest.fixture
def start(image: str) -> Iterator[Callable[..., Container]]:
    running: list[Container] = []

    def started(*options: str) -> Container:
        running.append(Container(*options))
        assert eventually(running[-1].is_healthy, seconds=100)  # the first one reads the whole image from the disk
        return running[-1]

    yield started
    for container in running:
        container.remove()


def test_it_sells_from_its_embedded_database_drains_and_ends_with_0(start: Callable[..., Container]) -> None:
    # Only the database's folder can be written, by the user of the image.
    container = start("--tmpfs=/tmp", "--volume=/var/lib/seckill", "-e", f"SECKILL_SECRET_KEY={SECRET}")
    assert eventually(lambda: requests.get(f"{container.url}/readyz", timeout=5).ok)
    assert container.buy("alice").status_code == 201
    inside = ["podman", "--runtime", "runc", "exec", container.id]
    _podman("exec", container.id, "seckill", "audit")
    assert _podman("exec", container.id, "seckill", "--version") == f"seckill, version {__version__}"
    assert _podman("exec", container.id, "id", "-u") == "10001"
    written = subprocess.run([*inside, "touch", "/opt/seckill/x"], capture_output=True, text=True, check=False)
    assert "Read-only file system" in written.stderr
    # One tree: the supervisor is process 1, and nothing else is started beside it.
    parents = _podman("exec", container.id, "sh", "-c", "cat /proc/[0-9]*/stat").splitlines()
    serving = [line for line in parents if re.search(r"\((seckill|python3?[.0-9]*)\)", line)]
    assert len(serving) >= 2
    assert {re.search(r"\) \S (\d+) ", line)[1] for line in serving} == {"0", "1"}
    _podman("stop", "--time", "40", container.id)
    assert container.state()["ExitCode"] == 0, container.log()


def test_it_sells_from_a_server_with_secrets_from_files_and_nothing_that_it_can_write(
    start: Callable[..., Container], mysql: DatabaseServer, tmp_path: Path
) -> None:
    (tmp_path / "SECKILL_SECRET_KEY").write_text(f"{SECRET}\n")
    uri = mysql.create_database("image")
    (tmp_path / "SECKILL_SQLALCHEMY_DATABASE_URI").write_text(f"{uri}\n")
    for path in (tmp_path, *tmp_path.iterdir()):
        path.chmod(0o755)
    files = ("--tmpfs=/tmp", f"--volume={tmp_path}:/run/secrets:ro", "-e", "SECKILL_SECRETS_DIR=/run/secrets")
    container = start(*files)
    assert eventually(lambda: requests.get(f"{container.url}/readyz", timeout=5).ok)
    admin = {"Authorization": f"Bearer {Tokens(SECRET).issue('operator', True)}"}
    item = {"name": "item", "currency": "CNY", "price": 100, "stock": 1}
    made = requests.post(f"{container.url}/goods", json=item, headers=admin, timeout=20)
    assert made.status_code == 201
    assert container.buy("alice", made.json()["id"]).status_code == 201
    assert container.buy("bob", made.json()["id"]).status_code == 409
    _podman("exec", container.id, "seckill", "audit")
    _podman("stop", "--time", "40", container.id)
    assert container.state()["ExitCode"] == 0, container.log()
    mysql.drop_database("image")


def test_it_says_in_one_line_why_it_does_not_serve(image: str) -> None:
    options = ("-e", "SECKILL_SQLALCHEMY_DATABASE_URI=mysql+mysqlconnector://u:p@h/d")
    ended = subprocess.run(
        ["podman", "--runtime", "runc", "run", "--rm", "--no-healthcheck", "--network=none", *LIMITS, *options, image],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: SECKILL_SECRET_KEY")
