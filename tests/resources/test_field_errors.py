"""An entry of `errors[]` says what would be right, as far as the API knows it, and never what was sent."""

from typing import Any

import pytest

from resources.http.problems import FIELD_PROBLEMS
from tests.resources.calls import OPERATOR, Calls, problem

MARKER = "marker-of-the-test"
NEEDED = {"name": "x", "currency": "CNY", "price": 1, "stock": 1}
ADDRESS = {"name": "a", "phone": "123", "region": "CN-31", "line1": "x", "postcode": "200000"}
COUPON = {"code": "TEN", "kind": "percent", "percent": 10}


def only_error(answer: Any) -> dict[str, Any]:
    """What is said of the one field that is wrong, beside its common texts."""
    (error,) = problem(answer, 422, "validation_failed")["errors"]
    assert error.pop("detail")
    assert MARKER not in answer.text
    return error


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/goods", {**NEEDED, "price": -1}, {"code": "out_of_range", "minimum": 0, "maximum": 10**12}),
        ("/goods", {**NEEDED, "name": ""}, {"code": "too_short", "min_length": 1, "max_length": 200}),
        ("/goods", {**NEEDED, "name": MARKER * 20}, {"code": "too_long", "min_length": 1, "max_length": 200}),
        ("/goods", {**NEEDED, "price": MARKER}, {"code": "wrong_type", "expected": "integer"}),
        ("/goods", {**NEEDED, "currency": MARKER}, {"code": "unknown_currency", "example": "CNY"}),
        ("/goods", {**NEEDED, "starts_at": MARKER}, {"code": "invalid_time", "example": "2026-11-23T12:00:00.000Z"}),
        ("/goods", {**NEEDED, "image_url": MARKER}, {"example": "https://shop.example/keyboard.png"}),
        ("/coupons", {**COUPON, "kind": MARKER}, {"allowed": ["percent", "amount", "free_shipping"]}),
        ("/coupons", {**COUPON, "code": "a b"}, {"pattern": "^[A-Za-z0-9_-]{1,64}$", "example": "TENOFF"}),
        ("/coupons", {**COUPON, "goods_ids": [1, 0]}, {"field": "goods_ids.1", "minimum": 1, "maximum": 2**63 - 1}),
        ("/coupons", {**COUPON, "goods_ids": []}, {"min_length": 1, "max_length": 1000}),
        ("/webhooks", {"url": "https://x.example", "types": [MARKER]}, {"field": "types.0", "code": "invalid_value"}),
    ],
)
def test_an_error_says_what_would_be_right(sqlite_call: Calls, path: str, body: Any, expected: dict[str, Any]) -> None:
    assert only_error(sqlite_call.post(path, OPERATOR, json=body)).items() >= expected.items()


def test_an_error_within_an_address_says_what_would_be_right(sqlite_call: Calls) -> None:
    item = sqlite_call.create(shippable=True)

    def error(**wrong: Any) -> dict[str, Any]:
        body = {"shipping_method": "post", "address": {**ADDRESS, **wrong}}
        return only_error(sqlite_call.post(f"/seckill/{item['id']}", "alice", json=body))

    assert error(phone="???") == {
        "field": "address.phone",
        "code": "invalid_format",
        "pattern": "^[+(). -]*[0-9][0-9+(). -]*$",
        "example": "+86 138 0000 0000",
    }
    assert error(region="XX") == {"field": "address.region", "code": "unknown_region", "example": "CN-31"}
    assert error(street="x") == {"field": "address.street", "code": "unknown_field"}


def test_a_query_is_told_what_is_allowed(sqlite_call: Calls) -> None:
    assert only_error(sqlite_call.get("/goods?limit=101"))["maximum"] == 100
    assert only_error(sqlite_call.get("/goods?limit=many"))["expected"] == "integer"
    assert "-created_at" in only_error(sqlite_call.get("/goods?sort=colour"))["allowed"]
    assert only_error(sqlite_call.get("/coupons?active=maybe", OPERATOR))["allowed"] == ["true", "false"]
    assert only_error(sqlite_call.get("/goods?state=x"))["hint"] == "Did you mean `status`?"


def test_a_key_is_told_its_form(sqlite_call: Calls) -> None:
    answer = sqlite_call.post("/seckill/1", "alice", json={}, headers={"Idempotency-Key": "a b"})
    assert only_error(answer)["pattern"] == "^[!-~]{1,255}$"


@pytest.mark.parametrize(
    ("path", "body", "hint"),
    [
        ("/seckill/1", {"quantty": 1}, "Did you mean `quantity`?"),
        ("/seckill/1", {"couponCode": "x"}, "Did you mean `coupon_code`?"),
        ("/seckill/1", {"coupon": "x"}, "Did you mean `coupon_code`?"),
        ("/seckill/1", {"price": 1}, "The item has the price; `expected_total` guards it."),
        ("/goods", {**NEEDED, "startsAt": None}, "Did you mean `starts_at`?"),
    ],
)
def test_an_unknown_field_is_told_the_one_that_was_meant(
    sqlite_call: Calls, path: str, body: dict[str, Any], hint: str
) -> None:
    sqlite_call.create()
    assert only_error(sqlite_call.post(path, OPERATOR, json=body))["hint"] == hint


def test_a_field_that_resembles_none_gets_no_hint(sqlite_call: Calls) -> None:
    for name in ("colour", "x" * 10_000, "", "\N{CJK UNIFIED IDEOGRAPH-952E}"):
        assert set(only_error(sqlite_call.post("/goods", OPERATOR, json={**NEEDED, name: MARKER}))) == {"field", "code"}


@pytest.mark.parametrize(
    ("field", "named"), [("stock", "stock_delta"), ("sold", "stock_delta"), ("status", "pause"), ("currency", "create")]
)
def test_what_a_change_of_an_item_does_not_take_names_what_does_it(sqlite_call: Calls, field: str, named: str) -> None:
    item = sqlite_call.create()
    answer = sqlite_call.patch(f"/goods/{item['id']}", json={field: 5})
    assert named in only_error(answer)["hint"]


def test_a_forbidden_target_names_its_setting(sqlite_call: Calls) -> None:
    answer = sqlite_call.post("/webhooks", OPERATOR, json={"url": "https://127.0.0.1/hook"})
    error = only_error(answer)
    assert error["code"] == "forbidden_target"
    assert "WEBHOOKS_TO_PRIVATE" in error["hint"]


def test_hints_follow_the_language_of_the_caller(sqlite_call: Calls) -> None:
    headers = {"Accept-Language": "zh"}
    answer = sqlite_call.post("/seckill/1", "alice", json={"quantty": 0}, headers=headers)
    (error,) = answer.json["errors"]
    assert (error["hint"], error["detail"]) == ("是否指 `quantity`？", FIELD_PROBLEMS["unknown_field"].zh)


def test_only_the_first_few_unknown_fields_are_compared_with_the_known_ones(sqlite_call: Calls) -> None:
    body = NEEDED | {f"prices{number}": 1 for number in range(200)}
    errors = problem(sqlite_call.post("/goods", OPERATOR, json=body), 422, "validation_failed")["errors"]
    assert len(errors) == 100
    assert sum("hint" in error for error in errors) == 5


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2026-11-26T10:00Z", "2026-11-26T10:00:00.000Z"),
        ("2026-11-26T10:00+08:00", "2026-11-26T02:00:00.000Z"),
        ("2026-11-26t23:59z", "2026-11-26T23:59:00.000Z"),
    ],
)
def test_a_time_may_be_given_without_seconds(sqlite_call: Calls, given: str, shown: str) -> None:
    assert sqlite_call.create(starts_at=given)["starts_at"] == shown


@pytest.mark.parametrize("given", ["2026-11-26T10Z", "2026-11-26T10:00.5Z", "2026-11-26T10:00", "2026-11-26T10:60Z"])
def test_no_more_of_a_time_may_be_left_out(sqlite_call: Calls, given: str) -> None:
    assert only_error(sqlite_call.post("/goods", OPERATOR, json={**NEEDED, "starts_at": given}))["field"] == "starts_at"
