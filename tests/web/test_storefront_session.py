"""Signing in and out, and the forms that only the visitor's own pages may send."""

import time
from collections.abc import Callable

import jwt
import pytest
from flask import Flask

from core.tokens import Tokens
from harness.service import SECRET
from tests.resources.calls import OPERATOR, Calls, authorization, problem
from tests.web.browsing import Browser
from web.session import COOKIE

HOUR = 3600
JSON = {"Accept": "application/json"}


def token(user: str = "alice", **options: object) -> str:
    return Tokens(SECRET).issue(user, **options)  # type: ignore[arg-type]


def cookie_header(browser: Browser) -> str:
    return browser.answer.headers["Set-Cookie"]


def test_a_name_signs_in_where_the_database_is_the_embedded_default(demo_visitor: Browser) -> None:
    demo_visitor.get("/shop/orders")
    demo_visitor.submit(demo_visitor.page.all("form", action="/shop/session")[0], name=" 小明 ")
    assert "小明" in demo_visitor.follow().text


def test_elsewhere_a_name_does_not_sign_in(app: Flask) -> None:
    # On SQLite too, where the file is one that somebody chose.
    browser = Browser(app)
    assert browser.post("/shop/session", {"name": "alice"}).status_code == 401
    assert "Set-Cookie" not in browser.answer.headers
    shown = Browser(app).get("/shop/orders")
    assert not shown.all("input", name="name")
    assert "The site that you came from signs you in" in shown.text


@pytest.mark.parametrize(
    "name", ["", "  ", "x" * 65, "a\x07", "\u202eadmin", "\u200b\u200b", "\u3164", "a\u200bb", "\u2800"]
)
def test_a_name_that_no_user_can_have_signs_nobody_in(demo_visitor: Browser, name: str) -> None:
    assert demo_visitor.post("/shop/session", {"name": name}).status_code == 401
    assert "Set-Cookie" not in demo_visitor.answer.headers
    assert demo_visitor.page.one(role="alert").text == "Please sign in first."


@pytest.mark.parametrize("way", ["form", "json", "header"])
def test_a_token_is_exchanged_for_a_session(visitor: Browser, way: str) -> None:
    given = {
        "form": {"data": {"token": token()}},
        "json": {"json": {"token": token()}},
        "header": {"headers": authorization("alice")},
    }[way]
    answer = visitor.client.post("/shop/session", **given)
    assert answer.status_code == (303 if way == "form" else 201)
    assert token() not in str(answer.headers)
    assert visitor.get("/").one(class_="muted small visitor-name").text == "Signed in as alice"


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(visitor: Browser) -> None:
    visitor.sign_in()
    flags = cookie_header(visitor)
    assert flags.startswith(f"{COOKIE}=")
    assert "HttpOnly" in flags
    assert "SameSite=Lax" in flags
    assert "Path=/" in flags
    assert "Secure" not in flags  # it came over plain HTTP
    over_tls = visitor.client.post("/shop/session", data={"token": token()}, base_url="https://localhost")
    assert "Secure" in over_tls.headers["Set-Cookie"]


def test_a_session_ends_with_its_token(visitor: Browser) -> None:
    visitor.post("/shop/session", {"token": token(hours=0.5)})
    seconds = int(cookie_header(visitor).partition("Max-Age=")[2].partition(";")[0])
    assert HOUR / 2 - 60 < seconds <= HOUR / 2


@pytest.mark.parametrize("bad", ["", "rubbish", Tokens("another-key-" * 4).issue("alice"), token(hours=-1)])
def test_a_token_that_proves_nothing_signs_nobody_in(visitor: Browser, bad: str) -> None:
    assert visitor.post("/shop/session", {"token": bad}).status_code == 401
    assert "Set-Cookie" not in visitor.answer.headers
    problem(visitor.client.post("/shop/session", json={"token": bad}, headers=JSON), 401, "unauthenticated")


def test_an_administrator_s_token_makes_a_buyer_s_session(visitor: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    sqlite_call.bought(item["id"], "bob")
    visitor.post("/shop/session", {"token": token(OPERATOR, is_admin=True)})
    assert not visitor.get("/shop/orders").all(data_order_no=None)
    answer = request_token(visitor).json
    assert sqlite_call.get("/webhooks", headers={"Authorization": f"Bearer {answer['token']}"}).status_code == 403


def request_token(browser: Browser, form_token: str | None = None, **headers: str) -> object:
    form_token = form_token or browser.get("/").one("body")["data-form-token"]
    own = {"X-Form-Token": form_token, "Sec-Fetch-Site": "same-origin", **JSON}
    return browser.client.post("/shop/session/token", headers={**own, **headers})


def test_scripts_of_our_pages_are_told_a_token_that_ends_soon(alice: Browser, sqlite_call: Calls) -> None:
    answer = request_token(alice)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    claims = jwt.decode(answer.json["token"], SECRET, algorithms=["HS256"])
    assert claims["sub"] == "alice"
    assert claims["exp"] <= time.time() + 15 * 60
    assert sqlite_call.get("/orders", headers={"Authorization": f"Bearer {answer.json['token']}"}).status_code == 200


def test_nobody_else_is_told_a_token(alice: Browser, visitor: Browser, sqlite_app: Flask) -> None:
    problem(request_token(Browser(sqlite_app), "x" * 56), 401, "unauthenticated")
    problem(request_token(alice, "x" * 56), 403, "forbidden")
    problem(request_token(alice, **{"Sec-Fetch-Site": "cross-site"}), 403, "forbidden")
    other = Browser(sqlite_app)
    other.sign_in("mallory")
    theirs = other.get("/").one("body")["data-form-token"]
    problem(request_token(alice, theirs), 403, "forbidden")


def test_another_site_signs_nobody_in(visitor: Browser) -> None:
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "", "Origin": "https://evil.example"}):
        headers.setdefault("Origin", "https://evil.example")
        assert visitor.post("/shop/session", {"token": token("mallory")}, **headers).status_code == 403
        assert "Set-Cookie" not in visitor.answer.headers


def test_the_host_s_own_site_may_sign_visitors_in(make_app: Callable[..., Flask], sqlite_uri: str) -> None:
    browser = Browser(make_app(sqlite_uri, CORS_ORIGINS=("https://shop.example",)))
    there = {"Sec_Fetch_Site": "cross-site"}
    sent = browser.post(
        "/shop/session", {"token": token(), "next": "/shop/orders"}, Origin="https://shop.example", **there
    )
    assert (sent.status_code, sent.headers["Location"]) == (303, "/shop/orders")
    refused = browser.post("/shop/session", {"token": token()}, Origin="https://other.example", **there)
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/shop/7", "/shop/7"),
        ("/shop/orders", "/shop/orders"),
        ("/", "/"),
        ("", "/"),
        ("//evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/shop/7\r\nX: y", "/"),
        ("/shop/orders?x", "/"),
    ],
)
def test_signing_in_leads_to_pages_of_ours_alone(visitor: Browser, wanted: str, leads_to: str) -> None:
    visitor.post("/shop/session", {"token": token(), "next": wanted})
    assert visitor.answer.headers["Location"] == leads_to


def test_signing_out_ends_the_session(alice: Browser) -> None:
    alice.submit(alice.get("/").one("form", action="/shop/session/end"))
    assert alice.answer.status_code == 303
    assert not alice.follow().all("form", action="/shop/session/end")


FORMS = [
    "/shop/session/end",
    "/shop/{goods}/buy",
    "/shop/{goods}/quote",
    "/shop/orders/{order}/pay",
    "/shop/orders/{order}/cancel",
]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("how", ["no token", "another's token", "from another site", "from a site of the same domain"])
def test_a_form_that_did_not_come_with_a_page_does_nothing(
    make_app: Callable[..., Flask], sqlite_uri: str, path: str, how: str
) -> None:
    app = make_app(sqlite_uri, PAYMENT_PROVIDER="test")
    call, alice, mallory = Calls(app), Browser(app), Browser(app)
    item = call.create()
    order = call.bought(item["id"])
    before = call.row_counts()
    alice.sign_in()
    mallory.sign_in("mallory")
    own, theirs = (browser.get("/").one("body")["data-form-token"] for browser in (alice, mallory))
    data = {"form_token": {"no token": "", "another's token": theirs}.get(how, own), "key": "k", "quantity": "1"}
    site = {"from another site": "cross-site", "from a site of the same domain": "same-site"}.get(how, "same-origin")
    sent = alice.post(path.format(goods=item["id"], order=order["order_no"]), data, Sec_Fetch_Site=site)
    assert sent.status_code == 403
    assert alice.outcome_code() == "forbidden"
    assert call.row_counts() == before
    assert call.get(f"/orders/{order['order_no']}", "alice").json["status"] == "pending"
    assert alice.get("/").all("form", action="/shop/session/end")


def test_with_its_token_the_same_form_is_taken(alice: Browser, sqlite_call: Calls) -> None:
    # The twin of the test above: what it refuses is refused for nothing else.
    item = sqlite_call.create()
    form_token = alice.get("/").one("body")["data-form-token"]
    sent = alice.post(f"/shop/{item['id']}/buy", {"form_token": form_token, "key": "k", "quantity": "1"})
    assert sent.status_code == 303


def test_no_token_is_in_an_address_or_a_log(visitor: Browser, caplog: pytest.LogCaptureFixture) -> None:
    secret = token()
    visitor.post("/shop/session", {"token": secret})
    page = visitor.follow()
    assert secret not in caplog.text
    assert not [link for link in page.walk() if secret in link.attributes.get("href", "")]
    assert secret not in visitor.answer.text
