"""Buying on the storefront in a real browser: with and without JavaScript, in both languages."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, Route, expect

from harness.service import Service
from tests.e2e.conftest import PHONE

Browse = Callable[..., BrowserContext]

WORDS = {
    "en-US": {
        "quantity": "Quantity",
        "coupon": "Coupon",
        "shipping": "Shipping",
        "name": "Name",
        "phone": "Phone",
        "region": "Region",
        "address": "Address",
        "postcode": "Postcode",
        "update": "Update the price",
        "buy": "Buy",
        "see": "See the order",
        "pay": "Pay",
        "cancel": "Cancel",
    },
    "zh-CN": {
        "quantity": "数量",
        "coupon": "优惠券",
        "shipping": "配送",
        "name": "收货人",
        "phone": "电话",
        "region": "地区",
        "address": "详细地址",
        "postcode": "邮政编码",
        "update": "更新价格",
        "buy": "抢购",
        "see": "查看订单",
        "pay": "支付",
        "cancel": "取消",
    },
}


def orders(shop: Service, user: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{shop.url}/orders?limit=100", headers=shop.headers(user), timeout=20)
    return list(answer.json()["items"])


def change(shop: Service, goods_id: int, **fields: object) -> None:
    headers = shop.headers("operator", admin=True)
    assert requests.patch(f"{shop.url}/goods/{goods_id}", json=fields, headers=headers, timeout=20).ok


def in_seconds(seconds: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def coupon(shop: Service) -> str:
    code = "TENTH"
    body = {"code": code, "kind": "percent", "percent": 10}
    requests.post(f"{shop.url}/coupons", json=body, headers=shop.headers("operator", admin=True), timeout=20)
    return code


def method(shop: Service) -> None:
    body = {"code": "post", "name": "Post 邮政", "base_fee": 800, "additional_fee": 200, "regions": ["CN"]}
    headers = shop.headers("operator", admin=True)
    requests.post(f"{shop.url}/shipping-methods", json=body, headers=headers, timeout=20)


def open_item(browse: Browse, goods_id: int, user: str | None, **options: Any) -> Page:
    page = browse(user, **options).new_page()
    page.goto(f"/shop/{goods_id}")
    return page


def buy(page: Page) -> None:
    page.get_by_role("button", name="Buy", exact=True).click()


def outcome(page: Page, code: str) -> None:
    expect(page.locator("[data-code]")).to_have_attribute("data-code", code)


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
@pytest.mark.parametrize("language", WORDS)
def test_the_whole_journey(shop: Service, browse: Browse, buyer: str, language: str, javascript: bool) -> None:
    item = shop.create_goods(name="龙井 Longjing", price=12800, list_price=25600, shippable=True)
    method(shop)
    words, size = WORDS[language], PHONE if language == "zh-CN" else (1280, 860)
    page = browse(buyer, language=language, size=size, java_script_enabled=javascript).new_page()
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", language[:2])
    article = page.locator(f'article[data-goods-id="{item}"]')
    article.get_by_role("heading").get_by_role("link").click()
    page.wait_for_url(f"**/shop/{item}")
    page.get_by_role("spinbutton", name=words["quantity"]).fill("2")
    page.get_by_role("textbox", name=words["coupon"]).fill(coupon(shop))
    form = page.get_by_role("form", name=words["shipping"])
    form.get_by_role("radio", name="Post 邮政").check()
    form.get_by_role("textbox", name=words["name"], exact=True).fill("王芳")
    form.get_by_role("textbox", name=words["phone"]).fill("+86 138-0000-0000")
    form.get_by_role("combobox", name=words["region"]).select_option("CN-31")
    form.get_by_role("textbox", name=words["address"], exact=True).fill("南京路 1 号")
    form.get_by_role("textbox", name=words["postcode"]).fill("200000")
    if not javascript:
        page.get_by_role("button", name=words["update"]).click()
    expect(page.locator("[data-quote-total]")).to_have_attribute("data-quote-total", str(25600 - 2560 + 1000))
    page.get_by_role("button", name=words["buy"], exact=True).click()
    outcome(page, "bought")
    page.get_by_role("link", name=words["see"]).click()
    (order,) = orders(shop, buyer)
    assert (order["quantity"], order["total"], order["address"]["name"]) == (2, 24040, "王芳")
    row = page.locator(f'[data-order-no="{order["order_no"]}"]')
    expect(row).to_have_attribute("data-status", "pending")
    row.get_by_role("button", name=words["pay"], exact=True).click()
    expect(page.locator(f'[data-order-no="{order["order_no"]}"]')).to_have_attribute("data-status", "paid")
    assert orders(shop, buyer)[0]["status"] == "paid"


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_an_order_can_be_cancelled(shop: Service, browse: Browse, buyer: str, javascript: bool) -> None:
    item = shop.create_goods()
    shop.buy(item, buyer)
    page = browse(buyer, java_script_enabled=javascript).new_page()
    page.goto("/shop/orders")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("[data-order-no]")).to_have_attribute("data-status", "cancelled")
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    assert shop.goods(item)["stock"] == 100


def test_a_visitor_signs_in_by_a_name_and_out(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods()
    page = open_item(browse, item, None)
    buy(page)
    outcome(page, "unauthenticated")
    if page.get_by_label("Your name").count():
        page.get_by_label("Your name").fill(buyer)
        page.get_by_role("button", name="Sign in").first.click()
    else:
        page.get_by_text("I have a token").click()
        page.get_by_label("Token").fill(shop.headers(buyer)["Authorization"].removeprefix("Bearer "))
        page.locator("#sign-in").get_by_role("button", name="Sign in").click()
    expect(page.get_by_title(buyer)).to_be_visible()
    buy(page)
    outcome(page, "bought")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_title(buyer)).to_have_count(0)
    assert len(orders(shop, buyer)) == 1


def test_the_host_hands_over_a_token_by_a_function(shop: Service, browse: Browse, buyer: str) -> None:
    page = open_item(browse, shop.create_goods(), None)
    token = shop.headers(buyer)["Authorization"].removeprefix("Bearer ")
    with page.expect_navigation():
        page.evaluate("token => flashSale.signIn(token)", token)
    expect(page.get_by_title(buyer)).to_be_visible()
    assert token not in page.url


def test_the_button_wakes_at_the_start_without_reloading(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods(starts_at=in_seconds(6))
    page = open_item(browse, item, buyer)
    page.evaluate("() => (window.notReloaded = true)")
    button = page.get_by_role("button", name="Buy", exact=True)
    expect(button).to_be_disabled()
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"^00:00:0\d$"))
    expect(button).to_be_enabled()
    buy(page)
    outcome(page, "bought")
    assert page.evaluate("() => window.notReloaded")


def test_many_clicks_buy_once(shop: Service, browse: Browse, buyer: str) -> None:
    page = open_item(browse, shop.create_goods(), buyer)
    page.get_by_role("button", name="Buy", exact=True).click(click_count=3)
    outcome(page, "bought")
    buy(page)  # within two seconds: of the same impatience
    outcome(page, "bought")
    assert len(orders(shop, buyer)) == 1


def test_two_tabs_buy_once(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods()
    context = browse(buyer)
    tabs = [context.new_page(), context.new_page()]
    for tab in tabs:
        with tab.expect_response("**/shop/session/token"):
            tab.goto(f"/shop/{item}")
        tab.wait_for_load_state("networkidle")
    for tab in tabs:
        tab.get_by_role("button", name="Buy", exact=True).click(no_wait_after=True)
    for tab in tabs:
        outcome(tab, "bought")
    assert len(orders(shop, buyer)) == 1


def test_the_price_follows_what_is_typed(shop: Service, browse: Browse, buyer: str) -> None:
    page = open_item(browse, shop.create_goods(price=1000), buyer)
    total = page.locator("[data-quote-total]")
    expect(total).to_have_attribute("data-quote-total", "1000")
    page.get_by_label("Quantity").fill("3")
    expect(total).to_have_attribute("data-quote-total", "3000")
    page.get_by_label("Coupon").fill("NOT-THERE")
    expect(page.get_by_text("There is no coupon with this code.")).to_be_visible()
    page.get_by_label("Coupon").fill(coupon(shop))
    expect(total).to_have_attribute("data-quote-total", "2700")
    expect(page.locator('[data-amount="discount"]')).to_have_text("−CN¥3.00")
    page.get_by_label("Quantity").fill("")
    expect(page.get_by_label("Quantity")).to_have_attribute("aria-invalid", "true")


def test_a_price_that_changed_is_shown_before_anything_is_bought(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods(price=1000)
    page = open_item(browse, item, buyer)
    change(shop, item, price=1500)
    buy(page)
    outcome(page, "price_changed")
    expect(page.locator("[data-quote-total]")).to_have_attribute("data-quote-total", "1500")
    buy(page)
    outcome(page, "bought")
    assert [order["total"] for order in orders(shop, buyer)] == [1500]


@pytest.mark.parametrize(
    ("fields", "quantity", "code", "words"),
    [
        ({"stock": 0}, "1", "sold_out", "Sold out."),
        ({"stock": 2}, "3", "insufficient_stock", "Only 2 left."),
        ({"per_user_limit": 1}, "2", "limit_reached", "At most 1 per buyer."),
        ({"ends_at": "2020-01-01T00:00:00.000Z"}, "1", "sale_ended", "The sale is over."),
        ({"shippable": True}, "1", "shipping_required", "No shipping method was chosen."),
    ],
)
def test_a_refusal_is_told_in_plain_words(
    shop: Service, browse: Browse, buyer: str, fields: dict[str, Any], quantity: str, code: str, words: str
) -> None:
    page = open_item(browse, shop.create_goods(**fields), buyer)
    page.get_by_label("Quantity").fill(quantity)
    buy(page)
    outcome(page, code)
    expect(page.get_by_role("alert")).to_contain_text(words)


def test_an_operator_pauses_and_restocks_while_a_buyer_watches(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods(stock=1)
    shop.buy(item, "somebody")
    page = open_item(browse, item, buyer)
    expect(page.locator("[data-state]")).to_have_text("Sold out")
    change(shop, item, stock_delta=5)
    expect(page.locator("[data-state]")).to_have_text("On sale")
    expect(page.locator("[data-left]")).to_have_text("5 left")
    headers = shop.headers("operator", admin=True)
    requests.post(f"{shop.url}/goods/{item}/pause", headers=headers, timeout=20)
    buy(page)
    outcome(page, "sale_paused")
    requests.post(f"{shop.url}/goods/{item}/resume", headers=headers, timeout=20)
    expect(page.locator("[data-state]")).to_have_text("On sale")
    buy(page)
    outcome(page, "bought")


def test_a_crowded_sale_is_tried_again_and_the_wait_is_told(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods()
    page = open_item(browse, item, buyer)
    refused: list[str] = []

    def busy_once(route: Route) -> None:
        if route.request.method != "POST" or refused:
            return route.continue_()
        refused.append(route.request.headers["idempotency-key"])
        problem = {"code": "busy", "status": 503, "type": "/problems/busy", "title": "Busy", "detail": "Busy"}
        return route.fulfill(status=503, headers={"Retry-After": "2"}, json=problem)

    page.route(f"**/seckill/{item}", busy_once)
    buy(page)
    expect(page.locator("#outcome")).to_have_text(re.compile(r"Very many are buying. Trying again in \d s."))
    outcome(page, "bought")
    assert len(orders(shop, buyer)) == len(refused) == 1


def test_a_lost_connection_is_told_and_the_purchase_goes_on_with_it(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods()
    context = browse(buyer)
    page = context.new_page()
    with page.expect_response("**/shop/session/token"):
        page.goto(f"/shop/{item}")
    page.wait_for_load_state("networkidle")
    context.set_offline(True)
    expect(page.locator("#offline")).to_have_text("You are offline. What you see may be out of date.")
    buy(page)
    expect(page.locator("#outcome")).to_contain_text("The connection is lost.")
    context.set_offline(False)
    outcome(page, "bought")
    expect(page.locator("#offline")).to_be_empty()
    assert len(orders(shop, buyer)) == 1


def test_a_purchase_that_a_reload_cuts_short_goes_on(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods()
    context = browse(buyer)
    page = context.new_page()
    page.goto(f"/shop/{item}")
    page.route(
        f"**/seckill/{item}", lambda route: route.abort() if route.request.method == "POST" else route.continue_()
    )
    buy(page)
    expect(page.locator("#outcome")).to_contain_text("The connection is lost.")
    page.unroute_all()
    page.reload()
    outcome(page, "bought")
    assert len(orders(shop, buyer)) == 1


def test_orders_change_while_they_are_looked_at(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods()
    order_no = shop.buy(item, buyer).json()["order_no"]
    page = browse(buyer).new_page()
    page.goto("/shop/orders")
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"^00:1\d:\d\d$"))
    requests.post(f"{shop.url}/orders/{order_no}/pay", headers=shop.headers(buyer), timeout=20)
    expect(page.locator("[data-order-no]")).to_have_attribute("data-status", "paid")


def test_an_item_can_be_bought_by_the_keyboard_alone(shop: Service, browse: Browse, buyer: str) -> None:
    page = open_item(browse, shop.create_goods(), buyer)
    button = page.get_by_role("button", name="Buy", exact=True)
    for _ in range(30):
        page.keyboard.press("Tab")
        if button.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    outcome(page, "bought")


def test_a_visitor_can_change_the_language(shop: Service, browse: Browse) -> None:
    page = open_item(browse, shop.create_goods(), None)
    page.get_by_role("link", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.get_by_role("button", name="抢购", exact=True)).to_be_visible()
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
