"""Orders in the console: finding them, cancelling, refunds, payments that do not fit, and the export."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.console.shop import Shop

Open = Callable[..., Page]


@pytest.fixture
def goods_id(shop: Shop) -> int:
    number: int = shop.put_up("Ordered", price=1000, stock=20)["id"]
    return number


def test_orders_are_found_by_number_user_state_item_and_time(shop: Shop, open_console: Open, goods_id: int) -> None:
    order = shop.buy(goods_id, user="searched")
    shop.buy(goods_id, user="another")
    rows = f"[data-order-no='{order['order_no']}']"

    page = open_console("/admin/orders")
    page.get_by_label("User").fill("searched")
    page.get_by_label("State").select_option("pending")
    page.get_by_text("Item and time").click()
    page.get_by_label("Item number").fill(str(goods_id))
    page.get_by_label("Placed from").fill("2020-01-01T00:00:00")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator(rows)).to_have_attribute("data-status", "pending")

    page.get_by_label("Placed before").fill("2020-01-02T00:00:00")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No order fits.")).to_be_visible()

    page.get_by_label("Order number").fill("12")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("An order number has 32 digits")).to_be_visible()
    page.get_by_label("Order number").fill(order["order_no"].upper())
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_label("Order number")).to_have_text(order["order_no"])


def test_pending_order_is_cancelled_after_a_question(shop: Shop, open_console: Open, goods_id: int) -> None:
    order = shop.buy(goods_id)
    page = open_console(f"/admin/orders/{order['order_no']}")

    page.get_by_role("button", name="Cancel order").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert shop.order(order["order_no"])["status"] == "pending"

    page.get_by_role("button", name="Cancel order").click()
    page.get_by_role("button", name="Cancel this order").dblclick()
    expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()
    assert shop.order(order["order_no"])["status"] == "cancelled"
    assert shop.goods(goods_id)["stock"] == 20


def test_paid_order_is_refunded_with_its_units(shop: Shop, open_console: Open, goods_id: int) -> None:
    order = shop.buy(goods_id, quantity=2)
    assert shop.report_payment(order["order_no"], order["total"]) == "paid"
    page = open_console(f"/admin/orders/{order['order_no']}")

    page.get_by_role("button", name="Note a refund").click()
    page.get_by_role("button", name="Note the refund").click()
    expect(page.get_by_text("This field is needed.")).to_be_visible()
    page.get_by_label("Refund reference").fill("bank 117")
    page.get_by_label("Put the units back on sale").check()
    page.get_by_role("button", name="Note the refund").dblclick()

    expect(page.get_by_role("definition").filter(has_text="bank 117").first).to_be_visible()
    refunded = shop.order(order["order_no"])
    assert (refunded["status"], refunded["refund_reference"]) == ("refunded", "bank 117")
    assert shop.goods(goods_id)["stock"] == 20


def test_what_needs_a_hand_stands_out_and_is_resolved(shop: Shop, open_console: Open, goods_id: int) -> None:
    cancelled = shop.buy(goods_id, user="late payer")
    shop.call("POST", f"/orders/{cancelled['order_no']}/cancel", user="late payer")
    assert shop.report_payment(cancelled["order_no"], cancelled["total"]) == "refund_due"
    wrong = shop.buy(goods_id, user="odd payer")
    assert shop.report_payment(wrong["order_no"], 1) == "mismatch"
    assert shop.report_payment("f" * 32, 500) == "unknown_order"

    page = open_console("/admin/orders")
    page.get_by_role("link", name="Look after them").click()
    refunds = page.get_by_role("region", name="Refunds due")
    expect(refunds.locator(f"[data-order-no='{cancelled['order_no']}']")).to_be_visible()

    odd = page.locator("article[data-outcome='mismatch']").filter(has_text=wrong["order_no"])
    odd.get_by_label("What was done").select_option("refunded")
    odd.get_by_label("Note").fill("by bank")
    odd.get_by_role("button", name="Resolve").dblclick()
    expect(odd).to_have_count(0)
    [payment] = shop.call("GET", f"/payments?order_no={wrong['order_no']}")["items"]
    assert (payment["resolution"], payment["note"], payment["resolved_by"]) == ("refunded", "by bank", "operator")

    refunds.get_by_role("link").first.click()
    expect(page.get_by_text("give it back, then note the refund")).to_be_visible()


def test_export_has_what_the_filters_leave(shop: Shop, open_console: Open, goods_id: int, tmp_path: Path) -> None:
    orders = [shop.buy(goods_id, user="exported 导出") for _ in range(3)]
    page = open_console("/admin/orders?user_id=exported 导出")

    with page.expect_download() as downloading:
        page.get_by_role("button", name="Export CSV").click()
    assert downloading.value.suggested_filename == "orders.csv"
    downloading.value.save_as(tmp_path / "orders.csv")

    with (tmp_path / "orders.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["order_no"] for row in rows] == [order["order_no"] for order in orders]
    assert {row["user_id"] for row in rows} == {"exported 导出"}


def test_order_that_is_not_there_says_so(open_console: Open) -> None:
    expect(open_console(f"/admin/orders/{'0' * 32}").get_by_role("alert").first).to_contain_text("no such order")
