"""The adapter for Stripe, in a process of its own between a real service and an API that checks what it is asked."""

import base64
import contextlib
import re
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
import requests
from standardwebhooks import Webhook

from config import ROOT
from harness.database_server import free_port
from harness.stripe_api import StripeApi
from tests.examples.conftest import BACK, Adapter, StripeShop, wait_for

SESSIONS = "/v1/checkout/sessions"
COMPLETED = "checkout.session.completed"


def test_an_order_is_paid_on_its_page_once(shop: StripeShop) -> None:
    order = shop.order()
    with ThreadPoolExecutor(10) as threads:
        visits = list(threads.map(shop.adapter.visit, [order["order_no"]] * 10))
    assert {visit.status_code for visit in visits} == {303}
    assert len({str(request) for request in shop.requests_for(SESSIONS, order)}) == 1
    session = shop.session(order)
    assert {visit.headers["Location"] for visit in visits} == {session["url"]}
    assert (session["amount_total"], session["currency"]) == (19900, "cny")
    assert session["client_reference_id"] == order["order_no"]

    shop.api.complete(session["id"])
    event = shop.api.event(COMPLETED, session)
    with ThreadPoolExecutor(10) as threads:
        deliveries = threads.map(lambda _: shop.api.send(f"{shop.adapter.url}/stripe/webhook", event), range(10))
        assert set(deliveries) == {200}
    assert shop.send(COMPLETED, session) == 200  # another event about the same
    assert shop.status(order) == "paid"
    (payment,) = shop.payments(order)
    assert (payment["outcome"], payment["payment_id"]) == ("paid", session["payment_intent"])
    assert shop.adapter.visit(order["order_no"]).headers["Location"] == BACK
    assert shop.service.audit().returncode == 0


def test_whoever_has_paid_is_led_back_before_stripe_tells(shop: StripeShop) -> None:
    order = shop.order()
    shop.api.complete(shop.session(order)["id"])
    assert shop.status(order) == "pending"
    assert shop.adapter.visit(order["order_no"]).headers["Location"] == BACK
    assert len(shop.requests_for(SESSIONS, order)) == 1


@pytest.mark.parametrize("order_no", ["0" * 32, "x", "0" * 31 + "A", "..%2Fgoods"])
def test_what_is_no_order_has_no_page(shop: StripeShop, order_no: str) -> None:
    before = len(shop.api.requests)
    assert shop.adapter.visit(order_no).status_code == 404
    assert len(shop.api.requests) == before


def test_amounts_are_in_stripe_s_units(shop: StripeShop) -> None:
    for currency, price, expected in (("JPY", 500, 500), ("ISK", 500, 50_000), ("KWD", 1230, 1230)):
        order = shop.order(currency=currency, price=price)
        session = shop.pay(order)
        assert (session["amount_total"], session["currency"]) == (expected, currency.lower())
        assert shop.status(order) == "paid"
        assert shop.payments(order)[0]["amount"] == price
    for currency, price in (("KWD", 1231), ("UGX", 500), ("MGA", 500)):
        order = shop.order(currency=currency, price=price)
        assert shop.adapter.visit(order["order_no"]).status_code == 500
        assert shop.requests_for(SESSIONS, order) == []


@pytest.mark.parametrize("seconds", [900, 7200, 3 * 86_400])
def test_a_page_ends_with_the_order_as_far_as_stripe_allows(open_shop: Callable[..., StripeShop], seconds: int) -> None:
    shop = open_shop(ORDER_PAYMENT_SECONDS=seconds)
    order = shop.order()
    expires_at = shop.session(order)["expires_at"]  # Stripe refuses less than 30 minutes and more than a day
    deadline = int(datetime.fromisoformat(order["expires_at"]).timestamp())
    if seconds == 900:
        assert deadline < expires_at <= time.time() + 31 * 60
    else:
        assert expires_at == deadline if seconds == 7200 else expires_at < deadline


def test_a_cancelled_order_s_page_is_closed(shop: StripeShop) -> None:
    order = shop.order()
    session = shop.session(order)
    shop.call("POST", f"/orders/{order['order_no']}/cancel", user="alice")
    wait_for(lambda: session["status"] == "expired")
    assert shop.adapter.visit(order["order_no"]).headers["Location"] == BACK


def test_an_expired_order_s_page_is_closed(open_shop: Callable[..., StripeShop], tmp_path: Path) -> None:
    shop = open_shop()
    order = shop.order()
    session = shop.session(order)
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db", timeout=60, isolation_level=None)) as connection:
        end = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
        connection.execute(f"UPDATE orders SET expires_at = {end} WHERE order_no = ?", (order["order_no"],))
    wait_for(lambda: session["status"] == "expired")
    assert shop.status(order) == "expired"


def test_an_adapter_that_starts_again_knows_its_pages(open_shop: Callable[..., StripeShop], tmp_path: Path) -> None:
    shop = open_shop()
    order = shop.order()
    session = shop.session(order)
    shop.api.forget_keys()  # Stripe keeps them for a day
    assert shop.adapter.stop() == 0
    shop.adapter = Adapter(tmp_path, int(shop.adapter.url.rpartition(":")[2]), **shop.settings)
    assert shop.session(order)["id"] == session["id"]
    assert len(shop.requests_for(SESSIONS, order)) == 1


def test_a_method_that_takes_days_pays_when_the_money_is_there(shop: StripeShop) -> None:
    order = shop.order()
    session = shop.api.complete(shop.session(order)["id"], paid=False)
    assert shop.send(COMPLETED, session) == 200
    assert (shop.status(order), shop.payments(order)) == ("pending", [])
    failed = "checkout.session.async_payment_failed"
    assert shop.send(failed, session) == 200
    assert (shop.status(order), shop.outcomes(order)) == ("pending", {"failed": 1})
    second = shop.session(order)  # the buyer may try again
    assert second["id"] != session["id"]
    assert shop.send(failed, session) == 200  # sent twice, it closes no later page
    assert shop.session(order)["id"] == second["id"]
    shop.api.complete(second["id"], paid=False)
    assert shop.send("checkout.session.async_payment_succeeded", second) == 200
    assert shop.status(order) == "paid"


def test_a_page_that_has_ended_is_followed_by_another(shop: StripeShop) -> None:
    order = shop.order()
    first = shop.session(order)
    first |= {"status": "expired", "url": None}
    second = shop.session(order)
    assert (first["id"] != second["id"], second["status"]) == (True, "open")
    assert [key for _, key in shop.requests_for(SESSIONS, order)] == [
        f"checkout-{order['order_no']}-{attempt}" for attempt in (1, 2)
    ]


def test_what_stripe_does_not_take_is_asked_again_as_it_was(shop: StripeShop) -> None:
    order = shop.order()
    shop.api.faults = [500] * 3  # one more than the library's retries
    answer = shop.adapter.visit(order["order_no"])
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    time.sleep(1.1)  # a request made up anew would name another second
    shop.session(order)
    tries = shop.requests_for(SESSIONS, order)
    assert len(tries) == 4
    assert all(request == (tries[0][0], f"checkout-{order['order_no']}-1") for request in tries)


def test_what_the_shop_does_not_take_stripe_is_to_tell_again(shop: StripeShop, tmp_path: Path) -> None:
    session = shop.api.complete(shop.session(order := shop.order())["id"])
    event = shop.api.event(COMPLETED, session)
    alone = Adapter(tmp_path, free_port(), **shop.settings | {"SHOP_URL": f"http://127.0.0.1:{free_port()}"})
    try:
        assert shop.api.send(f"{alone.url}/stripe/webhook", event) == 503
        assert alone.visit(order["order_no"]).status_code == 503
    finally:
        assert alone.stop() == 0
    unknown = shop.settings | {"SHOP_PAYMENT_SECRET": f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"}
    alone = Adapter(tmp_path, free_port(), **unknown)
    try:
        assert shop.api.send(f"{alone.url}/stripe/webhook", event) == 503
        assert "the shop answered 401 unauthenticated" in alone.log.read_text()
    finally:
        alone.stop()
    assert shop.status(order) == "pending"
    assert shop.api.send(f"{shop.adapter.url}/stripe/webhook", event) == 200
    assert shop.status(order) == "paid"


def test_what_stripe_did_not_sign_is_not_believed(shop: StripeShop) -> None:
    order = shop.order()
    event = shop.api.event(COMPLETED, shop.api.complete(shop.session(order)["id"]))
    other = StripeApi("").signature(event)
    for signature in ("", "t=1,v1=00", other, shop.api.signature(event, time.time() - 600), shop.api.signature(b"{}")):
        headers = {"Stripe-Signature": signature}
        url = f"{shop.adapter.url}/stripe/webhook"
        assert requests.post(url, data=event, headers=headers, timeout=30).status_code == 400
    assert shop.status(order) == "pending"
    assert requests.post(url, data=b" " * 600_000, timeout=30).status_code == 413


def test_what_the_shop_did_not_sign_closes_no_page(shop: StripeShop) -> None:
    order = shop.order()
    session = shop.session(order)
    body = f'{{"type": "order.cancelled", "order_no": "{order["order_no"]}"}}'
    now = datetime.now().astimezone()
    other = Webhook(base64.b64encode(secrets.token_bytes(32)).decode()).sign("evt_1", now, body)
    for signature in (other, "v1,", "nonsense", ""):
        headers = {
            "webhook-id": "evt_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        answer = requests.post(f"{shop.adapter.url}/shop/events", data=body, headers=headers, timeout=30)
        assert answer.status_code == 400
    assert session["status"] == "open"


def test_payments_of_others_on_the_same_account_are_not_told(shop: StripeShop) -> None:
    order = shop.order()
    session = shop.session(order)
    shop.api.complete(session["id"])
    for reference in (None, "invoice-1", order["order_no"] + "0"):
        assert shop.send(COMPLETED, dict(session, client_reference_id=reference)) == 200
    assert shop.send("charge.refunded", dict(shop.charge(session), metadata={})) == 200
    assert shop.send("customer.created", {"id": "cus_1", "object": "customer"}) == 200
    assert shop.payments(order) == []
    assert shop.call("GET", f"/payments?order_no={order['order_no']}0").json()["items"] == []


def test_a_failed_refund_is_an_error_in_the_log_which_shows_no_secret(shop: StripeShop) -> None:
    session = shop.pay(shop.order())
    shop.api.key, right = "sk_test_another", shop.api.key
    assert shop.adapter.visit(shop.order()["order_no"]).status_code == 503
    shop.api.key = right
    assert (
        shop.send("refund.failed", {"id": "re_1", "object": "refund", "payment_intent": session["payment_intent"]})
        == 200
    )
    log = shop.adapter.log.read_text()
    assert re.search(rf"ERROR .*refund re_1 of payment {session['payment_intent']} FAILED", log)
    for name, value in shop.settings.items():
        if name.endswith(("_KEY", "_SECRET", "_TOKEN")):
            assert value not in log
            assert value[-8:] not in log


def test_settings_are_checked_before_anything_is_served(shop: StripeShop) -> None:
    def refused(**changed: str) -> str:
        environment = {"PATH": "/usr/bin:/bin", **shop.settings, "PORT": str(free_port()), **changed}
        ended = subprocess.run(
            [sys.executable, "-m", "examples.stripe_adapter"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 1
        return ended.stderr

    for name in ("STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET", "SHOP_TOKEN", "SHOP_PAYMENT_SECRET", "SHOP_URL"):
        assert refused(**{name: ""}) == f"error: {name} is not set\n"
    assert "STRIPE_API_BASE" in refused(STRIPE_API_BASE="http://stripe.example")
    assert "SHOP_URL" in refused(SHOP_URL="http://shop.example")
    assert "POLL_SECONDS" in refused(POLL_SECONDS="0")


def test_its_requirements_are_those_that_the_tests_run_on() -> None:
    def pins(path: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9-]+==\S+", (ROOT / path).read_text(), flags=re.MULTILINE))

    own = pins("examples/stripe_adapter/requirements.txt")
    assert {pin.partition("==")[0] for pin in own} >= {"stripe", "flask", "granian", "requests", "standardwebhooks"}
    assert own <= pins("requirements.txt") | pins("requirements/dev.txt")
    assert not {pin for pin in pins("requirements.txt") if pin.startswith("stripe==")}
