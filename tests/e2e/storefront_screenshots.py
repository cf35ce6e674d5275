"""Makes the pictures of the storefront under docs/img/: `python -m tests.e2e.storefront_screenshots`.

`en`, `zh` or `element` after it makes a part of them: those in a language, or those of the element in the page of
another shop.
"""

import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from core.tokens import Tokens
from harness.service import SECRET, Service
from harness.serving import serving
from tests.e2e.conftest import ARGUMENTS, CHROMIUM
from tests.e2e.embedding import AnyItemShop
from tests.e2e.pictures import FOLDER, MODES, SIZES

ADDRESS = {
    "name": "王芳",
    "phone": "+86 138-0000-0000",
    "region": "CN-31",
    "line1": "1 Nanjing Road 南京路 1 号",
    "postcode": "200000",
}


def fill(shop: Service) -> int:
    """Put goods up, and buy some. Returns the item that is shipped."""
    soon = (datetime.now(timezone.utc) + timedelta(hours=2, minutes=14)).isoformat(timespec="milliseconds")
    late = (datetime.now(timezone.utc) + timedelta(hours=9)).isoformat(timespec="milliseconds")
    operator = shop.headers("operator", admin=True)
    for code, name, fee in (("standard", "Standard 标准快递", 800), ("express", "Express 次日达", 2000)):
        method = {"code": code, "name": name, "base_fee": fee, "additional_fee": 200, "regions": ["CN"]}
        requests.post(f"{shop.url}/shipping-methods", json=method, headers=operator, timeout=20)
    shop.create_goods(name="Travel Mug 保温杯", price=4900, list_price=9900, stock=2)
    shop.create_goods(name="Desk Lamp 护眼台灯", price=8800, list_price=16800, stock=60, starts_at=soon)
    keyboard = shop.create_goods(name="Mechanical Keyboard 机械键盘", price=19900, list_price=39900, per_user_limit=2)
    shop.create_goods(
        name="Noise-cancelling Headphones 降噪耳机", price=69900, list_price=129900, stock=50, ends_at=late
    )
    tea = shop.create_goods(
        name="Longjing Tea 西湖龙井",
        description="Picked before the rains, pan-fired by hand. 100 g.\n明前手炒，100 克。",
        price=12800,
        list_price=25600,
        per_user_limit=3,
        shippable=True,
    )
    shop.buy(1, "somebody", 2)
    for number in range(31):
        shop.buy(keyboard, f"somebody-{number}", 2)
        shop.buy(tea, f"somebody-{number}", 2, shipping_method="standard", address=ADDRESS)
    paid = shop.buy(keyboard, "alice", 1).json()["order_no"]
    requests.post(f"{shop.url}/orders/{paid}/pay", headers=shop.headers("alice"), timeout=20)
    shop.buy(tea, "alice", 2, shipping_method="express", address=ADDRESS)
    return tea


def visitor(browser: Browser, shop: Service, size: str, scheme: str, language: str) -> BrowserContext:
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=shop.url,
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=1 if size == "desktop" else 2,
        locale={"en": "en-US", "zh": "zh-CN"}[language],
        viewport={"width": width, "height": height},
    )
    context.request.post("/shop/session", form={"token": Tokens(SECRET).issue("alice")}, max_redirects=0)
    return context


def picture(page: Page, path: str, name: str) -> None:
    """Of the start page what is seen first, of the others all."""
    page.goto(path)
    page.wait_for_load_state("networkidle")
    for timer in page.get_by_role("timer").all():
        if path != "/":
            expect(timer).not_to_contain_text("UTC")
    page.screenshot(path=FOLDER / f"{name}.png", full_page=path != "/")


def of_the_element(browser: Browser, shop: AnyItemShop, size: str, scheme: str) -> None:
    """The page of another shop that embeds the element, after a purchase. The example's page speaks English alone."""
    context = browser.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=1 if size == "desktop" else 1.5,
        locale="en-US",
        viewport={"width": SIZES[size][0], "height": 600},
    )
    headers = {"Origin": shop.url}
    context.request.post(f"{shop.url}/sign-in", form={"name": "alice"}, headers=headers, max_redirects=0)
    page = context.new_page()
    page.goto(shop.url)
    button = page.locator("flash-sale button").first
    button.click()
    expect(page.locator("flash-sale")).to_have_attribute("data-code", "bought")
    expect(button).to_have_attribute("aria-disabled", "false")
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=FOLDER / f"element-{size}-{scheme}-en.png")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    parts = sys.argv[1:] or ["en", "zh", "element"]
    embedding = AnyItemShop(0, "", SECRET)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, serving(embedding):
        shop = Service(
            f"sqlite:///{folder}/shop.db", Path(folder) / "log", PAYMENT_PROVIDER="test", CORS_ORIGINS=embedding.url
        )
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            tea = fill(shop)
            for size, scheme, language in MODES:
                if language not in parts:
                    continue
                page = visitor(browser, shop, size, scheme, language).new_page()
                for path, name in (("/", "storefront"), (f"/shop/{tea}", "item"), ("/shop/orders", "orders")):
                    picture(page, path, f"{name}-{size}-{scheme}-{language}")
            if "element" in parts:
                embedding.service = shop.url
                embedding.goods = shop.create_goods(name="Mechanical Keyboard", price=19900, list_price=39900, stock=62)
                for size, scheme, _ in MODES:
                    of_the_element(browser, embedding, size, scheme)
        finally:
            browser.close()
            shop.stop()


if __name__ == "__main__":
    main()
