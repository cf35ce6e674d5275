"""A MariaDB server of the tests' own, on a throw-away directory and a free port."""

import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mysql.connector

_PATH = os.environ["PATH"] + os.pathsep + "/usr/sbin"
START_SECONDS = 30


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise RuntimeError(f"{name} is not installed; `make test-packages` installs it")
    return found


class MariaDB:
    """One server. It can be killed, frozen and started again on the same data."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        root = ["--user=root"] if os.geteuid() == 0 else []
        subprocess.run(
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={directory / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                *root,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self._command = [
            _program("mariadbd"),
            "--no-defaults",
            f"--datadir={directory / 'data'}",
            f"--tmpdir={directory}",  # another server that starts would clear the common one
            f"--socket={directory / 'sock'}",
            f"--pid-file={directory / 'pid'}",
            f"--log-error={directory / 'error.log'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--innodb-buffer-pool-size=128M",
            "--max-connections=500",
            *root,
        ]

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except mysql.connector.Error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def connect(self, database: str | None = None):
        """A connection as root, committing by itself."""
        return mysql.connector.connect(
            host="127.0.0.1",
            port=self.port,
            user="root",
            database=database,
            autocommit=True,
            use_pure=True,
            charset="utf8mb4",
            collation="utf8mb4_unicode_ci",
            connection_timeout=5,
        )

    def create_database(self, name: str) -> str:
        """A new, empty database; returns its address for SQLALCHEMY_DATABASE_URI."""
        connection = self.connect()
        connection.cursor().execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        connection.close()
        return f"mysql+mysqlconnector://root@127.0.0.1:{self.port}/{name}"

    def drop_database(self, name: str) -> None:
        connection = self.connect()
        connection.cursor().execute(f"DROP DATABASE IF EXISTS {name}")
        connection.close()

    @contextmanager
    def throwaway_database(self) -> Iterator[str]:
        """The address of a new, empty database, dropped at the end."""
        name = f"throwaway_{uuid.uuid4().hex[:8]}"
        try:
            yield self.create_database(name)
        finally:
            self.drop_database(name)

    def kill(self) -> None:
        """End the server as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Let the server do nothing and answer nobody, its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(timeout=30)
