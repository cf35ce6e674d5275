"""Buying, paying and cancelling by forms, without JavaScript."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NoReturn

import pytest
from flask import Flask

from core.orders import order_list
from core.purchase.checkout import Checkout
from core.refusals import Busy, Unavailable
from core.tokens import Tokens
from harness.service import SECRET
from tests.resources.calls import FAR_AHEAD, Calls, problem
from tests.web.browsing import Browser, Element, keep_pages

ADDRESS = {
    "name": "王芳",
    "phone": "+86 138-0000-0000",
    "region": "CN-31",
    "line1": "1 Nanjing Rd",
    "line2": "",
    "postcode": "200000",
}


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_pages(monkeypatch, seconds=0)


def orders(call: Calls, user: str = "alice") -> list[dict]:
    return call.get("/orders", user).json["items"]


def buy_form(browser: Browser, goods_id: int) -> Element:
    return browser.get(f"/shop/{goods_id}").one("form", id="buy")


def total(page: Element) -> str:
    return page.one(data_quote_total=None)["data-quote-total"]


def test_the_whole_journey(make_app: Callable[..., Flask], app_uri: str) -> None:
    app = make_app(app_uri, PAYMENT_PROVIDER="test")
    call, alice = Calls(app), Browser(app)
    item = call.create(name="Tea", price=12800, shippable=True)
    call.create_method("standard", base_fee=800, additional_fee=200, regions=["CN"])
    call.create_coupon("TEN", percent=10)
    alice.get("/")
    alice.get(alice.page.one("article").one("a")["href"])
    alice.submit(alice.page.all("form", action="/shop/session")[-1], token=Tokens(SECRET).issue("alice"))
    page = alice.follow()
    typed = {"quantity": "2", "coupon_code": " ten ".upper(), "shipping_method": "standard", **ADDRESS}
    alice.submit(page.one("form", id="buy"), page.one("button", formaction=f"/shop/{item['id']}/quote"), **typed)
    assert total(alice.page) == str(25600 - 2560 + 1000)
    assert alice.submit(alice.page.one("form", id="buy")).status_code == 303
    alice.follow()
    (order,) = orders(call)
    assert (order["quantity"], order["total"], order["coupon_code"]) == (2, 24040, "TEN")
    assert order["address"]["name"] == "王芳"
    assert alice.outcome_code() == "bought"
    assert "CN¥240.40" in alice.page.one(id="outcome").text
    link = alice.page.one("a", data_order_no=order["order_no"])
    row = alice.get(link["href"].partition("#")[0]).one("tr", data_order_no=order["order_no"])
    assert row["data-status"] == "pending"
    alice.submit(row.one("form", data_act="pay"))
    row = alice.follow().one("tr", data_order_no=order["order_no"])
    assert row["data-status"] == "paid"
    assert not row.all("form")
    assert alice.outcome_code() == "paid"
    assert orders(call)[0]["status"] == "paid"


def test_a_form_that_is_sent_twice_buys_once(alice: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    form = buy_form(alice, item["id"])
    leads_to = {alice.submit(form).headers["Location"] for _ in range(3)}
    assert len(leads_to) == len(orders(sqlite_call)) == 1


def test_a_form_that_has_bought_and_is_changed_shows_the_order_that_it_made(alice: Browser, sqlite_call: Calls) -> None:
    other, item = sqlite_call.create(), sqlite_call.create()
    form = buy_form(alice, item["id"])
    alice.submit(form)
    (made,) = orders(sqlite_call)
    alice.submit(buy_form(alice, other["id"]))  # a newer order, of another item
    assert alice.submit(form, quantity="2").status_code == 303
    page = alice.follow()
    assert alice.outcome_code() == "bought"
    assert page.one("a", data_order_no=made["order_no"])
    assert len(orders(sqlite_call)) == 2
    # What is pressed on that page is meant anew.
    assert alice.submit(page.one("form", id="buy")).status_code == 303
    assert len(orders(sqlite_call)) == 3


def test_where_the_order_that_a_changed_form_made_was_cancelled_it_is_shown_as_that(
    alice: Browser, sqlite_call: Calls
) -> None:
    form = buy_form(alice, sqlite_call.create()["id"])
    alice.submit(form)
    (made,) = orders(sqlite_call)
    sqlite_call.post(f"/orders/{made['order_no']}/cancel", "alice")
    assert alice.submit(form, quantity="2").status_code == 303
    alice.follow()
    assert alice.outcome_code() == "cancelled"


def test_an_unanswered_form_that_is_changed_and_sent_again_keeps_its_key_until_its_order_is_known(
    alice: Browser, sqlite_call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = sqlite_call.create()
    form = buy_form(alice, item["id"])
    buy, checkout = Checkout.buy, sqlite_call.services.checkout

    def buy_and_lose(self: Checkout, *args: Any, **options: Any) -> Future[object]:
        buy(checkout, *args, **options).result(timeout=60)
        lost: Future[object] = Future()
        lost.set_exception(Unavailable())
        return lost

    def no_answer(*args: Any, **options: Any) -> NoReturn:
        raise Unavailable()

    with monkeypatch.context() as patched:
        patched.setattr(Checkout, "buy", buy_and_lose)
        assert alice.submit(form).status_code == 503
    again = alice.page.one("form", id="buy")
    with monkeypatch.context() as patched:
        patched.setattr(order_list, "list_page", no_answer)
        assert alice.submit(again, quantity="2").status_code == 503
    again = alice.page.one("form", id="buy")
    assert again.one("input", name="key")["value"] == form.one("input", name="key")["value"]
    assert alice.submit(again, quantity="2").status_code == 303
    alice.follow()
    assert alice.outcome_code() == "bought"
    assert [order["quantity"] for order in orders(sqlite_call)] == [1]


@pytest.mark.parametrize(
    ("fields", "typed", "status", "code", "words"),
    [
        ({"stock": 0}, {}, 409, "sold_out", "Sold out"),
        ({"stock": 1}, {"quantity": "2"}, 409, "insufficient_stock", "Only 1 left"),
        ({"per_user_limit": 1}, {"quantity": "2"}, 409, "limit_reached", "At most 1 per buyer"),
        ({"starts_at": FAR_AHEAD}, {}, 409, "sale_not_started", "not started"),
        ({"ends_at": "2001-01-01T00:00:00.000Z"}, {}, 409, "sale_ended", "over"),
        ({}, {"coupon_code": "NONE"}, 422, "coupon_invalid", "There is no coupon with this code."),
        ({"shippable": True}, {}, 422, "shipping_required", "No shipping method was chosen."),
    ],
)
def test_a_refusal_is_told_in_plain_words_with_what_was_typed(
    alice: Browser, sqlite_call: Calls, fields: dict, typed: dict, status: int, code: str, words: str
) -> None:
    item = sqlite_call.create(**fields)
    before = buy_form(alice, item["id"])
    assert alice.submit(before, **typed).status_code == status
    assert alice.outcome_code() == code
    assert words in alice.page.one(role="alert").text
    for name, value in typed.items():
        assert alice.page.one("input", name=name)["value"] == value
    # A new attempt has a key of its own.
    assert alice.page.one("input", name="key")["value"] != before.one("input", name="key")["value"]
    assert orders(sqlite_call) == []


def test_a_refusal_is_told_in_chinese(sqlite_app: Flask, sqlite_call: Calls) -> None:
    browser = Browser(sqlite_app, "zh")
    browser.sign_in()
    browser.buy(sqlite_call.create(per_user_limit=1)["id"], quantity="2")
    assert browser.page.one(role="alert").text == "每人限购 1 件，您已有 0 件。"


def test_wrong_fields_are_marked_and_explained(alice: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create(shippable=True)
    sqlite_call.create_method("standard")
    wrong = {**ADDRESS, "phone": "x", "postcode": "", "quantity": "1.5", "shipping_method": "standard"}
    assert alice.buy(item["id"], **wrong).status_code == 422
    assert alice.outcome_code() == "validation_failed"
    for name in ("quantity", "phone", "postcode"):
        field = alice.page.one("input", name=name)
        assert field["aria-invalid"] == "true"
        assert alice.page.one("p", id=field["aria-describedby"]).text
    assert "aria-invalid" not in alice.page.one("input", name="line1").attributes


@pytest.mark.parametrize(("error", "code"), [(Busy(), "busy"), (Unavailable(), "unavailable")])
def test_where_it_may_be_tried_again_the_key_stays(
    alice: Browser, sqlite_call: Calls, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    item = sqlite_call.create()
    form = buy_form(alice, item["id"])

    failed: Future[object] = Future()
    failed.set_exception(error)
    with monkeypatch.context() as patched:
        patched.setattr(type(sqlite_call.services.checkout), "buy", lambda *args, **options: failed)
        assert alice.submit(form).status_code == 503
    assert alice.outcome_code() == code
    assert int(alice.answer.headers["Retry-After"]) >= 1
    again = alice.page.one("form", id="buy")
    assert again.one("input", name="key")["value"] == form.one("input", name="key")["value"]
    assert alice.submit(again).status_code == 303
    assert len(orders(sqlite_call)) == 1


def test_nothing_is_bought_at_another_price_than_the_one_shown(alice: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create(price=100)
    form = buy_form(alice, item["id"])
    sqlite_call.patch(f"/goods/{item['id']}", json={"price": 150})
    assert alice.submit(form).status_code == 409
    assert alice.outcome_code() == "price_changed"
    assert total(alice.page) == "150"
    assert alice.submit(alice.page.one("form", id="buy")).status_code == 303
    assert orders(sqlite_call)[0]["total"] == 150


def test_a_price_that_was_shown_for_less_is_not_expected(alice: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create(price=100)
    assert alice.buy(item["id"], quantity="3").status_code == 303
    assert orders(sqlite_call)[0]["total"] == 300


@pytest.mark.parametrize("expected", ["9" * 5000, "9" * 18, "١٠٠", "１００", "¹", "-1", "1e2", ""])
def test_what_cannot_be_a_total_is_not_expected(alice: Browser, sqlite_call: Calls, expected: str) -> None:
    item = sqlite_call.create(price=200)
    assert alice.buy(item["id"], expected_total=expected).status_code == 303
    assert orders(sqlite_call)[0]["total"] == 200


def test_a_price_is_told_as_soon_as_the_region_is_known(alice: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create(price=100, shippable=True)
    sqlite_call.create_method("standard", base_fee=12, regions=["CN"])
    sqlite_call.create_method("abroad", regions=["DE"])
    page = alice.get(f"/shop/{item['id']}")
    button = page.one("button", formaction=f"/shop/{item['id']}/quote")
    alice.submit(page.one("form", id="buy"), button, region="CN-31", shipping_method="standard")
    assert (alice.answer.status_code, total(alice.page)) == (200, "112")
    assert "does not serve the region" in alice.page.one("label", data_method="abroad").text
    alice.submit(alice.page.one("form", id="buy"), button, shipping_method="abroad")
    assert (alice.answer.status_code, alice.outcome_code()) == (422, "shipping_not_available")


def test_without_a_session_nothing_is_bought_and_what_was_typed_stays(visitor: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    for path in ("buy", "quote"):
        assert visitor.post(f"/shop/{item['id']}/{path}", {"quantity": "3", "key": "k"}).status_code == 401
        assert visitor.outcome_code() == "unauthenticated"
        assert visitor.page.one("input", name="quantity")["value"] == "3"
    assert visitor.post("/shop/orders/x/cancel").status_code == 401
    assert sqlite_call.goods(item["id"]) == item


@pytest.mark.parametrize("key", ["", "x" * 256, "键"])
def test_a_form_without_its_key_buys_nothing(alice: Browser, sqlite_call: Calls, key: str) -> None:
    item = sqlite_call.create()
    assert alice.submit(buy_form(alice, item["id"]), key=key).status_code == 403
    assert orders(sqlite_call) == []


def test_only_forms_are_read(alice: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    form_token = alice.get("/").one("body")["data-form-token"]
    path = f"/shop/{item['id']}/buy"
    fields = {"form_token": form_token, "key": "k", "quantity": "1"}
    assert alice.client.post(path, json=fields).status_code == 415
    assert alice.client.post(path, json=fields, headers={"Accept": "text/html"}).status_code == 415
    assert alice.client.post(path, data=fields, content_type="multipart/form-data").status_code == 415
    assert alice.client.post(path, data={**fields, "line1": "x" * 70_000}).status_code == 413
    assert orders(sqlite_call) == []


def test_forms_are_limited_as_calls_are(make_app: Callable[..., Flask], sqlite_uri: str) -> None:
    app = make_app(sqlite_uri, RATE_LIMITS=True, RATE_LIMIT_PER_USER="2/hour")
    alice, bob = Browser(app), Browser(app)
    for browser, name in ((alice, "alice"), (bob, "bob")):
        browser.sign_in(name)
    for _ in range(2):
        alice.get("/shop/orders")
        assert alice.answer.status_code == 200
    alice.get("/shop/orders")
    assert (alice.answer.status_code, alice.outcome_code()) == (429, "rate_limited")
    bob.get("/shop/orders")
    assert bob.answer.status_code == 200


def test_programs_are_told_problems_as_by_the_api(visitor: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create(stock=0)
    order = sqlite_call.create()
    order_no = sqlite_call.bought(order["id"])["order_no"]
    sqlite_call.post(f"/orders/{order_no}/cancel", "alice")
    paths = {
        f"/shop/{item['id']}/buy": (409, "sold_out"),
        f"/shop/{item['id']}/quote": (422, "coupon_invalid"),
        f"/shop/orders/{order_no}/cancel": (409, "order_not_pending"),
        "/shop/999/buy": (404, "goods_not_found"),
    }
    for path in paths:
        problem(visitor.client.post(path, data={}), 401, "unauthenticated")
    visitor.sign_in()
    form_token = visitor.get("/").one("body")["data-form-token"]
    for path, (status, code) in paths.items():
        data = {"form_token": form_token, "key": "k", "quantity": "1", "coupon_code": "" if "buy" in path else "NONE"}
        problem(visitor.client.post(path, data=data), status, code)
        problem(visitor.client.post(path, data={**data, "form_token": ""}), 403, "forbidden")


def test_the_address_of_a_refusal_leads_back_to_its_form(alice: Browser, sqlite_call: Calls) -> None:
    # Which a visitor loads by hand, or by the link to the other language.
    item = sqlite_call.create(stock=0)
    alice.buy(item["id"])
    link = alice.page.one("a", hreflang="zh")["href"]
    alice.get(f"/shop/{item['id']}/buy{link}")
    assert alice.answer.headers["Location"] == f"/shop/{item['id']}?lang=zh"
    for path, leads_to in (
        (f"/shop/{item['id']}/quote", f"/shop/{item['id']}"),
        ("/shop/é;x/buy", "/shop/%C3%A9%3Bx"),
        ("/shop/orders/x/pay", "/shop/orders"),
        ("/shop/session", "/shop/orders"),
    ):
        alice.get(path)
        assert (alice.answer.status_code, alice.answer.headers["Location"]) == (303, leads_to)
