"""Markup in what people typed is text in every view that shows it: no element comes of it, and no script runs."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from core.tokens import Tokens
from harness.service import SECRET
from tests.e2e.console.shop import Shop
from tests.e2e.console.views import settled
from tests.e2e.markup import MARKUP, assert_text_alone

Open = Callable[..., Page]
URL = 'http://127.0.0.1:9/?<img/src="x"/onerror="__xss=1"><b/id="xss">'  # without the blanks that no URL has


def _ran_nowhere(page: Page) -> None:
    assert_text_alone(page, "#console")
    assert page.locator("#console img").count() == 0


def _shown(page: Page, where: Locator | None = None) -> None:
    expect((where or page.locator("#content")).get_by_text(MARKUP).first).to_be_visible(timeout=60_000)
    _ran_nowhere(page)


def _typed(page: Page, label: str, text: str) -> Locator:
    # An optional field says so after its name; a part of the page can have such a name too.
    field = page.locator("input").and_(page.get_by_label(re.compile(f"^{label}"))).first
    field.fill(text)
    return field


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_views_of_sales_and_orders_show_it_as_text(shop: Shop, open_console: Open, language: str) -> None:
    goods = shop.put_up(MARKUP, description=MARKUP)
    order = shop.buy(goods["id"], user=MARKUP)
    sale = f"/admin/sales/{goods['id']}"
    for place in (
        "/admin",
        sale,
        f"{sale}/edit",
        f"{sale}/report",
        "/admin/orders",
        f"/admin/orders/{order['order_no']}",
    ):
        page = open_console(place, locale=language)
        settled(page)
        if place.endswith("edit"):
            expect(page.get_by_label("Name" if language == "en-GB" else "名称").first).to_have_value(MARKUP)
        else:
            expect(page.get_by_text(MARKUP).first).to_be_visible()
        _ran_nowhere(page)


def test_query_of_an_address_is_text(open_console: Open) -> None:
    page = open_console(f"/admin/orders?user_id={MARKUP}&status={MARKUP}&goods_id={MARKUP}")
    expect(page.get_by_text("Some fields are missing or wrong")).to_be_visible()
    _ran_nowhere(page)


def test_note_and_reference_are_shown_in_the_order_that_they_are_of(shop: Shop, open_console: Open) -> None:
    order = shop.buy(shop.put_up("Noted")["id"], user=MARKUP)
    assert shop.report_payment(order["order_no"], 1) == "mismatch"
    page = open_console(f"/admin/orders/{order['order_no']}")
    _typed(page, "Note", MARKUP)
    page.get_by_role("button", name="Resolve").click()
    _shown(page, page.locator("article.payment .lines"))

    assert shop.report_payment(order["order_no"], order["total"]) == "paid"
    page.reload()
    page.get_by_role("button", name="Note a refund").click()
    _typed(page, "Refund reference", MARKUP)
    page.get_by_role("button", name="Note the refund").click()
    _shown(page, page.locator("dl.facts > div").filter(has_text="Refund reference").locator("dd"))
    assert shop.order(order["order_no"])["refund_reference"] == MARKUP
    assert [payment["note"] for payment in shop.call("GET", "/payments?outcome=mismatch")["items"]].count(MARKUP) == 1


def test_what_waits_for_an_operator_is_shown_as_text(shop: Shop, open_console: Open) -> None:
    order = shop.buy(shop.put_up(MARKUP)["id"], user=MARKUP)
    shop.call("POST", f"/orders/{order['order_no']}/cancel")
    assert shop.report_payment(order["order_no"], order["total"]) == "refund_due"
    page = open_console("/admin/orders/attention")
    _shown(page, page.locator(f"[data-order-no='{order['order_no']}']"))


def test_address_of_an_order_is_shown_as_text(shop: Shop, open_console: Open) -> None:
    shop.call("POST", "/shipping-methods", json={"code": "markup", "name": MARKUP, "base_fee": 0})
    lines = {"name": f"{MARKUP}1", "line1": f"{MARKUP}2", "line2": f"{MARKUP}3"}
    address = {**lines, "phone": "123", "region": "CN-31", "postcode": "200000"}
    goods = shop.put_up("Sent", shippable=True)
    order = shop.buy(goods["id"], address=address, shipping_method="markup")
    page = open_console(f"/admin/orders/{order['order_no']}")
    for line in lines.values():
        expect(page.locator("address").get_by_text(line, exact=True)).to_be_visible()
    _ran_nowhere(page)
    page.goto(f"{shop.url}/admin/shipping")
    _shown(page, page.locator("[data-method='markup']"))
    page.goto(f"{shop.url}/admin/shipping/markup")
    expect(page.get_by_label("Name")).to_have_value(MARKUP)
    _ran_nowhere(page)


def test_address_of_a_webhook_is_shown_as_text(shop: Shop, open_console: Open) -> None:
    page = open_console("/admin/webhooks/new")
    field = _typed(page, "Address", URL)
    page.get_by_role("button", name="Create").click()
    page.get_by_role("link", name="I have kept it").click()
    expect(field).to_have_value(URL)
    page.get_by_role("button", name="Delete webhook").click()
    expect(page.get_by_role("dialog").get_by_text(URL)).to_be_visible()
    _ran_nowhere(page)
    page.goto(f"{shop.url}/admin/webhooks")
    expect(page.get_by_role("link", name=URL)).to_be_visible()
    _ran_nowhere(page)


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/admin/webhooks/new", "Address"),
        ("/admin/coupons/new", "Code"),
        ("/admin/coupons/new", "Item numbers"),
        ("/admin/coupons/new", "Currency"),
        ("/admin/shipping/new", "Code"),
        ("/admin/shipping/new", "Regions"),
        ("/admin/sales/new", "Currency"),
        ("/admin/sales/new", "Picture"),
    ],
)
def test_field_that_cannot_hold_markup_says_so(open_console: Open, path: str, label: str) -> None:
    page = open_console(path)
    field = _typed(page, label, MARKUP)
    page.get_by_role("button", name="Create").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value(MARKUP)
    expect(page.get_by_role("alert")).to_be_visible()
    _ran_nowhere(page)


@pytest.mark.parametrize(
    ("path", "label", "field", "collection", "typed"),
    [
        ("/admin/coupons/new?kind=free_shipping", "Code", "code", "/coupons", "LATE"),
        ("/admin/webhooks/new", "Address", "url", "/webhooks", "https://shop.example/"),
    ],
)
def test_refusal_of_the_service_is_shown_as_text(
    open_console: Open, path: str, label: str, field: str, collection: str, typed: str
) -> None:
    """What the service says of a field stands at it, what it says of others above the buttons."""
    page = open_console(path)

    def refuse(route: Route) -> None:
        if route.request.method != "POST":
            return route.fallback()
        errors = [{"field": name, "detail": MARKUP} for name in (field, MARKUP)]
        return route.fulfill(status=422, json={"code": "validation_failed", "detail": MARKUP, "errors": errors})

    page.route(f"**{collection}", refuse)
    _typed(page, label, typed)
    page.get_by_role("button", name="Create").click()
    _shown(page, page.locator("p.error"))
    expect(page.get_by_text(f"{MARKUP}: {MARKUP}")).to_be_visible()


def test_what_is_searched_is_text(shop: Shop, open_console: Open) -> None:
    goods = shop.put_up(MARKUP)
    order = shop.buy(goods["id"], user=MARKUP)
    page = open_console()
    _typed(page, "Name contains", MARKUP)
    page.get_by_role("button", name="Search").click()
    _shown(page, page.locator(f"[data-goods-id='{goods['id']}']"))
    expect(page.get_by_label("Name contains")).to_have_value(MARKUP)
    _typed(page, "Name contains", f"{MARKUP}?")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No sale fits.")).to_be_visible()
    _ran_nowhere(page)

    page.goto(f"{shop.url}/admin/orders")
    _typed(page, "User", MARKUP)
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile("user_id="))
    _shown(page, page.locator(f"[data-order-no='{order['order_no']}']"))
    page.get_by_text("Item and time").click()
    for label, message in (
        ("Item number", "An item number has digits only."),
        ("Order number", "An order number has 32"),
    ):
        field = _typed(page, label, MARKUP)
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_text(message)).to_be_visible()
        expect(field).to_have_value(MARKUP)
        _ran_nowhere(page)


def test_history_shows_who_changed_what_as_text(shop: Shop, open_console: Open) -> None:
    goods = shop.put_up("Changed")["id"]
    its_admin = {"Authorization": f"Bearer {Tokens(SECRET).issue(MARKUP, is_admin=True)}"}
    for text in (MARKUP, f"{MARKUP}!"):
        shop.call("PATCH", f"/goods/{goods}", json={"name": text, "description": text}, headers=its_admin)
    page = open_console(f"/admin/sales/{goods}")
    newest = page.locator(".history > li").first
    expect(newest.locator("strong")).to_have_text(MARKUP)
    expect(newest.locator("del", has_text=MARKUP).first).to_be_visible()
    expect(newest.locator("ins").get_by_text(f"{MARKUP}!").first).to_be_visible()
    _shown(page)


def test_difference_between_two_operators_is_text(shop: Shop, open_console: Open) -> None:
    goods = shop.put_up(MARKUP)["id"]
    page = open_console(f"/admin/sales/{goods}/edit")
    _typed(page, "Name", f"{MARKUP}mine")
    shop.call("PATCH", f"/goods/{goods}", json={"name": f"{MARKUP}theirs"})
    page.get_by_role("button", name="Save").click()
    row = page.locator("tr[data-field='name']")
    for text in (MARKUP, f"{MARKUP}mine", f"{MARKUP}theirs"):
        expect(row.get_by_text(text, exact=True)).to_be_visible()
    _ran_nowhere(page)


def test_audit_shows_whom_it_found_as_text(open_console: Open) -> None:
    page = open_console("/admin/audit")

    def break_a_promise(route: Route) -> None:
        answer = route.fetch()
        audit = answer.json()
        row = {"goods_id": 1, "order_no": MARKUP, "user_id": MARKUP, "coupon_code": MARKUP, "expected": 1, "found": 2}
        audit["ok"], audit["checks"][0] = False, {**audit["checks"][0], "breaches": 1, "rows": [row]}
        route.fulfill(response=answer, json=audit)

    page.route("**/audit", break_a_promise)
    page.get_by_role("button", name="Run audit").click()
    expect(page.locator("td").get_by_text(MARKUP, exact=True)).to_have_count(3, timeout=60_000)
    _ran_nowhere(page)


def test_live_view_names_a_sale_as_text(shop: Shop, open_console: Open) -> None:
    shop.buy(shop.put_up(MARKUP)["id"])
    page = open_console("/admin/live")

    def with_alarm(route: Route) -> None:
        answer = route.fetch()
        figures = answer.json()
        figures["alarm"], figures["alarm_since"] = True, figures["at"]
        figures["items"] = [{**item, "alarm": True} for item in figures["items"]]
        route.fulfill(response=answer, json=figures)

    page.route("**/live", with_alarm)
    _shown(page, page.get_by_role("alert"))
    _shown(page, page.get_by_role("region", name="By item"))


def test_token_that_is_markup_is_refused(open_console: Open) -> None:
    page = open_console(token=None)
    page.get_by_role("textbox", name="Token").fill(MARKUP)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("This token is not valid.")
    _ran_nowhere(page)
