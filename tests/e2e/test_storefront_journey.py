"""Buying on the storefront in a real browser: with and without JavaScript, in both languages."""

import re

import pytest
import requests
from playwright.sync_api import expect

from harness.service import Service
from tests.e2e.conftest import PHONE
from tests.e2e.shopping import Browse, buy, coupon, in_seconds, method, open_item, orders, outcome

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
        "due": r"It is yours\. Please pay .*240\.40 by \d",
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
        "due": r"抢到了！请在 .*\d.* 前支付 .*240\.40",
    },
}


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
    expect(page.locator("[data-code]")).to_contain_text(re.compile(words["due"]))
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


def test_a_visitor_signs_in_by_a_token_and_out(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods()
    page = open_item(browse, item, None)
    buy(page)
    outcome(page, "unauthenticated")
    page.get_by_text("I have a token").click()
    page.get_by_label("Token").fill(shop.token(buyer))
    page.locator("#sign-in").get_by_role("button", name="Sign in").click()
    expect(page.get_by_title(buyer)).to_be_visible()
    buy(page)
    outcome(page, "bought")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_title(buyer)).to_have_count(0)
    assert len(orders(shop, buyer)) == 1


def test_the_host_hands_over_a_token_by_a_function(shop: Service, browse: Browse, buyer: str) -> None:
    page = open_item(browse, shop.create_goods(), None)
    token = shop.token(buyer)
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


def test_the_button_of_a_sale_that_is_paused_before_its_start_sleeps_too(
    shop: Service, browse: Browse, buyer: str
) -> None:
    item = shop.create_goods(starts_at=in_seconds(6))
    operator = shop.headers("operator", admin=True)
    requests.post(f"{shop.url}/goods/{item}/pause", headers=operator, timeout=20).raise_for_status()
    page = open_item(browse, item, buyer)
    button = page.get_by_role("button", name="Buy", exact=True)
    expect(button).to_be_disabled()
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"^00:00:0\d$"))
    # Behind its start it is like any sale that is paused: whoever asks is told.
    expect(button).to_be_enabled()
    expect(page.get_by_role("timer")).to_be_hidden()
    buy(page)
    outcome(page, "sale_paused")


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
