"""The description's page in a real browser: under its strict policy it shows the operations and tries them."""

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
