"""`kill -9` of the database server while clients buy."""

import time
from collections.abc import Callable

import pytest

from harness.database_server import DatabaseServer
from harness.service import Service
from tests.faults.buyers import Buyers, assert_nothing_lost
from tests.races.inside import Inside

# Few: while the server is gone, each asks again and again.
BUYERS = {"items": 2, "threads": 8}


def survive_a_database_kill(server: DatabaseServer, service: Service, inside: Inside, buyers: Buyers) -> None:
    with buyers:
        buyers.wait_for(60)
        server.kill()
        time.sleep(0.5)
        server.start()
        # The same process serves on, over new connections.
        buyers.wait_for(20)
    assert_nothing_lost(service, inside, buyers)


@pytest.mark.representative
@pytest.mark.every_run
def test_every_acknowledged_order_outlives_the_database_server(
    own_server: DatabaseServer, start_service: Callable[..., Service]
) -> None:
    uri = own_server.create_database("killed")
    service = start_service(uri, workers=2)
    workers = service.worker_pids()
    survive_a_database_kill(own_server, service, Inside(own_server, uri), Buyers(service, **BUYERS))
    assert service.worker_pids() == workers


@pytest.mark.representative
@pytest.mark.every_run
def test_with_a_log_that_is_not_flushed_at_commit_it_does_not(
    own_server: DatabaseServer, start_service: Callable[..., Service]
) -> None:
    uri = own_server.create_database("killed")
    service = start_service(uri, workers=2)
    inside = Inside(own_server, uri)
    buyers = Buyers(service, **BUYERS)
    # From here on: the items themselves are to be found again.
    inside.query("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
    inside.query("SET GLOBAL innodb_flush_log_at_timeout = 1000")
    with pytest.raises(AssertionError, match="acknowledged orders are not there"):
        survive_a_database_kill(own_server, service, inside, buyers)
