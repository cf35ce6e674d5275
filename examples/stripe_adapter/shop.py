"""The shop's API, as far as the adapter needs it: an order, the money that is owed, and reports of payments."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import requests
from standardwebhooks import Webhook

from examples.stripe_adapter.settings import Settings

SUCCEEDED = "payment.succeeded"
FAILED = "payment.failed"
REFUNDED = "payment.refunded"
# Outcomes of money that is to be given back, whatever an operator would find: the shop's docs/payments.md.
OWED = ("refund_due", "already_paid")
_TIMEOUT = (5, 20)  # seconds to connect, and to wait for an answer
_PAGE = 100


class ShopError(Exception):
    """The shop did not answer, or not as it should: try again. The text holds no secret."""


@dataclass(frozen=True)
class Fact:
    """What became of a payment. `amount` is in the shop's unit, `currency` in upper case.

    Its id is made of what it says: however often, from whichever event of Stripe it is learnt, it is one event to the
    shop, and has its effect once.
    """

    type: str
    order_no: str
    amount: int
    currency: str
    payment_id: str

    @property
    def event_id(self) -> str:
        return f"{self.payment_id}.{self.type.removeprefix('payment.')}.{self.amount}"

    @property
    def body(self) -> bytes:
        data = {name: getattr(self, name) for name in ("order_no", "amount", "currency", "payment_id")}
        return json.dumps({"type": self.type, "data": data}).encode()


class Shop:
    """Calls of the shop. All raise ShopError where no useful answer came."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.shop_url
        self._key = Webhook(settings.shop_payment_secret)
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no .netrc: the token goes to the shop alone
        self._as_administrator = {"Authorization": f"Bearer {settings.shop_token}"}

    def order(self, order_no: str) -> dict[str, Any] | None:
        """The order, or None where there is none."""
        status, answer = self._call("GET", f"/orders/{order_no}", headers=self._as_administrator)
        if status == 404:
            return None
        return _ok(status, answer)

    def owed(self) -> Iterator[dict[str, Any]]:
        """The payments whose money is to be given back and has not been."""
        for outcome in OWED:
            cursor: str | None = None
            while True:
                query = {"outcome": outcome, "resolved": "false", "limit": str(_PAGE)}
                query |= {} if cursor is None else {"cursor": cursor}
                status, page = self._call("GET", "/payments", headers=self._as_administrator, params=query)
                yield from _ok(status, page)["items"]
                cursor = page["next_cursor"]
                if cursor is None:
                    break

    def report(self, fact: Fact) -> str:
        """Report to the shop what became of a payment; returns the outcome. The call may be repeated."""
        now = datetime.now(timezone.utc)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": fact.event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._key.sign(fact.event_id, now, fact.body.decode()),
        }
        status, answer = self._call("POST", "/payments/webhook", headers=headers, data=fact.body)
        return str(_ok(status, answer)["outcome"])

    def _call(self, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
        try:
            answer = self._session.request(method, self._url + path, timeout=_TIMEOUT, allow_redirects=False, **options)
            value = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise ShopError(f"{method} {path.split('?')[0]}: {type(error).__name__}") from None
        return answer.status_code, value if isinstance(value, dict) else {}


def _ok(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    if not 200 <= status < 300:
        raise ShopError(f"the shop answered {status} {answer.get('code', '')}")
    return answer
