"""What becomes of a purchase on the storefront, and what its buyer is told, whatever happens meanwhile."""

import re
from typing import Any

import pytest
import requests
from playwright.sync_api import Route, expect

from harness.service import Service
from tests.e2e.shopping import Browse, buy, change, open_item, orders, outcome


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


def test_a_busy_sale_is_tried_again_and_the_wait_is_told(shop: Service, browse: Browse, buyer: str) -> None:
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
