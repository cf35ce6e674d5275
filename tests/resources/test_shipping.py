"""Shipping methods: for anyone to see, for administrators to make and change."""

from typing import Any

import pycountry
import pytest

from core.catalogue import shipping
from tests.resources.calls import OPERATOR, Calls, problem, wrong_fields
from tests.resources.test_lists import walk

NEEDED = {"code": "express", "name": "Express", "base_fee": 1200}


def create(call: Calls, **fields: Any) -> Any:
    return call.post("/shipping-methods", OPERATOR, json={**NEEDED, **fields})


def test_a_method_has_exactly_the_contract_s_fields_and_defaults(call: Calls) -> None:
    answer = create(call)
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/shipping-methods/express"
    assert answer.json == {
        "code": "express",
        "name": "Express",
        "currency": None,
        "base_fee": 1200,
        "additional_fee": 0,
        "free_from": None,
        "regions": None,
        "active": True,
        "version": 1,
    }
    assert call.get("/shipping-methods/express").json == answer.json


def test_every_writable_field_is_stored_as_given_and_can_be_changed_and_given_back(call: Calls) -> None:
    given = {
        "code": "a_B-9",
        "name": "顺丰速运",
        "currency": "KWD",
        "base_fee": 10**12,
        "additional_fee": 10**12,
        "free_from": 10**12,
        "regions": ["CN", "JP-13", "US-CA"],
        "active": False,
    }
    made = call.create_method(**given)
    assert {name: made[name] for name in given} == given
    news = {
        "name": "Slow",
        "currency": None,
        "base_fee": 0,
        "additional_fee": 0,
        "free_from": None,
        "regions": None,
        "active": True,
    }
    for number, (name, value) in enumerate(news.items(), 2):
        changed = call.patch("/shipping-methods/a_B-9", json={name: value})
        assert (changed.status_code, changed.json[name], changed.json["version"]) == (200, value, number)
    old = {name: made[name] for name in news}
    assert call.patch("/shipping-methods/a_B-9", json=old).json == made | {"version": len(news) + 2}


WRONG = [
    ("code", ["", "x" * 65, "a b", "é", "a/b", 1, None]),
    ("name", ["", "x" * 201, "a\nb", 1, None]),
    ("currency", ["", "cny", "ZZZ", 1]),
    ("base_fee", [-1, 10**12 + 1, 1.5, "1", True, None]),
    ("additional_fee", [-1, 10**12 + 1, 1.5, "1", True, None]),
    ("free_from", [-1, 10**12 + 1, 1.5, "1", True]),
    ("regions", [[], ["cn"], ["CHN"], ["CN-"], ["CN-ABCD"], [""], [1], [None], ["CN", "CN"], "CN", {}]),
    ("active", ["true", 1, None]),
]


@pytest.mark.parametrize(("field", "values"), WRONG, ids=[field for field, _ in WRONG])
def test_a_value_out_of_bounds_is_a_422_that_names_the_field_and_changes_nothing(
    sqlite_call: Calls, field: str, values: list
) -> None:
    made = sqlite_call.create_method("other")
    before = sqlite_call.row_counts()
    for value in values:
        answers = (
            create(sqlite_call, **{field: value}),
            sqlite_call.patch("/shipping-methods/other", json={field: value}),
        )
        for answer in answers:
            assert {name.partition(".")[0] for name in wrong_fields(answer)} == {field}, value
    assert sqlite_call.row_counts() == before
    assert sqlite_call.get("/shipping-methods/other").json == made


def test_what_is_missing_is_named_and_what_is_read_only_or_unknown_refused(sqlite_call: Calls) -> None:
    answer = sqlite_call.post("/shipping-methods", OPERATOR, json={"version": 1, "colour": 1})
    assert wrong_fields(answer) == {
        "code": "missing",
        "name": "missing",
        "base_fee": "missing",
        "version": "unknown_field",
        "colour": "unknown_field",
    }
    sqlite_call.create_method()
    for field in ("code", "version", "colour"):
        answer = sqlite_call.patch("/shipping-methods/express", json={field: 1})
        assert wrong_fields(answer) == {field: "unknown_field"}


def test_three_hundred_regions_are_the_most(sqlite_call: Calls) -> None:
    regions = sorted(subdivision.code for subdivision in pycountry.subdivisions)[:301]
    assert sqlite_call.create_method(regions=regions[:300])["regions"] == regions[:300]
    assert set(wrong_fields(create(sqlite_call, code="b", regions=regions))) == {"regions"}


def test_a_code_that_is_taken_is_a_422(call: Calls) -> None:
    made = call.create_method()
    assert wrong_fields(create(call, base_fee=1)) == {"code": "taken"}
    assert call.get("/shipping-methods/express").json == made


def test_one_method_too_many_is_a_422(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "MAX_METHODS", 2)
    for code in ("a", "b"):
        call.create_method(code, active=False)
    assert wrong_fields(create(call)) == {"code": "too_many"}
    # Whoever names one that is there is told so.
    assert wrong_fields(create(call, code="a")) == {"code": "taken"}


@pytest.mark.parametrize("code", ["none", "a b", "é", "x" * 65])
def test_a_code_that_is_not_there_or_cannot_be_is_a_404(call: Calls, code: str) -> None:
    problem(call.get(f"/shipping-methods/{code}"), 404, "shipping_method_not_found")
    answer = call.patch(f"/shipping-methods/{code}", json={"active": False})
    problem(answer, 404, "shipping_method_not_found")


def test_if_match_lets_only_its_version_be_changed(call: Calls) -> None:
    call.create_method()
    path = "/shipping-methods/express"
    etag = call.get(path).headers["ETag"]
    assert call.get(path, headers={"If-None-Match": etag}).status_code == 304
    problem(call.patch(path, json={"base_fee": 1}, headers={"If-Match": '"2"'}), 412, "version_mismatch")
    assert call.patch(path, json={"base_fee": 1}, headers={"If-Match": etag}).json["version"] == 2
    problem(call.patch(path, json={"base_fee": 2}, headers={"If-Match": etag}), 412, "version_mismatch")
    assert call.get(path, headers={"If-None-Match": etag}).json["base_fee"] == 1


def test_the_list_is_for_anyone_and_walked_whole_in_every_order(call: Calls) -> None:
    for number in (3, 1, 4, 0, 2):
        call.create_method(f"m{number}", active=number % 2 == 0)

    def codes(query: str, limit: int = 2) -> str:
        return "".join(item["code"][1] for item in walk(call, f"/shipping-methods{query}", limit))

    assert codes("") == codes("", 5) == "01234"
    assert codes("?sort=-code") == "43210"
    assert codes("?sort=created_at") == codes("?sort=-created_at")[::-1]
    assert codes("?active=true") == "024"
    assert codes("?active=false&sort=-code") == "31"
    for query in ("kind=x", "active=yes", "sort=name"):
        assert wrong_fields(call.get(f"/shipping-methods?{query}"))
