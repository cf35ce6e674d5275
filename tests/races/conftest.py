"""Four workers that race each other on a database server."""

from collections.abc import Callable, Iterator

import pytest

from harness.database_server import DatabaseServer
from harness.service import Service
from tests.races.inside import Inside

# Longer, and more lock waits, than many clients take on a busy machine: nobody is to be answered `busy` where exact
# numbers are counted.
PATIENCE = {"PURCHASE_WAIT_SECONDS": 40, "TRANSACTION_ATTEMPTS": 40}


@pytest.fixture
def own_uri(server: DatabaseServer) -> Iterator[str]:
    """An empty database on the server that the tests started: a given one may not be looked into, nor killed."""
    with server.throwaway_database() as uri:
        yield uri


@pytest.fixture
def inside(server: DatabaseServer, own_uri: str) -> Inside:
    return Inside(server, own_uri)


@pytest.fixture
def four_workers(own_uri: str, start_service: Callable[..., Service]) -> Callable[..., Service]:
    """Starts four workers on a database server, with the guards out that are named; settings by keyword."""
    return lambda *without_guard, **settings: start_service(
        own_uri, workers=4, without_guard=without_guard, **{**PATIENCE, **settings}
    )
