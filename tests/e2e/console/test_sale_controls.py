"""The controls of a running sale, while a buyer looks on."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request, Route, expect

from harness.eventually import eventually
from tests.e2e.console.shop import Shop

Open = Callable[..., Page]


def _status(shop: Shop, goods_id: int, status: str) -> None:
    assert eventually(lambda: shop.live(goods_id)["status"] == status)


def test_buyer_sees_pause_and_resume(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Paused")["id"]
    page = open_console(f"/admin/sales/{goods_id}")

    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text("Paused: nothing is sold until you resume.")).to_be_visible()
    _status(shop, goods_id, "paused")

    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_text("Resumed: buyers can buy again.")).to_be_visible()
    _status(shop, goods_id, "on_sale")

    expect(page.get_by_text("operator paused the sale")).to_be_visible()
    expect(page.get_by_text("operator resumed the sale")).to_be_visible()


@pytest.mark.parametrize(("language", "label"), [("en-GB", "Buyers will see:"), ("zh-CN", "买家将看到：")])
def test_each_control_says_what_buyers_will_see(shop: Shop, open_console: Open, language: str, label: str) -> None:
    later = shop.put_up("Controlled later", starts_at="2030-01-01T00:00:00Z")
    for goods in (later, shop.put_up("Controlled")):
        page = open_console(f"/admin/sales/{goods['id']}", locale=language)
        controls = page.locator(".control")
        # Whether it runs; stock in and out; the end; both limits.
        expect(controls).to_have_count(6)
        for control in controls.all():
            expect(control.locator("p.muted")).to_contain_text(re.compile(label + r"\s*\S.{8}"))


def test_buyer_at_the_storefront_sees_what_the_operator_does(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Watched", stock=1)["id"]
    buyer = open_console(f"/shop/{goods_id}", token=None)
    state = buyer.locator("main .badge").first
    expect(state).to_have_text("On sale")
    operator = open_console(f"/admin/sales/{goods_id}")

    operator.get_by_role("button", name="Pause", exact=True).click()
    expect(state).to_have_text("Paused", timeout=60_000)
    operator.get_by_role("button", name="Resume", exact=True).click()
    expect(state).to_have_text("On sale", timeout=60_000)

    shop.buy(goods_id)
    expect(state).to_have_text("Sold out", timeout=60_000)
    operator.get_by_role("spinbutton", name="Units to add").fill("7")
    operator.get_by_role("button", name="Add stock", exact=True).click()
    expect(state).to_have_text("On sale", timeout=60_000)
    expect(buyer.locator("main")).to_contain_text("7")


def test_buyer_sees_more_and_less_stock(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Stocked", stock=1)["id"]
    shop.buy(goods_id)
    _status(shop, goods_id, "sold_out")
    page = open_console(f"/admin/sales/{goods_id}")

    page.get_by_role("spinbutton", name="Units to add").fill("10")
    page.get_by_role("button", name="Add stock", exact=True).click()
    expect(page.get_by_text("Units added: 10.")).to_be_visible()
    expect(page.locator('[data-figure="stock"] strong')).to_have_text("10")
    assert eventually(lambda: shop.live(goods_id)["stock"] == 10)

    page.get_by_role("spinbutton", name="Units to withdraw").fill("11")
    page.get_by_role("button", name="Withdraw stock").click()
    expect(page.get_by_role("alert")).to_contain_text("More units were to be withdrawn than are left.")
    page.get_by_role("spinbutton", name="Units to withdraw").fill("4")
    page.get_by_role("button", name="Withdraw stock").click()
    expect(page.get_by_text("Units withdrawn: 4.")).to_be_visible()
    assert shop.goods(goods_id)["stock"] == 6


def test_pressing_twice_adds_once_and_typing_again_adds_again(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Pressed", stock=0)["id"]
    page = open_console(f"/admin/sales/{goods_id}")
    add = page.get_by_role("button", name="Add stock", exact=True)

    page.get_by_role("spinbutton", name="Units to add").fill("5")
    add.dblclick()
    expect(page.get_by_text("Units added: 5.")).to_be_visible()
    add.click()
    expect(page.get_by_text("This field is needed.")).to_be_visible()
    assert shop.goods(goods_id)["stock"] == 5

    page.get_by_role("spinbutton", name="Units to add").fill("5")
    add.click()
    expect(page.locator('[data-figure="stock"] strong')).to_have_text("10")
    assert shop.goods(goods_id)["stock"] == 10


def test_answer_that_is_lost_adds_once(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Lost", stock=0)["id"]
    page = open_console(f"/admin/sales/{goods_id}")
    keys = []

    def lose_the_first(route: Route) -> None:
        if route.request.method != "PATCH":
            return route.fallback()
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            return route.continue_()
        route.fetch()
        return route.abort()

    page.route(f"**/goods/{goods_id}", lose_the_first)
    page.get_by_role("spinbutton", name="Units to add").fill("5")
    page.get_by_role("button", name="Add stock", exact=True).click()

    expect(page.get_by_text("Units added: 5.")).to_be_visible()
    assert keys == [keys[0]] * 2
    assert shop.goods(goods_id)["stock"] == 5


def test_outcome_that_stays_unknown_is_said_and_the_same_number_typed_again_adds_once(
    shop: Shop, open_console: Open
) -> None:
    goods_id = shop.put_up("Unknown", stock=0)["id"]
    page = open_console(f"/admin/sales/{goods_id}")
    add = page.get_by_role("button", name="Add stock", exact=True)
    units = page.get_by_role("spinbutton", name="Units to add")

    def do_and_lose(route: Route) -> None:
        if route.request.method != "PATCH":
            return route.fallback()
        route.fetch()
        return route.abort()

    page.route(f"**/goods/{goods_id}", do_and_lose)
    units.fill("5")
    add.click()
    expect(page.get_by_text("It is unknown whether this was done.")).to_be_visible(timeout=60_000)
    page.unroute(f"**/goods/{goods_id}", do_and_lose)
    units.fill("6")
    units.fill("5")
    add.click()
    expect(page.get_by_text("Units added: 5.")).to_be_visible()
    assert shop.goods(goods_id)["stock"] == 5

    units.fill("5")
    add.click()
    expect(page.locator('[data-figure="stock"] strong')).to_have_text("10")
    assert shop.goods(goods_id)["stock"] == 10


def test_sale_is_started_ahead_of_its_time(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Upcoming", starts_at="2040-01-01T00:00:00Z")["id"]
    page = open_console(f"/admin/sales/{goods_id}")
    starts_in = page.get_by_role("timer").filter(has_text="Starts in")
    expect(starts_in).to_be_visible()
    shop.call("POST", f"/goods/{goods_id}/pause")
    _status(shop, goods_id, "paused")
    expect(page.get_by_role("button", name="Resume")).to_be_enabled()  # so the page knows that it is paused
    expect(starts_in).to_be_visible()
    page.get_by_role("button", name="Resume").click()

    page.get_by_role("button", name="Start now").click()

    expect(page.get_by_text("The sale is open.")).to_be_visible()
    _status(shop, goods_id, "on_sale")


def test_end_and_limits_are_set_while_it_runs(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Live", ends_at="2030-01-01T00:00:00Z")["id"]
    page = open_console(f"/admin/sales/{goods_id}")

    page.get_by_role("button", name="+60 min").click()
    page.get_by_role("button", name="Set end").click()
    expect(page.get_by_text("The end was set.")).to_be_visible()
    page.get_by_role("spinbutton", name="Limit per user").fill("3")
    page.get_by_role("button", name="Set limit").click()
    expect(page.get_by_text("The limit per user was set.")).to_be_visible()
    page.get_by_role("spinbutton", name="Order limit").fill("4")
    page.get_by_role("button", name="Set order limit").click()
    expect(page.get_by_text("The order limit was set.")).to_be_visible()

    goods = shop.goods(goods_id)
    assert goods["ends_at"] == "2030-01-01T01:00:00.000Z"
    assert (goods["per_user_limit"], goods["order_limit"]) == (3, 4)
    assert eventually(lambda: shop.live(goods_id)["order_limit"] == 4)


def test_limit_that_another_set_meanwhile_is_a_difference(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Contended", per_user_limit=1)["id"]
    page = open_console(f"/admin/sales/{goods_id}")
    page.get_by_role("spinbutton", name="Limit per user").fill("3")
    shop.call("PATCH", f"/goods/{goods_id}", user="rival", json={"per_user_limit": 2})

    page.get_by_role("button", name="Set limit").click()
    page.get_by_role("radio", name="Use theirs for Limit per user: 2").check()
    page.get_by_role("button", name="Save these choices").click()

    expect(page.get_by_role("spinbutton", name="Limit per user")).to_have_value("2")
    assert shop.goods(goods_id)["per_user_limit"] == 2


def test_change_of_another_field_is_no_difference(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Merged")["id"]
    page = open_console(f"/admin/sales/{goods_id}")
    page.get_by_role("spinbutton", name="Limit per user").fill("3")
    shop.call("PATCH", f"/goods/{goods_id}", user="rival", json={"price": 5})

    page.get_by_role("button", name="Set limit").click()

    expect(page.get_by_text("The limit per user was set.")).to_be_visible()
    goods = shop.goods(goods_id)
    assert (goods["per_user_limit"], goods["price"]) == (3, 5)


def test_page_says_whether_the_sale_is_ready(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Ready", stock=0)["id"]
    page = open_console(f"/admin/sales/{goods_id}")

    ready = page.get_by_role("region", name="Ready?")
    expect(ready.locator("[data-check]").first).to_be_visible(timeout=60_000)
    states = {entry.get_attribute("data-state") for entry in ready.locator("[data-check]").all()}
    assert states <= {"ok", "warning", "problem"}
    expect(ready.locator(".mend").first).not_to_be_empty()


def _readiness_requests(page: Page, goods_id: int) -> list[str]:
    urls: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith(f"/goods/{goods_id}/readiness"):
            urls.append(request.url)

    page.on("request", note)
    return urls


def test_changes_before_the_sale_are_looked_at_anew(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Ahead", starts_at="2040-01-01T00:00:00Z")["id"]
    page = open_console(f"/admin/sales/{goods_id}")
    expect(page.locator("[data-check]").first).to_be_visible(timeout=60_000)
    urls = _readiness_requests(page, goods_id)

    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator('[data-check="window"][data-state="warning"]')).to_be_visible(timeout=60_000)
    assert len(urls) == 1


def test_changes_during_the_sale_are_looked_at_only_when_asked(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Running")["id"]
    page = open_console(f"/admin/sales/{goods_id}")
    expect(page.locator('[data-check="audit"]')).to_be_visible(timeout=60_000)
    urls = _readiness_requests(page, goods_id)

    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text("operator paused the sale")).to_be_visible()
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_text("operator resumed the sale")).to_be_visible()
    assert urls == []
    page.get_by_role("button", name="Look again").click()
    assert eventually(lambda: len(urls) == 1)
