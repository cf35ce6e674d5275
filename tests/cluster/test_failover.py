"""A sale on three MySQL servers in a group, whose primary is killed and frozen again and again."""

import random
import statistics
import time
from collections.abc import Callable

import pytest

from harness.group import Group
from harness.primary_proxy import PrimaryProxy
from harness.service import BY_DEFAULT, Service
from tests.cluster.buyers import InsideGroup, RetryingBuyers
from tests.faults.buyers import assert_nothing_lost

KILLS, FREEZES, SWITCHES = 10, 3, 2
# From the moment at which there is a new primary to the first order that it acknowledges, as a rule.
SELLS_AGAIN_SECONDS = 10
# Orders stay as they were placed, and nobody has to wait for having let some expire, however long the test takes.
# What a primary's end costs is the product's promise: with its own time-outs.
KEEP_ORDERS = BY_DEFAULT | {"ORDER_PAYMENT_SECONDS": 24 * 60 * 60, "HOLD_COOLDOWN_SECONDS": 0}
# The bound of every wait for the sale to go on, on a machine that has other things to do.
PATIENCE_SECONDS = 120

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def take_the_primary_away(group: Group, buyers: RetryingBuyers, how: str) -> float:
    """Kill, freeze or switch the primary in the middle of a sale, wait for the sale to go on, and have it back.

    Returns the seconds from the new primary to its first order.
    """
    old = group.primary()
    began = time.monotonic()
    if how == "switch":
        group.switch_to(next(member for member in group.members if member is not old))
    elif how == "kill":
        old.kill()
    else:
        old.freeze()
    new = group.primary(among=lambda member: member is not old)
    elected = time.monotonic()
    buyers.wait_for(1, PATIENCE_SECONDS)
    sold = time.monotonic()
    buyers.wait_for(30, PATIENCE_SECONDS)
    print(
        f"{how} of member {old.number}: member {new.number} takes writes after {elected - began:.1f} s,"
        f" sells {sold - elected:.1f} s later; {buyers.longest_silence(began):.1f} s without an order"
    )
    if how == "kill":
        old.start()
    elif how == "freeze":
        old.thaw()
    group.join(old)
    buyers.wait_for(100, PATIENCE_SECONDS)
    return sold - elected


def survive(group: Group, service: Service, database: str, buyers: RetryingBuyers, faults: list[str]) -> None:
    with buyers:
        buyers.wait_for(200, PATIENCE_SECONDS)
        silences = [take_the_primary_away(group, buyers, how) for how in faults]
    print(f"{len(buyers.acknowledged)} orders, {buyers.replays} replays; told otherwise: {dict(buyers.codes)}")
    assert statistics.median(silences) < SELLS_AGAIN_SECONDS
    twice = "SELECT COUNT(*) FROM (SELECT 1 FROM orders GROUP BY user_id, idempotency_key HAVING COUNT(*) > 1) twice"
    (doubled,) = group.primary().execute(twice, database)[0]
    assert (doubled, len(buyers.doubled)) == (0, 0), "purchases were doubled"
    assert_nothing_lost(service, InsideGroup(group, database), buyers)  # type: ignore[arg-type]
    rows = group.wait_until_equal("SELECT order_no, user_id, idempotency_key FROM orders ORDER BY order_no", database)
    assert len(rows) == len(buyers.acknowledged)


def test_no_order_is_lost_or_doubled_over_kills_and_freezes_of_the_primary(
    group: Group, proxy: PrimaryProxy, start_service: Callable[..., Service]
) -> None:
    uri = group.primary().create_database("sale")
    service = start_service(proxy.address(uri), workers=2, **KEEP_ORDERS)
    workers = service.worker_pids()
    faults = ["kill"] * KILLS + ["freeze"] * FREEZES + ["switch"] * SWITCHES
    random.Random(1).shuffle(faults)
    survive(group, service, "sale", RetryingBuyers(service), faults)
    assert service.worker_pids() == workers


def test_orders_that_are_acknowledged_before_their_commit_are_lost(
    group: Group, proxy: PrimaryProxy, start_service: Callable[..., Service]
) -> None:
    uri = group.primary().create_database("hasty")
    service = start_service(proxy.address(uri), workers=2, without_guard=["acknowledge_before_commit"], **KEEP_ORDERS)
    with pytest.raises(AssertionError, match="acknowledged orders are not there"):
        survive(group, service, "hasty", RetryingBuyers(service), ["kill"])


def test_without_a_look_for_the_key_and_its_unique_index_they_are_doubled(
    group: Group, proxy: PrimaryProxy, start_service: Callable[..., Service]
) -> None:
    uri = group.primary().create_database("doubled")
    service = start_service(proxy.address(uri), workers=2, without_guard=["no_known_orders"], **KEEP_ORDERS)
    group.primary().execute(
        "ALTER TABLE orders DROP INDEX orders_user_key, ADD INDEX orders_user_key (user_id, idempotency_key)", "doubled"
    )
    with pytest.raises(AssertionError, match="purchases were doubled"):
        survive(group, service, "doubled", RetryingBuyers(service), ["switch"])
