"""`PAGES` says which pages are served. The API, the pages of the problems and the client are there in any case."""

from collections.abc import Callable

import pytest
from flask import Flask

import config
from core.ops import doctor
from core.ops.finding import State
from harness.service import SECRET
from tests.resources.calls import Calls, problem

OF = {
    "storefront": ("/", "/shop/1", "/shop/orders"),
    "console": ("/admin", "/admin/", "/admin/sales/1"),
    "docs": ("/docs", "/docs/", "/docs/swagger-ui.css", "/openapi.json"),
}
ALWAYS = ("/goods", "/healthz", "/problems/", "/problems/busy", "/static/client/v1/seckill.js")


def statuses(call: Calls, paths: tuple[str, ...]) -> set[int]:
    found = set()
    for path in paths:
        with call.get(path) as answer:
            found.add(answer.status_code)
    return found


@pytest.mark.parametrize("served", ["storefront", "console", "docs", "off", "storefront console docs"])
def test_pages_that_are_not_named_are_a_404(make_app: Callable[..., Flask], sqlite_uri: str, served: str) -> None:
    call = Calls(make_app(sqlite_uri, PAGES=served))
    call.create()
    for page, paths in OF.items():
        assert (statuses(call, paths) == {404}) == (page not in served), page
    assert statuses(call, ALWAYS) == {200}
    assert ("/docs" in call.get("/problems/busy").text) == ("docs" in served)
    if "docs" not in served:
        problem(call.get("/docs"), 404, "not_found")


@pytest.mark.parametrize("given", ["shop", "storefront off", "on"])
def test_an_unknown_page_stops_the_start(given: str) -> None:
    with pytest.raises(config.InvalidSettings, match="PAGES"):
        config.load(SECRET_KEY=SECRET, PAGES=given)


@pytest.mark.parametrize(
    ("given", "is_named"),
    [
        ({}, True),
        ({"PAGES": "console"}, False),
        ({"DEBUG": True}, False),
        ({"SQLALCHEMY_DATABASE_URI": "sqlite:////tmp/none.db"}, False),
    ],
)
def test_the_doctor_says_where_the_description_is_open_in_production(given: dict[str, object], is_named: bool) -> None:
    settings = config.load(**{"SQLALCHEMY_DATABASE_URI": "mysql+mysqlconnector://u@h/d", "SECRET_KEY": SECRET, **given})
    (finding,) = (finding for finding in doctor.examine_settings(settings) if finding.name == "pages")
    assert finding.state is State.OK
    assert ("SECKILL_PAGES" in finding.found) == is_named
