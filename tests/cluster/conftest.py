"""A group of three MySQL servers, and one address that follows its primary."""

import os
from collections.abc import Iterator

import pytest

from harness.group import Group
from harness.primary_proxy import PrimaryProxy


@pytest.fixture(scope="session")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """A group with a single primary. A test leaves it with all members ONLINE."""
    # EXPEL_TIMEOUT=5 is the server's default: to measure with it.
    expel = f"--loose-group-replication-member-expel-timeout={os.environ.get('EXPEL_TIMEOUT', '0')}"
    group = Group(tmp_path_factory.mktemp("group"), options=[expel])
    try:
        group.start()
        yield group
    finally:
        group.stop()


@pytest.fixture(scope="session")
def proxy(group: Group) -> Iterator[PrimaryProxy]:
    proxy = PrimaryProxy([member.port for member in group.members])
    yield proxy
    proxy.close()
