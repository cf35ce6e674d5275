"""What money does: once for each event and each payment, by the state of its order."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.db.paging import PageRequest
from core.ops import audit
from core.orders import order_life
from core.orders.orders import OrderView, Viewer
from core.payments import payment_records, payments
from core.payments.payment_records import PaymentEvent, PaymentEventType
from core.refusals import Refusal, Unavailable
from core.services import Services
from models import OrderStatus, Outbox, Payment
from tests.core.selling import Selling

ALICE = Viewer("alice", False)


@pytest.fixture
def selling(services: Services) -> Selling:
    return Selling(services)


def event(order: OrderView, number: int = 1, **changed: Any) -> PaymentEvent:
    """The order's total, received; the `number`th payment and the `number`th event of it."""
    fields = {
        "event_id": f"evt_{number}",
        "type": PaymentEventType.SUCCEEDED,
        "order_no": order.order_no,
        "amount": order.total,
        "currency": order.currency,
        "payment_id": f"pay_{number}",
        **changed,
    }
    return PaymentEvent(**fields)


def recorded(services: Services) -> list[Any]:
    with services.database.reading() as connection:
        return list(connection.execute(select(*Payment.__table__.columns).order_by(Payment.id)))


def events_of(services: Services, order: OrderView) -> list[str]:
    """The types of the order's events, in the order in which they were written."""
    with services.database.reading() as connection:
        lists = connection.execute(select(Outbox.events).order_by(Outbox.id)).scalars()
        return [kind for events in lists for kind, _, number in events if number == order.order_no]


def test_money_in_time_pays_the_order(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    assert payments.receive(services.database, event(order)) == "paid"
    row = selling.row(order)
    assert (row.status, row.closed_at) == (OrderStatus.PAID, None)
    assert row.purchased_at <= row.paid_at < row.expires_at
    (payment,) = recorded(services)
    assert (payment.event_id, payment.type, payment.order_no) == ("evt_1", PaymentEventType.SUCCEEDED, order.order_no)
    assert (payment.payment_id, payment.amount, payment.currency) == ("pay_1", 100, "CNY")
    assert (payment.outcome, payment.received_at >= row.purchased_at) == ("paid", True)
    assert events_of(services, order) == ["order.placed", "order.paid"]


def test_an_event_has_its_effect_once_and_its_outcome_ever_after(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    assert [payments.receive(services.database, event(order)) for _ in range(3)] == ["paid"] * 3
    assert len(recorded(services)) == 1
    assert events_of(services, order) == ["order.placed", "order.paid"]


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [({"type": PaymentEventType.FAILED}, "failed"), ({"amount": 1}, "mismatch"), ({"order_no": "x"}, "unknown_order")],
)
def test_an_event_without_effect_is_recorded_once_too(
    services: Services, selling: Selling, changed: dict[str, Any], outcome: str
) -> None:
    order = selling.bought(selling.item())
    assert [payments.receive(services.database, event(order, **changed)) for _ in range(3)] == [outcome] * 3
    assert [row.outcome for row in recorded(services)] == [outcome]
    assert selling.status(order) == OrderStatus.PENDING
    assert events_of(services, order) == ["order.placed"]


OTHER_CONTENTS = [
    {"amount": 99},
    {"currency": "JPY"},
    {"type": PaymentEventType.FAILED},
    {"payment_id": "pay_2"},
    {"order_no": "x"},
]


def send_other_contents_later(services: Services, selling: Selling, changed: dict[str, Any]) -> None:
    order = selling.bought(selling.item())
    assert payments.receive(services.database, event(order)) == "paid"
    outcomes = [payments.receive(services.database, event(order, **fields)) for fields in (changed, {}, changed, {})]
    rows = [(row.event_id, row.outcome, row.resolved) for row in recorded(services)]
    assert rows == [("evt_1", "paid", None), ("evt_1", "mismatch", False)]
    assert outcomes == ["mismatch", "paid"] * 2
    other = recorded(services)[1]
    assert {name: getattr(other, name) for name in changed} == changed
    assert audit.run(services.settings).clean


@pytest.mark.parametrize("changed", OTHER_CONTENTS)
def test_an_event_id_that_tells_something_else_later_is_shown_to_the_operator(
    services: Services, selling: Selling, changed: dict[str, Any]
) -> None:
    send_other_contents_later(services, selling, changed)


@pytest.mark.parametrize("changed", OTHER_CONTENTS)
def test_without_the_look_at_the_content_nobody_is_shown_it(
    services: Services, selling: Selling, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_records, "is_same", lambda row, event: True)
    with pytest.raises(AssertionError, match=r"assert \[\('evt_1', 'paid', None\)\] == "):
        send_other_contents_later(services, selling, changed)


def test_an_event_id_pays_one_order(services: Services, selling: Selling) -> None:
    item = selling.item()
    first, second = selling.bought(item), selling.bought(item)
    assert payments.receive(services.database, event(first)) == "paid"
    assert payments.receive(services.database, event(second, event_id="evt_1", payment_id="pay_2")) == "mismatch"
    assert (selling.status(first), selling.status(second)) == (OrderStatus.PAID, OrderStatus.PENDING)


def test_an_event_id_that_told_of_no_order_pays_none_later(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    assert payments.receive(services.database, event(order, order_no="x")) == "unknown_order"
    assert payments.receive(services.database, event(order)) == "mismatch"
    assert selling.status(order) == OrderStatus.PENDING


def test_a_payment_that_had_its_effect_is_repeated_under_another_event(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    assert payments.receive(services.database, event(order)) == "paid"
    assert payments.receive(services.database, event(order, 2, payment_id="pay_1")) == "repeated"
    assert [row.outcome for row in recorded(services)] == ["paid", "repeated"]


def test_a_payment_that_is_told_otherwise_later_is_shown_to_the_operator(services: Services, selling: Selling) -> None:
    order, other = selling.bought(selling.item()), selling.bought(selling.item())
    assert payments.receive(services.database, event(order)) == "paid"
    assert (
        payments.receive(services.database, event(order, 2, payment_id="pay_1", amount=order.total + 1)) == "mismatch"
    )
    assert payments.receive(services.database, event(order, 3, payment_id="pay_1", currency="JPY")) == "mismatch"
    # For another order, too: one of the two was not paid.
    assert payments.receive(services.database, event(other, 4, payment_id="pay_1")) == "mismatch"
    assert (selling.status(order), selling.status(other)) == (OrderStatus.PAID, OrderStatus.PENDING)


def test_another_payment_for_a_paid_order_is_to_be_given_back_once(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    outcomes = [payments.receive(services.database, event(order, n)) for n in (1, 2)]
    outcomes.append(payments.receive(services.database, event(order, 3, payment_id="pay_2")))
    assert outcomes == ["paid", "already_paid", "repeated"]
    assert selling.status(order) == OrderStatus.PAID


@pytest.mark.parametrize("changed", [{"amount": 99}, {"amount": 101}, {"amount": 0}, {"currency": "JPY"}])
def test_money_that_does_not_fit_the_order_is_refused(
    services: Services, selling: Selling, changed: dict[str, Any]
) -> None:
    order = selling.bought(selling.item())
    assert payments.receive(services.database, event(order, **changed)) == "mismatch"
    assert selling.status(order) == OrderStatus.PENDING
    # The same payment, told as it should have been, still counts.
    assert payments.receive(services.database, event(order, 2, payment_id="pay_1")) == "paid"


def test_a_payment_may_fail_before_it_succeeds_and_be_told_late(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    assert payments.receive(services.database, event(order, 1, type=PaymentEventType.FAILED)) == "failed"
    assert payments.receive(services.database, event(order, 2, payment_id="pay_1")) == "paid"
    assert (
        payments.receive(services.database, event(order, 3, type=PaymentEventType.FAILED, payment_id="pay_1"))
        == "failed"
    )
    assert selling.status(order) == OrderStatus.PAID


def test_money_for_a_cancelled_order_is_to_be_given_back(services: Services, selling: Selling) -> None:
    item = selling.item()
    order = selling.bought(item)
    order_life.cancel(services.database, ALICE, order.order_no)
    assert payments.receive(services.database, event(order, 1)) == "refund_due"
    assert payments.receive(services.database, event(order, 2)) == "refund_due"
    assert payments.receive(services.database, event(order, 3, payment_id="pay_1")) == "repeated"
    row = selling.row(order)
    assert (row.status, row.paid_at) == (OrderStatus.REFUND_DUE, None)
    assert events_of(services, order) == ["order.placed", "order.cancelled", "order.refund_due"]
    assert selling.stock(item) == (10, 0)


def test_money_after_the_end_pays_what_is_still_there(services: Services, selling: Selling) -> None:
    item = selling.item(stock=1)
    order = selling.bought(item)
    selling.make_overdue(order)
    assert payments.receive(services.database, event(order)) == "paid"
    assert selling.status(order) == OrderStatus.PAID
    assert selling.stock(item) == (0, 1)
    assert events_of(services, order) == ["order.placed", "order.expired", "order.paid"]
    assert [payments.receive(services.database, event(order, n)) for n in (1, 2)] == ["paid", "already_paid"]


def test_money_after_the_end_is_to_be_given_back_where_nothing_is_left(services: Services, selling: Selling) -> None:
    item = selling.item(stock=1)
    order = selling.bought(item)
    selling.make_overdue(order)
    # Somebody comes in between: first the units go back, as the sweeper has them go.
    with pytest.raises(Refusal):
        order_life.cancel(services.database, ALICE, order.order_no)
    assert selling.status(order) == OrderStatus.EXPIRED
    bob = selling.bought(item, "bob")
    assert payments.receive(services.database, event(order)) == "refund_due"
    assert (selling.status(order), selling.status(bob)) == (OrderStatus.REFUND_DUE, OrderStatus.PENDING)
    assert selling.stock(item) == (0, 1)
    assert payments.receive(services.database, event(order)) == "refund_due"
    assert len(recorded(services)) == 1


def test_misfits_and_failures_after_the_end_change_nothing(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    selling.make_overdue(order)
    assert payments.receive(services.database, event(order, 1, amount=1)) == "mismatch"
    assert payments.receive(services.database, event(order, 2, type=PaymentEventType.FAILED)) == "failed"
    assert selling.status(order) == OrderStatus.PENDING


def test_the_largest_values_are_recorded_as_they_came(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    long = event(order, amount=2**63 - 1, currency="ZZZ", event_id="e" * 255, payment_id="~" * 255, order_no="!" * 64)
    assert payments.receive(services.database, long) == "unknown_order"
    (row,) = recorded(services)
    assert (row.amount, row.currency, row.event_id, row.payment_id, row.order_no) == (
        2**63 - 1,
        "ZZZ",
        "e" * 255,
        "~" * 255,
        "!" * 64,
    )


def test_ids_are_compared_letter_by_letter(services: Services, selling: Selling) -> None:
    item = selling.item()
    first, second = selling.bought(item), selling.bought(item)
    assert payments.receive(services.database, event(first, event_id="EVT", payment_id="PAY")) == "paid"
    assert payments.receive(services.database, event(second, event_id="evt", payment_id="pay")) == "paid"


def test_who_has_to_look_is_told_in_the_log(
    services: Services, selling: Selling, caplog: pytest.LogCaptureFixture
) -> None:
    order = selling.bought(selling.item())
    with caplog.at_level(logging.WARNING, "seckill.payments"):
        payments.receive(services.database, event(order, 1, amount=1))
        payments.receive(services.database, event(order, 1, amount=1))
        payments.receive(services.database, event(order, 2))
        payments.receive(services.database, event(order, 3))
        payments.receive(services.database, event(order, 4, type=PaymentEventType.FAILED))
    assert [record.getMessage().rpartition(" ")[2] for record in caplog.records] == ["mismatch", "already_paid"]
    assert order.order_no in caplog.text


def test_the_owner_pays_by_a_call(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    paid = payments.pay(services.database, "alice", order.order_no)
    assert (paid.status, paid.total) == (OrderStatus.PAID, order.total)
    (row,) = recorded(services)
    assert (row.event_id, row.payment_id) == (f"test-{order.order_no}", f"test-{order.order_no}")
    assert (row.amount, row.currency, row.outcome) == (order.total, order.currency, "paid")
    assert events_of(services, order) == ["order.placed", "order.paid"]
    with pytest.raises(Refusal) as refused:
        payments.pay(services.database, "alice", order.order_no)
    assert (refused.value.code, refused.value.details) == ("order_not_pending", {"order_status": "paid"})
    assert len(recorded(services)) == 1


@pytest.mark.parametrize("state", [OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REFUND_DUE, "overdue"])
def test_no_other_order_is_paid_by_a_call(services: Services, selling: Selling, state: str) -> None:
    order = selling.bought(selling.item())
    if state == "overdue":
        selling.make_overdue(order)
    else:
        selling.set_status(order, state)
    with pytest.raises(Refusal) as refused:
        payments.pay(services.database, "alice", order.order_no)
    shown = OrderStatus.EXPIRED if state == "overdue" else state
    assert (refused.value.code, refused.value.details) == ("order_not_pending", {"order_status": shown})
    assert recorded(services) == []


def test_somebody_else_s_order_is_not_there_to_be_paid(services: Services, selling: Selling) -> None:
    order = selling.bought(selling.item())
    for user, number in [("bob", order.order_no), ("operator", order.order_no), ("alice", "0" * 32)]:
        with pytest.raises(Refusal) as refused:
            payments.pay(services.database, user, number)
        assert refused.value.code == "order_not_found"
    assert selling.status(order) == OrderStatus.PENDING


def test_the_list_is_newest_first_and_can_be_narrowed(services: Services, selling: Selling) -> None:
    item = selling.item()
    first, second = selling.bought(item), selling.bought(item)
    for number, (order, changed) in enumerate([(first, {"amount": 1}), (second, {}), (first, {"amount": 2})], 1):
        payments.receive(services.database, event(order, number, **changed))

    def listed(limit: int = 20, **narrowed: Any) -> list[str]:
        page = payment_records.list_page(services.database, PageRequest(limit), **narrowed)
        return [row.event_id for row in page.items]

    assert listed() == ["evt_3", "evt_2", "evt_1"]
    assert listed(limit=1) == ["evt_3"]
    assert listed(outcome="mismatch") == ["evt_3", "evt_1"]
    assert listed(order_no=second.order_no) == ["evt_2"]
    assert listed(outcome="paid", order_no=first.order_no) == []


def test_an_event_whose_record_fails_has_no_effect(
    services: Services, selling: Selling, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = selling.bought(selling.item())
    late = selling.bought(selling.item())
    selling.make_overdue(late)

    def fail(*arguments: object, **options: object) -> None:
        raise Unavailable()

    monkeypatch.setattr(payment_records, "record", fail)
    for each in (order, late):
        with pytest.raises(Unavailable):
            payments.receive(services.database, event(each))
        assert (selling.status(each), events_of(services, each)) == (OrderStatus.PENDING, ["order.placed"])
    with pytest.raises(Unavailable):
        payments.pay(services.database, "alice", order.order_no)
    assert selling.status(order) == OrderStatus.PENDING


def test_who_pays_in_time_or_pays_again_does_not_queue_at_the_item(
    make_app: Callable[..., Flask], server_uri: str, server: Any
) -> None:
    services: Services = make_app(server_uri).extensions["seckill"]
    selling = Selling(services)
    item = selling.item()
    order, cancelled = selling.bought(item), selling.bought(item)
    order_life.cancel(services.database, ALICE, cancelled.order_no)
    holder = server.connect(server_uri.rpartition("/")[2])
    holder.start_transaction()
    cursor = holder.cursor()
    cursor.execute("SELECT id FROM goods WHERE id = %s FOR UPDATE", (item,))
    cursor.fetchall()
    try:
        outcomes = [payments.receive(services.database, event(order, n)) for n in (1, 1, 2)]
        outcomes.append(payments.receive(services.database, event(cancelled, 3)))
    finally:
        holder.close()
    assert outcomes == ["paid", "paid", "already_paid", "refund_due"]
