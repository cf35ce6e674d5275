"""A real browser at the running service, on SQLite and on a real MySQL."""

import itertools
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core.tokens import Tokens
from harness.service import PATIENT, SECRET, Service

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DESKTOP, PHONE = (1280, 860), (390, 844)
SECONDS = 20
# What the tests in a browser take is installed by `make test-e2e`.
collect_ignore_glob = [] if find_spec("playwright") else ["test_*"]
# A refusal is an answer; the browser's console tells of it as of a failure.
_EXPECTED = "Failed to load resource: the server responded with a status of"

_names = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/e2e/"):
            item.add_marker("e2e")


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    """A browser for each file: a test that runs out of time breaks the driver, and so costs no other file."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=["sqlite", pytest.param("mysql", marks=pytest.mark.mysql)])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, whose test payments buyers may make."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        uri = f"sqlite:///{folder / 'shop.db'}"
    else:
        uri = request.getfixturevalue("mysql").create_database("shop_in_a_browser")
    service = Service(uri, folder / "service.log", workers=1, PAYMENT_PROVIDER="test", **PATIENT)
    yield service
    service.stop()


@pytest.fixture
def buyer() -> str:
    """A name that no other test has."""
    return f"buyer-{next(_names)}"


@pytest.fixture
def browse(chromium: "Browser", shop: Service) -> "Iterator[Callable[..., BrowserContext]]":
    """Makes browsers of visitors. At the end no page has told of an error, or loaded anything from elsewhere."""
    opened: list[BrowserContext] = []
    faults: list[str] = []
    ours = [shop.url]

    def watch(page: "Page") -> None:
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                None if _expected(message.type, message.text) else faults.append(f"console: {message.text}")
            ),
        )
        page.on(
            "request", lambda request: None if _is_at(request.url, ours) else faults.append(f"elsewhere: {request.url}")
        )

    def make(
        user: str | None = None,
        language: str = "en-US",
        size: tuple[int, int] = DESKTOP,
        at: str = shop.url,
        **options: Any,
    ) -> Any:
        ours.append(at)
        context = chromium.new_context(
            base_url=at, locale=language, viewport={"width": size[0], "height": size[1]}, **options
        )
        context.set_default_timeout(SECONDS * 1000)
        context.on("page", watch)
        opened.append(context)
        if user is not None:
            token = Tokens(SECRET).issue(user)
            assert context.request.post("/shop/session", form={"token": token}, max_redirects=0).status == 303
        return context

    yield make
    for context in opened:
        context.close()
    assert faults == []


def _expected(kind: str, text: str) -> bool:
    return kind not in ("error", "warning") or text.startswith((_EXPECTED, "Failed to load resource: net::"))


def _is_at(url: str, addresses: list[str]) -> bool:
    return url.startswith((*(f"{address}/" for address in addresses), "data:"))
