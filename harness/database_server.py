"""A database server of the tests' own, on a throw-away directory and a free port."""

import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import mysql.connector

_PATH = os.environ["PATH"] + os.pathsep + "/usr/sbin"
START_SECONDS = 60
CONNECT_SECONDS = 30  # a server may stand still for some


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name: str) -> str:
    """The path of an installed program. Raises RuntimeError when it is missing."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise RuntimeError(f"{name} is not installed; `make test-packages` installs it")
    return found


class DatabaseServer:
    """One server. It can be killed, frozen and started again on the same data."""

    mariadb: bool

    def __init__(self, directory: Path, options: Sequence[str] = ()) -> None:
        """Makes the data directory; `options` are added to the server's command line."""
        self.directory = directory
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        self.make_data_directory()
        self._command = [
            *self.server_command(),
            f"--datadir={directory / 'data'}",
            f"--tmpdir={directory}",  # another server that starts would clear the common one
            f"--socket={_socket_path(directory)}",
            f"--pid-file={directory / 'pid'}",
            f"--log-error={directory / 'error.log'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--innodb-buffer-pool-size=128M",
            "--innodb-use-native-aio=0",  # of which a host has a limited number; many servers run side by side here
            "--max-connections=500",
            *as_root(),
            *options,
        ]

    def make_data_directory(self) -> None:
        """Make `directory`/data, with the user root who has no password."""
        raise NotImplementedError

    def server_command(self) -> list[str]:
        """The server's program and the options that only this product knows."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except mysql.connector.Error as error:
                ended = self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    log = (self.directory / "error.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{type(self).__name__} does not start:\n{log}") from error
                time.sleep(0.05)

    def connect(self, database: str | None = None, seconds: int = CONNECT_SECONDS):
        """A connection as root, committing by itself. Waits for it no longer than so many seconds."""
        return mysql.connector.connect(
            host="127.0.0.1",
            port=self.port,
            user="root",
            database=database,
            autocommit=True,
            use_pure=True,
            ssl_disabled=True,
            charset="utf8mb4",
            collation="utf8mb4_unicode_ci",
            connection_timeout=seconds,
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

    def deadlocks(self) -> int:
        """How many deadlocks the server has met since it was started."""
        connection = self.connect()
        cursor = connection.cursor()
        cursor.execute("SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'lock_deadlocks'")
        (count,) = cursor.fetchone()
        connection.close()
        return int(count)

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
            self._process.wait(timeout=60)


def numbers(count: int, name: str = "numbers") -> str:
    """A table in SQL, `name`, whose column `seq` has 1 to `count`; MySQL and MariaDB have no other in common."""
    array = f"CONCAT('[', REPEAT('0,', {count - 1}), '0]')"
    return f"JSON_TABLE({array}, '$[*]' COLUMNS (seq FOR ORDINALITY)) {name}"


def as_root() -> list[str]:
    """The options that a server needs when the tests run as root."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _socket_path(directory: Path) -> Path:
    # The address of a socket has 107 bytes at most.
    path = directory / "sock"
    return path if len(os.fsencode(path)) < 100 else Path(f"/tmp/flash-sale-{uuid.uuid4().hex[:12]}.sock")
