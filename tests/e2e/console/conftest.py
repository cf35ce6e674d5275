"""A running service with all that the console looks after, and an operator in a browser."""

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from harness.service import PATIENT, Service
from tests.e2e.console.shop import PROVIDER_SECRET, Shop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

# What the tests in a browser take is installed by `make test-e2e`.
collect_ignore_glob = [] if find_spec("playwright") else ["test_*"]
TOKEN = "console.token"  # its name in sessionStorage


@pytest.fixture(scope="session", params=["sqlite", pytest.param("mysql", marks=pytest.mark.mysql)])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("console")
    if request.param == "sqlite":
        uri = f"sqlite:///{folder / 'shop.db'}"
    else:
        uri = request.getfixturevalue("mysql").create_database("console_in_a_browser")
    service = Service(
        uri,
        folder / "service.log",
        PAYMENT_PROVIDER="test",
        PAYMENT_WEBHOOK_SECRETS=PROVIDER_SECRET,
        WEBHOOKS_TO_PRIVATE="on",
        **PATIENT,
    )
    yield Shop(service)
    service.stop()


@pytest.fixture
def open_console(shop: Shop, chromium: "Browser") -> "Iterator[Callable[..., Page]]":
    """Opens an address of the console as an administrator, or with another `token`, or with None.

    At the end no page may have had an error, of its scripts or of what the Content-Security-Policy forbids.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def opened(path: str = "/admin", token: str | None = shop.admin_token, **options: Any) -> "Page":
        context = chromium.new_context(**{"locale": "en-GB", "timezone_id": "Asia/Shanghai", **options})
        contexts.append(context)
        if token is not None:
            # Once: a page that signs out and is loaded again stays signed out.
            begin = f"sessionStorage.begun = 1; sessionStorage['{TOKEN}'] = {json.dumps(token)}"
            context.add_init_script(f"if (!sessionStorage.begun) {{ {begin} }}")
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on(
            "console", lambda message: faults.append(message.text) if _is_fault(message.type, message.text) else None
        )
        page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
        page.goto(shop.url + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def _is_fault(kind: str, text: str) -> bool:
    # A refusal is an answer; the browser tells of it as of a failure.
    return kind in ("error", "warning") and not text.startswith("Failed to load resource")
