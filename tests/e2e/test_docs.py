"""The description's page in a real browser: under its strict policy it shows the operations and tries them."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.service import Service

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext


def test_an_operation_can_be_tried(shop: Service, browse: "Callable[..., BrowserContext]") -> None:
    from playwright.sync_api import expect

    item = shop.create_goods()
    page = browse().new_page()
    page.goto("/docs")
    operation = page.locator("#operations-Goods-getGoods")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("input").first.fill(str(item))
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_have_text("200")
    # `browse` has seen no error, of the policy or other, and nothing loaded from elsewhere.


def test_the_token_is_kept_while_the_tab_lives_and_no_longer(
    shop: Service, browse: "Callable[..., BrowserContext]"
) -> None:
    from playwright.sync_api import expect

    token = shop.headers("alice")["Authorization"].removeprefix("Bearer ")
    context = browse()
    page = context.new_page()
    page.goto("/docs")
    page.locator(".scheme-container .authorize").click()
    fields = page.locator(".auth-container input")
    expect(fields).to_have_count(1)  # none for the signature of a payment provider
    fields.fill(token)
    page.locator(".auth-btn-wrapper .authorize").click()
    page.locator(".close-modal").click()

    def sent_authorization() -> str | None:
        operation = page.locator("#operations-Orders-listOrders")
        if operation.get_by_role("button", name="Execute").count() == 0:
            operation.locator(".opblock-summary-control").click()
            operation.get_by_role("button", name="Try it out").click()
        with page.expect_request(re.compile(r"/orders(\?.*)?$")) as request_info:
            operation.get_by_role("button", name="Execute").click()
        sent: str | None = request_info.value.headers.get("authorization")
        return sent

    assert sent_authorization() == f"Bearer {token}"
    page.goto("/docs")  # without the operation that a reload would open again
    expect(page.locator(".scheme-container .authorize.locked")).to_be_visible()
    assert sent_authorization() == f"Bearer {token}"
    assert page.evaluate("localStorage.length") == 0
    other = context.new_page()
    other.goto("/docs")
    expect(other.locator(".scheme-container .authorize")).to_be_visible()
    expect(other.locator(".authorize.locked")).to_have_count(0)
    page.locator(".scheme-container .authorize").click()
    page.locator(".auth-btn-wrapper").get_by_text("Logout").click()
    assert page.evaluate("sessionStorage.length") == 0


def test_the_page_asks_for_nothing_useless_and_shows_reads_first(
    shop: Service, browse: "Callable[..., BrowserContext]"
) -> None:
    from playwright.sync_api import expect

    page = browse().new_page()
    page.goto("/docs")
    expect(page.locator("#operations-Goods-listGoods")).to_be_visible()
    assert page.locator(".servers").count() == 0
    assert page.locator("section.models").count() == 0
    methods = page.locator("#operations-tag-Goods + * .opblock-summary-method").all_inner_texts()
    assert methods[:2] == ["GET", "POST"]
