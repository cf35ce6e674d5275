"""Coupons and shipping methods in the console."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.console.shop import Shop

Open = Callable[..., Page]


def test_coupon_of_each_kind_is_made(shop: Shop, open_console: Open) -> None:
    page = open_console("/admin/coupons")
    page.get_by_role("link", name="New coupon").click()
    page.get_by_label("Code").fill("TENTH")
    page.get_by_label("Percent off").fill("10")
    page.get_by_label("Uses in all").fill("5")
    page.get_by_role("button", name="Create").dblclick()
    expect(page.locator("[data-coupon='TENTH']")).to_contain_text("10%")

    page.goto(f"{shop.url}/admin/coupons/new?kind=amount")
    page.get_by_label("Code").fill("OFF5")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_label("Amount off")).to_be_focused()
    page.get_by_label("Amount off").fill("5.50")
    page.get_by_label("Item numbers").fill("1，2")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("[data-coupon='OFF5']")).to_be_visible()

    tenth, off5 = shop.call("GET", "/coupons/TENTH"), shop.call("GET", "/coupons/OFF5")
    assert (tenth["kind"], tenth["percent"], tenth["total_limit"], tenth["currency"]) == ("percent", 10, 5, None)
    assert (off5["kind"], off5["amount"], off5["currency"], off5["goods_ids"]) == ("amount", 550, "CNY", [1, 2])


def test_code_that_is_taken_is_told_at_its_field(shop: Shop, open_console: Open) -> None:
    shop.call("POST", "/coupons", json={"code": "TAKEN", "kind": "free_shipping"})
    page = open_console("/admin/coupons/new?kind=free_shipping")
    page.get_by_label("Code").fill("TAKEN")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_label("Code")).to_have_accessible_description(
        "Letters, digits, - and _. It cannot be changed later. This code is taken."
    )


def test_coupon_is_switched_off(shop: Shop, open_console: Open) -> None:
    shop.call("POST", "/coupons", json={"code": "SWITCHED", "kind": "percent", "percent": 5})
    page = open_console("/admin/coupons/SWITCHED")
    page.get_by_label("Can be used").uncheck()
    page.get_by_label("Ends").fill("2030-01-01T08:00:00")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("[data-coupon='SWITCHED']")).to_contain_text("Off")
    changed = shop.call("GET", "/coupons/SWITCHED")
    assert (changed["active"], changed["ends_at"]) == (False, "2030-01-01T00:00:00.000Z")


def test_shipping_method_is_made_and_changed(shop: Shop, open_console: Open) -> None:
    page = open_console("/admin/shipping/new")
    page.get_by_label("Code").fill("drone")
    page.get_by_label("Name").fill("Drone 无人机")
    page.get_by_label("Fee").first.fill("12")
    page.get_by_label("Regions").fill("CN-31, CN-11")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("link", name="Drone 无人机").click()
    page.get_by_label("Each further unit").fill("1.5")
    page.get_by_label("Regions").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("[data-method='drone']")).to_contain_text("Everywhere")

    [drone] = [one for one in shop.call("GET", "/shipping-methods?limit=100")["items"] if one["code"] == "drone"]
    assert (drone["base_fee"], drone["additional_fee"], drone["regions"], drone["version"]) == (1200, 150, None, 2)


def test_two_who_change_a_coupon_see_the_difference(shop: Shop, open_console: Open) -> None:
    shop.call("POST", "/coupons", json={"code": "BOTH", "kind": "percent", "percent": 5})
    page = open_console("/admin/coupons/BOTH")
    page.get_by_label("Percent off").fill("7")
    shop.call("PATCH", "/coupons/BOTH", user="rival", json={"percent": 9})
    page.get_by_role("button", name="Save").click()
    page.get_by_role("radio", name="Use yours for Percent off: 7").check()
    page.get_by_role("button", name="Save these choices").click()
    expect(page.locator("[data-coupon='BOTH']")).to_contain_text("7%")
