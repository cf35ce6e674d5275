"""The live figures, the audit and the report, of a sale that has just been."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.console.shop import Shop

Open = Callable[..., Page]
BUYERS = 12


@pytest.fixture(scope="module")
def goods_id(shop: Shop) -> int:
    """A sale that sold out under its buyers, four of whom came too late."""
    number: int = shop.put_up("Sold out at once", stock=BUYERS - 4, price=1000)["id"]

    def buy(buyer: int) -> int:
        return shop.attempt(number, f"buyer-{buyer}")

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(buy, range(BUYERS)))
    assert outcomes.count(201) == BUYERS - 4
    return number


def test_live_figures_are_those_of_the_sale(shop: Shop, open_console: Open, goods_id: int) -> None:
    page = open_console(f"/admin/live?goods_id={goods_id}")

    expect(page.locator("[data-figure='stock'] strong")).to_have_text("0")
    expect(page.locator("[data-figure='unpaid'] strong")).to_have_text(str(BUYERS - 4))
    expect(page.get_by_role("img", name="Purchases per second: Purchases now")).to_be_visible()
    expect(page.get_by_role("img", name="Refusals per second: Sold out now")).to_be_visible()

    page.get_by_label("Watch").select_option("")
    row = page.get_by_role("region", name="By item").locator(f"[data-goods-id='{goods_id}']")
    expect(row).to_contain_text("Sold out at once")


def test_chart_tells_its_values_by_keyboard(open_console: Open, goods_id: int) -> None:
    page = open_console(f"/admin/live?goods_id={goods_id}")
    chart = page.locator("figure").first
    chart.get_by_role("img").focus()
    page.keyboard.press("ArrowLeft")
    expect(chart.locator(".readout")).not_to_be_empty()
    page.keyboard.press("Escape")
    expect(chart.locator(".readout")).to_be_empty()


def test_alarm_cannot_be_overlooked(open_console: Open, goods_id: int) -> None:
    page = open_console("/admin")

    def with_alarm(route: Route) -> None:
        answer = route.fetch()
        figures: dict[str, Any] = answer.json()
        figures["alarm"], figures["alarm_since"] = True, figures["at"]
        figures["items"] = [{**item, "alarm": True} for item in figures["items"]]
        route.fulfill(response=answer, json=figures)

    page.route("**/live", with_alarm)
    page.get_by_role("link", name="Live").click()

    expect(page.get_by_role("alert")).to_contain_text("Buyers come, and nothing moves")
    expect(page.get_by_role("alert")).to_contain_text("Sold out at once")


def test_hidden_page_asks_nothing_and_goes_on_when_it_is_seen(open_console: Open, goods_id: int) -> None:
    page = open_console("/admin/live")
    expect(page.locator("[data-figure='purchases']")).to_be_visible()
    hide = "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
    page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange')) }}", True)
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.wait_for_timeout(3000)  # of three requests, if there were any
    assert urls == []

    with page.expect_response("**/live"):
        page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange')) }}", False)


def test_failure_of_the_figures_is_told_and_passes(open_console: Open, goods_id: int) -> None:
    page = open_console("/admin/live")
    expect(page.locator("[data-figure='purchases']")).to_be_visible()
    refusal = {"status": 503, "headers": {"Retry-After": "2"}, "json": {"code": "unavailable"}}
    page.route("**/live", lambda route: route.fulfill(**refusal))
    expect(page.get_by_role("status").filter(has_text="Asking again in")).to_be_visible()
    page.unroute("**/live")
    expect(page.get_by_role("status").filter(has_text="Asking again in")).to_have_count(0)


def test_audit_is_run_from_the_page(shop: Shop, open_console: Open, goods_id: int) -> None:
    page = open_console("/admin/audit")
    page.get_by_role("button", name="Run audit").dblclick()

    expect(page.get_by_text("promises hold")).to_be_visible(timeout=60_000)
    checks = shop.call("GET", "/audit")["checks"]
    expect(page.locator("[data-check]")).to_have_count(len(checks))


def test_report_tells_what_became_of_the_sale(shop: Shop, open_console: Open, goods_id: int) -> None:
    page = open_console(f"/admin/sales/{goods_id}")
    page.get_by_role("link", name="Report").click()

    expect(page.get_by_role("heading", name="Report: Sold out at once", level=1)).to_be_visible(timeout=60_000)
    expect(page.locator("[data-report] li").first).to_contain_text(f"{BUYERS - 4}of {BUYERS - 4} offered")
    expect(page.get_by_role("img", name="Stock: Left now 0")).to_be_visible()
    expect(page.get_by_role("region", name="Demand")).to_contain_text("Sold out")
