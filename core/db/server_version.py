"""Which database server this is, and whether it can be sold on: the one place that judges versions."""

import re
from dataclasses import dataclass

MYSQL = "MySQL"
MARIADB = "MariaDB"
UNKNOWN = "of an unknown kind"
# What the tests run on.
RUN_ON = "MySQL 9.7.4 and MariaDB 10.11"
# Supported by us and by their makers. MySQL 8.0 ended its life in April 2026.
SUPPORTED: dict[str, tuple[int, ...]] = {MYSQL: (8, 4), MARIADB: (10, 6)}
# Older ones cannot have our tables: they lack CHECK, SKIP LOCKED or a collation under which a trailing space counts.
POSSIBLE: dict[str, tuple[int, ...]] = {MYSQL: (8, 0, 17), MARIADB: (10, 6)}
# Servers that say MySQL's version and are not MySQL, by what their version says beside it.
_OTHERS = {
    "tidb": "TiDB",
    "vitess": "Vitess",
    "oceanbase": "OceanBase",
    "polardb": "PolarDB",
    "singlestore": "SingleStore",
}


@dataclass(frozen=True)
class Server:
    """A database server. `version` has the numbers that are known for certain, which may be fewer than three."""

    product: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.version))}".rstrip()

    @property
    def refusal(self) -> str | None:
        """Why it cannot be sold on, in one line; None where it may be tried."""
        if not self._older_than(POSSIBLE):
            return None
        return f"the server is {self}; {supported()} is needed"

    @property
    def warning(self) -> str | None:
        """What is to be known of a server that may be tried and that nobody supports; else None."""
        if self.product not in SUPPORTED:
            return f"the server is {self}, which nobody has tried; {supported()} is supported"
        if self._older_than(SUPPORTED) and self.refusal is None:
            return f"the server is {self}, which is no longer supported; {supported()} is"
        return None

    def _older_than(self, versions: dict[str, tuple[int, ...]]) -> bool:
        bound = versions.get(self.product, ())
        return self.version < bound[: len(self.version)]


def supported() -> str:
    """The servers that are supported, in words."""
    return (
        " or ".join(f"{product} {'.'.join(map(str, version))}" for product, version in SUPPORTED.items()) + " or newer"
    )


def server(told: str) -> Server:
    """The server whose `SELECT VERSION()` is `told`.

    MariaDB may say `5.5.5-` ahead of its version, for old replicas. What follows the numbers (`-log`, a package's
    number, Percona's) does not count; Aurora says `8.0.mysql_aurora.3.04.0`, so that the third number is unknown.
    """
    lower = told.lower()
    if "mariadb" in lower:
        return Server(MARIADB, _numbers(lower.removeprefix("5.5.5-")))
    for mark, product in _OTHERS.items():
        if mark in lower:
            # Its own version, where it says one, not that of the MySQL that it speaks like.
            return Server(product, _numbers(lower.partition(mark)[2].lstrip("-v")))
    numbers = _numbers(lower)
    return Server(MYSQL if numbers else UNKNOWN, numbers)


def _numbers(text: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+){0,2}(?![\d])", text)
    return tuple(map(int, found.group().split("."))) if found else ()
