"""docs/runbooks/keys.md: keys are replaced over two hosts, and at no step is anybody signed out."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from itertools import product

import pytest
import requests
from standardwebhooks import Webhook

from core.tokens import Tokens
from examples.payment_provider import new_secret
from harness.service import Service

# Each starts services one after the other, up to eight.
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

OLD, NEW = "the-old-key-of-forty-characters-and-more-0", "the-new-key-of-forty-characters-and-more-1"
# The settings of each step of the table.
STEPS: list[Mapping[str, str]] = [
    {"SECRET_KEY": OLD},
    {"SECRET_KEY": OLD, "SECRET_KEY_FALLBACKS": NEW},
    {"SECRET_KEY": NEW, "SECRET_KEY_FALLBACKS": OLD},
    {"SECRET_KEY": NEW},
]


def signer(settings: Mapping[str, str]) -> str:
    return settings["SECRET_KEY"]


def takes(service: Service, key: str) -> bool:
    headers = {"Authorization": f"Bearer {Tokens(key).issue('alice')}"}
    return requests.get(f"{service.url}/orders", headers=headers, timeout=20).status_code == 200


def rolled(start: Callable[..., Service], uri: str, steps: list[Mapping[str, str]]):
    """The two hosts, and the settings of each, at every moment of a change from step to step, one host at a time."""
    hosts = [start(uri, **steps[0]) for _ in range(2)]
    in_force = [steps[0], steps[0]]
    yield hosts, in_force
    for step in steps[1:]:
        for place in range(2):
            hosts[place].stop()
            hosts[place] = start(uri, **step)
            in_force[place] = step
            yield hosts, in_force


def test_a_token_that_either_host_signs_is_taken_by_both_at_every_step(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    moments = 0
    for hosts, in_force in rolled(start_service, sqlite_uri, STEPS):
        for host, settings in product(hosts, in_force):
            # Step 3 is for when no token under the old key is left.
            assert takes(host, signer(settings)), (moments, settings)
        moments += 1
    assert moments == 7
    assert not takes(hosts[0], OLD)


def test_without_the_first_step_one_host_does_not_take_what_the_other_signs(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    for hosts, in_force in rolled(start_service, sqlite_uri, [STEPS[0], STEPS[2]]):
        if in_force[0] is not in_force[1]:
            assert not takes(hosts[1], signer(in_force[0]))
            return
    raise AssertionError


def calls_under(service: Service, secret: str, event_id: str) -> int:
    data = {"order_no": "none", "amount": 1, "currency": "CNY", "payment_id": event_id}
    body = json.dumps({"type": "payment.failed", "data": data}).encode()
    now = datetime.now(timezone.utc)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, now, body.decode()),
        "Content-Type": "application/json",
    }
    return requests.post(f"{service.url}/payments/webhook", data=body, headers=headers, timeout=20).status_code


def test_the_provider_s_calls_are_taken_at_every_step(start_service: Callable[..., Service], sqlite_uri: str) -> None:
    old, new = new_secret(), new_secret()
    name = "PAYMENT_WEBHOOK_SECRETS"
    steps = [{name: old}, {name: f"{old} {new}"}, {name: new}]
    for moment, (hosts, in_force) in enumerate(rolled(start_service, sqlite_uri, steps)):
        # The provider signs with the new one once every host has both.
        by = old if any(new not in settings[name] for settings in in_force) else new
        assert [calls_under(host, by, f"e-{moment}-{place}") for place, host in enumerate(hosts)] == [200, 200]
    assert calls_under(hosts[0], old, "late") == 401
