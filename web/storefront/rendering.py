"""Pages from templates, and how they are sent."""

import posixpath
import re
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from flask import Response, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from resources.http.api_request import ApiRequest
from resources.http.problems import language_of
from web import security
from web.assets import asset_url, assets
from web.storefront.money import moment
from web.storefront.page_cache import MadePage
from web.storefront.texts import LANGUAGE_NAMES, LANGUAGES, OTHER, for_scripts, text

LANGUAGE_COOKIE = "seckill_language"
SHARED = "public, max-age=1"
PRIVATE = "no-store"
_IMPORTED = re.compile(r'^(?:import|export) [^"]*"(\.[^"]+)";', re.MULTILINE)
VARY = "Accept-Language, Cookie"

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@cache
def modules(path: str) -> Sequence[str]:
    """The addresses of a script and of all that it imports: named ahead, they are fetched together, not in turn."""
    found = {path: None}  # in order
    for name in (waiting := [path]):
        for imported in _IMPORTED.findall(assets()[name].body.decode()):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), imported))
            if target not in found:
                found[target] = None
                waiting.append(target)
    return [asset_url(name) for name in found]


_templates.globals |= {"asset_url": asset_url, "modules": modules, "moment": moment}


def language() -> str:
    """The visitor's language: the one they chose on a page, else the one that their browser asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return chosen if chosen in LANGUAGES else language_of(request.headers.get("Accept-Language", ""))


def wants_html() -> bool:
    """Whether the request wants a page. All others are answered with problems as by the API."""
    return "text/html" in request.headers.get("Accept", "")


def render(template: str, page: str, spoken: str, **values: Any) -> str:
    """The HTML of a page in a language. `page` names it to scripts and styles."""
    return _templates.get_template(f"storefront/{template}").render(
        page=page,
        language=spoken,
        other=OTHER[spoken],
        other_name=LANGUAGE_NAMES[OTHER[spoken]],
        t=partial(_text, spoken),
        scripts=Markup(for_scripts(spoken)),  # noqa: S704  # made for HTML
        **{"signed_in": False, "currency": None, **values},
    )


def _text(spoken: str, key: str, **values: object) -> str:
    return text(key, spoken, **values)


def send_shared(made: MadePage) -> Response:
    """A page that is the same for all who are not signed in."""
    packed = request.accept_encodings["gzip"] > 0
    etag = f"{made.etag}-gzip" if packed else made.etag
    response = security.page(made.packed if packed else made.whole, cache=SHARED)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["ETag"] = f'"{etag}"'
    response.headers["Vary"] = f"{VARY}, Accept-Encoding"
    return response


def send_private(html: str | bytes, status: int = 200, code: str | None = None) -> Response:
    """A page for one visitor. Nobody keeps it: its key is for one purchase. `code` is a refusal's, for the log."""
    if status >= 400:
        ApiRequest.of(request.environ).code = code
    response = security.page(html, cache=PRIVATE, status=status)
    response.headers["Vary"] = VARY
    return response


def see_other(path: str) -> Response:
    """Where a form leads: a page of ours, by whatever scheme and host the visitor knows it."""
    return Response(status=303, headers={"Location": path, "Cache-Control": PRIVATE})
