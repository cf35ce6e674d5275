"""A shop whose webhooks may go to loopback, and its publisher, which works when it is told to."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from core.events import publisher as publishers
from core.events import webhook_call
from core.events.publisher import Publisher
from harness.receiver import Receiver, receiving
from tests.resources.calls import Calls


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A subscriber, or a turn of the publisher, may stand still for a while on a busy machine."""
    for name in ("CONNECT_SECONDS", "READ_SECONDS", "WHOLE_SECONDS"):
        monkeypatch.setattr(webhook_call, name, 60.0)
    for name in ("NUMBER_SECONDS", "FAN_OUT_SECONDS", "FAN_OUT_SECONDS_WHEN_BUSY"):
        monkeypatch.setattr(publishers, name, 60.0)


@pytest.fixture
def private_call(app_uri: str, make_app: Callable[..., Flask]) -> Calls:
    """Requests to an application that may send to private addresses, once on each kind."""
    return Calls(make_app(app_uri, WEBHOOKS_TO_PRIVATE=True))


class Clock:
    """The time by which publishers pause after a failure, in seconds; it stands still until it is moved on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def publisher(private_call: Calls, clock: Clock) -> Publisher:
    return Publisher(private_call.services.database, clock=clock)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def call(app: Flask) -> Calls:
    """Requests to an application on an empty database, once on each kind."""
    return Calls(app)


@pytest.fixture
def sqlite_call(sqlite_app: Flask) -> Calls:
    return Calls(sqlite_app)
