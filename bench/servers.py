"""The servers that all contenders stand on: a database and Redis, each on a throw-away directory and a free port."""

from pathlib import Path
from typing import Any

from harness.database_server import DatabaseServer
from harness.mariadb import MariaDB
from harness.mysql import MySQL
from harness.redis import Redis, is_installed

# Sizes alone: what decides on durability is left as the server has it. The indexes of 10^7 orders have to fit into
# memory, as they would on a server that is bought for them.
_BUFFER_POOL = "--innodb-buffer-pool-size=4G"
_DURABILITY = (
    "version",
    "innodb_flush_log_at_trx_commit",
    "innodb_doublewrite",
    "innodb_flush_method",
    "log_bin",
    "binlog_format",
    "sync_binlog",
    "innodb_buffer_pool_size",
)


class BenchDatabase(DatabaseServer):
    """The tests' server with room for a large table."""

    def stop(self) -> None:
        """End the server at once: its data is thrown away, and there may be much of it to write back."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def durability(self) -> dict[str, str]:
        """The settings that decide how durable a COMMIT is, as the server reports them."""
        names = ", ".join(f"'{name}'" for name in _DURABILITY)
        return dict(self.rows(None, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})"))

    def rows(self, database: str | None, statement: str) -> list[Any]:
        """The rows that a statement returns."""
        connection = self.connect(database)
        try:
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.with_rows else []
        finally:
            connection.close()


class BenchMySQL(BenchDatabase, MySQL):
    """MySQL with its defaults: binary log, TLS."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, (_BUFFER_POOL, "--innodb-redo-log-capacity=1G"))


class BenchMariaDB(BenchDatabase, MariaDB):
    """MariaDB with its defaults: no binary log."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, (_BUFFER_POOL, "--innodb-log-file-size=1G"))


DATABASES: dict[str, type[BenchMySQL] | type[BenchMariaDB]] = {"mysql": BenchMySQL, "mariadb": BenchMariaDB}
PRODUCTS = {"mysql": "MySQL", "mariadb": "MariaDB"}


class BenchRedis(Redis):
    """A Redis server as it is without a configuration: snapshots (`save`), no append-only file, as on Debian."""

    def __init__(self, directory: Path) -> None:
        if not is_installed():
            raise RuntimeError("redis-server is not installed; bench/install_packages installs it")
        super().__init__(directory, options=())

    def durability(self) -> dict[str, str]:
        """The settings that decide how durable an answered write is, as the server reports them."""
        settings: Any = self.client.config_get("save", "appendonly")
        return {"version": self.client.info("server")["redis_version"], **settings}
