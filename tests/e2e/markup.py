"""Markup as people may type it, and what must not come of it."""

from playwright.sync_api import Page

# As HTML it would be two elements, and a script that sets `window.__xss`. A user's id has room for it.
MARKUP = "<img src=x onerror=__xss=1><b id=xss>x</b>"


def assert_text_alone(page: Page, within: str, javascript: bool = True) -> None:
    """Nothing of it has become an element, or run. `within` is a part of the page that has no pictures of its own.

    The Content-Security-Policy would stop the script as well: so the elements are what must not be there.
    """
    assert page.locator(f"#xss, img[onerror], {within} script, {within} iframe").count() == 0
    if javascript:
        assert page.evaluate("window.__xss") is None
