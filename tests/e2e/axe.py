"""Checks pages for accessibility, with axe."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def breaches(page: Page) -> list[str]:
    """The rules that the page breaks, with the elements that do.

    The page has reduced motion, and no sticky head, from then on.
    """
    # axe would judge a colour in the middle of a transition; without motion there is none.
    page.emulate_media(reduced_motion="reduce")
    # What is scrolled half under a sticky head would count as too small a target.
    page.evaluate("document.querySelectorAll('.top').forEach((head) => { head.style.position = 'static' })")
    found = Axe().run(page, options=_RULES).response["violations"]
    return [f"{breach['id']}: {[node['target'] for node in breach['nodes']]}" for breach in found]
