"""A primary that was cut off from the majority of its group sells nothing, and loses nothing."""

from collections.abc import Callable

import pytest

from harness.group import Group
from harness.primary_proxy import PrimaryProxy
from harness.service import Service
from tests.cluster.buyers import InsideGroup, RetryingBuyers
from tests.cluster.test_failover import KEEP_ORDERS, PATIENCE_SECONDS
from tests.faults.buyers import assert_nothing_lost
from tests.races.inside import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_a_minority_sells_nothing_until_it_has_the_majority_again(
    group: Group, proxy: PrimaryProxy, start_service: Callable[..., Service]
) -> None:
    primary = group.primary()
    uri = primary.create_database("minority")
    service = start_service(proxy.address(uri), workers=2, **KEEP_ORDERS)
    others = [member for member in group.members if member is not primary]
    buyers = RetryingBuyers(service)
    with buyers:
        buyers.wait_for(50, PATIENCE_SECONDS)
        for member in others:
            member.freeze()
        try:
            until(lambda: not primary.is_primary(), 60)
            sold, refused = len(buyers.acknowledged), buyers.codes[503, "unavailable"]
            until(lambda: buyers.codes[503, "unavailable"] >= refused + 48, PATIENCE_SECONDS)
            assert len(buyers.acknowledged) == sold
        finally:
            for member in others:
                member.thaw()
        buyers.wait_for(50, PATIENCE_SECONDS)
        for member in group.members:
            group.join(member)
    assert not buyers.doubled
    assert_nothing_lost(service, InsideGroup(group, "minority"), buyers)  # type: ignore[arg-type]
