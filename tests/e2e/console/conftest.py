"""A running service, a real browser, and an operator in it."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.service import SECRET, Service
from tests.e2e.console.shop import PROVIDER_SECRET, Shop

if importlib.util.find_spec("playwright") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
TOKEN = "console.token"  # its name in sessionStorage


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    place = tmp_path_factory.mktemp("console")
    service = Service(
        f"sqlite:///{place / 'sale.db'}",
        place / "service.log",
        PAYMENT_PROVIDER="test",
        PAYMENT_WEBHOOK_SECRETS=PROVIDER_SECRET,
        WEBHOOKS_TO_PRIVATE="on",
    )
    try:
        yield Shop(service)
    finally:
        service.stop()


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_console(shop: Shop, chromium: "Browser") -> "Iterator[Callable[..., Page]]":
    """Opens an address of the console, as an administrator unless `token` is another or None.

    At the end no page may have had an error: of scripts, or of what the Content-Security-Policy forbids.
    """
    contexts = []
    errors: list[str] = []

    def opened(path: str = "/admin", token: str | None = "", **options: Any) -> "Page":
        options = {"locale": "en-GB", "timezone_id": "Asia/Shanghai", **options}
        context = chromium.new_context(**options)
        contexts.append(context)
        given = shop.admin_token if token == "" else token
        if given is not None:
            context.add_init_script(
                f"if (!sessionStorage.getItem('{TOKEN}.set')) {{"
                f" sessionStorage.setItem('{TOKEN}', {json.dumps(given)}); sessionStorage.setItem('{TOKEN}.set', '1'); }}"
            )
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: _note(said.type, said.text, errors))
        page.on("dialog", lambda dialog: errors.append(f"dialog: {dialog.message}"))
        page.goto(shop.url + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def _note(kind: str, text: str, errors: list[str]) -> None:
    # Refusals are what many of these tests ask for; the browser reports each as an error of its own.
    if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
        errors.append(text)


@pytest.fixture
def download_folder(tmp_path: Path) -> Path:
    return tmp_path


assert SECRET  # what the service of the tests signs with
