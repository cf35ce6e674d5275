"""Events of payments, signed per Standard Webhooks and delivered at least once: with retries, and with faults."""

import base64
import http.client
import ipaddress
import json
import random
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook

SUCCEEDED = "payment.succeeded"
FAILED = "payment.failed"
REFUNDED = "payment.refunded"
_AT_ONCE = 64
_FIRST_PAUSE = 0.1  # seconds before the first retry; doubles each time


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *redirect: Any) -> None:
        """A signed call is for one address."""


# No proxy of the environment: what goes to this host stays on it.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)


class NotLoopback(ValueError):
    """The address is not of this host: calls that look like money are not sent there by accident."""


def new_secret() -> str:
    """A new key to sign with, `whsec_…` of 32 random bytes."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


@dataclass(frozen=True)
class Event:
    """An event about one payment, under an id that stays. `amount` is in the currency's minor unit."""

    type: str
    order_no: str
    amount: int
    currency: str
    payment_id: str = field(default_factory=lambda: _new_id("pay"))
    event_id: str = field(default_factory=lambda: _new_id("evt"))

    @property
    def body(self) -> bytes:
        data = {
            "order_no": self.order_no,
            "amount": self.amount,
            "currency": self.currency,
            "payment_id": self.payment_id,
        }
        return json.dumps({"type": self.type, "data": data}, ensure_ascii=False).encode()


@dataclass(frozen=True)
class Answer:
    """What a call was answered: the HTTP status and the body; None and {} where no answer came."""

    status: int | None
    body: dict[str, Any]

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def worth_a_retry(self) -> bool:
        return self.status is None or self.status == 429 or self.status >= 500


@dataclass(frozen=True)
class Delivery:
    """One copy of an event: each answer it had, the last one being final."""

    event: Event
    answers: tuple[Answer, ...]

    @property
    def final(self) -> Answer:
        return self.answers[-1]


class Provider:
    """Delivers events to `url`, signed with `secret`. Raises NotLoopback for other hosts, unless they are allowed."""

    def __init__(self, url: str, secret: str, allow_any_host: bool = False, timeout: float = 30) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the address must be http:// or https://")
        if not allow_any_host and not _is_loopback(parts.hostname):
            raise NotLoopback(parts.hostname)
        self.url = url
        self._key = Webhook(secret)
        self._timeout = timeout

    def signature_headers(self, event_id: str, body: bytes, at: datetime | None = None) -> dict[str, str]:
        """The headers that prove `body`, signed now or as if it were `at`."""
        moment = at or datetime.now(timezone.utc)
        return {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": self._key.sign(event_id, moment, body.decode()),
        }

    def call(self, body: bytes, headers: dict[str, str]) -> Answer:
        """One call, with exactly these headers and this body."""
        request = urllib.request.Request(  # noqa: S310 (the scheme is checked)
            self.url, data=body, headers={"Content-Type": "application/json", **headers}, method="POST"
        )
        try:
            try:
                with _OPENER.open(request, timeout=self._timeout) as response:
                    return _answer(response.status, response.read())
            except urllib.error.HTTPError as error:
                with error:
                    return _answer(error.code, error.read())
        except (OSError, http.client.HTTPException):  # the latter: an answer that broke off
            return Answer(None, {})

    def deliver(self, event: Event, retries: int = 0, delay: float = 0) -> Delivery:
        """Deliver one copy after `delay` seconds; up to `retries` times again, freshly signed, until it is taken."""
        time.sleep(delay)
        answers: list[Answer] = []
        for attempt in range(retries + 1):
            if attempt:
                time.sleep(_FIRST_PAUSE * 2 ** (attempt - 1))
            answers.append(self.call(event.body, self.signature_headers(event.event_id, event.body)))
            if not answers[-1].worth_a_retry:
                break
        return Delivery(event, tuple(answers))

    def send(
        self,
        events: Sequence[Event],
        duplicates: int = 1,
        disorder: bool = False,
        delay: float = 0,
        retries: int = 0,
        lots: random.Random | None = None,
    ) -> list[Delivery]:
        """Deliver `duplicates` copies of each event. The deliveries are in the order in which they set out.

        Copies of one event set out at once; `disorder` draws lots for the order of all and sends them together; each
        waits up to `delay` seconds, by lot.
        """
        chance = lots or random.Random()  # noqa: S311 (no secret)
        if not disorder:
            return [
                delivery
                for event in events
                for delivery in self._together([event] * duplicates, delay, retries, chance)
            ]
        copies = [event for event in events for _ in range(duplicates)]
        chance.shuffle(copies)
        return self._together(copies, delay, retries, chance)

    def _together(self, copies: Sequence[Event], delay: float, retries: int, chance: random.Random) -> list[Delivery]:
        with ThreadPoolExecutor(min(_AT_ONCE, len(copies))) as threads:
            together = threading.Barrier(min(_AT_ONCE, len(copies)))

            def set_out(place: int, event: Event, wait: float) -> Delivery:
                if place < together.parties:
                    together.wait(30)
                return self.deliver(event, retries, wait)

            waits = [chance.uniform(0, delay) for _ in copies]
            return list(threads.map(set_out, range(len(copies)), copies, waits))


def _answer(status: int, body: bytes) -> Answer:
    try:
        value = json.loads(body)
    except ValueError:
        value = {}
    return Answer(status, value if isinstance(value, dict) else {})


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
