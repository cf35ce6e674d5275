"""The publisher where it lives: in each worker of the service, or in a command of its own."""

import json
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
import requests

from config import ROOT
from harness.receiver import Receiver
from harness.service import Service, run_command

PATIENCE = 60  # seconds, for "never"


def subscribe(service: Service, url: str) -> None:
    answer = requests.post(
        f"{service.url}/webhooks", json={"url": url}, headers=service.headers("operator", admin=True), timeout=20
    )
    assert answer.status_code == 201, answer.text


def wait_for(receiver: Receiver, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(receiver.received) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(receiver.received) == count


def flask_publish(service: Service, *options: str) -> list[str]:
    return [sys.executable, "-m", "flask", "publish", *options]


def test_workers_publish_by_themselves(
    start_service: Callable[..., Service], database_uri: str, receiver: Receiver
) -> None:
    service = start_service(database_uri, workers=2, WEBHOOKS_TO_PRIVATE="on")
    subscribe(service, receiver.url)
    item = service.create_goods(stock=2)
    for user in ("alice", "bob"):
        assert service.buy(item, user).status_code == 201
    wait_for(receiver, 3)
    assert sorted(json.loads(request.body)["type"] for request in receiver.received) == [
        "goods.sold_out",
        "order.placed",
        "order.placed",
    ]
    assert len(set(receiver.ids)) == 3


@pytest.mark.long
def test_with_the_publisher_off_it_is_left_to_the_command(
    start_service: Callable[..., Service], sqlite_uri: str, receiver: Receiver
) -> None:
    service = start_service(sqlite_uri, PUBLISHER="off", WEBHOOKS_TO_PRIVATE="on")
    subscribe(service, receiver.url)
    item = service.create_goods()
    assert service.buy(item, "alice").status_code == 201
    time.sleep(2.5)
    assert receiver.received == []
    options = {"cwd": ROOT, "env": service.environment, "text": True}
    ran = run_command(["publish", "--json"], service.environment)
    assert ran.returncode == 0
    assert json.loads(ran.stdout) == {"numbered": 1, "attempts": {"delivered": 1}}
    assert len(receiver.received) == 1
    again = run_command(["publish"], service.environment)
    assert (again.returncode, again.stdout) == (0, "0 events numbered; attempts to deliver: none.\n")
    loop = subprocess.Popen(flask_publish(service, "--loop"), stdout=subprocess.DEVNULL, **options)
    try:
        assert service.buy(item, "bob").status_code == 201
        wait_for(receiver, 2)
    finally:
        loop.terminate()
        loop.wait(PATIENCE)


def test_what_killed_workers_left_is_sent_by_those_that_follow(
    start_service: Callable[..., Service], server_uri: str, receiver: Receiver
) -> None:
    service = start_service(server_uri, workers=2, WEBHOOKS_TO_PRIVATE="on")
    subscribe(service, receiver.url)
    item = service.create_goods(stock=1000)
    sold = 0
    for number in range(30):
        if number % 10 == 9:
            for pid in service.worker_pids():
                subprocess.run(["kill", "-9", str(pid)], check=False)
            service.wait_until_ready()
        sold += service.buy(item, f"user-{number}").status_code == 201
    # A claim of the dead may still hold: every event is there to be pulled, and on a subscriber's list.
    deadline = time.monotonic() + PATIENCE
    path, headers = f"{service.url}/webhooks/1/deliveries?limit=100", service.headers("operator", admin=True)
    while time.monotonic() < deadline:
        listed = requests.get(path, headers=headers, timeout=20).json()["items"]
        if len(listed) == sold:
            break
        time.sleep(0.1)
    events = requests.get(f"{service.url}/events?limit=100", headers=headers, timeout=20).json()["items"]
    assert len(events) == len({event["order_no"] for event in events}) == sold
    assert {entry["event_id"] for entry in listed} == {event["id"] for event in events}
    sent = {entry["event_id"] for entry in listed if entry["status"] == "delivered"}
    assert sent <= set(receiver.ids) <= {event["id"] for event in events}
