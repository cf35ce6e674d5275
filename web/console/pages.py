"""`/admin` and every address below it: the same static page, whose scripts choose the view.

Nothing is known of the visitor here. The page holds no data; its scripts call the API with the administrator's token.
"""

from functools import cache
from pathlib import Path

from flask import Flask, Response, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from resources.http.answers import conditional_headers
from resources.http.problems import language_of
from web import security
from web.assets import asset_url, assets, version

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)
_MODULES = ("console/", "vendor/preact-", "vendor/htm-")
# In this order: later rules refine earlier ones.
_STYLES = tuple(f"console/styles/{name}.css" for name in ("frame", "lists", "forms", "sale", "figures"))
_TEXTS = {
    "en": {"title": "Sale console", "without_scripts": "The console needs JavaScript."},
    "zh": {"title": "秒杀控制台", "without_scripts": "控制台需要启用 JavaScript。"},
}
# The page names files of one version: it is asked for each time, mostly answered with 304 (resources/http/envelope.py).
_CACHE_CONTROL = "public, no-cache"


def register(app: Flask) -> None:
    """Serve the console. An address that is no view of it is shown as such by its scripts."""
    app.add_url_rule("/admin", view_func=_show, endpoint="console")
    app.add_url_rule("/admin/", view_func=_show, endpoint="console_home")
    app.add_url_rule("/admin/<path:view>", view_func=_show, endpoint="console_view")


def _show(view: str = "") -> Response:
    spoken = language_of(request.headers.get("Accept-Language", ""))
    response = security.page(_page(spoken), cache=_CACHE_CONTROL)
    response.headers.update(conditional_headers(f"{version()}-{spoken}", _CACHE_CONTROL))
    response.headers.update({"Content-Language": spoken, "Vary": "Accept-Language"})
    return response


@cache
def _page(spoken: str) -> str:
    """The page in a language. It names its modules, so that a browser fetches them all at once."""
    modules = [path for path in assets() if path.endswith(".js") and path.startswith(_MODULES)]
    page = _templates.get_template("console.html")
    return page.render(language=spoken, asset_url=asset_url, modules=modules, styles=_STYLES, **_TEXTS[spoken])
