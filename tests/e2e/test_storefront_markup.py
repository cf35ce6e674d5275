"""Markup that buyers type at the storefront is text on each page that shows it, with JavaScript and without."""

import pytest
from playwright.sync_api import expect

from harness.service import Service
from tests.e2e.markup import MARKUP, assert_text_alone
from tests.e2e.shopping import Browse, buy, method, open_item, orders, outcome


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_coupon_that_is_markup_is_refused_and_stays_text(
    shop: Service, browse: Browse, buyer: str, javascript: bool
) -> None:
    page = open_item(browse, shop.create_goods(), buyer, java_script_enabled=javascript)
    for text in (MARKUP, f'">{MARKUP}', f"{MARKUP}{'x' * 256}"[:256]):
        page.get_by_label("Coupon").fill(text)
        buy(page)
        expect(page.locator("[data-tone=bad][data-code]")).not_to_be_empty()
        expect(page.get_by_label("Coupon")).to_have_value(text)
        expect(page.locator("#outcome")).not_to_contain_text("onerror")
        assert_text_alone(page, "main", javascript)
    assert orders(shop, buyer) == []


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_address_that_is_markup_is_text_wherever_it_is_shown(
    shop: Service, browse: Browse, buyer: str, javascript: bool
) -> None:
    method(shop)
    page = open_item(browse, shop.create_goods(shippable=True), buyer, java_script_enabled=javascript)
    page.get_by_role("radio", name="Post 邮政").check()
    page.get_by_label("Region").select_option("CN-31")
    for name in ("name", "phone", "line1", "line2", "postcode"):
        page.locator(f"#{name}").fill(f"{MARKUP}{name}"[-16 if name == "postcode" else 0 :])
    buy(page)
    outcome(page, "validation_failed")
    for name in ("phone", "postcode"):
        expect(page.locator(f"#{name}")).to_have_attribute("aria-invalid", "true")
    for name in ("name", "line1", "line2"):
        expect(page.locator(f"#{name}")).to_have_value(f"{MARKUP}{name}")
    assert_text_alone(page, "main", javascript)

    page.locator("#phone").fill("123456")
    page.locator("#postcode").fill("200000")
    buy(page)
    outcome(page, "bought")
    page.goto("/shop/orders")
    page.locator("summary").first.click()
    for name in ("name", "line1", "line2"):
        expect(page.locator("main dd").get_by_text(f"{MARKUP}{name}")).to_be_visible()
    assert_text_alone(page, "main", javascript)
