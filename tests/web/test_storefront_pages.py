"""The goods, an item and its form, as every visitor sees them."""

import gzip
import posixpath
import re
from collections.abc import Callable

import pytest
from flask import Flask

from tests.resources.calls import FAR_AHEAD, OPERATOR, Calls
from tests.web.browsing import Browser, keep_pages
from web.storefront import pictures

FARTHER_AHEAD = "2199-06-01T00:00:00.000Z"
GONE = "2001-01-01T00:00:00.000Z"
EVIL = "<script>alert(1)</script>\"'&{{7*7}}"


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_pages(monkeypatch, seconds=0)


def test_the_start_page_lists_the_goods(visitor: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create(name="键盘", price=19900, list_price=39900, stock=37)
    sqlite_call.create(name="Mug", stock=0)
    later = sqlite_call.create(name="Later", starts_at=FAR_AHEAD)
    page = visitor.get("/")
    article = page.one("article", data_goods_id=str(item["id"]))
    assert article.one("h3").one("a", href=f"/shop/{item['id']}").text == "键盘"
    assert "CN¥199.00" in article.text
    assert "CN¥399.00" in article.text
    assert article.one(data_left=None).text == "37 left"
    assert article.one(data_state=None).text == "On sale"
    assert not article.all(role="timer")
    assert page.one("article", data_goods_id=str(later["id"])).one("time", role="timer")["datetime"] == FAR_AHEAD
    assert [section.one("h2").text for section in page.all("section")] == [
        "On sale now",
        "Coming up",
        "Sold out or over",
    ]


def test_many_goods_are_on_several_pages(visitor: Browser, sqlite_call: Calls) -> None:
    ids = {str(sqlite_call.create(name=f"item {number}")["id"]) for number in range(61)}
    first = visitor.get("/")
    more = visitor.get(first.one("a", class_="button")["href"])
    shown = [article["data-goods-id"] for page in (first, more) for article in page.all("article")]
    assert len(shown) == 61
    assert set(shown) == ids


def test_an_item_s_page_has_what_it_takes_to_buy(visitor: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create(name="Tea", price=12800, currency="CNY", shippable=True, per_user_limit=2)
    sqlite_call.create_method("express", base_fee=2000)
    page = visitor.get(f"/shop/{item['id']}")
    assert page.one("h1").text == "Tea"
    assert page.one("input", id="quantity")["type"] == "number"
    assert page.one("label", for_="quantity").text == "Quantity"
    assert page.one("label", for_="coupon").text == "Coupon"
    assert page.one("form", id="shipping").one("h2").text == "Shipping"
    assert page.one(data_quote_total=None)["data-quote-total"] == "12800"
    assert page.one("button", id="buy-button").text == "Buy"
    assert "At most 2 per buyer" in page.text
    assert "CN¥20.00" in page.one("label", data_method="express").text
    regions = {option["value"] for option in page.one("select", name="region").all("option")}
    assert {"CN-31", "DE", "CN"} <= regions


def test_a_method_s_own_regions_can_be_chosen(visitor: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create(shippable=True)
    sqlite_call.create_method("coast", regions=["US-CA"])
    page = visitor.get(f"/shop/{item['id']}")
    assert "California" in page.one("option", value="US-CA").text


def test_what_is_not_shipped_asks_for_no_address(visitor: Browser, sqlite_call: Calls) -> None:
    assert not visitor.get(f"/shop/{sqlite_call.create()['id']}").all("form", id="shipping")


@pytest.mark.parametrize(
    ("fields", "state", "disabled"),
    [
        ({}, "On sale", False),
        ({"starts_at": FAR_AHEAD}, "Upcoming", True),
        ({"stock": 0}, "Sold out", False),
        ({"ends_at": GONE}, "Ended", False),
    ],
)
def test_the_button_is_disabled_before_the_start_alone(
    visitor: Browser, sqlite_call: Calls, fields: dict, state: str, disabled: bool
) -> None:
    page = visitor.get(f"/shop/{sqlite_call.create(**fields)['id']}")
    assert page.all(data_state=None)[0].text == state
    assert ("disabled" in page.one("button", id="buy-button").attributes) is disabled


@pytest.mark.parametrize(
    ("fields", "ahead"),
    [
        ({"starts_at": FAR_AHEAD}, True),
        ({"starts_at": FAR_AHEAD, "ends_at": FARTHER_AHEAD}, True),
        ({"starts_at": GONE, "ends_at": FAR_AHEAD}, False),
        ({"ends_at": FAR_AHEAD}, False),
    ],
)
def test_the_start_of_a_paused_sale_lies_ahead_as_well(
    visitor: Browser, sqlite_call: Calls, fields: dict, ahead: bool
) -> None:
    item = sqlite_call.create(**fields)["id"]
    sqlite_call.post(f"/goods/{item}/pause", OPERATOR)
    for page in (visitor.get(f"/shop/{item}"), visitor.get("/")):
        timer = page.one("time", role="timer")
        assert (timer["datetime"], timer["data-kind"]) == (FAR_AHEAD, "start" if ahead else "end")
    button = visitor.get(f"/shop/{item}").one("button", id="buy-button")
    assert ("disabled" in button.attributes) is ahead


def test_pages_are_in_the_language_that_the_browser_asks_for(sqlite_app: Flask, sqlite_call: Calls) -> None:
    item = sqlite_call.create(price=199900, list_price=0)
    chinese = Browser(sqlite_app, "zh-CN,zh;q=0.9,en;q=0.8")
    page = chinese.get(f"/shop/{item['id']}")
    assert page.one("html")["lang"] == "zh"
    assert page.one("button", id="buy-button").text == "抢购"
    assert "¥1,999.00" in page.text
    assert Browser(sqlite_app, "de").get("/").one("html")["lang"] == "en"


def test_a_visitor_can_choose_the_language(visitor: Browser) -> None:
    link = visitor.get("/shop/orders").one("a", hreflang="zh")
    visitor.get(f"/shop/orders{link['href']}")
    assert visitor.answer.headers["Location"] == "/shop/orders"
    assert visitor.follow().one("html")["lang"] == "zh"
    assert visitor.get("/").one("html")["lang"] == "zh"
    visitor.get("/?lang=xx")
    assert visitor.answer.status_code == 200


def test_all_that_people_typed_is_escaped(visitor: Browser, sqlite_call: Calls) -> None:
    item = sqlite_call.create(name=EVIL, description=EVIL, shippable=True)
    sqlite_call.create_method("m", name=EVIL)
    visitor.sign_in("<script>x")
    for path in ("/", f"/shop/{item['id']}"):
        page = visitor.get(path)
        assert [script["type"] for script in page.all("script")] == ["module", "application/json"]
        assert EVIL in page.text
        assert page.one(class_="muted small visitor-name")["title"] == "<script>x"
    visitor.buy(item["id"], coupon_code=EVIL, quantity=EVIL, name=EVIL, line1=EVIL, phone=EVIL, postcode=EVIL)
    assert visitor.page.one("input", name="line1")["value"] == EVIL
    assert len(visitor.page.all("script")) == 2


def test_the_texts_for_scripts_end_no_element(visitor: Browser) -> None:
    data = re.search(r'id="page-data">(.*?)</script>', visitor.client.get("/").text, re.DOTALL)
    assert data is not None
    assert not set("<>&") & set(data[1])


@pytest.mark.parametrize("path", ["/", "/shop/{id}", "/shop/orders", "/shop/999"])
def test_every_page_has_the_strict_headers_and_nothing_inline(visitor: Browser, sqlite_call: Calls, path: str) -> None:
    page = visitor.get(path.format(id=sqlite_call.create(name="x")["id"]))
    headers = visitor.answer.headers
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    for element in page.walk():
        assert element.tag != "style"
        assert not [name for name in element.attributes if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            assert not element.attributes.get(name, "").startswith(("http:", "https:", "//", "javascript:", "data:"))


def test_what_is_not_there_is_a_page_for_people_and_a_problem_for_programs(visitor: Browser) -> None:
    for path in ("/shop/999", "/shop/-1", "/shop/x", f"/shop/{10**40}"):
        visitor.get(path)
        assert (visitor.answer.status_code, visitor.outcome_code()) == (404, "goods_not_found")
        answer = visitor.client.get(path)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
        assert answer.json["code"] == "goods_not_found"


def test_visitors_without_a_session_get_the_same_bytes(sqlite_app: Flask, sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    for path in ("/", f"/shop/{item['id']}"):
        one, other = Browser(sqlite_app), Browser(sqlite_app)
        one.get(path)
        other.get(path)
        assert one.answer.data == other.answer.data
        assert one.answer.headers["Cache-Control"] == "public, max-age=1"
        assert {"Accept-Language", "Cookie"} <= {name.strip() for name in one.answer.headers["Vary"].split(",")}
        assert "Set-Cookie" not in one.answer.headers


def test_a_page_that_the_browser_has_is_not_sent_again(visitor: Browser, sqlite_call: Calls) -> None:
    path = f"/shop/{sqlite_call.create()['id']}"
    visitor.get(path)
    etag = visitor.answer.headers["ETag"]
    again = visitor.client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    assert "Content-Security-Policy" in again.headers
    sqlite_call.patch("/goods/1", json={"price": 1})
    assert visitor.client.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_a_page_is_sent_in_gzip_where_the_browser_takes_it(visitor: Browser) -> None:
    plain = visitor.client.get("/")
    packed = visitor.client.get("/", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["ETag"] != plain.headers["ETag"]


def test_the_page_of_a_visitor_is_kept_by_nobody(alice: Browser, sqlite_call: Calls) -> None:
    path = f"/shop/{sqlite_call.create()['id']}"
    alice.get(path)
    first = alice.page.one("input", name="key")["value"]
    assert alice.answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in alice.answer.headers
    assert alice.get(path).one("input", name="key")["value"] != first


def test_a_page_is_made_once_a_second_however_many_ask(
    make_app: Callable[..., Flask], sqlite_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_pages(monkeypatch, seconds=3600)
    app = make_app(sqlite_uri)
    call = Calls(app)
    item = call.create(name="before")
    path = f"/shop/{item['id']}"
    assert Browser(app).get(path).one("h1").text == "before"
    call.patch(f"/goods/{item['id']}", json={"name": "after"})
    signed_in = Browser(app)
    signed_in.sign_in()
    assert Browser(app).get(path).one("h1").text == "before"
    # Of those who are signed in there is one page too, filled in for each.
    assert signed_in.get(path).one("h1").text == "after"
    call.patch(f"/goods/{item['id']}", json={"name": "later"})
    other = Browser(app)
    other.sign_in("<bob>")
    assert other.get(path).one("h1").text == "after"
    assert other.page.one(class_="muted small visitor-name")["title"] == "<bob>"


def test_an_item_without_a_photograph_has_its_own_drawing(visitor: Browser, sqlite_call: Calls) -> None:
    one, other = sqlite_call.create(name="one"), sqlite_call.create(name="other")
    sources = [visitor.get(f"/shop/{item['id']}").one("img")["src"] for item in (one, other)]
    assert len(set(sources)) == 2
    drawings = [visitor.client.get(source) for source in sources]
    assert drawings[0].data != drawings[1].data
    assert drawings[0].data == visitor.client.get(sources[0]).data
    assert drawings[0].mimetype == "image/svg+xml"
    assert "immutable" in drawings[0].headers["Cache-Control"]
    for wrong in ("x", "0" * 9, "0000000g", "../etc"):
        assert visitor.client.get(f"/shop/pictures/{wrong}.svg").status_code == 404
    assert "script" not in pictures.draw("00000000")


@pytest.mark.parametrize(
    ("image_url", "shown"),
    [("https://img.example/a.png", True), ("/a.png", True), ("http://img.example/a.png", False)],
)
def test_a_photograph_is_shown_where_a_browser_may_load_it(
    visitor: Browser, sqlite_call: Calls, image_url: str, shown: bool
) -> None:
    picture = visitor.get(f"/shop/{sqlite_call.create(image_url=image_url)['id']}").one("img")
    assert (picture["src"] == image_url) is shown
    assert {"width", "height"} <= picture.attributes.keys()


def test_all_modules_of_a_page_are_named_ahead(visitor: Browser) -> None:
    named = {link["href"] for link in visitor.get("/").all("link", rel="modulepreload")}
    script = visitor.page.one("script", type="module")["src"]
    seen = {script}
    for address in (waiting := [script]):
        folder = address.rpartition("/")[0]
        for imported in re.findall(r' from "(\..*?)"', visitor.client.get(address).text):
            target = posixpath.normpath(f"{folder}/{imported}")
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    assert named == seen
    assert len(named) > 5
