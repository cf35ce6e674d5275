"""Bad input: each a documented refusal with its code, and nothing changed."""

import json

import pytest

from tests.resources.calls import OPERATOR, Calls, problem, wrong_fields

NESTED = 10_000
GOOD = {"name": "x", "currency": "CNY", "price": 1, "stock": 1}


def body_with(field: str, raw: str) -> str:
    """A body that is right but for the raw text of one value."""
    rest = {name: value for name, value in GOOD.items() if name != field}
    return f"{json.dumps(rest)[:-1]}, {json.dumps(field)}: {raw}}}"


MALFORMED = {
    "nothing": b"",
    "blank": b"  ",
    "half": b"{",
    "two": b"{} {}",
    "a list": b"[]",
    "a text": b'"{}"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "NaN": b'{"price": NaN}',
    "Infinity": b'{"price": Infinity}',
    "-Infinity": b'{"price": -Infinity}',
    "bare NaN": b"NaN",
    "a name twice": b'{"name": "a", "name": "b"}',
    "a name twice in depth": b'{"name": {"a": 1, "a": 1}}',
    "a name twice by escape": b'{"name": "a", "n\\u0061me": "b"}',
    "nested lists": b"[" * NESTED,
    "closed nested lists": b"[" * NESTED + b"]" * NESTED,
    "nested objects": b'{"a":' * NESTED + b"1" + b"}" * NESTED,
    "a nested value": b'{"name": ' + b"[" * NESTED + b"]" * NESTED + b"}",
    "a number of 5,000 digits": b'{"price": ' + b"1" * 5000 + b"}",
    "a high surrogate": b'{"name": "\\ud800"}',
    "a low surrogate": b'{"name": "\\udc00 x"}',
    "a surrogate as a name": b'{"\\ud800": 1}',
    "surrogates the wrong way round": b'{"name": "\\udc00\\ud800"}',
    "a raw surrogate": b'{"name": "\xed\xa0\x80"}',
    "no UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"name": "x"}',
    "a raw NUL": b'{"name": "a\0b"}',
    "a raw line break": b'{"name": "a\nb"}',
    "a trailing comma": b'{"name": "x",}',
    "single quotes": b"{'name': 'x'}",
    "a comment": b'{"name": "x" /* SQL? */}',
    "a form": b"name=x&price=1",
    "hexadecimal": b'{"price": 0x10}',
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_json_object_is_malformed_and_changes_nothing(sqlite_call: Calls, data: bytes) -> None:
    item = sqlite_call.create()
    before = sqlite_call.row_counts()
    routes = [("POST", "/goods"), ("PATCH", f"/goods/{item['id']}")]
    routes += [("POST", "/coupons"), ("POST", "/shipping-methods"), ("PATCH", "/coupons/NONE")]
    if data:  # no body at all is a purchase of one unit
        routes += [("POST", f"/seckill/{item['id']}"), ("POST", f"/goods/{item['id']}/pause")]
        routes.append(("POST", f"/seckill/{item['id']}/quote"))
    for method, path in routes:
        answer = sqlite_call.send(method, path, OPERATOR, data=data, content_type="application/json")
        problem(answer, 400, "malformed_json")
    assert sqlite_call.row_counts() == before
    assert sqlite_call.goods(item["id"]) == item


NO_NUMBERS = [
    *("1e999", "-1e999", "1.9", "1.0", "1e2", "true", "false", '"1"', "-1", "9" * 40, str(2**63), str(-(2**63) - 1)),
    *("[]", "{}", "[1]", '"1; DROP TABLE goods"', '"\\u0000"'),
]


@pytest.mark.parametrize("field", ["price", "stock", "per_user_limit"])
@pytest.mark.parametrize(
    "raw",
    NO_NUMBERS,
)
def test_a_number_that_is_none_or_out_of_range_is_a_422(sqlite_call: Calls, field: str, raw: str) -> None:
    item = sqlite_call.create()
    before = sqlite_call.row_counts()
    for method, path, data in [
        ("POST", "/goods", body_with(field, raw)),
        ("POST", f"/seckill/{item['id']}", f'{{"quantity": {raw}}}'),
        ("PATCH", f"/goods/{item['id']}", f'{{"stock_delta": {raw}, "price": {raw}}}'),
    ]:
        if raw == "-1" and method == "PATCH":
            data = '{"price": -1}'
        answer = sqlite_call.send(method, path, OPERATOR, data=data, content_type="application/json")
        assert set(wrong_fields(answer)) <= {field, "quantity", "stock_delta", "price"}
    assert sqlite_call.row_counts() == before


@pytest.mark.parametrize("text", ["a\0b", "\0", "\x01", "a\x1b[31m", "\x7f", "\x85"])
def test_control_characters_are_a_422(sqlite_call: Calls, text: str) -> None:
    answer = sqlite_call.post("/goods", OPERATOR, json={**GOOD, "name": text, "description": text})
    assert wrong_fields(answer) == {"name": "control_character", "description": "control_character"}
    assert sqlite_call.row_counts()[0] == 0


SQL = [
    "' OR '1'='1",
    "'; DROP TABLE goods; --",
    '" OR ""="',
    "x' UNION SELECT 1,2,3 -- ",
    "/* */ -- #",
    "\\' OR 1=1 #",
    "%s %(x)s :name ? {0}",
    "' || (SELECT SLEEP(5)) || '",
]


@pytest.mark.parametrize("text", SQL)
def test_sql_in_a_text_is_a_text(call: Calls, text: str) -> None:
    item = call.create(name=text, description=text)
    assert call.goods(item["id"])["name"] == text
    assert call.get("/goods", query_string={"q": text}).json["items"] == [item]
    order = call.bought(item["id"], text)
    assert call.get("/orders", text).json["items"] == [order]
    assert call.get("/orders", OPERATOR, query_string={"user_id": text}).json["items"] == [order]
    assert call.get("/orders", "'").json["items"] == []
    assert call.row_counts()[0] == 1


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "text/json",
        "é",
        "application",
    ],
)
def test_a_body_of_another_type_is_not_taken(sqlite_call: Calls, content_type: str | None) -> None:
    item = sqlite_call.create()
    for method, path, data in [
        ("POST", "/goods", json.dumps(GOOD)),
        ("PATCH", f"/goods/{item['id']}", "{}"),
        ("POST", f"/seckill/{item['id']}", "{}"),
    ]:
        overrides = {} if content_type is None else {"CONTENT_TYPE": content_type}
        answer = sqlite_call.send(method, path, OPERATOR, data=data, environ_overrides=overrides)
        problem(answer, 415, "unsupported_media_type")
    assert sqlite_call.row_counts()[0] == 1
    assert sqlite_call.goods(item["id"])["sold"] == 0


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON", "application/json; charset=UTF-8", "application/json;"]
)
def test_json_in_utf_8_is_taken_however_it_is_spelt(sqlite_call: Calls, content_type: str) -> None:
    data = json.dumps({**GOOD, "name": "键盘"}, ensure_ascii=False).encode()
    answer = sqlite_call.post("/goods", OPERATOR, data=data, content_type=content_type)
    assert answer.status_code == 201
    assert answer.json["name"] == "键盘"


def test_a_compressed_body_is_not_taken(sqlite_call: Calls) -> None:
    headers = {"Content-Encoding": "gzip"}
    answer = sqlite_call.post("/goods", OPERATOR, data=b"\x1f\x8b", content_type="application/json", headers=headers)
    problem(answer, 415, "unsupported_media_type")


def padded(size: int) -> bytes:
    """A good body of that many bytes."""
    data = json.dumps(GOOD).encode()
    return data + b" " * (size - len(data))


def test_a_body_may_have_64_kib_and_not_a_byte_more(sqlite_call: Calls) -> None:
    kib_64 = 64 * 1024
    options = {"content_type": "application/json"}
    assert sqlite_call.post("/goods", OPERATOR, data=padded(kib_64), **options).status_code == 201
    problem(sqlite_call.post("/goods", OPERATOR, data=padded(kib_64 + 1), **options), 413, "body_too_large")
    problem(sqlite_call.post("/goods", OPERATOR, data=padded(10 * 2**20), **options), 413, "body_too_large")
    assert sqlite_call.row_counts()[0] == 1


def test_thousands_of_unknown_fields_are_answered_shortly(sqlite_call: Calls) -> None:
    body = {f"f{number}": 1 for number in range(5000)}
    answer = sqlite_call.post("/goods", OPERATOR, json=body)
    problem(answer, 422, "validation_failed")
    assert len(answer.data) < 64 * 1024


def test_the_value_of_a_wrong_field_is_never_repeated(sqlite_call: Calls) -> None:
    marker = "marker-of-the-test"
    for body in ({**GOOD, "price": marker}, {**GOOD, "currency": marker}, {**GOOD, "starts_at": marker}):
        answer = sqlite_call.post("/goods", OPERATOR, json=body)
        assert answer.status_code == 422
        assert marker not in answer.text
    for path in (f"/goods?limit={marker}", f"/goods?cursor={marker}", f"/goods/{marker}", f"/{marker}"):
        assert marker not in sqlite_call.get(path).text


@pytest.mark.parametrize(
    "path", ["/goods/%2e%2e/%2e%2e/etc/passwd", "/docs/../app.py", "/docs/%2e%2e/app.py", "/docs/..%2fapp.py"]
)
def test_no_file_is_served_from_elsewhere(sqlite_call: Calls, path: str) -> None:
    assert sqlite_call.get(path).status_code == 404


@pytest.mark.parametrize(("method", "path"), [("POST", "/seckill/1?quantity=5"), ("GET", "/goods/1?x=1")])
def test_a_parameter_in_the_address_is_refused_where_none_is_taken(sqlite_call: Calls, method: str, path: str) -> None:
    sqlite_call.create()
    (error,) = problem(sqlite_call.send(method, path, "alice"), 422, "validation_failed")["errors"]
    assert error["code"] == "unknown_field"
    assert sqlite_call.goods(1)["sold"] == 0


def test_a_reversed_window_is_listed_beside_the_other_faults(sqlite_call: Calls) -> None:
    body = {"price": -1, "starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}
    errors = problem(sqlite_call.post("/goods", "operator", json=body), 422, "validation_failed")["errors"]
    assert {(error["field"], error["code"]) for error in errors} >= {
        ("price", "out_of_range"),
        ("ends_at", "window_reversed"),
        ("name", "missing"),
    }
