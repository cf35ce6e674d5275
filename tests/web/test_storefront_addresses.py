"""Addresses that people type or forge: whatever is in them, the answer is a page, and other paths are out of reach."""

import pytest
from flask import Flask

from tests.resources.calls import Calls, problem
from tests.web.browsing import Browser
from web.storefront import api

HAN = "%E4%B8%AD"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/shop/{HAN}", "goods_not_found"),
        ("/shop/%FF", "goods_not_found"),
        ("/shop/a%0Ab", "goods_not_found"),
        ("/shop/%D9%A1", "goods_not_found"),  # a digit of another script
        (f"/shop/orders?order={HAN}", "order_not_found"),
        (f"/shop/1?order={HAN}", "order_not_found"),
    ],
)
def test_what_is_no_id_is_a_page_that_is_not_there(alice: Browser, path: str, code: str) -> None:
    alice.get(path)
    assert (alice.answer.status_code, alice.outcome_code()) == (404, code)
    problem(alice.client.get(path), 404, code)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/shop/{HAN}/buy", "goods_not_found"),
        (f"/shop/{HAN}/quote", "goods_not_found"),
        (f"/shop/orders/{HAN}/pay", "order_not_found"),
        (f"/shop/orders/{HAN}/cancel", "order_not_found"),
    ],
)
def test_a_form_for_what_is_no_id_is_too(alice: Browser, path: str, code: str) -> None:
    form_token = alice.get("/").one("body")["data-form-token"]
    assert alice.post(path, {"form_token": form_token, "key": "k"}).status_code == 404
    assert alice.outcome_code() == code


@pytest.mark.parametrize("order", ["export", "../goods", "../goods?x", "..%2Fgoods", "export%3Fstatus=paid", "A" * 32])
def test_no_order_number_leads_to_another_path_of_the_api(
    alice: Browser, sqlite_call: Calls, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    paths: list[str] = []
    call = api.call

    def noted(method: str, path: str, *args: object, **options: object) -> api.Answer:
        paths.append(path)
        return call(method, path, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(api, "call", noted)
    item = sqlite_call.create()
    for path in (f"/shop/{item['id']}?order={order}", f"/shop/orders?order={order}"):
        alice.get(path)
        assert (alice.answer.status_code, alice.outcome_code()) == (404, "order_not_found")
    assert paths == []


def test_a_path_of_the_api_is_sent_in_utf_8(sqlite_app: Flask) -> None:
    seen = []

    @sqlite_app.route("/echo/<text>")
    def echo(text: str) -> dict[str, str]:
        seen.append(text)
        return {}

    @sqlite_app.route("/calls")
    def calls() -> dict[str, str]:
        return api.get("/echo/中é", "en")

    assert sqlite_app.test_client().get("/calls").status_code == 200
    assert seen == ["中é"]


@pytest.mark.parametrize("path", ["/shop/a%0Ab", f"/shop/{HAN}", "/shop/a%0D%0AX:%20y"])
def test_to_choose_a_language_leads_back_to_the_same_address(visitor: Browser, path: str) -> None:
    visitor.get(f"{path}?lang=en")
    assert visitor.answer.status_code == 303
    assert visitor.answer.headers["Location"] == path.replace(":", "%3A")
