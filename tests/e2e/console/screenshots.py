"""Makes the pictures of the console under docs/img/: `python -m tests.e2e.console.screenshots`.

With `records` after it, it makes those alone that need no buyers: sign-in, forms, one order, lists, the audit.
"""

import random
import sys
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from core.tokens import Tokens
from harness.service import SECRET, Service
from tests.e2e.conftest import ARGUMENTS, CHROMIUM
from tests.e2e.console.shop import PROVIDER_SECRET, Shop
from tests.e2e.pictures import FOLDER, MODES, SIZES

SALE_SECONDS = 75
BUYERS = 10
RECORDS = (  # a view, the name of its picture, and what it shows when it is ready
    ("/admin/sales/{goods}/edit", "sale-form", "form.record"),
    ("/admin/orders/{order}", "order", "article.payment"),
    ("/admin/coupons", "coupons", "[data-coupon]"),
    ("/admin/shipping", "shipping", "[data-method]"),
    ("/admin/webhooks", "webhooks", "[data-webhook-id]"),
    ("/admin/audit", "audit", "[data-check]"),
)


def put_up(shop: Shop) -> int:
    """Some sales. Returns the one that people storm."""
    shop.put_up("Desk Lamp 护眼台灯", price=8800, stock=60, starts_at=in_hours(2))
    shop.put_up("Travel Mug 保温杯", price=4900, stock=0)
    tea = shop.put_up("Longjing Tea 西湖龙井", price=12800, stock=80, per_user_limit=3)
    late = shop.buy(tea["id"], user="late payer")
    shop.call("POST", f"/orders/{late['order_no']}/cancel", user="late payer")
    shop.report_payment(late["order_no"], late["total"])
    stormed: int = shop.put_up(
        "Mechanical Keyboard 机械键盘", price=19900, list_price=39900, stock=480, per_user_limit=2
    )["id"]
    return stormed


def put_up_records(shop: Shop) -> dict[str, object]:
    """What the views of single records show. Returns the item and the order of which there are pictures.

    The shipping methods are those that a new database has.
    """
    for coupon in (
        {"code": "TEA10", "kind": "percent", "percent": 10, "max_discount": 5000, "total_limit": 500},
        {"code": "KEYS20", "kind": "amount", "amount": 2000, "currency": "CNY", "min_spend": 10000},
        {"code": "FREIGHT", "kind": "free_shipping", "active": False},
    ):
        shop.call("POST", "/coupons", json=coupon)
    for name, types in (
        ("order", ["order.paid", "order.refunded"]),
        ("goods", ["goods.sold_out", "goods.restocked"]),
        ("archive", None),
    ):
        shop.call("POST", "/webhooks", json={"url": f"http://127.0.0.1:9/{name}", "types": types})
    goods = shop.put_up(
        "Oolong Tea 铁观音",
        description="Roasted by hand. 100 g.\n手工焙制，100 克。",
        price=12800,
        list_price=25600,
        per_user_limit=3,
        shippable=True,
        starts_at=in_hours(-1),
        ends_at=in_hours(9),
    )
    order = shop.buy(
        goods["id"],
        user="buyer-117",
        quantity=2,
        coupon_code="TEA10",
        shipping_method="express",
        address={
            "name": "王芳",
            "phone": "+86 138-0000-0000",
            "region": "CN-31",
            "line1": "1 Nanjing Road 南京路 1 号",
            "postcode": "200000",
        },
    )
    shop.report_payment(order["order_no"], order["total"])
    return {"goods": goods["id"], "order": order["order_no"]}


def in_hours(hours: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(hours=hours)).isoformat(timespec="milliseconds")


def storm(shop: Shop, goods_id: int) -> None:
    """Buyers who come, more and then fewer, while an operator adds stock."""
    ends = time.monotonic() + SALE_SECONDS

    def buy(number: int) -> None:
        while time.monotonic() < ends:
            user = f"buyer-{number}-{random.randrange(40)}"
            headers = {"Authorization": f"Bearer {Tokens(SECRET).issue(user)}"}
            answer = requests.post(
                f"{shop.url}/seckill/{goods_id}", headers=headers, json={"quantity": random.choice((1, 2))}, timeout=20
            )
            if answer.status_code == 201:
                act = random.choices(("pay", "cancel", None), (6, 1, 3))[0]
                if act:
                    order = answer.json()["order_no"]
                    requests.post(f"{shop.url}/orders/{order}/{act}", headers=headers, timeout=20)
            from_the_middle = abs(ends - time.monotonic() - SALE_SECONDS / 2) / SALE_SECONDS
            time.sleep(random.random() * (0.2 + from_the_middle))

    threads = [threading.Thread(target=buy, args=(number,)) for number in range(BUYERS)]
    for thread in threads:
        thread.start()
    time.sleep(SALE_SECONDS * 0.6)
    shop.call("PATCH", f"/goods/{goods_id}", json={"stock_delta": 40})
    for thread in threads:
        thread.join()


def operator(browser: Browser, shop: Shop, size: str, scheme: str, language: str, is_signed_in: bool = True) -> Page:
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=shop.url,
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=1 if size == "desktop" else 1.5,
        locale={"en": "en-GB", "zh": "zh-CN"}[language],
        timezone_id="Asia/Shanghai",
        viewport={"width": width, "height": height},
    )
    if is_signed_in:
        context.add_init_script(f"sessionStorage['console.token'] = '{shop.admin_token}'")
    return context.new_page()


def live(page: Page, goods_id: int, suffix: str) -> None:
    """What changes while people buy."""
    for path, name in (("/admin", "sales"), (f"/admin/live?goods_id={goods_id}", "live")):
        page.goto(path)
        expect(page.locator("tbody tr, figure").first).to_be_visible(timeout=60_000)
        page.screenshot(path=FOLDER / f"console-{name}-{suffix}.png")


def pictures(page: Page, goods_id: int, suffix: str, whole: bool) -> None:
    """Of each view what is seen first; on a desk, of those that are read all."""
    sale = f"/admin/sales/{goods_id}"
    for path, name, shown in (
        (sale, "sale", "[data-check]"),
        ("/admin/orders", "orders", "[data-order-no]"),
        (f"{sale}/report", "report", "[data-report]"),
    ):
        page.goto(path)
        expect(page.locator(shown).first).to_be_visible(timeout=60_000)
        expect(page.locator(".loading")).to_have_count(0, timeout=60_000)
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=FOLDER / f"console-{name}-{suffix}.png", full_page=whole and name in ("sale", "report"))


def of_a_storm(browser: Browser, shop: Shop) -> None:
    """The views of a sale while people buy, and after it."""
    stormed = put_up(shop)
    buyers = threading.Thread(target=storm, args=(shop, stormed))
    buyers.start()
    time.sleep(SALE_SECONDS / 4)
    for mode in MODES:
        live(operator(browser, shop, *mode), stormed, "-".join(mode))
    buyers.join()
    for mode in MODES:
        pictures(operator(browser, shop, *mode), stormed, "-".join(mode), whole=mode[0] == "desktop")


def records(browser: Browser, shop: Shop, mode: tuple[str, str, str], places: dict[str, object]) -> None:
    """What is seen first of the views of single records and of the lists of few."""
    suffix = "-".join(mode)
    stranger = operator(browser, shop, *mode, is_signed_in=False)
    stranger.goto("/admin")
    expect(stranger.locator("#token")).to_be_visible()
    stranger.screenshot(path=FOLDER / f"console-sign-in-{suffix}.png")
    page = operator(browser, shop, *mode)
    for path, name, shown in RECORDS:
        page.goto(path.format(**places))
        if name == "audit":
            page.locator(".head-actions button").click()
        expect(page.locator(shown).first).to_be_visible(timeout=60_000)
        expect(page.locator(".loading")).to_have_count(0, timeout=60_000)
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=FOLDER / f"console-{name}-{suffix}.png")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        service = Service(
            f"sqlite:///{folder}/shop.db",
            Path(folder) / "log",
            PAYMENT_PROVIDER="test",
            PAYMENT_WEBHOOK_SECRETS=PROVIDER_SECRET,
            WEBHOOKS_TO_PRIVATE="on",
        )
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            shop = Shop(service)
            if sys.argv[1:] != ["records"]:
                of_a_storm(browser, shop)
            places = put_up_records(shop)
            for mode in MODES:
                records(browser, shop, mode, places)
        finally:
            browser.close()
            service.stop()


if __name__ == "__main__":
    main()
