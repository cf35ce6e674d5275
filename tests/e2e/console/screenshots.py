"""Makes the pictures of the console under docs/img/: `python -m tests.e2e.console.screenshots`."""

import random
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from config import ROOT
from core.tokens import Tokens
from harness.service import SECRET, Service
from tests.e2e.conftest import ARGUMENTS, CHROMIUM, DESKTOP, PHONE
from tests.e2e.console.shop import PROVIDER_SECRET, Shop

FOLDER = ROOT / "docs" / "img"
SIZES = {"desktop": DESKTOP, "phone": PHONE}
MODES = (("desktop", "light", "en"), ("desktop", "dark", "zh"), ("phone", "light", "zh"), ("phone", "dark", "en"))
SALE_SECONDS = 75
BUYERS = 10


def put_up(shop: Shop) -> int:
    """Some sales. Returns the one that people storm."""
    soon = (datetime.now(timezone.utc) + timedelta(hours=2)).isoformat(timespec="milliseconds")
    shop.put_up("Desk Lamp 护眼台灯", price=8800, stock=60, starts_at=soon)
    shop.put_up("Travel Mug 保温杯", price=4900, stock=0)
    tea = shop.put_up("Longjing Tea 西湖龙井", price=12800, stock=80, per_user_limit=3)
    late = shop.buy(tea["id"], user="late payer")
    shop.call("POST", f"/orders/{late['order_no']}/cancel", user="late payer")
    shop.tell_payment(late["order_no"], late["total"])
    stormed: int = shop.put_up(
        "Mechanical Keyboard 机械键盘", price=19900, list_price=39900, stock=480, per_user_limit=2
    )["id"]
    return stormed


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


def operator(browser: Browser, shop: Shop, size: str, scheme: str, language: str) -> Page:
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=shop.url,
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=1 if size == "desktop" else 1.5,
        locale={"en": "en-GB", "zh": "zh-CN"}[language],
        timezone_id="Asia/Shanghai",
        viewport={"width": width, "height": height},
    )
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


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        service = Service(
            f"sqlite:///{folder}/shop.db",
            Path(folder) / "log",
            PAYMENT_PROVIDER="test",
            PAYMENT_WEBHOOK_SECRETS=PROVIDER_SECRET,
        )
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            shop = Shop(service)
            stormed = put_up(shop)
            buyers = threading.Thread(target=storm, args=(shop, stormed))
            buyers.start()
            time.sleep(SALE_SECONDS / 4)
            for mode in MODES:
                live(operator(browser, shop, *mode), stormed, "-".join(mode))
            buyers.join()
            for mode in MODES:
                pictures(operator(browser, shop, *mode), stormed, "-".join(mode), whole=mode[0] == "desktop")
        finally:
            browser.close()
            service.stop()


if __name__ == "__main__":
    main()
