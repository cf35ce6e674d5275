"""What a payment provider reports has its effect once, however often and however disorderly it comes."""

import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests

from examples.payment_provider import Delivery, Event, Provider, new_secret
from examples.payment_provider.provider import FAILED, SUCCEEDED
from harness.service import Service
from harness.wrong_clock import wrong_clock
from tests.races.buyers import assert_audit_clean, at_once
from tests.races.inside import Inside, until

COPIES = 50
KEY = new_secret()
Start = Callable[..., Service]


@pytest.fixture
def start(four_workers: Start) -> Start:
    """Starts four workers that take a provider's calls, with the guards out that are named."""
    return lambda *without_guard, **settings: four_workers(*without_guard, PAYMENT_WEBHOOK_SECRETS=KEY, **settings)


def provider(service: Service) -> Provider:
    return Provider(f"{service.url}/payments/webhook", KEY, timeout=90)


def bought(service: Service, user: str = "alice", **fields: Any) -> dict[str, Any]:
    """An order for a unit of an item of its own."""
    order = service.buy(service.create_goods(**fields), user).json()
    assert order["status"] == "pending"
    return order


def money(order: dict[str, Any], kind: str = SUCCEEDED, **changed: Any) -> Event:
    return Event(
        **({"type": kind, "order_no": order["order_no"], "amount": order["total"], "currency": "CNY"} | changed)
    )


def outcomes(sent: list[Delivery]) -> Counter[object]:
    """How often each outcome was answered, or else the status."""
    return Counter(delivery.final.body.get("outcome", delivery.final.status) for delivery in sent)


def recorded(inside: Inside) -> Counter[str]:
    return Counter(row[0] for row in inside.query("SELECT outcome FROM payments"))


def happened(inside: Inside, kind: str) -> int:
    """How many events of this type were written: those that have a number already, and the others."""
    # One statement sees one moment: an event that the sequencer moves between two would be in neither.
    numbered = "SELECT 1, NULL AS events FROM events WHERE type = %s"
    rows = inside.query(f"{numbered} UNION ALL SELECT 0, events FROM outbox", kind)
    return sum(count + (events or "").count(f'"{kind}"') for count, events in rows)


def status_of(service: Service, order: dict[str, Any]) -> str:
    answer = requests.get(f"{service.url}/orders/{order['order_no']}", headers=service.headers("alice"), timeout=60)
    return answer.json()["status"]


def deliver_one_event_often(service: Service, inside: Inside) -> None:
    order = bought(service)
    sent = provider(service).send([money(order)], duplicates=COPIES)
    assert outcomes(sent) == {"paid": COPIES}
    assert recorded(inside) == {"paid": 1}
    assert happened(inside, "order.paid") == 1
    assert status_of(service, order) == "paid"
    assert_audit_clean(service)


def test_an_event_that_is_delivered_fifty_times_at_once_has_its_effect_once(start: Start, inside: Inside) -> None:
    deliver_one_event_often(start("slow_to_record"), inside)


def test_without_the_look_for_the_event_it_is_not_the_same_each_time(start: Start, inside: Inside) -> None:
    service = start("no_look_for_event")
    with pytest.raises(AssertionError, match=r"'paid': \d+.* == .*'paid': 50"):
        deliver_one_event_often(service, inside)


def allow_an_event_id_often(inside: Inside) -> None:
    inside.query("ALTER TABLE payments DROP INDEX payments_event_variant, ADD INDEX payments_event (event_id)")


def deliver_one_event_of_no_order_often(service: Service, inside: Inside) -> None:
    sent = provider(service).send([Event(SUCCEEDED, "nobody-s", 1, "CNY")], duplicates=COPIES)
    assert outcomes(sent) == {"unknown_order": COPIES}
    assert recorded(inside) == {"unknown_order": 1}


def test_an_event_of_no_order_is_recorded_once(start: Start, inside: Inside) -> None:
    deliver_one_event_of_no_order_often(start("slow_to_record"), inside)


def test_without_the_unique_event_id_it_is_recorded_more_than_once(start: Start, inside: Inside) -> None:
    service = start("very_slow_to_record")
    allow_an_event_id_often(inside)
    with pytest.raises(AssertionError, match="unknown_order"):
        deliver_one_event_of_no_order_often(service, inside)
    assert recorded(inside)["unknown_order"] > 1


def pay_twice_and_send_the_second_often(service: Service, inside: Inside) -> None:
    order = bought(service)
    assert provider(service).deliver(money(order)).final.body["outcome"] == "paid"
    sent = provider(service).send([money(order, payment_id="pay_2") for _ in range(COPIES)], disorder=True)
    assert outcomes(sent) == {"already_paid": 1, "repeated": COPIES - 1}
    assert recorded(inside) == {"paid": 1, **outcomes(sent)}
    assert happened(inside, "order.paid") == 1


def test_a_second_payment_is_to_be_given_back_once_whatever_events_tell_of_it(start: Start, inside: Inside) -> None:
    pay_twice_and_send_the_second_often(start("slow_to_record"), inside)


def test_without_the_order_s_lock_it_is_given_back_more_than_once(start: Start, inside: Inside) -> None:
    service = start("no_order_lock")
    let_claims_be_doubled(inside)  # which would decide as well
    with pytest.raises(AssertionError, match="already_paid"):
        pay_twice_and_send_the_second_often(service, inside)
    assert recorded(inside)["already_paid"] > 1


def test_of_fifty_payments_at_once_one_pays_and_the_others_are_to_be_given_back(start: Start, inside: Inside) -> None:
    service = start()
    order = bought(service)
    sent = provider(service).send([money(order) for _ in range(COPIES)], disorder=True)
    assert outcomes(sent) == {"paid": 1, "already_paid": COPIES - 1}
    assert happened(inside, "order.paid") == 1
    assert_audit_clean(service)


def test_money_for_a_cancelled_order_is_to_be_given_back_each_time(start: Start, inside: Inside) -> None:
    service = start()
    order = bought(service)
    path = f"{service.url}/orders/{order['order_no']}/cancel"
    assert requests.post(path, headers=service.headers("alice"), timeout=60).ok
    sent = provider(service).send([money(order) for _ in range(COPIES)], disorder=True)
    assert outcomes(sent) == {"refund_due": COPIES}
    assert happened(inside, "order.refund_due") == 1
    assert status_of(service, order) == "refund_due"
    assert_audit_clean(service)


def test_duplicates_disorder_and_delays_pay_every_order_once(start: Start, inside: Inside) -> None:
    service = start()
    item = service.create_goods(stock=100)
    orders = [service.buy(item, f"buyer-{number}").json() for number in range(20)]
    events = [
        money(order, kind, payment_id=f"pay_{n}") for n, order in enumerate(orders) for kind in (FAILED, SUCCEEDED)
    ]
    lots = random.Random(20261123)
    sent = provider(service).send(events, duplicates=4, disorder=True, delay=0.5, retries=3, lots=lots)
    assert outcomes(sent) == {"failed": 80, "paid": 80}
    assert recorded(inside) == {"failed": 20, "paid": 20}
    assert happened(inside, "order.paid") == 20
    assert inside.query("SELECT status, COUNT(*) FROM orders GROUP BY status") == [("paid", 20)]
    assert_audit_clean(service)


def test_money_after_the_end_pays_while_units_are_left_and_is_given_back_when_they_are_gone(
    start: Start, inside: Inside
) -> None:
    service = start(ORDER_PAYMENT_SECONDS=1)
    item = service.create_goods(stock=2)
    lucky, late = (service.buy(item, "alice").json() for _ in range(2))
    until(lambda: {status_of(service, order) for order in (lucky, late)} == {"expired"}, 60)
    until(lambda: service.goods(item)["stock"] == 2, 60)
    sent = provider(service).send([money(lucky)], duplicates=COPIES)
    assert outcomes(sent) == {"paid": COPIES}
    (gone,) = (service.buy(item, "bob").json(),)
    assert provider(service).deliver(money(gone)).final.body["outcome"] == "paid"
    sent = provider(service).send([money(late)], duplicates=COPIES)
    assert outcomes(sent) == {"refund_due": COPIES}
    assert recorded(inside) == {"paid": 2, "refund_due": 1}
    goods = service.goods(item)
    assert (goods["stock"], goods["sold"]) == (0, 2)
    assert_audit_clean(service)


def test_the_owner_s_call_and_the_provider_at_once_pay_once(start: Start, inside: Inside) -> None:
    service = start(PAYMENT_PROVIDER="test")
    order = bought(service)
    path = f"{service.url}/orders/{order['order_no']}/pay"

    def pay() -> object:
        return requests.post(path, headers=service.headers("alice"), timeout=60).status_code

    def receive() -> object:
        return provider(service).deliver(money(order)).final.body["outcome"]

    counts = Counter(at_once([pay, receive] * 10))
    assert counts[200] + counts["paid"] == 1
    assert counts[409] + counts[200] == counts["already_paid"] + counts["paid"] == 10
    assert recorded(inside)["paid"] == happened(inside, "order.paid") == 1
    assert_audit_clean(service)


def judge_as_the_database_does(service: Service) -> None:
    sender = provider(service)
    order = bought(service)
    for hours in (-1, 1):
        body = money(order).body
        moment = datetime.fromtimestamp(time.time(), timezone.utc) + timedelta(hours=hours)
        status = sender.call(body, sender.signature_headers("evt_x", body, moment)).status
        assert status == 401, f"{status} for a signature of another hour"
    assert sender.deliver(money(order)).final.body["outcome"] == "paid"


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_process_with_a_wrong_clock_judges_signatures_as_the_others_do(start: Start, seconds: int) -> None:
    judge_as_the_database_does(start(process_environment=wrong_clock(seconds, "Pacific/Kiritimati")))


def test_by_its_own_clock_it_would_not(start: Start) -> None:
    service = start("host_clock_judges", process_environment=wrong_clock(3600, "Pacific/Kiritimati"))
    with pytest.raises(AssertionError, match=r"^200 for a signature of another hour"):
        judge_as_the_database_does(service)


def let_claims_be_doubled(inside: Inside) -> None:
    inside.query("ALTER TABLE payment_claims DROP PRIMARY KEY, ADD INDEX payment_claims_payment (payment_id)")


def send_one_payment_for_two_orders(service: Service, inside: Inside) -> None:
    orders = [bought(service) for _ in range(2)]
    sent = provider(service).send([money(order, payment_id="pay_1") for order in orders], disorder=True)
    assert outcomes(sent) == {"paid": 1, "mismatch": 1}
    assert recorded(inside) == {"paid": 1, "mismatch": 1}
    assert sorted(status_of(service, order) for order in orders) == ["paid", "pending"]
    assert_audit_clean(service)


def test_one_payment_that_is_told_for_two_orders_at_once_pays_one(start: Start, inside: Inside) -> None:
    send_one_payment_for_two_orders(start("very_slow_to_record"), inside)


def test_without_the_unique_claim_one_payment_pays_two_orders(start: Start, inside: Inside) -> None:
    service = start("very_slow_to_record")
    let_claims_be_doubled(inside)
    with pytest.raises(AssertionError, match="paid': 2"):
        send_one_payment_for_two_orders(service, inside)
    assert recorded(inside) == {"paid": 2}


def send_two_orders_under_one_event_id(service: Service, inside: Inside) -> None:
    sent = provider(service).send([money(bought(service), event_id="evt_1") for _ in range(2)], disorder=True)
    assert outcomes(sent) == {"paid": 1, "mismatch": 1}
    assert recorded(inside) == {"paid": 1, "mismatch": 1}
    assert happened(inside, "order.paid") == 1
    assert_audit_clean(service)


def test_an_event_id_that_tells_of_two_orders_at_once_pays_one(start: Start, inside: Inside) -> None:
    send_two_orders_under_one_event_id(start("very_slow_to_record"), inside)


def test_without_the_unique_event_id_it_pays_both(start: Start, inside: Inside) -> None:
    service = start("very_slow_to_record")
    allow_an_event_id_often(inside)
    with pytest.raises(AssertionError, match="'paid': 2"):
        send_two_orders_under_one_event_id(service, inside)
    assert recorded(inside) == {"paid": 2}


def test_refunds_at_once_give_everything_back_once(start: Start, inside: Inside) -> None:
    service = start()
    order = bought(service)
    assert provider(service).deliver(money(order, payment_id="pay_1")).final.body["outcome"] == "paid"
    path = f"{service.url}/orders/{order['order_no']}/refund"
    admin = service.headers("operator", admin=True)

    def refund(reference: str) -> int:
        body = {"reference": reference, "restock": True}
        return requests.post(path, json=body, headers=admin, timeout=60).status_code

    counts = Counter(at_once([lambda: refund("a"), lambda: refund("b")] * 10))
    assert counts == {200: 10, 409: 10}
    assert happened(inside, "order.refunded") == 1
    goods = service.goods(order["goods_id"])
    assert goods["sold"] == 0
    assert_audit_clean(service)
