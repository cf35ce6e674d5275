"""Text of people that tries to be more than text: in the console it runs nowhere, and is shown as it is."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.console.shop import Shop
from tests.e2e.console.views import settled

Open = Callable[..., Page]
# A dialog, an error of a script and a breach of the Content-Security-Policy are faults of the page (conftest.py).
SCRIPT = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def _is_text_alone(page: Page) -> None:
    assert page.locator("#console img, #console script, #console iframe").count() == 0, page.url


def test_the_reference_of_a_refund_is_shown_as_it_was_typed(shop: Shop, open_console: Open) -> None:
    order = shop.buy(shop.put_up("Refunded")["id"])
    assert shop.tell_payment(order["order_no"], order["total"]) == "paid"
    page = open_console(f"/admin/orders/{order['order_no']}")

    page.get_by_role("button", name="Note a refund").click()
    page.get_by_label("Refund reference").fill(SCRIPT)
    page.get_by_role("button", name="Note the refund").click()
    expect(page.get_by_role("definition").filter(has_text=SCRIPT).first).to_be_visible()
    _is_text_alone(page)
    assert shop.order(order["order_no"])["refund_reference"] == SCRIPT


def test_what_a_payment_was_resolved_by_is_kept_as_it_was_typed(shop: Shop, open_console: Open) -> None:
    order = shop.buy(shop.put_up("Paid oddly")["id"], user=SCRIPT)
    assert shop.tell_payment(order["order_no"], 1) == "mismatch"
    page = open_console("/admin/orders")
    page.get_by_role("link", name="Look after them").click()

    odd = page.locator("article[data-outcome='mismatch']").filter(has_text=order["order_no"])
    odd.get_by_label("What was done").select_option("refunded")
    odd.get_by_label("Note").fill(SCRIPT)
    _is_text_alone(page)
    odd.get_by_role("button", name="Resolve").click()
    expect(odd).to_have_count(0)
    _is_text_alone(page)
    [payment] = shop.call("GET", f"/payments?order_no={order['order_no']}")["items"]
    assert payment["note"] == SCRIPT


@pytest.mark.parametrize(
    ("path", "field", "button"),
    [
        ("/admin/webhooks/new", "Address", "Create"),
        ("/admin/coupons/new?kind=free_shipping", "Code", "Create"),
        ("/admin/coupons/new?kind=free_shipping", "Item numbers", "Create"),
        ("/admin/shipping/new", "Code", "Create"),
        ("/admin/shipping/new", "Regions", "Create"),
        ("/admin/sales/new", "Currency", "Create"),
        ("/admin/sales/new", "Picture", "Create"),
    ],
)
def test_a_field_that_cannot_have_it_says_so_and_shows_it_as_text(
    open_console: Open, path: str, field: str, button: str
) -> None:
    page = open_console(path)
    page.get_by_label(field).first.fill(SCRIPT)
    page.get_by_role("button", name=button).click()

    expect(page.get_by_label(field).first).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label(field).first).to_have_value(SCRIPT)
    _is_text_alone(page)


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_text_of_people_is_text(shop: Shop, open_console: Open, language: str) -> None:
    goods = shop.put_up(SCRIPT, description=SCRIPT, shippable=True)
    address = {"name": SCRIPT, "phone": "123", "region": "CN-31", "line1": SCRIPT, "line2": SCRIPT, "postcode": "1"}
    shop.call("POST", "/shipping-methods", json={"code": f"script-{language}", "name": SCRIPT, "base_fee": 0})
    order = shop.buy(goods["id"], user=SCRIPT, address=address, shipping_method=f"script-{language}")
    shop.call("PATCH", f"/goods/{goods['id']}", user="rival", json={"description": f"{SCRIPT}."})
    sale = f"/admin/sales/{goods['id']}"
    places = (
        f"/admin?q={SCRIPT}",
        sale,
        f"{sale}/edit",
        f"{sale}/report",
        "/admin/shipping",
        "/admin/orders",
        f"/admin/orders/{order['order_no']}",
    )
    for place in places:
        page = open_console(place, locale=language)
        settled(page)
        shown = page.get_by_role("textbox").first if place.endswith("edit") else page.get_by_text(SCRIPT).first
        expect(shown).to_be_visible()
        _is_text_alone(page)


def test_query_of_an_address_is_text(open_console: Open) -> None:
    page = open_console(f"/admin/orders?user_id={SCRIPT}&status={SCRIPT}&goods_id={SCRIPT}")
    expect(page.get_by_text("Some fields are missing or wrong")).to_be_visible()
    _is_text_alone(page)
