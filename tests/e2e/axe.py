"""Pages that everybody can use, as axe judges it."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def breaches(page: Page) -> list[str]:
    """The rules that the page breaks, with the elements that do."""
    # A colour on its way to another is judged as if it stayed: end what is moving.
    page.emulate_media(reduced_motion="reduce")
    found = Axe().run(page, options=_RULES).response["violations"]
    return [f"{breach['id']}: {[node['target'] for node in breach['nodes']]}" for breach in found]
