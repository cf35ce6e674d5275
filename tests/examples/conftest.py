"""The shop, Stripe, and the adapter between them, each in a process or at a port of its own."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from config import ROOT
from examples.payment_provider import new_secret
from harness.database_server import free_port
from harness.eventually import eventually
from harness.service import PATIENT, Service
from harness.stripe_api import StripeApi, stripe_api

BACK = "http://127.0.0.1:1/shop/orders"
PAYMENT_SECRET = new_secret()


class Adapter:
    """A running adapter; more settings by their names."""

    def __init__(self, folder: Path, port: int, **settings: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / f"adapter-{port}.log"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SECKILL_", "STRIPE_"))}
        given = {"PORT": str(port), "STATE_FILE": str(folder / f"adapter-{port}.db"), "NO_PROXY": "127.0.0.1"}
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "examples.stripe_adapter"],
                env=inherited | given | settings,
                cwd=ROOT,
                stdout=file,
                stderr=file,
            )
        if not eventually(self._answers):
            self.stop()
            raise RuntimeError(self.log.read_text())

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=10).ok
        except requests.RequestException:
            if self.process.poll() is not None:
                raise RuntimeError(self.log.read_text()) from None
            return False

    def visit(self, order_no: str) -> requests.Response:
        """A buyer follows the link of an order."""
        return requests.get(f"{self.url}/orders/{order_no}", allow_redirects=False, timeout=60)

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


class StripeShop:
    """A service that is paid through Stripe."""

    def __init__(self, service: Service, api: StripeApi, folder: Path, **settings: str) -> None:
        self.service = service
        self.api = api
        port = free_port()
        subscription = {"url": f"http://127.0.0.1:{port}/shop/events"}
        subscription |= {"types": ["order.cancelled", "order.expired", "order.refund_due"]}  # type: ignore[dict-item]
        self.settings = {
            "STRIPE_API_KEY": api.key,
            "STRIPE_WEBHOOK_SECRET": api.webhook_secret,
            "STRIPE_API_BASE": api.url,
            "SHOP_URL": service.url,
            "SHOP_TOKEN": service.token("stripe", admin=True),
            "SHOP_PAYMENT_SECRET": PAYMENT_SECRET,
            "SHOP_EVENTS_SECRET": self.call("POST", "/webhooks", json=subscription).json()["secret"],
            "RETURN_URL": BACK,
            "POLL_SECONDS": "1",
            **settings,
        }
        self.adapter = Adapter(folder, port, **self.settings)

    def call(self, method: str, path: str, user: str | None = None, **more: Any) -> requests.Response:
        """A call of the service, by an administrator unless a buyer is named."""
        headers = self.service.headers(user or "operator", admin=user is None)
        answer = requests.request(method, self.service.url + path, headers=headers, timeout=60, **more)
        assert answer.ok, answer.text
        return answer

    def order(self, **goods: object) -> dict[str, Any]:
        """A new order of alice's."""
        answer = self.service.buy(self.service.create_goods(**{"price": 19900, **goods}), "alice")
        assert answer.status_code == 201, answer.text
        return answer.json()

    def status(self, order: dict[str, Any]) -> str:
        return self.call("GET", f"/orders/{order['order_no']}").json()["status"]

    def payments(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        """The payment events that the service received for the order, the newest first."""
        return self.call("GET", f"/payments?order_no={order['order_no']}").json()["items"]

    def session(self, order: dict[str, Any]) -> dict[str, Any]:
        """The session to which the order's link leads."""
        answer = self.adapter.visit(order["order_no"])
        assert answer.status_code == 303, answer.text
        return self.api.sessions[answer.headers["Location"].rpartition("/")[2]]

    def requests_for(self, path: str, order: dict[str, Any]) -> list[tuple[dict[str, Any], str | None]]:
        """The requests that Stripe received for the order at `path`, each with its key."""
        number = {"order_no": order["order_no"]}
        return [(sent, key) for _, at, sent, key in self.api.requests if at == path and sent.get("metadata") == number]

    def send(self, kind: str, data: dict[str, Any]) -> int:
        """Stripe sends the adapter an event."""
        return self.api.send(f"{self.adapter.url}/stripe/webhook", self.api.event(kind, data))

    def outcomes(self, order: dict[str, Any]) -> Counter[str]:
        """The outcomes of the payment events that the service received for the order."""
        return Counter(payment["outcome"] for payment in self.payments(order))

    def pay(self, order: dict[str, Any]) -> dict[str, Any]:
        """Pay an order on its page, and let Stripe send its event; returns the session."""
        session = self.api.complete(self.session(order)["id"])
        assert self.send("checkout.session.completed", session) == 200
        return session

    def charge(self, session: dict[str, Any]) -> dict[str, Any]:
        return self.api.charges[session["payment_intent"]]


@contextmanager
def stripe_shop(folder: Path, **settings: object) -> Iterator[StripeShop]:
    """A service with an adapter and Stripe, while the block lasts."""
    with stripe_api() as api, ExitStack() as running:
        service = Service(
            f"sqlite:///{folder / 'shop.db'}",
            folder / "service.log",
            PAYMENT_WEBHOOK_SECRETS=PAYMENT_SECRET,
            WEBHOOKS_TO_PRIVATE="on",
            **{**PATIENT, **settings},
        )
        running.callback(service.stop)
        shop = StripeShop(service, api, folder)
        running.callback(lambda: shop.adapter.stop())  # a test may have started another
        yield shop


@pytest.fixture
def open_shop(tmp_path: Path) -> Iterator[Callable[..., StripeShop]]:
    """Opens a shop: `open_shop(ORDER_PAYMENT_SECONDS=1)` with other settings of the service."""
    with ExitStack() as running:
        yield lambda **settings: running.enter_context(stripe_shop(tmp_path, **settings))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeShop]:
    """One shop for all tests of a module: each has orders of its own."""
    with stripe_shop(tmp_path_factory.mktemp("stripe")) as shop:
        yield shop


def wait_for(happened: Callable[[], object]) -> None:
    assert eventually(happened), "it did not happen"
