"""The API as the tests use it beside the browser: an administrator, buyers, and the payment provider."""

import base64
import hashlib
import hmac
import itertools
import json
import time
from typing import Any

import requests

from core.tokens import Tokens
from harness.service import SECRET, Service

_KEY = b"0123456789abcdef0123456789abcdef"
PROVIDER_SECRET = f"whsec_{base64.b64encode(_KEY).decode()}"


class Shop:
    """A running service. Every answer that is not asked for as a refusal must be a success."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.url = service.url
        self.admin_token = Tokens(SECRET).issue("operator", is_admin=True)
        self._session = requests.Session()
        self._session.trust_env = False
        self._numbers = itertools.count(1)

    def call(self, method: str, path: str, user: str | None = None, **options: Any) -> Any:
        """The answer's JSON. Without a `user` an administrator calls, whose name is `rival` where `rival` is given."""
        token = self.admin_token if user is None else Tokens(SECRET).issue(user, is_admin=user == "rival")
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        answer = self._session.request(method, self.url + path, headers=headers, timeout=30, **options)
        assert answer.ok, f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def put_up(self, name: str = "Tea", **fields: Any) -> dict[str, Any]:
        """A new sale."""
        body = {"name": name, "currency": "CNY", "price": 19900, "stock": 50, **fields}
        made: dict[str, Any] = self.call("POST", "/goods", json=body)
        return made

    def goods(self, goods_id: int) -> dict[str, Any]:
        read: dict[str, Any] = self.call("GET", f"/goods/{goods_id}")
        return read

    def live(self, goods_id: int) -> dict[str, Any]:
        """What buyers see."""
        read: dict[str, Any] = self.call("GET", f"/seckill/{goods_id}", user="alice")
        return read

    def buy(self, goods_id: int, user: str = "alice", **body: Any) -> dict[str, Any]:
        order: dict[str, Any] = self.call("POST", f"/seckill/{goods_id}", user=user, json=body)
        return order

    def attempt(self, goods_id: int, user: str) -> int:
        """The status of an attempt to buy, refused or not."""
        headers = {"Authorization": f"Bearer {Tokens(SECRET).issue(user)}"}
        return requests.post(f"{self.url}/seckill/{goods_id}", headers=headers, timeout=30).status_code

    def order(self, order_no: str) -> dict[str, Any]:
        read: dict[str, Any] = self.call("GET", f"/orders/{order_no}")
        return read

    def names(self) -> list[str]:
        return [item["name"] for item in self.call("GET", "/goods?limit=100")["items"]]

    def report_payment(self, order_no: str, amount: int, payment_id: str | None = None) -> str:
        """The outcome of a payment that the provider reports."""
        number = next(self._numbers)
        data = {"order_no": order_no, "amount": amount, "currency": "CNY", "payment_id": payment_id or f"pay-{number}"}
        body = json.dumps({"type": "payment.succeeded", "data": data}).encode()
        event, stamp = f"evt-{number}", str(int(time.time()))
        signed = hmac.new(_KEY, f"{event}.{stamp}.".encode() + body, hashlib.sha256).digest()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": event,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }
        outcome: str = self.call("POST", "/payments/webhook", data=body, headers=headers)["outcome"]
        return outcome
