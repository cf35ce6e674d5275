"""What `flask prune` deletes, and what it leaves: nothing that is owed, proven or still to be sent."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, event, func, select, update

from core.events import sequencer
from core.events.publisher import Publisher
from core.ops import audit, retention
from models import Event, GoodsChange, Order, Outbox, Payment, Sequencer, WebhookDelivery
from tests.resources.calls import OPERATOR, Calls, problem

KINDS = ("EVENTS", "DELIVERIES", "PAYMENTS", "CHANGES", "ORDERS")
KEEP_FOR_EVER = {f"{kind}_KEEP_DAYS": 0 for kind in KINDS}


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few rows already take several transactions."""
    monkeypatch.setattr(retention, "AT_ONCE", 3)


def prune(call: Calls, **days: int) -> retention.Pruned:
    settings = call.services.settings.model_copy(update={**KEEP_FOR_EVER, **days})
    call.services.database.settings = settings
    return retention.prune(call.services.database)


def age(call: Calls, table: Any, column: Any, days: float, *where: Any) -> None:
    """Let rows be older, as only time would."""
    with call.services.database.engine.begin() as connection:
        keys = list(table.__table__.primary_key.columns)
        rows = connection.execute(select(*keys, column).where(*where)).all()
        for *key, moment in rows:
            same = [one == value for one, value in zip(keys, key, strict=True)]
            connection.execute(update(table).where(*same).values({column.key: moment - timedelta(days=days)}))


def count(call: Calls, table: Any, *where: Any) -> int:
    with call.services.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()


def clean(call: Calls) -> bool:
    report = audit.run(call.services.settings)
    return [(result.check.name, result.breaches) for result in report.results if result.count] == []


def number(call: Calls) -> None:
    sequencer.number(call.services.database, 60)


def test_old_events_go_and_the_audit_stays_clean(call: Calls, small_pieces: None) -> None:
    item = call.create(stock=20)["id"]
    old = [call.bought(item, f"old-{n}") for n in range(7)]
    assert call.post(f"/orders/{old[0]['order_no']}/cancel", "old-0").status_code == 200
    number(call)
    total = count(call, Event)
    age(call, Event, Event.occurred_at, 91)
    for column in (Order.purchased_at, Order.expires_at):
        age(call, Order, column, 91)
    new = call.bought(item, "new")
    number(call)
    assert prune(call, EVENTS_KEEP_DAYS=90).events == total
    left = call.get("/events", OPERATOR).json["items"]
    assert [event["order_no"] for event in left] == [new["order_no"]]
    assert clean(call)
    assert prune(call, EVENTS_KEEP_DAYS=90).events == 0


def test_an_event_that_is_missing_is_still_a_breach(call: Calls) -> None:
    """The twin: only what is older than what was pruned is excused."""
    item = call.create()["id"]
    call.bought(item, "old")
    number(call)
    age(call, Event, Event.occurred_at, 91)
    age(call, Order, Order.purchased_at, 91)
    prune(call, EVENTS_KEEP_DAYS=90)
    call.bought(item, "new")
    number(call)
    with call.services.database.engine.begin() as connection:
        connection.execute(delete(Event))
    assert not clean(call)


def test_a_puller_that_comes_back_too_late_is_told(call: Calls) -> None:
    item = call.create()["id"]
    call.bought(item, "a")
    number(call)
    seen = call.get("/events", OPERATOR).json["items"][-1]["seq"]
    for n in range(3):
        call.bought(item, f"b-{n}")
    number(call)
    age(call, Event, Event.occurred_at, 2)
    call.bought(item, "c")
    number(call)
    prune(call, EVENTS_KEEP_DAYS=1)
    details = problem(call.get(f"/events?after={seen}", OPERATOR), 410, "events_pruned")
    left = call.get("/events", OPERATOR).json["items"]
    assert len(left) == 1
    assert left[0]["seq"] == details["oldest"]
    # From where nothing is missing it goes on, and so it does from the beginning.
    assert call.get(f"/events?after={details['oldest'] - 1}", OPERATOR).json["items"] == left


def test_events_that_go_while_a_page_is_read_are_not_missed_in_silence(call: Calls) -> None:
    item = call.create()["id"]
    call.bought(item, "a")
    number(call)
    seen = call.get("/events", OPERATOR).json["items"][-1]["seq"]
    call.bought(item, "b")
    number(call)
    age(call, Event, Event.occurred_at, 2)
    call.bought(item, "c")
    number(call)
    statements = []

    def prune_after_the_first(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        if "pruned_seq" in statement or "FROM events" in statement:
            statements.append(statement)
            if len(statements) == 1:
                assert prune(call, EVENTS_KEEP_DAYS=1).events > 0

    event.listen(call.services.database.read_engine, "after_cursor_execute", prune_after_the_first)
    answer = call.get(f"/events?after={seen}", OPERATOR)
    assert len(statements) > 1
    if answer.status_code == 200:
        assert answer.json["items"][0]["seq"] == seen + 1
    else:
        problem(answer, 410, "events_pruned")


def test_what_an_active_subscription_has_not_been_sent_stays(call: Calls) -> None:
    webhook = call.create_webhook()
    item = call.create()["id"]
    call.bought(item, "a")
    number(call)
    age(call, Event, Event.occurred_at, 91)
    assert prune(call, EVENTS_KEEP_DAYS=90).events == 0
    # Put on its list, and still to be sent.
    Publisher(call.services.database, busy=lambda: False).fan_out()
    assert count(call, WebhookDelivery) > 0
    assert prune(call, EVENTS_KEEP_DAYS=90).events == 0
    # Nobody waits for it any more.
    call.patch(f"/webhooks/{webhook['id']}", json={"active": False})
    counts = (count(call, Event), count(call, WebhookDelivery))
    pruned = prune(call, EVENTS_KEEP_DAYS=90)
    assert (pruned.events, pruned.deliveries) == counts
    assert (count(call, Event), count(call, WebhookDelivery)) == (0, 0)


def test_of_events_that_are_older_than_their_orders_the_audit_misses_none(call: Calls) -> None:
    """Somebody has set a clock: the events that are deleted tell of orders that seem to be of today."""
    item = call.create(stock=20)["id"]
    order = call.bought(item, "a")
    call.post(f"/orders/{order['order_no']}/cancel", "a")
    number(call)
    age(call, Event, Event.occurred_at, 91)
    assert prune(call, EVENTS_KEEP_DAYS=90).events > 0
    assert clean(call)
    call.bought(item, "b")
    number(call)
    assert clean(call)
    with call.services.database.engine.begin() as connection:
        connection.execute(delete(Event))
    assert not clean(call), "the events of an order that was placed later are missed"


def test_logs_of_webhooks_go_but_not_what_is_to_be_sent(call: Calls, small_pieces: None) -> None:
    webhook = call.create_webhook()
    item = call.create(stock=20)["id"]
    for n in range(8):
        call.bought(item, f"b-{n}")
    number(call)
    Publisher(call.services.database).fan_out()
    age(call, WebhookDelivery, WebhookDelivery.created_at, 31)
    with call.services.database.engine.begin() as connection:
        connection.execute(update(WebhookDelivery).where(WebhookDelivery.seq > 2).values(status="delivered"))
    over = count(call, WebhookDelivery, WebhookDelivery.status == "delivered")
    assert prune(call, DELIVERIES_KEEP_DAYS=30).deliveries == over
    rows = call.get(f"/webhooks/{webhook['id']}/deliveries", OPERATOR).json["items"]
    assert [row["status"] for row in rows] == ["pending", "pending"]


def test_the_history_of_an_item_keeps_its_sum(call: Calls, small_pieces: None) -> None:
    item = call.create(stock=5)["id"]
    other = call.create(stock=1)["id"]
    for delta in (10, -3, 4, 1, 1, 1, 1):
        assert call.patch(f"/goods/{item}", json={"stock_delta": delta}).status_code == 200
    age(call, GoodsChange, GoodsChange.changed_at, 366)
    assert call.patch(f"/goods/{item}", json={"stock_delta": 2}).status_code == 200
    assert prune(call, CHANGES_KEEP_DAYS=365).changes == 7
    assert len(call.get(f"/goods/{item}/changes", OPERATOR).json["items"]) == 2
    assert len(call.get(f"/goods/{other}/changes", OPERATOR).json["items"]) == 1
    assert clean(call)
    assert prune(call, CHANGES_KEEP_DAYS=365).changes == 0


def test_payments_without_effect_go_and_those_with_money_stay(call: Calls) -> None:
    with call.services.database.engine.begin() as connection:
        row = {
            **dict.fromkeys(("order_no", "payment_id"), "x"),
            **{"type": "payment.failed", "amount": 1, "currency": "CNY", "received_at": call.now()},
        }
        for n, outcome in enumerate(("failed", "repeated", "mismatch", "unknown_order", "already_paid")):
            connection.execute(Payment.__table__.insert().values(**row, event_id=f"evt_{n}", outcome=outcome))
    age(call, Payment, Payment.received_at, 366)
    assert prune(call, PAYMENTS_KEEP_DAYS=365).payments == 2
    assert count(call, Payment) == 3


def test_orders_that_hold_nothing_go_if_told_to_and_after_their_events(call: Calls, small_pieces: None) -> None:
    item = call.create(stock=30)["id"]
    call.create_coupon("TEN", percent=10)
    gone = [call.bought(item, f"gone-{n}", coupon_code="TEN")["order_no"] for n in range(5)]
    kept = [call.bought(item, f"kept-{n}")["order_no"] for n in range(2)]
    for n, order_no in enumerate(gone):
        assert call.post(f"/orders/{order_no}/cancel", f"gone-{n}").status_code == 200
    number(call)
    for column in (Order.purchased_at, Order.expires_at, Order.closed_at):
        age(call, Order, column, 400, Order.order_no.in_(gone))
    assert prune(call).orders == 0  # off by default
    # All events are that old: those of the orders that stay go as well.
    age(call, Event, Event.occurred_at, 400)
    assert prune(call, ORDERS_KEEP_DAYS=365).orders == 0  # their events are there
    age(call, Order, Order.purchased_at, 400, Order.order_no.in_(kept))
    pruned = prune(call, ORDERS_KEEP_DAYS=365, EVENTS_KEEP_DAYS=90)
    assert pruned.orders == 5
    with call.services.database.reading() as connection:
        assert sorted(connection.scalars(select(Order.order_no))) == sorted(kept)
        assert connection.execute(select(Sequencer.pruned_seq)).scalar_one() > 0
    assert clean(call)


def test_without_a_publisher_events_go_in_time_too_and_orders_after_them(
    call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer, "ROWS_AT_ONCE", 2)
    item = call.create(stock=30)["id"]
    for n in range(4):
        order_no = call.bought(item, f"gone-{n}")["order_no"]
        assert call.post(f"/orders/{order_no}/cancel", f"gone-{n}").status_code == 200
    for column in (Order.purchased_at, Order.expires_at, Order.closed_at):
        age(call, Order, column, 400)
    age(call, Outbox, Outbox.occurred_at, 400)
    assert (count(call, Event), count(call, Outbox)) == (0, 8)
    assert prune(call, ORDERS_KEEP_DAYS=365).orders == 0  # their events are there
    total = count(call, Event)
    assert (count(call, Outbox), count(call, Order)) == (0, 4)
    assert clean(call)
    pruned = prune(call, ORDERS_KEEP_DAYS=365, EVENTS_KEEP_DAYS=90)
    assert (pruned.events, pruned.orders) == (total, 4)
    assert clean(call)


def test_orders_whose_events_are_not_numbered_yet_stay(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    order_no = call.bought(call.create()["id"], "gone")["order_no"]
    assert call.post(f"/orders/{order_no}/cancel", "gone").status_code == 200
    for column in (Order.purchased_at, Order.expires_at, Order.closed_at):
        age(call, Order, column, 400)
    age(call, Outbox, Outbox.occurred_at, 400)
    monkeypatch.setattr(retention.sequencer, "number", lambda *arguments, **more: 0)  # as where time ran out
    assert prune(call, ORDERS_KEEP_DAYS=365).orders == 0
    assert clean(call)


def test_nothing_is_begun_once_it_is_told_to_stop(call: Calls) -> None:
    item = call.create()["id"]
    call.bought(item, "a")
    number(call)
    age(call, Event, Event.occurred_at, 400)
    assert retention.prune(call.services.database, lambda: True) == retention.Pruned(0, 0, 0, 0, 0, 0)
    assert count(call, Event) > 0
