"""<flash-sale> on a page of another origin, the one of examples/shop, under that page's strict policy."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from examples.shop import Shop
from harness.database_server import DatabaseServer
from harness.eventually import eventually
from harness.lossy_proxy import ANSWER, LossyProxy, losing
from harness.service import PATIENT, SECRET, Service
from harness.serving import serving
from tests.e2e.axe import breaches
from tests.e2e.conftest import SECONDS
from tests.e2e.embedding import AnyItemShop

pytestmark = pytest.mark.mysql
Visit = Callable[..., Page]
BOUGHT = re.compile("^bought$")


@pytest.fixture(scope="module")
def shop() -> Iterator[AnyItemShop]:
    server = AnyItemShop(0, "", SECRET)
    with serving(server):
        yield server


@pytest.fixture(scope="module")
def service(shop: AnyItemShop, mysql: DatabaseServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    uri = mysql.create_database("element_in_a_browser")
    running = Service(uri, tmp_path_factory.mktemp("element") / "service.log", CORS_ORIGINS=shop.url, **PATIENT)
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def _at_the_service(shop: AnyItemShop, service: Service) -> None:
    shop.service = service.url


@pytest.fixture
def visitor(chromium: Browser, shop: AnyItemShop) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browsers. At the end no page has broken a rule of its policy, or loaded anything from a third origin."""
    opened: list[BrowserContext] = []
    faults: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda message: faults.append(message.text) if "Content Security Policy" in message.text else None,
        )
        page.on(
            "request",
            lambda request: None if request.url.startswith("http://127.0.0.1:") else faults.append(request.url),
        )

    def make(buyer: str | None = None, **options: Any) -> BrowserContext:
        context = chromium.new_context(**options)
        context.set_default_timeout(SECONDS * 1000)
        context.on("page", watch)
        opened.append(context)
        if buyer is not None:
            sign_in(context, shop, buyer)
        return context

    yield make
    for context in opened:
        context.close()
    assert faults == []


def sign_in(context: BrowserContext, shop: Shop, buyer: str) -> None:
    answer = context.request.post(
        f"{shop.url}/sign-in", form={"name": buyer}, headers={"Origin": shop.url}, max_redirects=0
    )
    assert answer.status == 303


def show(context: BrowserContext, shop: AnyItemShop, goods: int, language: str = "en") -> Page:
    """The shop's page, with the element for `goods`."""
    shop.goods, shop.language = goods, language
    page = context.new_page()
    page.goto(shop.url)
    return page


def element(page: Page) -> Locator:
    return page.locator("flash-sale")


def buy_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Buy", exact=True)


def orders_of(service: Service, buyer: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{service.url}/orders", headers=service.headers(buyer), timeout=30)
    assert answer.ok, answer.text
    return answer.json()["items"]


def the_order_of(service: Service, buyer: str) -> str:
    (order,) = orders_of(service, buyer)
    return order["order_no"]


def test_it_shows_an_item_and_sells_it(service: Service, shop: AnyItemShop, visitor: Visit) -> None:
    goods = service.create_goods(name="Keyboard", price=19900, list_price=39900, stock=7)
    context = visitor("alice")
    page = show(context, shop, goods)
    expect(element(page)).to_have_attribute("data-status", "on_sale")
    for text in ("Keyboard", "CN¥199.00", "CN¥399.00", "7 left"):
        expect(element(page).get_by_text(text)).to_be_visible()
    page.get_by_role("spinbutton", name="Quantity").fill("2")
    buy_button(page).click()
    expect(element(page)).to_have_attribute("data-code", BOUGHT)
    (order,) = orders_of(service, "alice")
    expect(element(page)).to_have_attribute("data-order-no", order["order_no"])
    expect(page.locator("#news")).to_have_text(f"The shop has heard of order {order['order_no']}.")
    expect(element(page).get_by_role("status").filter(has_text=order["order_no"])).to_be_visible()
    assert (order["quantity"], order["total"]) == (2, 39800)
    assert page.frames == [page.main_frame]
    assert [cookie["name"] for cookie in context.cookies(service.url)] == ["session"]  # the shop's: hosts share them
    assert page.evaluate("document.cookie") == ""


@pytest.mark.parametrize(("language", "words"), [("en", "Pay by {}."), ("zh", "请在 {} 前付款。")])
def test_it_says_until_when_to_pay(
    service: Service, shop: AnyItemShop, visitor: Visit, language: str, words: str
) -> None:
    buyer = f"payer-{language}"
    page = show(visitor(buyer, timezone_id="UTC"), shop, service.create_goods(), language)
    page.get_by_role("button", name={"en": "Buy", "zh": "抢购"}[language], exact=True).click()
    expect(element(page)).to_have_attribute("data-code", BOUGHT)
    (order,) = orders_of(service, buyer)
    at = datetime.fromisoformat(order["expires_at"])
    shown = {"en": f"{at:%I:%M}\u202f{at:%p}".lstrip("0"), "zh": f"{at:%H:%M}"}[language]
    expect(element(page).get_by_role("status").first).to_contain_text(words.format(shown))


@pytest.mark.parametrize("clicks", [2, 3])
def test_double_and_triple_clicks_buy_once(service: Service, shop: AnyItemShop, visitor: Visit, clicks: int) -> None:
    goods = service.create_goods()
    buyer = f"clicks-{clicks}"
    page = show(visitor(buyer), shop, goods)
    buy_button(page).click(click_count=clicks)
    expect(element(page)).to_have_attribute("data-code", BOUGHT)
    assert the_order_of(service, buyer) == element(page).get_attribute("data-order-no")


def test_another_one_can_be_bought_on_purpose(service: Service, shop: AnyItemShop, visitor: Visit) -> None:
    goods = service.create_goods()
    page = show(visitor("again"), shop, goods)
    buy_button(page).click()
    first = the_order(page)
    again = page.get_by_role("button", name="Buy another")
    expect(again).to_have_attribute("aria-disabled", "false")
    again.click()
    expect(element(page)).not_to_have_attribute("data-order-no", first)
    assert len(orders_of(service, "again")) == 2


def the_order(page: Page) -> str:
    expect(element(page)).to_have_attribute("data-code", BOUGHT)
    order_no = element(page).get_attribute("data-order-no")
    assert order_no is not None
    return order_no


def test_two_tabs_that_press_at_once_buy_once(service: Service, shop: AnyItemShop, visitor: Visit) -> None:
    goods = service.create_goods()
    context = visitor("tabs")
    pages = [show(context, shop, goods) for _ in range(3)]
    for page in pages:
        expect(buy_button(page)).to_be_enabled()
    for page in pages:  # without waiting for what comes of it
        page.evaluate("document.querySelector('flash-sale').shadowRoot.querySelector('button').click()")
    assert {the_order(page) for page in pages} == {the_order_of(service, "tabs")}


def test_a_tab_that_was_open_all_the_while_gets_the_same_order(
    service: Service, shop: AnyItemShop, visitor: Visit
) -> None:
    goods = service.create_goods()
    context = visitor("later")
    first, second = show(context, shop, goods), show(context, shop, goods)
    expect(buy_button(second)).to_be_enabled()
    # The key is there before anybody clicks.
    assert eventually(lambda: "bodies" in second.evaluate("JSON.stringify(localStorage)"), SECONDS)
    buy_button(first).click()
    order_no = the_order(first)
    buy_button(second).click()
    assert the_order(second) == order_no == the_order_of(service, "later")


def test_it_wakes_at_the_start_whatever_the_visitor_s_clock_says(
    service: Service, shop: AnyItemShop, visitor: Visit
) -> None:
    start = datetime.now(timezone.utc) + timedelta(seconds=8)
    goods = service.create_goods(starts_at=start.isoformat())
    context = visitor("early")
    context.add_init_script("{ const now = Date.now; Date.now = () => now() + 3 * 3600 * 1000 }")
    page = show(context, shop, goods)
    expect(element(page)).to_have_attribute("data-status", "upcoming")
    expect(buy_button(page)).to_be_disabled()
    expect(page.get_by_role("timer")).to_have_text(re.compile("^00:00:0[0-9]$"))
    expect(buy_button(page)).to_be_enabled()
    buy_button(page).click()
    the_order(page)


def test_with_answers_lost_it_buys_once_and_says_how_long_it_waits(
    service: Service, shop: AnyItemShop, visitor: Visit
) -> None:
    goods = service.create_goods()
    with LossyProxy(service.port, lambda method, path: None) as proxy:
        shop.service = proxy.url
        page = show(visitor("lossy"), shop, goods)
        expect(buy_button(page)).to_be_enabled()
        proxy.fate = lambda method, path: ANSWER if method == "POST" else None
        buy_button(page).click()
        expect(element(page).get_by_text("We keep trying")).to_be_visible()
        expect(element(page).get_by_text(re.compile("^Again in [0-9]+ s$"))).to_be_visible()
        proxy.fate = losing(0.2, seed=5)
        assert the_order(page) == the_order_of(service, "lossy")
        page.close()


def test_a_tab_that_is_closed_in_mid_purchase_is_gone_on_with(
    service: Service, shop: AnyItemShop, visitor: Visit
) -> None:
    goods = service.create_goods()
    with LossyProxy(service.port, lambda method, path: ANSWER if method == "POST" else None) as proxy:
        shop.service = proxy.url
        context = visitor("killed")
        page = show(context, shop, goods)
        buy_button(page).click()
        assert eventually(lambda: orders_of(service, "killed"), SECONDS)
        page.close()
        proxy.fate = lambda method, path: None
        page = show(context, shop, goods)
        assert the_order(page) == the_order_of(service, "killed")
        page.close()


def test_another_user_in_the_same_browser_buys_for_themselves(
    service: Service, shop: AnyItemShop, visitor: Visit
) -> None:
    goods = service.create_goods()
    with LossyProxy(service.port, lambda method, path: ANSWER if method == "POST" else None) as proxy:
        shop.service = proxy.url
        context = visitor("one")
        page = show(context, shop, goods)
        buy_button(page).click()
        assert eventually(lambda: orders_of(service, "one"), SECONDS)
        page.close()
        proxy.fate = lambda method, path: None
        sign_in(context, shop, "two")
        page = show(context, shop, goods)
        expect(buy_button(page)).to_be_enabled()
        buy_button(page).click()
        assert the_order(page) == the_order_of(service, "two") != the_order_of(service, "one")
        page.close()


def test_with_storage_blocked_the_tab_still_buys_once(service: Service, shop: AnyItemShop, visitor: Visit) -> None:
    goods = service.create_goods()
    context = visitor("private")
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError') }})"
    )
    page = show(context, shop, goods)
    buy_button(page).click(click_count=3)
    assert the_order(page) == the_order_of(service, "private")


def test_a_refusal_is_told_and_fired(service: Service, shop: AnyItemShop, visitor: Visit) -> None:
    goods = service.create_goods(per_user_limit=1)
    page = show(visitor("greedy"), shop, goods)
    expect(buy_button(page)).to_be_enabled()
    service.buy(goods, "greedy")
    buy_button(page).click()
    expect(element(page)).to_have_attribute("data-code", "limit_reached")
    expect(page.locator("#news")).to_have_text("The shop has heard: limit_reached.")
    expect(element(page).get_by_text("This would pass the limit")).to_be_visible()
    assert element(page).get_attribute("data-order-no") is None


def test_a_sale_that_runs_out_puts_the_button_to_sleep_and_more_units_wake_it(
    service: Service, shop: AnyItemShop, visitor: Visit
) -> None:
    goods = service.create_goods(stock=1)
    page = show(visitor("late"), shop, goods)
    expect(buy_button(page)).to_be_enabled()
    service.buy(goods, "quick")
    expect(buy_button(page)).to_be_disabled()
    expect(element(page).get_by_text("Sold out", exact=True)).to_be_visible()
    operator = service.headers("operator", admin=True)
    assert requests.patch(f"{service.url}/goods/{goods}", json={"stock_delta": 1}, headers=operator, timeout=30).ok
    buy_button(page).click()
    the_order(page)


def test_a_price_that_changed_meanwhile_is_not_paid(service: Service, shop: AnyItemShop, visitor: Visit) -> None:
    goods = service.create_goods(price=100)
    page = show(visitor("price"), shop, goods)
    expect(element(page).get_by_text("CN¥1.00")).to_be_visible()
    operator = service.headers("operator", admin=True)
    assert requests.patch(f"{service.url}/goods/{goods}", json={"price": 900}, headers=operator, timeout=30).ok
    buy_button(page).click()
    expect(element(page)).to_have_attribute("data-code", "price_changed")
    expect(element(page).get_by_text("CN¥9.00")).to_be_visible()
    assert orders_of(service, "price") == []


def test_who_is_not_signed_in_is_asked_to(service: Service, shop: AnyItemShop, visitor: Visit) -> None:
    page = show(visitor(), shop, service.create_goods())
    buy_button(page).click()
    expect(element(page)).to_have_attribute("data-code", "unauthenticated")
    expect(element(page).get_by_text("Please sign in")).to_be_visible()


def test_an_item_that_is_not_there_is_told(service: Service, shop: AnyItemShop, visitor: Visit) -> None:
    page = show(visitor("lost"), shop, 999_999)
    expect(element(page)).to_have_attribute("data-code", "goods_not_found")


def test_it_speaks_the_page_s_language(service: Service, shop: AnyItemShop, visitor: Visit) -> None:
    goods = service.create_goods(stock=1, per_user_limit=1)
    page = show(visitor("zh", locale="zh-CN"), shop, goods, language="zh")
    page.get_by_role("button", name="抢购").click()
    expect(element(page).get_by_text(f"抢购成功，订单号 {the_order(page)}。")).to_be_visible()
    expect(page.get_by_role("spinbutton")).to_have_count(0)  # of a limit of one there is nothing to choose


def test_an_item_that_is_shipped_is_sold_by_the_storefront_or_with_the_page_s_own_choices(
    service: Service, shop: AnyItemShop, visitor: Visit
) -> None:
    operator = service.headers("operator", admin=True)
    method = {"code": "post", "name": "Post", "currency": "CNY", "base_fee": 500}
    assert requests.post(f"{service.url}/shipping-methods", json=method, headers=operator, timeout=30).ok
    goods = service.create_goods(shippable=True)
    page = show(visitor("far"), shop, goods)
    link = page.get_by_role("link", name="Choose delivery and buy")
    expect(link).to_have_attribute("href", f"{service.url}/shop/{goods}")
    expect(buy_button(page)).to_have_count(0)
    address = {
        "name": "Alice",
        "phone": "+86 138 0000 0000",
        "region": "CN-31",
        "line1": "1 Road",
        "postcode": "200000",
    }
    element(page).evaluate(
        "(element, choices) => (element.choices = choices)", {"shipping_method": "post", "address": address}
    )
    buy_button(page).click()
    the_order(page)
    (order,) = orders_of(service, "far")
    assert (order["shipping_method"], order["total"]) == ("post", 600)


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "{{7*7}}"])
def test_what_people_typed_is_shown_as_text(service: Service, shop: AnyItemShop, visitor: Visit, name: str) -> None:
    page = show(visitor("careful"), shop, service.create_goods(name=name))
    expect(element(page).get_by_text(name, exact=True)).to_be_visible()


def test_a_page_styles_it_by_variables_and_parts(service: Service, shop: AnyItemShop, visitor: Visit) -> None:
    page = show(visitor("style"), shop, service.create_goods())
    expect(buy_button(page)).to_have_css("background-color", "rgb(10, 92, 69)")
    expect(element(page).get_by_role("heading")).to_have_css("font-size", "20px")


def test_without_javascript_there_is_a_link(service: Service, shop: AnyItemShop, visitor: Visit) -> None:
    page = show(visitor(java_script_enabled=False), shop, 5)
    link = page.get_by_role("link", name="Buy it here")
    expect(link).to_have_attribute("href", f"{service.url}/shop/1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(service: Service, shop: AnyItemShop, visitor: Visit, scheme: str) -> None:
    far = (datetime.now(timezone.utc) + timedelta(hours=30)).isoformat()
    for fields in ({}, {"starts_at": far}, {"stock": 0}, {"list_price": 900, "shippable": True}):
        page = show(visitor("axe", color_scheme=scheme), shop, service.create_goods(**fields))
        expect(element(page)).to_have_attribute("data-status", re.compile("."))
        assert breaches(page) == [], fields
    page = show(visitor("axe", color_scheme=scheme), shop, service.create_goods())
    buy_button(page).click()
    the_order(page)
    assert breaches(page) == []
