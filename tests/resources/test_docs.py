"""The pages for developers are as closed as all others: nothing inline, in no frame."""

import html
import re

import pytest

from resources.http.problem_advice import ADVICE
from resources.http.problems import FIELD_PROBLEMS, PROBLEMS
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


def test_the_index_of_the_problems_leads_to_the_page_of_each(sqlite_call: Calls) -> None:
    for path in ("/problems/", "/problems"):
        page = parsed(_strict(sqlite_call, path))
        assert {link["href"].rpartition("/")[2] for link in page.all("a") if "/problems/" in link["href"]} == set(
            PROBLEMS
        )


def test_each_page_of_a_problem_says_what_to_do(sqlite_call: Calls) -> None:
    assert set(ADVICE) == set(PROBLEMS)
    for code, advice in ADVICE.items():
        page = html.unescape(sqlite_call.get(f"/problems/{code}").text)
        assert 'href="/problems/"' in page
        for text in (advice.client, advice.operator):
            assert text is None or (text.en in page and text.zh in page), code


def test_the_page_of_wrong_fields_explains_the_codes_of_fields(sqlite_call: Calls) -> None:
    page = html.unescape(sqlite_call.get("/problems/validation_failed").text)
    for code, text in FIELD_PROBLEMS.items():
        assert f"<code>{code}</code>" in page
        assert text.en in page
    assert "WEBHOOKS_TO_PRIVATE" in page


def _strict(call: Calls, path: str) -> str:
    with call.get(path, headers={"Accept": HTML}) as answer:
        assert answer.status_code == 200
        assert answer.mimetype == "text/html"
        for name, value in security.HEADERS.items():
            assert answer.headers[name] == value
        text = answer.text
    assert not re.search(r"<style|<script>|<script [^>]*>[^<]| style=| on[a-z]+=", text)
    return text
