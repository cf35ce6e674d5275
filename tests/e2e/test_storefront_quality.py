"""What every page of the storefront must be: open to all, quick, still, and safe from what people type."""

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from harness.service import Service
from tests.e2e.axe import breaches
from tests.e2e.conftest import DESKTOP, PHONE
from tests.e2e.shopping import Browse, method, orders

FAR_AHEAD = "2099-01-01T00:00:00.000Z"
FIRST_VIEW = 100_000  # bytes, as they are sent
NARROWEST_TABLE = (1089, 860)  # narrower windows show orders as cards
EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>'\"&amp;{{7*7}}"
# How far what is on the page moved since it began to load.
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""

# What is wider than its place on the page of orders.
CUT_OFF = """() => [...document.querySelectorAll(".orders td, .orders dt, .orders dd")]
  .filter((cell) => cell.scrollWidth > cell.clientWidth)
  .map((cell) => cell.textContent.trim().slice(0, 40))"""

# How many lines an element's text takes.
LINES = """(element) => {
  const text = document.createRange();
  text.selectNodeContents(element);
  return text.getClientRects().length;
}"""


def create(shop: Service, path: str, **body: Any) -> None:
    """Create a coupon or a shipping method; one that another test has created stays as it is."""
    headers = shop.headers("operator", admin=True)
    assert requests.post(f"{shop.url}{path}", json=body, headers=headers, timeout=20).status_code < 500


@pytest.fixture
def shipped(shop: Service) -> int:
    """An item that is shipped, by a method that serves one country alone."""
    method(shop)
    return shop.create_goods(
        name="龙井 Longjing", description="Spring.\n春茶。", price=12800, list_price=25600, shippable=True
    )


def settled(page: Page, path: str) -> Page:
    page.goto(path)
    page.wait_for_load_state("networkidle")
    return page


def settled_after_paint(page: Page, path: str) -> Page:
    """Load a page as on a slow host: its scripts arrive once all of it has been shown without them."""
    held: list[Route] = []
    page.route("**/*.js", lambda route: held.append(route))
    page.goto(path, wait_until="commit")
    page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length")
    page.locator("#page-data").wait_for(state="attached")
    page.evaluate("() => new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown)))")
    assert held, "no script was held"
    page.unroute("**/*.js")  # the browser goes on with what was held
    page.wait_for_function("() => globalThis.flashSale")
    page.wait_for_load_state("networkidle")
    return page


def shifted(page: Page) -> float:
    """How far things moved since the page began to load, its countdowns included."""
    # On the start page only those count that are on the screen.
    for timer in page.locator(".offer, .orders").get_by_role("timer").all():
        expect(timer).not_to_contain_text("UTC")
    return float(page.evaluate("() => window.shifted"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_on_any_page_in_any_state(
    shop: Service, browse: Browse, buyer: str, shipped: int, scheme: str, size: tuple[int, int]
) -> None:
    upcoming = shop.create_goods(starts_at=FAR_AHEAD)
    ended = shop.create_goods(ends_at="2020-01-01T00:00:00.000Z", list_price=200)
    paid = shop.create_goods(price=0)
    look = {"size": size, "color_scheme": scheme}
    stranger, visitor = browse(None, **look).new_page(), browse(buyer, **look).new_page()
    found = {}
    for page in (stranger, visitor):
        for path in ("/", f"/shop/{shipped}", f"/shop/{upcoming}", f"/shop/{ended}", "/shop/orders", "/shop/0"):
            found[page is visitor, path] = breaches(settled(page, path))
    shop.buy(paid, buyer)
    buy = visitor.get_by_role("button", name="Buy", exact=True)
    settled(visitor, f"/shop/{shipped}")
    buy.click()
    expect(visitor.locator("[data-code=shipping_required]")).to_be_visible()
    found["refused"] = breaches(visitor)
    visitor.get_by_role("radio").first.check()
    visitor.get_by_label("Phone").fill("x")
    buy.click()
    expect(visitor.locator("[data-code=validation_failed]")).to_be_visible()
    found["wrong fields"] = breaches(visitor)
    settled(visitor, f"/shop/{shop.create_goods()}")
    buy.click()
    expect(visitor.locator("[data-code=bought]")).to_be_visible()
    found["bought"] = breaches(visitor)
    settled(visitor, "/shop/orders")
    visitor.locator("summary").first.click()
    found["orders"] = breaches(visitor)
    assert {state: broken for state, broken in found.items() if broken} == {}


def test_axe_finds_nothing_in_chinese_and_without_javascript(
    shop: Service, browse: Browse, buyer: str, shipped: int
) -> None:
    shop.buy(shop.create_goods(), buyer)
    page = browse(buyer, language="zh-CN").new_page()
    for path in ("/", f"/shop/{shipped}", "/shop/orders"):
        assert breaches(settled(page, path)) == []


def test_what_people_type_runs_nowhere(shop: Service, browse: Browse) -> None:
    create(shop, "/shipping-methods", code="evil", name=EVIL[:100], base_fee=1)
    item = shop.create_goods(name=EVIL, description=EVIL, shippable=True, image_url=f"/{EVIL.replace(' ', '')}")
    user = EVIL[:60]
    page = browse(user).new_page()
    for path in ("/", f"/shop/{item}"):
        settled(page, path)
        expect(page.get_by_text("onerror").first).to_be_visible()
        assert "owned" not in page.title().replace("document.title='owned'", "")
    for box in page.get_by_role("textbox").all():
        box.fill(EVIL[:30])
    page.get_by_label("Phone").fill("123456")
    page.get_by_label("Postcode").fill("200000")
    page.get_by_label("Region").select_option("CN-31")
    page.locator('[data-method="evil"]').click()
    page.get_by_role("button", name="Buy", exact=True).click()
    # No coupon has such a code: it is refused, and stays in its field.
    expect(page.locator("[data-code]")).not_to_have_attribute("data-code", "bought")
    expect(page.get_by_label("Coupon")).to_have_value(EVIL[:30])
    assert page.locator("img[onerror], main script").count() == 0
    page.get_by_label("Coupon").fill("")
    page.get_by_role("button", name="Buy", exact=True).click()
    expect(page.locator("[data-code]")).to_have_attribute("data-code", "bought")
    settled(page, "/shop/orders")
    page.locator("summary").first.click()
    expect(page.get_by_text("<img src=x").first).to_be_visible()
    assert page.title() == "My orders · Flash sale"
    assert page.locator("img[onerror], main script").count() == 0


def test_the_first_view_is_light(shop: Service, browse: Browse, shipped: int) -> None:
    for number in range(12):
        shop.create_goods(name=f"item {number}", list_price=200)
    for path in ("/", f"/shop/{shipped}"):
        context = browse(None)
        page = context.new_page()
        sent: list[float] = []
        devtools = context.new_cdp_session(page)
        devtools.send("Network.enable")
        devtools.on("Network.loadingFinished", lambda loaded, sent=sent: sent.append(loaded["encodedDataLength"]))
        settled(page, path)
        assert 0 < sum(sent) < FIRST_VIEW, f"{path}: {sum(sent)} bytes in {len(sent)} answers"


@pytest.mark.parametrize("size", [DESKTOP, NARROWEST_TABLE, PHONE], ids=["desktop", "narrowest table", "phone"])
def test_nothing_moves_while_a_page_loads(
    shop: Service, browse: Browse, buyer: str, shipped: int, size: tuple[int, int]
) -> None:
    upcoming = shop.create_goods(starts_at=FAR_AHEAD)
    for _ in range(3):
        shop.buy(shop.create_goods(), buyer)
    for user in (None, buyer):
        context = browse(user, size=size)
        context.add_init_script(SHIFTS)
        page = context.new_page()
        for path in ("/", f"/shop/{shipped}", f"/shop/{upcoming}", "/shop/orders"):
            for load in (settled, settled_after_paint):
                assert shifted(load(page, path)) < 0.01, (path, load.__name__)


def test_the_columns_of_orders_stand_before_the_rows_are_there(shop: Service, browse: Browse, buyer: str) -> None:
    shop.buy(shop.create_goods(name="W" * 200, list_price=10**12, price=10**11), buyer)
    page = settled(browse(buyer).new_page(), "/shop/orders")
    columns = "() => [...document.querySelectorAll('.orders th')].map((head) => head.getBoundingClientRect().toJSON())"
    with_rows = page.evaluate(columns)
    assert len({column["x"] for column in with_rows}) == len(with_rows) > 1
    page.evaluate("() => document.querySelector('.orders tbody').replaceChildren()")
    assert page.evaluate(columns) == with_rows


@pytest.mark.parametrize("size", [DESKTOP, NARROWEST_TABLE, (769, 860), (320, 860)], ids=lambda size: str(size[0]))
def test_an_order_with_long_codes_has_its_amounts_on_one_line(
    shop: Service, browse: Browse, buyer: str, size: tuple[int, int]
) -> None:
    code = "C" * 64
    create(shop, "/coupons", code=code, kind="percent", percent=10)
    create(shop, "/shipping-methods", code=code.lower(), name="Long", base_fee=100)
    item = shop.create_goods(price=128_000_000, shippable=True)
    address = {"name": "W" * 64, "phone": "+852 2345 6789", "region": "HK", "line1": "W" * 200}
    assert shop.buy(item, buyer, coupon_code=code, shipping_method=code.lower(), address=address).ok
    page = settled(browse(buyer, size=size).new_page(), "/shop/orders")
    page.locator("summary").click()
    expect(page.locator(".orders dl")).to_be_visible()
    assert page.evaluate(CUT_OFF) == []
    (order,) = orders(shop, buyer)
    assert order["discount"] > 0
    amounts = page.get_by_text(re.compile(r"^−?CN¥[\d,]+\.00$")).all()
    assert len(amounts) == 4, "total, subtotal, discount, shipping fee"
    for amount in amounts:
        assert amount.evaluate(LINES) == 1, amount.text_content()


@pytest.mark.parametrize("width", [320, 640], ids=["a small phone", "a desktop at 200 %"])
def test_nothing_is_cut_off_in_a_narrow_window(
    shop: Service, browse: Browse, buyer: str, shipped: int, width: int
) -> None:
    shop.buy(shop.create_goods(name="W" * 200, list_price=10**12, price=10**11), buyer)
    page = browse(buyer, size=(width, 430)).new_page()
    for path in ("/", f"/shop/{shipped}", "/shop/orders"):
        settled(page, path)
        assert page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_the_countdown_is_announced_seldom(shop: Service, browse: Browse) -> None:
    soon = (datetime.now(timezone.utc) + timedelta(seconds=14)).isoformat(timespec="milliseconds")
    page = settled(browse(None).new_page(), f"/shop/{shop.create_goods(starts_at=soon)}")
    timer, announced = page.get_by_role("timer"), page.locator("#said")
    # A timer is silent by its role; what is read aloud is elsewhere.
    expect(timer).to_have_text(re.compile(r"^00:00:1\d$"))
    assert timer.get_attribute("aria-live") is None
    expect(announced).to_be_empty()
    expect(announced).to_have_text("The sale starts in 10 s.")
    expect(announced).to_have_text("The sale is open.")
