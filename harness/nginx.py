"""An nginx of the tests' own, from deploy/nginx.conf, on a throw-away directory and a free port."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from config import ROOT
from harness.database_server import free_port

CONFIG = ROOT / "deploy" / "nginx.conf"
START_SECONDS = 60
_PATH = os.environ["PATH"] + os.pathsep + "/usr/sbin"


def program() -> str:
    found = shutil.which("nginx", path=_PATH)
    if found is None:
        raise RuntimeError("nginx is not installed; `make test-packages` installs it")
    return found


def has_ipv6() -> bool:
    """Whether this host has the loopback address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def configuration(directory: Path, port: int, upstream_ports: list[int], changes: Mapping[str, str]) -> str:
    """deploy/nginx.conf with other ports and paths, and nothing else but `changes`.

    Each text that is replaced must be there: a test of a guard that was renamed would test nothing.
    """
    upstreams = "\n".join(f"server 127.0.0.1:{upstream};" for upstream in upstream_ports)
    # Without root nobody can become www-data; as root www-data could not get at the tests' directory.
    user = "user root;" if os.geteuid() == 0 else ""
    # These three are nginx's defaults, made at its start although nothing uses them.
    unused = "".join(f"{name}_temp_path {directory / name};" for name in ("fastcgi", "uwsgi", "scgi"))
    text = CONFIG.read_text()
    for old, new in {
        "user www-data;": user,
        "listen 80 default_server backlog=4096;": f"listen 127.0.0.1:{port} default_server backlog=4096;",
        "listen [::]:80 default_server backlog=4096;": (
            f"listen [::1]:{port} default_server backlog=4096;" if has_ipv6() else ""
        ),
        "server 127.0.0.1:8000;": upstreams,
        "/run/nginx.pid": str(directory / "pid"),
        "/var/log/nginx/": f"{directory}/",
        "/var/lib/nginx/": f"{directory}/",
        "http {": "http {" + unused,
        **changes,
    }.items():
        assert old in text, f"deploy/nginx.conf has no {old!r}"
        text = text.replace(old, new)
    return text


class Nginx:
    """One nginx before `upstream_ports`; `changes` are made to its configuration, to take a guard out."""

    def __init__(self, directory: Path, *upstream_ports: int, changes: Mapping[str, str] | None = None) -> None:
        directory.mkdir()
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        text = configuration(directory, self.port, list(upstream_ports), changes or {})
        (directory / "nginx.conf").write_text(text)
        self._command = [program(), "-p", f"{directory}/", "-c", f"{directory}/nginx.conf"]
        # Its first lines go where its configuration does not reach yet.
        self._early = (directory / "early.log").open("wb")
        self._process = subprocess.Popen(
            [*self._command, "-g", "daemon off;"], stdout=self._early, stderr=self._early, cwd=directory
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"nginx did not start:\n{(self.directory / 'early.log').read_text()}")

    def check(self) -> subprocess.CompletedProcess[str]:
        """`nginx -t` on this configuration."""
        return subprocess.run([*self._command, "-t"], capture_output=True, text=True, timeout=30, check=False)

    def stop(self) -> None:
        """Stop nginx and its workers, and wait for their end."""
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._early.close()
