"""Buying on the storefront while networks, tabs, services and clocks fail, and while very many buy.

Nobody buys twice, and everybody is told in the end what became of their purchase.
"""

import math
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, expect

from harness.eventually import eventually
from harness.lossy_proxy import ANSWER, REQUEST, LossyProxy
from harness.service import Service
from tests.e2e import faults
from tests.e2e.faults import open_tab, press, shown_code, shown_order, shown_order_in_the_end
from tests.e2e.shopping import Browse, buy, change, in_seconds, orders, outcome
from tests.races.buyers import assert_audit_clean

pytestmark = pytest.mark.timeout(300)
HOURS = 3600


def order_numbers(shop: Service, user: str) -> list[str]:
    return [order["order_no"] for order in orders(shop, user)]


def buy_while_answers_are_lost(shop: Service, browse: Browse, buyers: list[str], stock: int, keys: bool) -> list[Page]:
    item = shop.create_goods(stock=stock)
    with LossyProxy(shop.port, faults.every_fifth_answer(), keep_alive=False) as proxy:
        tabs = []
        for buyer in buyers:
            context = browse(buyer, at=proxy.url)
            if not keys:
                faults.without_keys(context)
            tabs.append(open_tab(context, item))
        for tab in tabs:
            press(tab)
        for tab in tabs:
            shown_code(tab)
        assert proxy.lost[ANSWER] > 2
    assert shop.goods(item)["stock"] == stock - shop.goods(item)["sold"]
    return tabs


def test_with_answers_lost_nobody_buys_twice_and_everybody_is_told(shop: Service, browse: Browse, buyer: str) -> None:
    buyers = [f"{buyer}-{number}" for number in range(8)]
    tabs = buy_while_answers_are_lost(shop, browse, buyers, stock=6, keys=True)
    won = 0
    for name, tab in zip(buyers, tabs, strict=True):
        numbers = order_numbers(shop, name)
        assert numbers == ([shown_order(tab)] if numbers else []), name
        assert shown_code(tab) == ("bought" if numbers else "sold_out"), name
        won += len(numbers)
    assert won == 6
    assert_audit_clean(shop)


def test_twin_without_keys_buyers_whose_answers_are_lost_buy_twice(shop: Service, browse: Browse, buyer: str) -> None:
    buyers = [f"{buyer}-{number}" for number in range(6)]
    buy_while_answers_are_lost(shop, browse, buyers, stock=100, keys=False)
    assert max(len(orders(shop, name)) for name in buyers) > 1


def test_a_tab_closed_before_the_answer_is_told_of_the_same_order(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods()
    with LossyProxy(shop.port, lambda *request: ANSWER if faults.is_purchase(*request) else None) as proxy:
        context = browse(buyer, at=proxy.url)
        tab = open_tab(context, item)
        press(tab)
        assert eventually(lambda: shop.goods(item)["sold"] == 1)
        made = order_numbers(shop, buyer)
        tab.close()
        proxy.fate = faults.nothing
        again = context.new_page()
        again.goto(f"/shop/{item}")
        assert [shown_order(again)] == made == order_numbers(shop, buyer)


def test_a_tab_closed_before_the_request_arrives_buys_once(shop: Service, browse: Browse, buyer: str) -> None:
    """The first request is so late that the reopened tab has bought before it comes."""
    item = shop.create_goods()
    on_its_way, arrive = threading.Event(), threading.Event()

    def late(method: str, path: str) -> None:
        if faults.is_purchase(method, path):
            on_its_way.set()
            assert arrive.wait(60)

    with LossyProxy(shop.port, late) as proxy:
        context = browse(buyer, at=proxy.url)
        tab = open_tab(context, item)
        press(tab)
        assert on_its_way.wait(60)
        assert shop.goods(item)["sold"] == 0
        tab.close()
        proxy.fate = faults.nothing
        again = context.new_page()
        again.goto(f"/shop/{item}")
        made = shown_order(again)
        again.close()
        received = proxy.received
        arrive.set()
        assert eventually(lambda: proxy.received > received)
    assert order_numbers(shop, buyer) == [made]
    assert shop.goods(item)["sold"] == 1


def test_twin_without_what_was_stored_a_reopened_tab_buys_again(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods()
    with LossyProxy(shop.port, lambda *request: ANSWER if faults.is_purchase(*request) else None) as proxy:
        context = browse(buyer, at=proxy.url)
        tab = open_tab(context, item)
        press(tab)
        assert eventually(lambda: shop.goods(item)["sold"] == 1)
        tab.close()
        proxy.fate = faults.nothing
        elsewhere = context.new_page()
        elsewhere.goto("/")
        elsewhere.evaluate("() => localStorage.clear()")
        again = open_tab(context, item)
        press(again)
        shown_order(again)
    assert len(orders(shop, buyer)) == 2


@pytest.fixture
def start_own(
    request: pytest.FixtureRequest, shop: Service, start_service: Callable[..., Service], tmp_path: Path
) -> Callable[[], Service]:
    """Starts a service that may be killed, on a database of the kind that `shop` has; again on the same one."""
    if shop.environment["SECKILL_SQLALCHEMY_DATABASE_URI"].startswith("sqlite"):
        uri = f"sqlite:///{tmp_path / 'own.db'}"
    else:
        uri = request.getfixturevalue("mysql_uri")
    return lambda: start_service(uri, PAYMENT_PROVIDER="test")


def test_a_service_killed_in_mid_purchase_answers_everybody_in_the_end(
    start_own: Callable[[], Service], browse: Browse, buyer: str
) -> None:
    """Of half of the purchases the answer is lost, of half the request; then the service dies."""
    buyers = [f"{buyer}-{number}" for number in range(6)]
    service = start_own()
    item = service.create_goods()
    lock, count = threading.Lock(), iter(range(10_000))

    def fate(method: str, path: str) -> str | None:
        if not faults.is_purchase(method, path):
            return None
        with lock:
            return ANSWER if next(count) < len(buyers) // 2 else REQUEST

    with LossyProxy(service.port, fate) as proxy:
        tabs = [open_tab(browse(name, at=proxy.url), item) for name in buyers]
        for tab in tabs:
            press(tab)
        assert eventually(lambda: proxy.lost[ANSWER] == len(buyers) // 2 and service.goods(item)["sold"] > 0)
        made = {name: order_numbers(service, name) for name in buyers}
        faults.kill(service)
        for tab in tabs:
            expect(tab.locator("#outcome")).to_contain_text("The connection is lost.")
        service = start_own()
        proxy.port = service.port
        proxy.fate = faults.nothing
        for name, tab in zip(buyers, tabs, strict=True):
            numbers = order_numbers_in_the_end(service, name, tab)
            assert not made[name] or made[name] == numbers, name
    assert 0 < sum(map(len, made.values())) < len(buyers)
    assert service.goods(item)["sold"] == len(buyers)
    assert_audit_clean(service)


def order_numbers_in_the_end(service: Service, name: str, tab: Page) -> list[str]:
    number = shown_order_in_the_end(tab)
    numbers = order_numbers(service, name)
    assert numbers == [number], name
    return numbers


@pytest.mark.parametrize("hours", [3, -3])
def test_a_visitor_whose_clock_is_hours_off_buys_at_the_start(
    shop: Service, browse: Browse, buyer: str, hours: int
) -> None:
    starts_at = in_seconds(HOURS)
    item = shop.create_goods(starts_at=starts_at)
    context = browse(buyer)
    context.add_init_script(faults.shifted_clock(hours))
    page = open_tab(context, item)
    assert abs(page.evaluate("() => Date.now() / 1000") - time.time() - hours * HOURS) < HOURS / 2
    assert eventually(lambda: abs(seconds_shown(page) - seconds_until(starts_at)) <= 1)
    # When the button wakes, by a clock that no script can set.
    page.evaluate(
        """() => {
          const button = document.getElementById("buy-button");
          const look = () => button.disabled || (window.woke ??= (performance.timeOrigin + performance.now()) / 1000);
          new MutationObserver(look).observe(button, { attributeFilter: ["disabled"] });
          look();
        }"""
    )
    starts_at = in_seconds(8)
    change(shop, item, starts_at=starts_at)
    faults.come_back(page)
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"^00:00:0\d$"))
    # Without the service nothing but the clock can wake it.
    context.set_offline(True)
    button = page.get_by_role("button", name="Buy", exact=True)
    expect(button).to_be_enabled()
    # Its error is half of a round trip at most; on a busy machine that is not little.
    assert page.evaluate("() => window.woke") > datetime.fromisoformat(starts_at).timestamp() - 0.5
    context.set_offline(False)
    buy(page)
    outcome(page, "bought")
    page.goto("/shop/orders")
    (order,) = orders(shop, buyer)
    assert eventually(lambda: abs(seconds_shown(page) - seconds_until(order["expires_at"])) <= 1)


def seconds_until(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp() - time.time()


def seconds_shown(page: Page) -> float:
    """What the countdown shows, in seconds; infinity before it counts."""
    parts = re.fullmatch(r"(\d\d):(\d\d):(\d\d)", page.get_by_role("timer").text_content() or "")
    if parts is None:
        return math.inf
    hours, minutes, seconds = map(int, parts.groups())
    return hours * HOURS + minutes * 60 + seconds


@pytest.mark.long
@pytest.mark.timeout(900)
def test_fifty_tabs_at_a_sale_of_ten_units(shop: Service, browse: Browse, buyer: str) -> None:
    """Of 25 visitors with two tabs each, all of which press as soon as the button wakes."""
    item = shop.create_goods(stock=10, starts_at=in_seconds(HOURS))
    buyers = [f"{buyer}-{number}" for number in range(25)]
    tabs = {}
    for name in buyers:
        context = browse(name)
        tabs[name] = [open_tab(context, item), open_tab(context, item)]
        for tab in tabs[name]:
            faults.press_at_the_start(tab)
    everywhere = [tab for own in tabs.values() for tab in own]
    assert len(everywhere) == 50
    change(shop, item, starts_at=in_seconds(6))
    for tab in everywhere:
        faults.come_back(tab)
    won = 0
    for name, own in tabs.items():
        codes = [shown_code(tab) for tab in own]
        numbers = order_numbers(shop, name)
        if numbers:
            assert [[shown_order(tab)] for tab in own] == [numbers, numbers], name
        else:
            assert codes == ["sold_out", "sold_out"], name
        won += len(numbers)
    left = shop.goods(item)
    assert (won, left["sold"], left["stock"]) == (10, 10, 0)
    assert_audit_clean(shop)


def press_in_two_tabs(context: BrowserContext, item: int) -> list[str]:
    tabs = [context.new_page(), context.new_page()]
    for tab in tabs:
        with tab.expect_response("**/shop/session/token"):
            tab.goto(f"/shop/{item}")
        tab.wait_for_load_state("networkidle")
    faults.press_at_once(tabs)
    return [shown_order(tab) for tab in tabs]


@pytest.mark.parametrize("script", ["", faults.WITHOUT_LOCKS], ids=["with locks", "without locks"])
def test_two_tabs_that_press_at_once_buy_once(shop: Service, browse: Browse, buyer: str, script: str) -> None:
    context = browse(buyer)
    context.add_init_script(script)
    one, other = press_in_two_tabs(context, shop.create_goods())
    assert order_numbers(shop, buyer) == [one] == [other]


def test_twin_two_tabs_that_share_nothing_buy_twice(shop: Service, browse: Browse, buyer: str) -> None:
    context = browse(buyer)
    context.add_init_script(faults.WITHOUT_STORAGE)
    press_in_two_tabs(context, shop.create_goods())
    assert len(orders(shop, buyer)) == 2


def test_what_an_administrator_does_reaches_all_who_watch(shop: Service, browse: Browse, buyer: str) -> None:
    item = shop.create_goods(stock=1)
    buyers = [f"{buyer}-{number}" for number in range(3)]
    tabs = [open_tab(browse(name), item) for name in buyers]
    list_of_goods = browse().new_page()
    list_of_goods.goto("/")
    article = list_of_goods.locator(f'article[data-goods-id="{item}"]')
    article.scroll_into_view_if_needed()
    for page in [*tabs, list_of_goods]:
        page.evaluate("() => (window.notReloaded = true)")

    def all_see(state: str, left: str) -> None:
        for watched in [*(tab.locator(".offer") for tab in tabs), article]:
            expect(watched.locator("[data-state]")).to_have_text(state)
            expect(watched.locator("[data-left]")).to_have_text(left)

    all_see("On sale", "1 left")
    act(shop, item, "pause")
    all_see("Paused", "1 left")
    for tab in tabs:
        buy(tab)
        outcome(tab, "sale_paused")
    act(shop, item, "resume")
    all_see("On sale", "1 left")
    buy(tabs[0])
    outcome(tabs[0], "bought")
    all_see("Sold out", "None left")
    for tab in tabs[1:]:
        buy(tab)
        outcome(tab, "sold_out")
    change(shop, item, stock_delta=3)
    all_see("On sale", "3 left")
    for tab in tabs[1:]:
        buy(tab)
        outcome(tab, "bought")
    all_see("On sale", "1 left")
    assert [len(orders(shop, name)) for name in buyers] == [1, 1, 1]
    assert all(page.evaluate("() => window.notReloaded") for page in [*tabs, list_of_goods])


def act(shop: Service, item: int, verb: str) -> None:
    headers = shop.headers("operator", admin=True)
    assert requests.post(f"{shop.url}/goods/{item}/{verb}", headers=headers, timeout=20).ok
