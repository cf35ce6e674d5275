"""A visitor's orders: what is shown of them, and the forms to cancel and to pay."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.resources.calls import ADDRESS, Calls
from tests.web.browsing import Browser, keep_pages


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_pages(monkeypatch, seconds=0)


def test_an_order_can_be_cancelled(alice: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    sqlite_call.bought(item["id"])
    alice.submit(alice.get("/shop/orders").one("form", data_act="cancel"))
    assert alice.follow().one("tr", data_order_no=None)["data-status"] == "cancelled"
    assert alice.outcome_code() == "cancelled"
    assert sqlite_call.goods(item["id"])["stock"] == item["stock"]


def test_where_nobody_pays_by_a_call_there_is_no_such_button(alice: Browser, sqlite_call: Calls) -> None:
    sqlite_call.bought(sqlite_call.create()["id"])
    page = alice.get("/shop/orders")
    assert page.all("form", data_act="cancel")
    assert not page.all("form", data_act="pay")


def test_the_button_leads_to_the_payment_page_that_the_setting_names(
    make_app: Callable[..., Flask], sqlite_uri: str
) -> None:
    app = make_app(sqlite_uri, PAYMENT_URL="https://pay.example/orders/{order_no}?from=shop&x=1")
    call, buyer = Calls(app), Browser(app)
    order = call.bought(call.create()["id"])
    buyer.sign_in("alice")
    page = buyer.get("/shop/orders")
    link = page.one("a", href=f"https://pay.example/orders/{order['order_no']}?from=shop&x=1")
    assert link.text == "Pay"
    call.post(f"/orders/{order['order_no']}/cancel", "alice")
    assert not [link for link in buyer.get("/shop/orders").all("a") if "pay.example" in str(link["href"])]


def test_an_order_of_somebody_else_is_not_told_of(alice: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    order = sqlite_call.bought(item["id"], "bob")
    assert alice.get(f"/shop/{item['id']}?order={order['order_no']}").all(data_code=None) == []
    assert alice.get(f"/shop/orders?order={order['order_no']}").all(data_code=None) == []
    form_token = alice.page.one("body")["data-form-token"]
    assert alice.post(f"/shop/orders/{order['order_no']}/cancel", {"form_token": form_token}).status_code == 404
    assert sqlite_call.get(f"/orders/{order['order_no']}", "bob").json["status"] == "pending"


def test_an_order_that_has_changed_meanwhile_is_shown_as_it_is(alice: Browser, sqlite_call: Calls) -> None:
    order = sqlite_call.bought(sqlite_call.create()["id"])
    form = alice.get("/shop/orders").one("form", data_act="cancel")
    sqlite_call.make_overdue(order["order_no"])
    assert alice.submit(form).status_code == 409
    assert alice.outcome_code() == "order_not_pending"
    assert alice.page.one("tr", data_order_no=None)["data-status"] == "expired"


def test_a_long_history_is_on_several_pages(alice: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create(stock=100)
    bought = {sqlite_call.bought(item["id"])["order_no"] for _ in range(23)}
    first = alice.get("/shop/orders")
    older = alice.get(first.one("a", class_="button")["href"])
    shown = [row["data-order-no"] for page in (first, older) for row in page.all("tr", data_order_no=None)]
    assert len(shown) == 23
    assert set(shown) == bought


def test_an_order_shows_what_it_came_to(alice: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create(name="<i>Tea</i>", price=1000, shippable=True)
    sqlite_call.create_method("standard", base_fee=12)
    sqlite_call.create_coupon("TEN", percent=10)
    sqlite_call.bought(item["id"], coupon_code="TEN", shipping_method="standard", address=ADDRESS)
    row = alice.get("/shop/orders").one("tr", data_order_no=None)
    for words in ("<i>Tea</i>", "× 1", "CN¥10.00", "−CN¥1.00", "TEN", "CN¥9.12", "1 Nanjing Rd", "王芳"):
        assert words in row.text
