"""Signing in and out, and the languages."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from core.tokens import Tokens
from harness.service import SECRET
from tests.e2e.console.shop import Shop

Open = Callable[..., Page]
PARTS = {
    "en": ["Sales", "Live", "Orders", "Coupons", "Shipping", "Webhooks", "Audit"],
    "zh": ["活动", "实时", "订单", "优惠券", "配送", "Webhook", "审计"],
}


def _sign_in(page: Page, token: str) -> None:
    page.get_by_role("textbox", name="Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_administrator_signs_in_and_out(shop: Shop, open_console: Open) -> None:
    page = open_console(token=None)

    _sign_in(page, f" Bearer {shop.admin_token}\n")

    expect(page.get_by_role("heading", name="Sales", level=1)).to_be_visible()
    for part in PARTS["en"]:
        page.get_by_role("navigation").get_by_role("link", name=part, exact=True).click()
        expect(page.get_by_role("heading", name=part, level=1)).to_be_focused()
    assert page.evaluate("sessionStorage['console.token']") == shop.admin_token
    assert shop.admin_token not in page.evaluate("JSON.stringify(localStorage) + document.cookie + location.href")

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("textbox", name="Token")).to_be_focused()
    assert page.evaluate("sessionStorage.getItem('console.token')") is None


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "Paste a token first."),
        ("nonsense", "This token is not valid."),
        ("令牌", "This token is not valid."),
        (Tokens(SECRET).issue("alice"), "not an administrator's"),
        (Tokens(SECRET).issue("operator", is_admin=True, hours=-1), "has expired"),
        (Tokens("k" * 32).issue("operator", is_admin=True), "This token is not valid."),
    ],
)
def test_token_that_does_not_serve_is_told_plainly(open_console: Open, token: str, message: str) -> None:
    page = open_console(token=None)

    _sign_in(page, token)

    expect(page.get_by_role("alert")).to_contain_text(message)
    expect(page.get_by_role("textbox", name="Token")).to_be_focused()
    assert page.evaluate("sessionStorage.getItem('console.token')") is None


def test_token_that_ends_leads_back_to_where_one_was(shop: Shop, open_console: Open) -> None:
    page = open_console("/admin/coupons", token="ended")

    expect(page.get_by_role("status")).to_contain_text("signed out")
    _sign_in(page, shop.admin_token)

    expect(page.get_by_role("heading", name="Coupons", level=1)).to_be_visible()


def test_page_speaks_the_language_of_the_browser_until_another_is_chosen(open_console: Open) -> None:
    page = open_console(locale="zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    for part in PARTS["zh"]:
        expect(page.get_by_role("navigation").get_by_role("link", name=part, exact=True)).to_be_visible()

    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", name="Sales", level=1)).to_be_visible()

    page.reload()
    expect(page.get_by_role("heading", name="Sales", level=1)).to_be_visible()


def test_address_that_is_no_view_says_so(open_console: Open) -> None:
    expect(open_console("/admin/nothing/here").get_by_role("heading", level=1)).to_have_text("There is no such page")
