"""Events that a subscription begins to need at the very moment at which they are deleted for their age.

Either they are kept, or they are gone before the operator is answered: none is missed after that.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, select, update
from werkzeug.test import TestResponse

from core.events import webhooks
from core.events.publisher import Publisher
from core.ops import retention
from harness.database_server import DatabaseServer
from harness.service import UNHURRIED
from models import Event, Webhook, WebhookDelivery
from tests.events.test_retention import age, count, number, prune
from tests.races.inside import Inside, until
from tests.resources.calls import OPERATOR, Calls, problem


@dataclass
class Scene:
    """Old events, and a request by which a subscription needs them again."""

    name: str
    call: Calls
    inside: Inside
    send: Callable[[], TestResponse]
    needed: Callable[[], int]


@pytest.fixture
def call(make_app: Callable[..., Flask], server_uri: str) -> Calls:
    return Calls(make_app(server_uri, **UNHURRIED))


@pytest.fixture(params=["switched on", "sent again"])
def scene(request: pytest.FixtureRequest, call: Calls, server: DatabaseServer, server_uri: str) -> Scene:
    webhook = call.create_webhook(active=request.param == "sent again")
    item = call.create()["id"]
    for n in range(3):
        call.bought(item, f"buyer-{n}")
    number(call)
    path = f"/webhooks/{webhook['id']}"
    if request.param == "switched on":

        def send() -> TestResponse:
            return call.patch(path, json={"active": True})

        def needed() -> int:
            after = select(Webhook.after_seq).scalar_subquery()
            return count(call, Event, Event.seq > after)
    else:
        Publisher(call.services.database).fan_out()
        with call.services.database.engine.begin() as connection:
            connection.execute(update(WebhookDelivery).values(status="delivered"))
        delivery = call.get(f"{path}/deliveries", OPERATOR).json["items"][0]["id"]

        def send() -> TestResponse:
            return call.post(f"{path}/deliveries/{delivery}/retry", OPERATOR)

        def needed() -> int:
            return count(call, WebhookDelivery, WebhookDelivery.id == delivery, WebhookDelivery.status == "pending")

    age(call, Event, Event.occurred_at, 91)
    return Scene(request.param, call, Inside(server, server_uri), send, needed)


def send_while_they_are_deleted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> TestResponse:
    """Ask when the events to delete were chosen, and before they are deleted. Returns the answer."""
    chosen, goes_on = threading.Event(), threading.Event()
    find_first = retention.first_needed

    def choose(connection: Connection) -> int | None:
        needed = find_first(connection)
        chosen.set()
        goes_on.wait(45)
        return needed

    monkeypatch.setattr(retention, "first_needed", choose)
    pruning = threading.Thread(target=lambda: prune(scene.call, EVENTS_KEEP_DAYS=90))
    pruning.start()
    assert chosen.wait(60)
    answers: list[tuple[TestResponse, int]] = []
    sending = threading.Thread(target=lambda: answers.append((scene.send(), scene.needed())))
    sending.start()
    until(lambda: answers or scene.inside.waiting(), 30)
    goes_on.set()
    sending.join()
    pruning.join()
    assert count(scene.call, Event) == 0
    ((answer, at_the_answer),) = answers
    missed = at_the_answer - scene.needed()
    assert missed == 0, f"{missed} missed after the answer"
    return answer


def test_who_asks_while_they_are_deleted_is_answered_afterwards(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = send_while_they_are_deleted(scene, monkeypatch)
    if scene.name == "sent again":
        problem(answer, 404, "not_found")
    else:
        assert answer.json["active"] is True


def test_without_the_sequencer_s_row_they_are_missed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "hold_events", lambda connection: None)
    with pytest.raises(AssertionError, match=r"[13] missed after the answer"):
        send_while_they_are_deleted(scene, monkeypatch)


def test_those_that_are_needed_again_first_are_kept(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    held, goes_on = threading.Event(), threading.Event()
    hold = webhooks.hold_events

    def hold_on(connection: Any) -> None:
        hold(connection)
        held.set()
        goes_on.wait(45)

    monkeypatch.setattr(webhooks, "hold_events", hold_on)
    answers: list[TestResponse] = []
    sending = threading.Thread(target=lambda: answers.append(scene.send()))
    sending.start()
    assert held.wait(60)
    pruning = threading.Thread(target=lambda: prune(scene.call, EVENTS_KEEP_DAYS=90))
    pruning.start()
    until(lambda: not pruning.is_alive() or scene.inside.waiting(), 30)
    goes_on.set()
    sending.join()
    pruning.join()
    assert answers[0].status_code == 200
    kept = {"switched on": 3, "sent again": 1}[scene.name]
    assert (scene.needed(), count(scene.call, Event)) == (kept, kept)


def test_a_delivery_that_is_sent_again_meanwhile_stays_in_the_log(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = call.create_webhook()
    call.bought(call.create()["id"])
    number(call)
    Publisher(call.services.database).fan_out()
    with call.services.database.engine.begin() as connection:
        connection.execute(update(WebhookDelivery).values(status="delivered"))
    age(call, WebhookDelivery, WebhookDelivery.created_at, 31)
    (delivery,) = call.get(f"/webhooks/{webhook['id']}/deliveries", OPERATOR).json["items"]
    delete_now = retention.delete_some

    def delete_late(connection: Connection, key: Any, some: Any, *still: Any) -> int:
        class Late:
            """The rows as they were found, and sent again before they are deleted."""

            def limit(self, most: int) -> Any:
                ids = connection.execute(some.limit(most)).scalars().all()
                if ids:
                    path = f"/webhooks/{webhook['id']}/deliveries/{delivery['id']}/retry"
                    assert call.post(path, OPERATOR).status_code == 200
                return select(WebhookDelivery.id).where(WebhookDelivery.id.in_(ids))

        return delete_now(connection, key, Late(), *still)

    monkeypatch.setattr(retention, "delete_some", delete_late)
    assert prune(call, DELIVERIES_KEEP_DAYS=30).deliveries == 0
    assert count(call, WebhookDelivery, WebhookDelivery.status == "pending") == 1
