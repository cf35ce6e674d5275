"""A Redis server of the tests' own, on a throw-away directory and a free port of the loopback interface."""

import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import redis

from harness.database_server import free_port

START_SECONDS = 60


def is_installed() -> bool:
    return shutil.which("redis-server") is not None


class Redis:
    """One server. It can be frozen, stopped, and started again on the same port."""

    def __init__(self, directory: Path, options: Sequence[str] = ("--save", "")) -> None:
        """`options` are added to the server's command line; by default it keeps nothing over a restart."""
        directory.mkdir()
        self._options = options
        self._directory = directory
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis(host="127.0.0.1", port=self.port, decode_responses=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        self._process = subprocess.Popen(
            [*command, *self._options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def freeze(self) -> None:
        """Let the server do nothing and answer nobody, its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """End the server, frozen or not."""
        self.client.close()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(timeout=60)
