"""Every view of the console: accessible, in both languages and colours, on a desk and on a phone, by keyboard."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import breaches
from tests.e2e.console.shop import Shop
from tests.e2e.console.views import settled

Open = Callable[..., Page]
PHONE = {"width": 390, "height": 844}
NARROW = {"width": 640, "height": 400}  # a desk's 1,280 at 200 %
VIEWS = (
    "/admin",
    "/admin/sales/new",
    "/admin/sales/{goods}",
    "/admin/sales/{goods}/edit",
    "/admin/sales/{goods}/report",
    "/admin/live",
    "/admin/live?goods_id={goods}",
    "/admin/orders",
    "/admin/orders/attention",
    "/admin/orders/{order}",
    "/admin/coupons",
    "/admin/coupons/new",
    "/admin/coupons/SEEN",
    "/admin/shipping",
    "/admin/shipping/new",
    "/admin/shipping/seen",
    "/admin/webhooks",
    "/admin/webhooks/new",
    "/admin/webhooks/{webhook}",
    "/admin/audit",
    "/admin/nothing",
)


@pytest.fixture(scope="module")
def places(shop: Shop) -> dict[str, object]:
    goods = shop.put_up("A name so long that it has to be broken " + "超长名称" * 20, stock=5, price=12345678)
    order = shop.buy(goods["id"], user="u" * 64)
    shop.report_payment(order["order_no"], 1)
    late = shop.buy(goods["id"], user="late")
    shop.call("POST", f"/orders/{late['order_no']}/cancel")
    shop.report_payment(late["order_no"], late["total"])
    shop.call("POST", "/coupons", json={"code": "SEEN", "kind": "percent", "percent": 5})
    shop.call("POST", "/shipping-methods", json={"code": "seen", "name": "Seen", "base_fee": 1})
    webhook = shop.call("POST", "/webhooks", json={"url": "http://127.0.0.1:9/" + "long/" * 40})
    return {"goods": goods["id"], "order": order["order_no"], "webhook": webhook["id"]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_view_is_accessible(open_console: Open, places: dict[str, object], view: str, scheme: str) -> None:
    dark = scheme == "dark"
    options = {"viewport": PHONE, "locale": "zh-CN"} if dark else {}
    page = open_console(view.format(**places), color_scheme=scheme, **options)
    settled(page)

    assert breaches(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_sign_in_is_accessible(open_console: Open, scheme: str) -> None:
    page = open_console(token=None, color_scheme=scheme)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert breaches(page) == []


@pytest.mark.parametrize("size", [PHONE, NARROW])
def test_no_view_is_wider_than_the_page(open_console: Open, places: dict[str, object], size: dict[str, int]) -> None:
    page = open_console(viewport=size)
    for view in VIEWS:
        page.goto(page.url.split("/admin")[0] + view.format(**places))
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view


def test_lists_on_a_phone_stay_tables_and_name_each_line(open_console: Open, places: dict[str, object]) -> None:
    page = open_console("/admin/shipping", viewport=PHONE)
    settled(page)
    headings = page.get_by_role("columnheader").all_text_contents()
    assert headings == ["Name", "Code", "State", "Fee", "Each further unit", "Regions"]
    # By the attributes: a role that comes of the element alone is lost where the table is laid out as blocks.
    rows = page.locator("table[role=table]:has(thead[role=rowgroup] th[role=columnheader]) > tbody[role=rowgroup]")
    cells = rows.locator("tr[role=row]").last.locator("td[role=cell]")
    expect(cells).to_have_count(len(headings))
    contents = "cells => cells.map(cell => getComputedStyle(cell, '::before').content)"
    assert cells.evaluate_all(contents) == ["none", *(f'"{heading}"' for heading in headings[1:])]
    table = page.locator(".table-scroll")
    assert table.evaluate("table => table.scrollWidth <= table.clientWidth")


def test_a_conflict_on_a_phone_says_whose_each_value_is(shop: Shop, open_console: Open) -> None:
    edited = shop.put_up("Edited on a phone")["id"]
    page = open_console(f"/admin/sales/{edited}/edit", viewport=PHONE)
    page.get_by_label("Name").fill("Mine")
    shop.call("PATCH", f"/goods/{edited}", json={"name": "Theirs"})
    page.get_by_role("button", name="Save").click()
    head = page.locator(".conflict thead")
    expect(head).to_have_text("FieldBeforeYoursTheirs")
    box = head.bounding_box()
    assert box is not None
    assert box["height"] > 10  # not clipped, as the head of a list is


def test_states_that_come_by_pressing_are_accessible(shop: Shop, open_console: Open, places: dict[str, object]) -> None:
    page = open_console("/admin/sales/new")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert breaches(page) == []

    edited = shop.put_up("Edited by two")["id"]
    page.goto(f"{shop.url}/admin/sales/{edited}/edit")
    page.get_by_label("Name").fill("Mine")
    shop.call("PATCH", f"/goods/{edited}", json={"name": "Theirs"})
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Somebody else changed this meanwhile")).to_be_visible()
    assert breaches(page) == []

    page.goto(f"{shop.url}/admin/orders/{places['order']}")
    page.get_by_role("button", name="Cancel order").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert breaches(page) == []

    page.goto(f"{shop.url}/admin/audit")
    page.get_by_role("button", name="Run audit").click()
    expect(page.locator("[data-check]").first).to_be_visible(timeout=60_000)
    assert breaches(page) == []


def test_console_is_used_by_keyboard_alone(shop: Shop, open_console: Open) -> None:
    goods = shop.put_up("By keyboard", stock=1)
    page = open_console()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("link", name="By keyboard").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="By keyboard", level=1)).to_be_focused()

    page.get_by_role("spinbutton", name="Units to add").focus()
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Units added: 3.")).to_be_visible()
    assert shop.goods(goods["id"])["stock"] == 4
    page.get_by_role("button", name="Pause", exact=True).focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("Paused: nothing is sold until you resume.")).to_be_visible()
