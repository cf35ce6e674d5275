"""What the tests of the console do again and again with a view."""

from playwright.sync_api import Page, expect


def settled(page: Page) -> None:
    """Wait until the view has all that it shows."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0, timeout=60_000)
