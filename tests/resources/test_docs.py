"""The pages for developers are as closed as all others: nothing inline, in no frame."""

import re

import pytest

from resources.problems import PROBLEMS
from tests.resources.calls import Calls
from tests.web.browsing import HTML, parsed
from web import security


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/docs/index.html", "/docs/oauth2-redirect.html"])
def test_a_page_of_the_description_has_the_strict_headers(sqlite_call: Calls, path: str) -> None:
    _strict(sqlite_call, path)


@pytest.mark.parametrize("code", ["busy", "coupon_not_applicable"])
def test_a_page_of_an_error_has_the_strict_headers(sqlite_call: Calls, code: str) -> None:
    assert code in PROBLEMS
    page = parsed(_strict(sqlite_call, f"/problems/{code}"))
    for link in page.all("link", rel="stylesheet"):
        assert sqlite_call.get(link["href"]).mimetype == "text/css"


def _strict(call: Calls, path: str) -> str:
    with call.get(path, headers={"Accept": HTML}) as answer:
        assert answer.status_code == 200
        assert answer.mimetype == "text/html"
        for name, value in security.HEADERS.items():
            assert answer.headers[name] == value
        html = answer.text
    assert not re.search(r"<style|<script>|<script [^>]*>[^<]| style=| on[a-z]+=", html)
    return html
