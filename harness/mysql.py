"""A MySQL server of the tests' own, from the folder that `install_mysql` prints."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from harness.database_server import DatabaseServer, as_root

_INSTALL = Path(__file__).with_name("install_mysql")


class MySQL(DatabaseServer):
    """MySQL with the defaults of a fresh one: binary log, `caching_sha2_password`, TLS by its own certificates."""

    mariadb = False

    def make_data_directory(self) -> None:
        # --initialize takes seconds, a copy of its result a tenth of one.
        shutil.copytree(_initialized(), self.directory / "data", symlinks=True)

    def server_command(self) -> list[str]:
        return [
            *program("mysqld"),
            "--no-defaults",
            f"--basedir={_folder()}",
            "--mysqlx=OFF",
            "--secure-file-priv=NULL",
        ]


@cache
def _root() -> Path:
    """Where `install_mysql` found or unpacked the server. Raises RuntimeError with its message."""
    result = subprocess.run([_INSTALL], capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(result.stderr.strip())
    return Path(result.stdout.strip())


def _folder() -> Path:
    """The folder that has sbin/mysqld, lib and share."""
    return _root() / "usr" if (_root() / "complete").exists() else _root()


def program(name: str) -> list[str]:
    """The command that runs a program of this MySQL, by the loader and the libraries that it came with."""
    found = next(path for path in (_folder() / "sbin" / name, _folder() / "bin" / name) if path.exists())
    if not (_root() / "complete").exists():
        return [str(found)]
    loader = next((_folder() / "lib").glob("*/ld-linux-*.so.*"))
    return [str(loader), "--library-path", str(loader.parent), str(found)]


@cache
def _initialized() -> Path:
    """An initialised data directory, made once for each version of the server and shared by all test runs."""
    version = subprocess.run([*program("mysqld"), "--version"], capture_output=True, text=True, check=True).stdout
    number = version.partition(" Ver ")[2].split()[0]
    cache_folder = Path(
        os.environ.get("SECKILL_TEST_MYSQL_DIR")
        or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flash-sale"
    )
    cache_folder.mkdir(parents=True, exist_ok=True)
    made = cache_folder / f"data-{number}"
    with (cache_folder / "data.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=cache_folder) as draft:
                data = Path(draft) / "data"
                command = [*program("mysqld"), "--no-defaults", f"--basedir={_folder()}", f"--datadir={data}"]
                options = ["--initialize-insecure", "--secure-file-priv=NULL", "--innodb-redo-log-capacity=16M"]
                subprocess.run([*command, *options, *as_root()], check=True, capture_output=True)
                (data / "auto.cnf").unlink()  # each server makes an id of its own
                data.rename(made)
    return made
