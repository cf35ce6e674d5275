"""Events on their way to subscribers: each arrives, late or twice if it must be, under the same id."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from standardwebhooks import Webhook as Verifier

from config import ROOT
from core.events import deliveries
from core.events import publisher as publishers
from core.events.deliveries import BACK_OFF, GIVE_UP, LEASE
from core.events.publisher import Publisher
from core.name_lookup import NameLookup
from harness.eventually import eventually
from harness.receiver import Receiver, receiving, status
from harness.service import environment
from models import Webhook, WebhookDelivery
from tests.events.conftest import Clock
from tests.no_threads import no_more_threads
from tests.resources.calls import OPERATOR, Calls


def publish(publisher: Publisher) -> None:
    publisher.turn()
    publisher.finish()


def buy(call: Calls, count: int = 1) -> list[str]:
    """Buy so often; returns the orders."""
    item = call.create(stock=1000)
    return [call.bought(item["id"], f"user-{number}")["order_no"] for number in range(count)]


def set_delivery(call: Calls, **columns: Any) -> None:
    """Set columns of all deliveries, as only time would."""
    with call.services.database.engine.begin() as connection:
        connection.execute(update(WebhookDelivery).values(columns))


def rows(call: Calls) -> list[Any]:
    with call.services.database.reading() as connection:
        return list(connection.execute(select(*WebhookDelivery.__table__.columns).order_by(WebhookDelivery.id)))


def make_due(call: Calls, clock: Clock) -> None:
    """Let the time until the next attempt be over, for the database and for this process."""
    set_delivery(call, next_attempt_at=datetime.fromisoformat("2001-01-01T00:00:00+00:00"))
    clock.now += 3600


def test_what_happens_arrives_signed_and_as_the_list_tells_it(
    private_call: Calls, publisher: Publisher, receiver: Receiver
) -> None:
    secret = private_call.create_webhook(f"{receiver.url}?shop=1")["secret"]
    item = private_call.create(stock=1, name="键盘")
    private_call.bought(item["id"])
    publish(publisher)
    listed = private_call.get("/events", OPERATOR).json["items"]
    assert [event["type"] for event in listed] == ["order.placed", "goods.sold_out"]
    assert receiver.ids == [event["id"] for event in listed]
    for request, event in zip(receiver.received, listed, strict=True):
        assert request.path == "/hook?shop=1"
        body = Verifier(secret).verify(request.body, request.headers)
        assert body == {**event, "timestamp": event["occurred_at"]}
        assert "\\u" not in request.body.decode()


def test_a_subscription_begins_with_what_happens_after_it(
    private_call: Calls, publisher: Publisher, receiver: Receiver
) -> None:
    buy(private_call, 3)  # not even numbered yet
    private_call.create_webhook(receiver.url)
    publish(publisher)
    assert receiver.received == []
    (order_no,) = buy(private_call)
    publish(publisher)
    assert [json.loads(request.body)["order_no"] for request in receiver.received] == [order_no]


def test_each_subscriber_is_told_of_the_types_it_wants(private_call: Calls, publisher: Publisher) -> None:
    with receiving() as orders, receiving() as stock:
        private_call.create_webhook(orders.url, types=["order.placed", "order.cancelled"])
        private_call.create_webhook(stock.url, types=["goods.sold_out", "goods.restocked"])
        item = private_call.create(stock=1)
        order = private_call.bought(item["id"])
        private_call.post(f"/orders/{order['order_no']}/cancel", "alice")
        publish(publisher)
        assert [json.loads(request.body)["type"] for request in orders.received] == ["order.placed", "order.cancelled"]
        assert [json.loads(request.body)["type"] for request in stock.received] == ["goods.sold_out", "goods.restocked"]


def test_one_that_is_switched_off_is_told_later_what_happened_meanwhile(
    private_call: Calls, publisher: Publisher, receiver: Receiver
) -> None:
    hook = private_call.create_webhook(receiver.url)["id"]
    private_call.patch(f"/webhooks/{hook}", json={"active": False})
    orders = buy(private_call, 3)
    publish(publisher)
    assert receiver.received == []
    private_call.patch(f"/webhooks/{hook}", json={"active": True})
    publish(publisher)
    assert [json.loads(request.body)["order_no"] for request in receiver.received] == orders


def test_more_than_is_taken_at_once_arrives_each_once(
    private_call: Calls, publisher: Publisher, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "FANNED_OUT_AT_ONCE", 4)
    private_call.create_webhook(receiver.url)
    orders = buy(private_call, 25)
    publish(publisher)
    # A turn that took long leaves some to the next.
    assert eventually(lambda: len(receiver.received) >= len(orders) or publish(publisher))
    assert [json.loads(request.body)["order_no"] for request in receiver.received] == orders
    publish(publisher)
    assert len(receiver.received) == 25


def test_a_failed_attempt_is_repeated_under_the_same_id_after_longer_and_longer_pauses(
    private_call: Calls, publisher: Publisher, clock: Clock, receiver: Receiver
) -> None:
    private_call.create_webhook(receiver.url)
    buy(private_call)
    receiver.act = status(503)
    for attempt, seconds in enumerate((*BACK_OFF, BACK_OFF[-1]), start=1):
        publish(publisher)
        (row,) = rows(private_call)
        assert (row.status, row.attempts, row.last_status) == ("pending", attempt, 503)
        pause = (row.next_attempt_at - row.last_attempt_at).total_seconds()
        assert seconds <= pause <= 1.2 * seconds + 0.01
        publish(publisher)  # too early
        assert len(receiver.received) == attempt
        make_due(private_call, clock)
    receiver.act = status(200)
    publish(publisher)
    (row,) = rows(private_call)
    assert (row.status, row.attempts, row.last_status, row.last_error) == ("delivered", 9, 200, None)
    assert row.delivered_at == row.last_attempt_at
    assert receiver.ids == ["evt_1"] * 9
    stamps = [int(request.headers["webhook-timestamp"]) for request in receiver.received]
    assert stamps == sorted(stamps)


def test_after_three_days_it_is_given_up(
    private_call: Calls, publisher: Publisher, clock: Clock, receiver: Receiver
) -> None:
    private_call.create_webhook(receiver.url)
    buy(private_call)
    receiver.act = status(500)
    publish(publisher)
    (row,) = rows(private_call)
    set_delivery(private_call, created_at=row.created_at - GIVE_UP + timedelta(minutes=5))
    make_due(private_call, clock)
    publish(publisher)
    assert rows(private_call)[0].status == "pending"
    set_delivery(private_call, created_at=row.created_at - GIVE_UP)
    make_due(private_call, clock)
    publish(publisher)
    assert rows(private_call)[0].status == "failed"
    make_due(private_call, clock)
    publish(publisher)
    assert len(receiver.received) == 3


def test_gone_switches_the_subscription_off(
    private_call: Calls, publisher: Publisher, clock: Clock, receiver: Receiver
) -> None:
    hook = private_call.create_webhook(receiver.url)["id"]
    buy(private_call, 2)
    receiver.act = status(410)
    publish(publisher)
    assert [(row.status, row.last_error) for row in rows(private_call)] == [("failed", "gone"), ("pending", None)]
    shown = private_call.get(f"/webhooks/{hook}", OPERATOR).json
    assert (shown["active"], shown["version"]) == (False, 2)
    make_due(private_call, clock)
    publish(publisher)
    assert len(receiver.received) == 1


def test_a_target_that_leads_inside_is_not_sent_to_and_the_log_says_so(call: Calls) -> None:
    with receiving() as inside:
        call.create_webhook(f"https://93.184.216.34:{inside.port}/hook")
        with call.services.database.engine.begin() as connection:
            connection.execute(update(Webhook).values(url=f"https://shop.example:{inside.port}/hook"))
        buy(call)
        publish(Publisher(call.services.database, names=NameLookup(lambda host, port: ["127.0.0.1"])))
        assert inside.received == []
    (row,) = rows(call)
    assert (row.status, row.attempts, row.last_status, row.last_error) == ("pending", 1, None, "forbidden_target")


def test_a_subscriber_that_is_silent_holds_up_nobody_else(private_call: Calls, publisher: Publisher) -> None:
    release = threading.Event()
    with receiving() as silent, receiving() as lively:
        silent.act = lambda handler: (release.wait(50), status(204)(handler))
        private_call.create_webhook(silent.url)
        private_call.create_webhook(lively.url)
        buy(private_call, 20)
        publisher.turn()
        assert silent.came.wait(60)
        while len(lively.received) < 20:
            time.sleep(0.01)
        assert len(silent.received) == 1  # one sender, which waits
        buy(private_call)
        publisher.turn()
        while len(lively.received) < 21:
            time.sleep(0.01)
        assert len(silent.received) == 1
        release.set()
        publisher.finish()
        assert len(silent.received) == 21


def test_one_that_is_down_is_left_alone_for_a_while_and_what_was_not_tried_is_no_attempt(
    private_call: Calls, publisher: Publisher, clock: Clock, receiver: Receiver
) -> None:
    private_call.create_webhook(receiver.url)
    buy(private_call, 30)
    receiver.act = status(503)
    publish(publisher)
    publish(publisher)
    assert len(receiver.received) == 1
    assert sorted(row.attempts for row in rows(private_call)) == [0] * 29 + [1]
    receiver.act = status(204)
    make_due(private_call, clock)
    publish(publisher)
    assert Counter(receiver.ids).most_common(1)[0][1] == 2
    assert {row.status for row in rows(private_call)} == {"delivered"}


def test_one_event_that_is_refused_does_not_stop_the_next(
    private_call: Calls, publisher: Publisher, receiver: Receiver
) -> None:
    private_call.create_webhook(receiver.url)
    buy(private_call, 5)
    receiver.act = lambda handler: status(422 if handler.headers["webhook-id"] == "evt_2" else 204)(handler)
    publish(publisher)
    assert [row.status for row in rows(private_call)] == ["delivered", "pending", "delivered", "delivered", "delivered"]


def test_what_was_due_while_no_thread_could_be_started_is_sent_afterwards(
    private_call: Calls, publisher: Publisher, receiver: Receiver
) -> None:
    private_call.create_webhook(receiver.url)
    buy(private_call)
    with no_more_threads():
        publish(publisher)
    assert receiver.received == []
    publish(publisher)
    assert [row.status for row in rows(private_call)] == ["delivered"]


@pytest.mark.parametrize("busy", [True, False])
def test_in_a_rush_a_sender_makes_way_for_buyers_after_each_attempt(
    private_call: Calls, receiver: Receiver, busy: bool
) -> None:
    pauses: list[float] = []
    private_call.create_webhook(receiver.url)
    buy(private_call, 3)
    publish(Publisher(private_call.services.database, busy=lambda: busy, pause=pauses.append))
    assert len(receiver.received) == 3
    assert len(pauses) == (3 if busy else 0)
    assert all(pause > 0 for pause in pauses)


def test_a_process_knows_the_purchases_that_it_has_in_hand(sqlite_app: Flask) -> None:
    in_progress = Calls(sqlite_app).services.in_progress
    with in_progress.counted(1), in_progress.counted(2):
        assert in_progress.here == 2
    assert in_progress.here == 0


def test_a_host_that_is_about_to_stop_begins_nothing(private_call: Calls, receiver: Receiver) -> None:
    private_call.create_webhook(receiver.url)
    buy(private_call)
    publish(Publisher(private_call.services.database, resting=lambda: True))
    assert receiver.received == []


def test_when_nobody_buys_or_subscribes_a_turn_is_one_small_query(private_call: Calls, publisher: Publisher) -> None:
    from sqlalchemy import event

    buy(private_call)
    publish(publisher)
    seen: list[str] = []
    engine = private_call.services.database.engine
    event.listen(engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    publisher.turn()
    assert len([statement for statement in seen if statement != "BEGIN"]) == 1


def test_publishers_of_several_processes_send_each_event_once(
    make_app: Callable[..., Flask], server_uri: str, receiver: Receiver
) -> None:
    receiver.act = lambda handler: (time.sleep(0.02), status(204)(handler))
    calls = [Calls(make_app(server_uri, WEBHOOKS_TO_PRIVATE=True)) for _ in range(3)]
    calls[0].create_webhook(receiver.url)
    buy(calls[0], 60)
    publishers.number(calls[0].services.database, 60)
    deliveries.fan_out(calls[0].services.database, 1)
    together = [Publisher(call.services.database) for call in calls]
    while {row.status for row in rows(calls[0])} != {"delivered"}:
        turns = [threading.Thread(target=publish, args=(publisher,)) for publisher in together]
        for turn in turns:
            turn.start()
        for turn in turns:
            turn.join()
    assert Counter(receiver.ids) == Counter(f"evt_{seq}" for seq in range(1, 61))


def send_while_another_sends(call: Calls, receiver: Receiver) -> None:
    """One publisher is in the middle of its call when another looks for work."""
    release = threading.Event()
    receiver.act = lambda handler: (len(receiver.received) > 1 or release.wait(50), status(204)(handler))
    call.create_webhook(receiver.url)
    buy(call)
    first, second = Publisher(call.services.database), Publisher(call.services.database)
    first.turn()
    assert receiver.came.wait(60)
    publish(second)
    release.set()
    first.finish()
    assert receiver.ids == ["evt_1"]


def test_what_one_has_in_hand_another_leaves_alone(private_call: Calls, receiver: Receiver) -> None:
    send_while_another_sends(private_call, receiver)


def test_without_the_lease_of_a_claim_it_is_sent_twice(
    private_call: Calls, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "LEASE", timedelta(0))
    with pytest.raises(AssertionError, match=r"\['evt_1', 'evt_1'\] == \['evt_1'\]"):
        send_while_another_sends(private_call, receiver)


DIE_BEFORE_THE_BOOKS = """
import os, signal, time
import config
from app import create_app
from core.events import deliveries
from core.events.publisher import Publisher
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
deliveries.note = die
publisher = Publisher(create_app(config.load()).extensions["seckill"].database)
publisher.turn()
publisher.finish()
"""


def test_whoever_is_killed_between_sending_and_noting_it_has_it_sent_again_under_the_same_id(
    private_call: Calls, publisher: Publisher, clock: Clock, receiver: Receiver
) -> None:
    private_call.create_webhook(receiver.url)
    buy(private_call, 3)
    uri = str(private_call.app.config["SQLALCHEMY_DATABASE_URI"])
    died = subprocess.run(
        [sys.executable, "-c", DIE_BEFORE_THE_BOOKS],
        cwd=ROOT,
        env=environment(uri, WEBHOOKS_TO_PRIVATE="on"),
        timeout=60,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert receiver.ids == ["evt_1"]
    for row in rows(private_call):
        assert (row.status, row.attempts) == ("pending", 0)
        assert timedelta(0) <= row.next_attempt_at - row.created_at - LEASE < LEASE
    publish(publisher)  # the claim still holds
    assert receiver.ids == ["evt_1"]
    make_due(private_call, clock)
    publish(publisher)
    assert receiver.ids == ["evt_1", "evt_1", "evt_2", "evt_3"]
    assert receiver.received[0].body == receiver.received[1].body
    assert {row.status for row in rows(private_call)} == {"delivered"}


def test_a_late_word_of_failure_does_not_undo_what_another_has_delivered(
    private_call: Calls, publisher: Publisher, clock: Clock, receiver: Receiver
) -> None:
    private_call.create_webhook(receiver.url)
    buy(private_call)
    database = private_call.services.database
    publishers.number(database, 60)
    deliveries.fan_out(database, 1)
    stale = deliveries.claim(database, 1)
    assert stale is not None
    assert deliveries.claim(database, 1) is None
    make_due(private_call, clock)
    assert deliveries.claim(database, 1) is not None
    # Another has it in hand: neither counts, nor ends its claim.
    deliveries.note(database, stale, stale.rows[0], publishers.Answer(None, "timeout"))
    deliveries.hand_back(database, stale, stale.rows, 0)
    assert rows(private_call)[0].attempts == 0
    assert deliveries.claim(database, 1) is None
    make_due(private_call, clock)
    publish(publisher)
    deliveries.note(database, stale, stale.rows[0], publishers.Answer(None, "timeout"))
    deliveries.hand_back(database, stale, stale.rows, 0)
    (row,) = rows(private_call)
    assert (row.status, row.attempts, row.last_error) == ("delivered", 1, None)
