"""The live figures while the database stands still: this host's are there all the same, and so is the alarm."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from harness.database_server import DatabaseServer
from harness.eventually import eventually
from harness.service import Service
from tests.core.live.test_served import live


def test_a_frozen_database_is_told_of(start_service: Callable[..., Service], own_server: DatabaseServer) -> None:
    # So short that reads of the frozen database are answered while the test waits for them.
    settings = {"DATABASE_TIMEOUT_SECONDS": 4, "PURCHASE_WAIT_SECONDS": 10}
    service = start_service(own_server.create_database("live_frozen"), workers=2, **settings)
    item = service.create_goods(stock=1000)
    assert service.buy(item, "alice").status_code == 201
    assert eventually(lambda: live(service)["totals"]["purchases"] == 1)
    thawed = threading.Event()

    def keep_buying(buyer: str) -> None:
        while not thawed.is_set():
            service.buy(item, buyer)

    with ThreadPoolExecutor(4) as buyers:
        own_server.freeze()
        coming = [buyers.submit(keep_buying, f"buyer-{number}") for number in range(4)]
        try:
            assert eventually(lambda: live(service)["alarm"])
            assert eventually(lambda: not live(service)["complete"])
            assert live(service)["totals"]["purchases"] >= 1
            # All four are answered at about the same time: for a moment nobody waits.
            assert eventually(lambda: (now := live(service)["now"])["waiting"] or now["failures_per_second"])
        finally:
            thawed.set()
            own_server.thaw()
        for each in coming:
            each.result()
    assert eventually(lambda: service.buy(item, "bob").status_code == 201)
    assert eventually(lambda: (now := live(service))["complete"] and not now["alarm"])
