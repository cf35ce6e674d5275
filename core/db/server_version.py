"""Recognises the database server, and judges whether the service can run on it."""

import re
from dataclasses import dataclass

MYSQL = "MySQL"
MARIADB = "MariaDB"
UNKNOWN = "of an unknown kind"
# The versions that the tests run on.
RUN_ON = "MySQL 9.7.4 and MariaDB 10.11"
# Supported by us and by their makers. MySQL 8.0 ended its life in April 2026.
SUPPORTED: dict[str, tuple[int, ...]] = {MYSQL: (8, 4), MARIADB: (10, 6)}
# Older ones cannot have our tables: they lack CHECK, SKIP LOCKED or a collation that distinguishes trailing spaces.
POSSIBLE: dict[str, tuple[int, ...]] = {MYSQL: (8, 0, 17), MARIADB: (10, 6)}
# Servers that report a MySQL version without being MySQL, by the name in their version.
_OTHERS = {
    "tidb": "TiDB",
    "vitess": "Vitess",
    "oceanbase": "OceanBase",
    "polardb": "PolarDB",
    "singlestore": "SingleStore",
}


@dataclass(frozen=True)
class Server:
    """A database server. `version` has the numbers that are certain, which may be fewer than three."""

    product: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.version))}".rstrip()

    @property
    def refusal(self) -> str | None:
        """Why the service cannot run on it, in one line; None where it may."""
        if not self._older_than(POSSIBLE):
            return None
        return f"the server is {self}; {supported()} is needed"

    @property
    def warning(self) -> str | None:
        """A warning for a server that may work but is not supported; else None."""
        if self.product not in SUPPORTED:
            return f"the server is {self}, which nobody has tried; {supported()} is supported"
        if self._older_than(SUPPORTED) and self.refusal is None:
            return f"the server is {self}, which is no longer supported; {supported()} is"
        return None

    def _older_than(self, versions: dict[str, tuple[int, ...]]) -> bool:
        bound = versions.get(self.product, ())
        return self.version < bound[: len(self.version)]


def supported() -> str:
    """The supported servers, in words."""
    return (
        " or ".join(f"{product} {'.'.join(map(str, version))}" for product, version in SUPPORTED.items()) + " or newer"
    )


def server(reported: str) -> Server:
    """The server whose `SELECT VERSION()` is `reported`.

    MariaDB may put `5.5.5-` before its version, for old replicas. What follows the numbers (`-log`, a package's
    number, Percona's) does not count; Aurora reports `8.0.mysql_aurora.3.04.0`, so that the third number is unknown.
    """
    lower = reported.lower()
    if "mariadb" in lower:
        return Server(MARIADB, _numbers(lower.removeprefix("5.5.5-")))
    for mark, product in _OTHERS.items():
        if mark in lower:
            # Its own version, if it reports one, not the MySQL version that it imitates.
            return Server(product, _numbers(lower.partition(mark)[2].lstrip("-v")))
    numbers = _numbers(lower)
    return Server(MYSQL if numbers else UNKNOWN, numbers)


def _numbers(text: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+){0,2}(?![\d])", text)
    return tuple(map(int, found.group().split("."))) if found else ()
