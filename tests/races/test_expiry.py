"""Units that are not paid for in time are for others to buy, with no process but the workers."""

from collections.abc import Callable

import requests

from harness.service import Service, run_command
from tests.races.buyers import assert_audit_clean
from tests.races.inside import Inside, until


def test_what_one_did_not_pay_for_another_buys(start_service: Callable[..., Service], database_uri: str) -> None:
    service = start_service(database_uri, workers=2, ORDER_PAYMENT_SECONDS=3)

    def wanted_in_time() -> tuple[int, str] | None:
        """An item that is sold out, and its order; None where the order was over before bob came."""
        item = service.create_goods(stock=3)
        order_no = service.buy(item, "alice", quantity=3).json()["order_no"]
        refused = service.buy(item, "bob")
        return (item, order_no) if refused.status_code == 409 and refused.json()["code"] == "sold_out" else None

    item, order_no = until(wanted_in_time, 60)
    # Two seconds after the order's end is what the service promises; the bound is for a machine that is busy.
    until(lambda: service.buy(item, "bob", quantity=3).status_code == 201, 60)
    answer = requests.get(f"{service.url}/orders/{order_no}", headers=service.headers("alice"), timeout=20)
    assert answer.json()["status"] == "expired"
    assert service.goods(item)["sold"] == 3
    assert_audit_clean(service)


def test_with_the_sweeper_off_it_is_left_to_the_command(
    start_service: Callable[..., Service], own_uri: str, inside: Inside
) -> None:
    service = start_service(own_uri, ORDER_PAYMENT_SECONDS=1, SWEEP_SECONDS=0.1, SWEEPER="off")
    item = service.create_goods(stock=3, per_user_limit=3)
    order_no = service.buy(item, "alice", quantity=2).json()["order_no"]

    def shown() -> str:
        headers = service.headers("alice")
        return requests.get(f"{service.url}/orders/{order_no}", headers=headers, timeout=20).json()["status"]

    until(lambda: inside.query("SELECT COUNT(*) FROM orders WHERE expires_at <= UTC_TIMESTAMP(3)") == [(1,)], 30)
    assert shown() == "expired"  # at once, and it counts towards the limit no longer
    assert service.buy(item, "alice", quantity=3).json()["code"] == "insufficient_stock"
    assert inside.query("SELECT status FROM orders") == [("pending",)]
    swept = run_command(["sweep", "--json"], service.environment)
    assert (swept.returncode, swept.stdout) == (0, '{"expired": 1}\n')
    assert service.buy(item, "alice", quantity=3).status_code == 201
    assert_audit_clean(service)
