"""The kinds of database server that the tests run on."""

from typing import Any

import pytest

from harness.mariadb import MariaDB
from harness.mysql import MySQL

SERVERS = {"mysql": MySQL, "mariadb": MariaDB}


def on(kind: str) -> Any:
    """The parameter `kind`, with the marker of its name."""
    return pytest.param(kind, marks=getattr(pytest.mark, kind))
