"""What the tests in a browser do again and again at the storefront."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import requests
from playwright.sync_api import BrowserContext, Page, expect

from harness.service import Service

Browse = Callable[..., BrowserContext]


def orders(shop: Service, user: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{shop.url}/orders?limit=100", headers=shop.headers(user), timeout=20)
    return list(answer.json()["items"])


def change(shop: Service, goods_id: int, **fields: object) -> None:
    headers = shop.headers("operator", admin=True)
    assert requests.patch(f"{shop.url}/goods/{goods_id}", json=fields, headers=headers, timeout=20).ok


def in_seconds(seconds: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def coupon(shop: Service) -> str:
    code = "TENTH"
    body = {"code": code, "kind": "percent", "percent": 10}
    requests.post(f"{shop.url}/coupons", json=body, headers=shop.headers("operator", admin=True), timeout=20)
    return code


def method(shop: Service) -> None:
    body = {"code": "post", "name": "Post 邮政", "base_fee": 800, "additional_fee": 200, "regions": ["CN"]}
    headers = shop.headers("operator", admin=True)
    requests.post(f"{shop.url}/shipping-methods", json=body, headers=headers, timeout=20)


def open_item(browse: Browse, goods_id: int, user: str | None, **options: Any) -> Page:
    page = browse(user, **options).new_page()
    page.goto(f"/shop/{goods_id}")
    return page


def buy(page: Page) -> None:
    page.get_by_role("button", name="Buy", exact=True).click()


def outcome(page: Page, code: str) -> None:
    expect(page.locator("[data-code]")).to_have_attribute("data-code", code)
