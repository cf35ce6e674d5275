"""What goes wrong for visitors of the storefront, and how tests bring it about."""

import os
import re
import signal
import threading
from collections import Counter

from playwright.sync_api import BrowserContext, Page, Route, expect

from harness.lossy_proxy import ANSWER, Fate
from harness.service import Service

# A purchase ends after 75 seconds at most, with its answer or without.
PURCHASE_SECONDS = 90
_PURCHASE = re.compile(r"/seckill/\d+")
# What a page asks for once it is loaded.
_CALLS = ("/seckill/", "/orders", "/shop/session/token")

# Storage that belongs to one tab: what tabs agree on without it is nothing.
WITHOUT_STORAGE = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("blocked", "SecurityError"); },
});"""
# As on pages that come over plain HTTP, and in old browsers.
WITHOUT_LOCKS = """Object.defineProperty(Navigator.prototype, "locks", { value: undefined });"""
_PRESS = "at => setTimeout(() => document.getElementById('buy-button').click(), at - Date.now())"
# People take a moment to see that the button is awake.
_PRESS_AT_THE_START = """() => {
  const button = document.getElementById("buy-button");
  new MutationObserver((_, observer) => {
    if (button.disabled) return;
    observer.disconnect();
    setTimeout(() => button.click(), 250 + 250 * Math.random());
  }).observe(button, { attributeFilter: ["disabled"] });
}"""


def is_purchase(method: str, path: str) -> bool:
    return method == "POST" and _PURCHASE.fullmatch(path) is not None


def every_fifth_answer() -> Fate:
    """Loses every fifth answer to calls of pages, and of those to purchases every fifth as well, the first included."""
    counts: Counter[bool] = Counter()
    lock = threading.Lock()

    def fate(method: str, path: str) -> str | None:
        if not path.startswith(_CALLS):
            return None
        kind = is_purchase(method, path)
        with lock:
            counts[kind] += 1
            return ANSWER if counts[kind] % 5 == 1 else None

    return fate


def nothing(method: str, path: str) -> None:
    """The fate of requests in a network that works."""


def shifted_clock(hours: int) -> str:
    """A script that puts the visitor's clock so many hours ahead, or behind if negative."""
    return f"""{{
  const shift = {hours} * 3_600_000;
  const Right = Date;
  globalThis.Date = class Date extends Right {{
    constructor(...parts) {{
      if (parts.length) super(...parts);
      else super(Right.now() + shift);
    }}
    static now() {{ return Right.now() + shift; }}
  }};
}}"""


def without_keys(context: BrowserContext) -> None:
    """Sends purchases without the key by which the service knows them again."""

    def strip(route: Route) -> None:
        headers = {name: value for name, value in route.request.headers.items() if name != "idempotency-key"}
        route.continue_(headers=headers)

    context.route(_PURCHASE, strip)


def open_tab(context: BrowserContext, goods_id: int) -> Page:
    """An item's page in a new tab, once it has the key of its next purchase."""
    page = context.new_page()
    with page.expect_response("**/shop/session/token"):
        page.goto(f"/shop/{goods_id}")
    page.wait_for_function("id => Object.keys(localStorage).some((name) => name.endsWith(`:${id}`))", arg=goods_id)
    return page


def press(page: Page) -> None:
    """Press "Buy", and do not wait for what comes of it."""
    page.get_by_role("button", name="Buy", exact=True).click(no_wait_after=True)


def press_at_once(tabs: list[Page]) -> None:
    at = tabs[0].evaluate("() => Date.now() + 500")
    for tab in tabs:
        tab.evaluate(_PRESS, at)


def press_at_the_start(page: Page) -> None:
    """Press "Buy" as soon as the button is awake."""
    page.evaluate(_PRESS_AT_THE_START)


def come_back(page: Page) -> None:
    """The visitor looks at the tab again, so that it asks how the sale goes."""
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")


def shown_code(page: Page) -> str:
    """The code of the outcome that the page shows the buyer in the end."""
    outcome = page.locator("#outcome[data-code]")
    expect(outcome).to_be_visible(timeout=PURCHASE_SECONDS * 1000)
    return outcome.get_attribute("data-code") or ""


def shown_order(page: Page) -> str:
    """The number of the order that the page shows the buyer."""
    code = shown_code(page)
    assert code == "bought", code
    link = page.locator("#outcome a").get_attribute("href") or ""
    return link.removeprefix("/shop/orders#order-")


def shown_order_in_the_end(page: Page) -> str:
    """Likewise; where the purchase could not be settled while the service was away, the buyer presses again."""
    while shown_code(page) in ("offline", "unavailable"):
        press(page)
    return shown_order(page)


def kill(service: Service) -> None:
    """End the service as a crash of its machine would."""
    for pid in [service.process.pid, *service.worker_pids()]:
        os.kill(pid, signal.SIGKILL)
    service.process.wait()
