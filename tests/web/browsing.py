"""A browser without JavaScript, as far as pages need one: cookies, what is on a page, forms."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.tokens import Tokens
from harness.service import SECRET
from web.storefront import pages
from web.storefront.page_cache import PageCache

HTML = "text/html,application/xhtml+xml"
_VOID = {"meta", "link", "input", "img", "path", "br", "hr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parts: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(part if isinstance(part, str) else f" {part.text} " for part in self.parts).split())

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def all(self, tag: str | None = None, **attributes: str | None) -> list["Element"]:
        """The elements within, by tag and attributes (`data_code` is `data-code`); None takes any value."""
        wanted = {name.strip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            element
            for element in self.walk()
            if tag in (None, element.tag)
            and all(
                name in element.attributes and value in (None, element.attributes[name])
                for name, value in wanted.items()
            )
        ]

    def one(self, tag: str | None = None, **attributes: str | None) -> "Element":
        (found,) = self.all(tag, **attributes)
        return found

    def walk(self) -> Iterator["Element"]:
        for part in self.parts:
            if isinstance(part, Element):
                yield part
                yield from part.walk()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].parts.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def parsed(html: str) -> Element:
    """The elements of a page, each of which is closed."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == [reader.root]
    return reader.root


class Browser:
    """A visitor's browser at an application."""

    def __init__(self, app: Flask, language: str = "en") -> None:
        self.client = app.test_client()
        self._headers = {"Accept": HTML, "Accept-Language": language}
        self.answer: TestResponse
        self.page: Element

    def get(self, path: str, **headers: str) -> Element:
        return self._seen(self.client.get(path, headers={**self._headers, **headers}))

    def post(self, path: str, data: dict[str, Any] | None = None, **headers: str) -> TestResponse:
        """Send a form, as a browser sends one of our own; where it leads is not followed."""
        own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self._seen(self.client.post(path, data=data or {}, headers={**self._headers, **own, **given}))
        return self.answer

    def submit(self, form: Element, button: Element | None = None, **typed: str) -> TestResponse:
        """Fill in and send a form of the page last seen, as a browser does."""
        path = (button.attributes.get("formaction") if button else None) or form["action"]
        return self.post(path, {**self.fields(form), **typed})

    def fields(self, form: Element) -> dict[str, str]:
        within = [element for element in form.walk() if "form" not in element.attributes]
        given = [
            element for element in self.page.walk() if element.attributes.get("form", "-") == form.attributes.get("id")
        ]
        filled = {}
        for element in [*within, *given]:
            kind, name = element.attributes.get("type"), element.attributes.get("name")
            if name is None or (kind == "radio" and "checked" not in element.attributes):
                continue
            if element.tag == "input":
                filled[name] = element.attributes.get("value", "")
            elif element.tag == "select":
                chosen = [option for option in element.all("option") if "selected" in option.attributes]
                filled[name] = (chosen or element.all("option"))[0]["value"]
        return filled

    def follow(self) -> Element:
        """Go where the last answer leads."""
        assert self.answer.status_code == 303, (self.answer.status_code, self.answer.text)
        return self.get(self.answer.headers["Location"])

    def sign_in(self, name: str = "alice") -> None:
        assert self.post("/shop/session", {"token": Tokens(SECRET).issue(name)}).status_code == 303

    def buy(self, goods_id: int, **typed: str) -> TestResponse:
        """Open an item's page, fill in the form and buy."""
        return self.submit(self.get(f"/shop/{goods_id}").one("form", id="buy"), **typed)

    def outcome_code(self) -> str | None:
        """The code of the outcome on the page."""
        found = self.page.all(data_code=None)
        return found[0]["data-code"] if found else None

    def _seen(self, answer: TestResponse) -> Element:
        self.answer = answer
        if answer.mimetype == "text/html":
            self.page = parsed(answer.text)
        return self.page if answer.mimetype == "text/html" else Element("", {})


def keep_pages(monkeypatch: pytest.MonkeyPatch, **bounds: float) -> None:
    """Have the applications that are made from now on keep pages within `bounds`, which are PageCache's."""
    monkeypatch.setattr(pages, "PageCache", partial(PageCache, **bounds))
