"""Text that people see: taken where it can be seen as it stands, refused where something in it hides."""

from typing import Any

import pytest

from core.catalogue.addresses import needs_postcode
from resources.http.shown_text import hidden_character
from tests.resources.calls import ADDRESS, OPERATOR, Calls, wrong_fields

GOOD = {"name": "x", "currency": "CNY", "price": 1, "stock": 1}

TAKEN = {
    "Chinese": "机械键盘 87",
    "a letter with a combining accent": "Zoe\u0308",
    "Persian, with a non-joiner": "می\u200cخواهم",
    "Hindi, a joiner behind a virama": "क\u094d\u200dष",
    "Malayalam, a joiner at the end of a word": "ന\u0d4d\u200d",
    "Bengali, a joiner ahead of a virama": "\u09b0\u200d\u09cd\u09af\u09be\u09ae",
    "Kannada, a joiner ahead of a virama": "\u0cb0\u200d\u0ccd\u0c95",
    "Bengali, a joiner between a nukta and a virama": "\u09af\u09bc\u200d\u09cd\u09af",
    "Thai vowels": "ดี",
    "Hangul": "한글",
    "a family": "👨\u200d👩\u200d👧",
    "a tone of skin": "👩🏽\u200d⚕\ufe0f",
    "a flag of two emoji": "🏳\ufe0f\u200d🌈",
    "the flag of England": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "a keycap": "1\ufe0f⃣",
    "a variant of an ideograph": "葛\U000e0100",
    "Mongolian": "ᠮᠣᠩᠭᠣᠯ\u180b",
    "blanks around it": " a ",
}
HIDDEN = {
    "a zero-width space": "a\u200bb",
    "nothing but a zero-width space": "\u200b",
    "a byte order mark": "\ufeffa",
    "a word joiner": "a\u2060b",
    "a joiner between Latin letters": "a\u200db",
    "a non-joiner between Latin letters": "a\u200cb",
    "a joiner alone": "\u200d",
    "a joiner ahead of a virama of no letter": "\u200d\u09cd\u09af",
    "a joiner behind an emoji": "👨\u200d",
    "a right-to-left override": "\u202eabc",
    "an isolate": "\u2066abc",
    "a right-to-left mark": "\u200fabc",
    "an Arabic letter mark": "\u061cabc",
    "a Hangul filler": "\u3164",
    "Jamo fillers": "\u115f\u1160",
    "a half-width filler": "\uffa0",
    "a filler among letters": "a\u3164b",
    "a blank of Braille": "\u2800",
    "a soft hyphen": "a\u00adb",
    "a grapheme joiner": "a\u034fb",
    "a line separator": "a\u2028b",
    "a selector without an emoji": "a\ufe0f",
    "a tag without a flag": "a\U000e0041",
    "an inherent vowel of Khmer": "a\u17b4",
    "an annotation": "a\ufff9b",
    "no character": "a\ufdd0",
}
BLANK = {"spaces": "   ", "an ideographic space": "\u3000", "a no-break space": "\u00a0", "an accent alone": "\u0301"}
# Each place where text that people see comes in: what to send, and the field that has it.
PLACES: list[tuple[str, str, Any, str]] = [
    ("POST", "/goods", lambda text: {**GOOD, "name": text}, "name"),
    ("POST", "/goods", lambda text: {**GOOD, "description": text}, "description"),
    ("PATCH", "/goods/{item}", lambda text: {"name": text}, "name"),
    ("PATCH", "/goods/{item}", lambda text: {"description": text}, "description"),
    ("POST", "/orders/x/refund", lambda text: {"reference": text}, "reference"),
    ("POST", "/payments/1/resolve", lambda text: {"resolution": "accepted", "note": text}, "note"),
    ("PATCH", "/shipping-methods/M", lambda text: {"name": text}, "name"),
    ("POST", "/shipping-methods", lambda text: {"code": "M", "name": text, "base_fee": 1}, "name"),
    *(
        ("POST", path, lambda text, field=field: {"address": {**ADDRESS, field: text}}, f"address.{field}")
        for path in ("/seckill/{item}", "/seckill/{item}/quote")
        for field in ("name", "line1", "line2")
    ),
]


def send(call: Calls, place: tuple[str, str, Any, str], text: str) -> Any:
    method, path, body, _ = place
    item = call.create(shippable=True)["id"]
    return call.send(method, path.format(item=item), OPERATOR, json=body(text))


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN.keys())
def test_what_can_be_seen_is_taken_as_it_stands(sqlite_call: Calls, text: str) -> None:
    assert sqlite_call.create(name=text)["name"] == text


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN.keys())
def test_what_hides_is_refused(sqlite_call: Calls, text: str) -> None:
    answer = sqlite_call.post("/goods", OPERATOR, json={**GOOD, "name": text, "description": text})
    assert wrong_fields(answer) == {"name": "hidden_character", "description": "hidden_character"}


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN.keys())
def test_what_hides_is_refused_in_the_address_of_an_image(sqlite_call: Calls, text: str) -> None:
    item = sqlite_call.create()["id"]
    for url in (f"https://shop.example/{text}.png", f"/{text}"):
        answer = sqlite_call.post("/goods", OPERATOR, json={**GOOD, "image_url": url})
        assert wrong_fields(answer) == {"image_url": "hidden_character"}
        changed = sqlite_call.patch(f"/goods/{item}", json={"image_url": url})
        assert wrong_fields(changed) == {"image_url": "hidden_character"}


def test_the_address_of_an_image_may_have_letters_of_any_script(sqlite_call: Calls) -> None:
    for url in ("https://shop.example/机械键盘.png", "/می\u200cخواهم.png", ""):
        assert sqlite_call.create(image_url=url)["image_url"] == url


@pytest.mark.parametrize("text", BLANK.values(), ids=BLANK.keys())
def test_what_shows_nothing_is_refused(sqlite_call: Calls, text: str) -> None:
    answer = sqlite_call.post("/goods", OPERATOR, json={**GOOD, "name": text, "description": text})
    assert wrong_fields(answer) == {"name": "blank", "description": "blank"}


@pytest.mark.parametrize("place", PLACES, ids=[f"{method} {path} {field}" for method, path, _, field in PLACES])
@pytest.mark.parametrize(("text", "code"), [("a\u202eb", "hidden_character"), ("\u3000", "blank")])
def test_everywhere(sqlite_call: Calls, place: tuple[str, str, Any, str], text: str, code: str) -> None:
    assert wrong_fields(send(sqlite_call, place, text)) == {place[3]: code}


def test_lines_and_tabs_may_stand_in_a_description(sqlite_call: Calls) -> None:
    assert sqlite_call.create(description="a\r\n\tb")["description"] == "a\r\n\tb"


def test_a_long_text_of_joiners_is_judged_in_linear_time() -> None:
    # 10,000 characters, the most that a description has, of a kind that could make a pattern look back again.
    assert hidden_character("\u0300\u200c" * 5000)
    assert hidden_character("\U0001f3f4" + "\U000e0067" * 9999)


NONE = (None, "", "   ")


def test_an_address_without_a_postcode_is_taken_where_the_country_has_none(call: Calls) -> None:
    call.post("/shipping-methods", OPERATOR, json={"code": "standard", "name": "Standard", "base_fee": 0})
    item = call.create(shippable=True, stock=100)["id"]
    without = {name: value for name, value in ADDRESS.items() if name != "postcode"}
    for region in ("HK", "MO", "AE", "IE", "PA", "CN-HK", "CN-MO", "NL-CW", "NL-BQ1"):
        for address in ({**without, "region": region}, *({**without, "region": region, "postcode": p} for p in NONE)):
            answer = call.buy(item, shipping_method="standard", address=address)
            assert answer.status_code == 201, answer.text
            assert answer.json["address"]["postcode"] is None
    for region in ("CN", "CN-31", "CN-TW", "NL-NH", "US", "US-HI", "DE", "JP", "GB", "TW"):
        for address in ({**without, "region": region}, *({**without, "region": region, "postcode": p} for p in NONE)):
            answer = call.buy(item, shipping_method="standard", address=address)
            assert wrong_fields(answer) == {"address.postcode": "missing"}
    # A form that always sends one, and a wrong one.
    assert call.buy(item, shipping_method="standard", address={**ADDRESS, "region": "HK"}).status_code == 201
    answer = call.buy(item, shipping_method="standard", address={**without, "region": "HK", "postcode": "x" * 17})
    assert wrong_fields(answer) == {"address.postcode": "too_long"}


@pytest.mark.parametrize("path", ["/seckill/{item}", "/seckill/{item}/quote"])
def test_a_phone_number_and_a_postcode_are_more_than_blanks_and_hyphens(sqlite_call: Calls, path: str) -> None:
    item = sqlite_call.create(shippable=True)["id"]
    for wrong in ({"phone": "   "}, {"phone": "---"}, {"phone": "( ) . +"}, {"postcode": "---"}, {"postcode": " - "}):
        answer = sqlite_call.post(path.format(item=item), "alice", json={"address": ADDRESS | wrong})
        assert wrong_fields(answer) == {f"address.{field}": "invalid_format" for field in wrong}


def test_a_second_line_that_a_form_left_empty_is_none(sqlite_call: Calls) -> None:
    sqlite_call.post("/shipping-methods", OPERATOR, json={"code": "standard", "name": "Standard", "base_fee": 0})
    item = sqlite_call.create(shippable=True)["id"]
    bought = [
        sqlite_call.buy(item, key="k", shipping_method="standard", address={**ADDRESS, "line2": line}).json
        for line in ("", None)
    ]
    assert bought[0]["address"]["line2"] is None
    assert bought[0] == bought[1]
    for field in ("name", "phone", "region", "line1"):
        answer = sqlite_call.buy(item, shipping_method="standard", address={**ADDRESS, field: ""})
        assert set(wrong_fields(answer)) == {f"address.{field}"}


KNOWN = ("CN", "CN-31", "CN-SH", "CN-TW", "CN-91", "US-PR", "PR", "GB-ENG", "FR-75C", "IN-TG", "IN-TS", "HK-KLN", "XK")
UNKNOWN = ("XX", "ZZ", "AA", "EU", "UK", "AN", "CN-99", "CN-3", "US-XX", "DE-99", "XX-1")


@pytest.mark.parametrize("region", KNOWN)
def test_regions_of_iso_3166_are_taken(sqlite_call: Calls, region: str) -> None:
    assert sqlite_call.create_method(regions=[region])["regions"] == [region]
    assert sqlite_call.quote(sqlite_call.create()["id"], address={**ADDRESS, "region": region}).status_code == 200


@pytest.mark.parametrize("region", UNKNOWN)
def test_other_regions_are_refused(sqlite_call: Calls, region: str) -> None:
    item = sqlite_call.create(shippable=True)["id"]
    for answer in (
        sqlite_call.quote(item, address={**ADDRESS, "region": region}),
        sqlite_call.buy(item, address={**ADDRESS, "region": region}),
    ):
        assert wrong_fields(answer) == {"address.region": "unknown_region"}
    method = {"code": "a", "name": "a", "base_fee": 0, "regions": ["CN", region]}
    assert wrong_fields(sqlite_call.post("/shipping-methods", OPERATOR, json=method)) == {"regions.1": "unknown_region"}
    sqlite_call.create_method()
    changed = sqlite_call.patch("/shipping-methods/express", json={"regions": [region]})
    assert wrong_fields(changed) == {"regions.0": "unknown_region"}


@pytest.mark.parametrize(("region", "needed"), [("CN-91", False), ("CN-92", False), ("CN-71", True), ("XK", False)])
def test_earlier_codes_and_those_beside_the_standard_have_rules_too(region: str, needed: bool) -> None:
    assert needs_postcode(region) == needed
