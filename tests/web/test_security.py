"""The headers of every page."""

from web import security


def policy(header: str) -> dict[str, list[str]]:
    return {name: sources for name, *sources in (part.split() for part in header.split(";"))}


def test_a_page_runs_and_loads_only_our_own() -> None:
    page = security.page("<!doctype html>", cache="no-store")
    allowed = policy(page.headers["Content-Security-Policy"])
    assert allowed["default-src"] == ["'none'"]
    assert (
        allowed["script-src"] == allowed["style-src"] == allowed["connect-src"] == allowed["form-action"] == ["'self'"]
    )
    assert allowed["frame-ancestors"] == allowed["base-uri"] == ["'none'"]
    assert allowed["img-src"] == ["'self'", "https:", "data:"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_a_page_is_html_in_utf_8_and_its_caching_is_stated() -> None:
    page = security.page("键盘".encode(), cache="public, max-age=1", status=404)
    assert page.content_type == "text/html; charset=utf-8"
    assert page.get_data(as_text=True) == "键盘"
    assert (page.status_code, page.headers["Cache-Control"]) == (404, "public, max-age=1")


def test_our_own_forms_name_their_origin() -> None:
    # Under `no-referrer` a browser sends `Origin: null`, and the check of forms would refuse every visitor.
    assert security.page("", cache="no-store").headers["Referrer-Policy"] == "same-origin"
