"""Coupons: made, read, listed and changed by administrators."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import update

from core.catalogue.coded_table import CodedTable
from models import Coupon
from tests.resources.calls import FAR_AHEAD, OPERATOR, Calls, problem, wrong_fields
from tests.resources.test_lists import walk

PAST = "2001-01-01T00:00:00.000Z"
NEEDED = {"code": "SAVE", "kind": "percent", "percent": 10}
OF_KIND: dict[str, dict[str, Any]] = {
    "percent": {"percent": 10},
    "amount": {"amount": 500, "currency": "CNY"},
    "free_shipping": {},
}


def create(call: Calls, **fields: Any) -> Any:
    return call.post("/coupons", OPERATOR, json={**NEEDED, **fields})


def test_a_coupon_has_exactly_the_contract_s_fields_and_defaults(call: Calls) -> None:
    answer = create(call)
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/coupons/SAVE"
    assert answer.json == {
        "code": "SAVE",
        "kind": "percent",
        "percent": 10,
        "max_discount": None,
        "amount": None,
        "currency": None,
        "min_spend": None,
        "goods_ids": None,
        "starts_at": None,
        "ends_at": None,
        "total_limit": None,
        "per_user_limit": None,
        "active": True,
        "used": 0,
        "version": 1,
    }
    assert call.get("/coupons/SAVE", OPERATOR).json == answer.json


def test_every_writable_field_is_stored_as_given(call: Calls) -> None:
    given = {
        "code": "_a-Z9" + "x" * 59,
        "kind": "percent",
        "percent": 100,
        "max_discount": 10**12,
        "currency": "KWD",
        "min_spend": 10**12,
        "goods_ids": [2**63 - 1, 1],
        "starts_at": "2026-11-23T12:00:00.123Z",
        "ends_at": FAR_AHEAD,
        "total_limit": 10**9,
        "per_user_limit": 1,
        "active": False,
    }
    made = call.create_coupon(**given)
    assert {name: made[name] for name in given} == given
    assert call.get(f"/coupons/{given['code']}", OPERATOR).json == made


@pytest.mark.parametrize("kind", OF_KIND)
def test_each_kind_needs_its_value_and_takes_no_other(call: Calls, kind: str) -> None:
    made = call.create_coupon("A", kind=kind, **OF_KIND[kind])
    shown = {name: made[name] for name in ("percent", "amount", "currency")}
    assert shown == {"percent": None, "amount": None, "currency": None} | OF_KIND[kind]
    for name in OF_KIND[kind]:
        others = {other: value for other, value in OF_KIND[kind].items() if other != name}
        for value in ({}, {name: None}):
            answer = call.post("/coupons", OPERATOR, json={"code": "B", "kind": kind, **others, **value})
            assert wrong_fields(answer) == {name: "missing"}
    for name in {"percent", "amount"} - set(OF_KIND[kind]):
        answer = call.post("/coupons", OPERATOR, json={"code": "B", "kind": kind, **OF_KIND[kind], name: 5})
        assert wrong_fields(answer) == {name: "not_of_this_kind"}
        assert wrong_fields(call.patch("/coupons/A", json={name: 5})) == {name: "not_of_this_kind"}
        assert call.patch("/coupons/A", json={name: None}).json["version"] == 1
    for name in OF_KIND[kind]:
        assert wrong_fields(call.patch("/coupons/A", json={name: None})) == {name: "missing"}
    answer = call.patch("/coupons/A", json={"max_discount": 5})
    assert answer.status_code == (200 if kind == "percent" else 422)
    answer = call.post("/coupons", OPERATOR, json={"code": "C", "kind": kind, **OF_KIND[kind], "max_discount": 5})
    assert answer.status_code == (201 if kind == "percent" else 422)


WRONG = [
    ("code", ["", "x" * 65, "a b", "é", "a/b", "a.b", "SA\nVE", 1, None, True]),
    ("kind", ["", "Percent", "bogus", 1, None]),
    ("percent", [0, 101, -1, 1.5, "10", True, 10**40]),
    ("max_discount", [0, -1, 10**12 + 1, 1.5, "1", True]),
    ("currency", ["", "cny", "ZZZ", "XAU", 156]),
    ("min_spend", [-1, 10**12 + 1, 1.5, "1", True]),
    ("goods_ids", [[], [0], [-1], [1.5], ["1"], [None], [True], [2**63], [1, 1], list(range(1, 1002)), 1, "1", {}]),
    ("starts_at", ["", "now", "2026-11-23", 1700000000, True]),
    ("ends_at", ["2026-11-23 12:00:00Z", []]),
    ("total_limit", [0, -1, 10**9 + 1, 1.5, "1", True]),
    ("per_user_limit", [0, -1, 10**9 + 1, 1.5, "1", True]),
    ("active", ["true", 1, 0, None]),
]


@pytest.mark.parametrize(("field", "values"), WRONG, ids=[field for field, _ in WRONG])
def test_a_value_out_of_bounds_is_a_422_that_names_the_field_and_changes_nothing(
    sqlite_call: Calls, field: str, values: list
) -> None:
    made = sqlite_call.create_coupon("OTHER")
    before = sqlite_call.row_counts()
    for value in values:
        wrong = wrong_fields(create(sqlite_call, **{field: value}))
        assert {name.partition(".")[0] for name in wrong} == {field}, value
        wrong = wrong_fields(sqlite_call.patch("/coupons/OTHER", json={field: value}))
        assert {name.partition(".")[0] for name in wrong} == {field}, value
    assert sqlite_call.row_counts() == before
    assert sqlite_call.get("/coupons/OTHER", OPERATOR).json == made


def test_the_value_of_an_amount_has_bounds_too(sqlite_call: Calls) -> None:
    for value in (0, -1, 10**12 + 1, 1.5, "1", True):
        answer = sqlite_call.post(
            "/coupons", OPERATOR, json={"code": "A", "kind": "amount", "currency": "CNY", "amount": value}
        )
        assert set(wrong_fields(answer)) == {"amount"}, value
    for value in (1, 10**12):
        assert sqlite_call.create_coupon(f"A{value}", kind="amount", amount=value)["amount"] == value


def test_an_amount_without_a_currency_is_never_so_much_of_any_currency(call: Calls) -> None:
    made = call.create_coupon("A", kind="amount", amount=5000)
    for change in ({"currency": None}, {"currency": None, "active": False}):
        assert wrong_fields(call.patch("/coupons/A", json=change)) == {"currency": "missing"}
    assert call.get("/coupons/A", OPERATOR).json == made
    # As earlier versions could leave it.
    with call.services.database.engine.begin() as connection:
        connection.execute(update(Coupon).values(currency=None))
    for currency in ("CNY", "JPY"):
        item = call.create(currency=currency, price=10_000)["id"]
        for answer in (call.quote(item, coupon_code="A"), call.buy(item, coupon_code="A")):
            assert problem(answer, 422, "coupon_not_applicable")["reason"] == "currency"
    assert wrong_fields(call.patch("/coupons/A", json={"total_limit": 5})) == {"currency": "missing"}
    assert call.patch("/coupons/A", json={"active": False}).json["active"] is False
    assert wrong_fields(call.patch("/coupons/A", json={"active": True})) == {"currency": "missing"}
    assert call.patch("/coupons/A", json={"active": True, "currency": "JPY"}).status_code == 200
    assert call.bought(item, coupon_code="A")["total"] == 5000


TYPED = [" SAVE5", "SAVE5\n", "\tSAVE5 ", "\u3000ＳＡＶＥ５\u3000", "Ｓ\uff21VE5", "\u00a0SAVE５"]


@pytest.mark.parametrize("typed", TYPED)
def test_a_code_is_taken_as_people_type_it(call: Calls, typed: str) -> None:
    call.create_coupon("SAVE5", kind="amount", amount=5)
    item = call.create(price=100)["id"]
    assert call.quote(item, coupon_code=typed).json["coupon"] == {"code": "SAVE5", "kind": "amount", "discount": 5}
    order = call.bought(item, key="k", coupon_code=typed)
    assert (order["coupon_code"], order["total"]) == ("SAVE5", 95)
    # However it is typed, it is the same request.
    again = call.buy(item, key="k", coupon_code="SAVE5")
    assert (again.status_code, again.json["order_no"]) == (201, order["order_no"])
    assert again.headers["Idempotent-Replayed"] == "true"
    assert call.get("/coupons/SAVE5", OPERATOR).json["used"] == 1
    assert call.get(f"/coupons/{quote(typed)}", OPERATOR).json["code"] == "SAVE5"
    assert call.patch(f"/coupons/{quote(typed)}", json={"active": False}).json["code"] == "SAVE5"


@pytest.mark.parametrize("typed", TYPED)
def test_a_code_is_made_as_people_type_it(call: Calls, typed: str) -> None:
    answer = create(call, code=typed)
    assert (answer.json["code"], answer.headers["Location"]) == ("SAVE5", "/coupons/SAVE5")
    assert wrong_fields(create(call, code="SAVE5")) == {"code": "taken"}


@pytest.mark.parametrize(
    "typed", ["", " ", "\u3000", "SAVE 5", "ＳＡＶＥ ５", "save5", "S\u200bAVE5", "x" * 65, "é", 5, True, []]
)
def test_what_is_no_code_however_it_is_read_is_refused(sqlite_call: Calls, typed: Any) -> None:
    sqlite_call.create_coupon("SAVE5")
    item = sqlite_call.create()["id"]
    before = sqlite_call.row_counts()
    for answer in (sqlite_call.quote(item, coupon_code=typed), sqlite_call.buy(item, coupon_code=typed)):
        if typed == "save5":
            problem(answer, 422, "coupon_invalid")
        else:
            assert set(wrong_fields(answer)) == {"coupon_code"}
    assert sqlite_call.row_counts() == before


def test_a_thousand_items_are_the_most(sqlite_call: Calls) -> None:
    many = list(range(2**62, 2**62 + 1000))
    assert sqlite_call.create_coupon(goods_ids=many)["goods_ids"] == many


def test_what_is_missing_is_named(sqlite_call: Calls) -> None:
    assert wrong_fields(sqlite_call.post("/coupons", OPERATOR, json={})) == {"code": "missing", "kind": "missing"}


@pytest.mark.parametrize("field", ["used", "version", "created_at", "id", "colour"])
def test_read_only_and_unknown_fields_are_a_422(sqlite_call: Calls, field: str) -> None:
    assert wrong_fields(create(sqlite_call, **{field: 0})) == {field: "unknown_field"}
    sqlite_call.create_coupon()
    assert wrong_fields(sqlite_call.patch("/coupons/SAVE", json={field: 0})) == {field: "unknown_field"}


def test_code_and_kind_stay_for_good(sqlite_call: Calls) -> None:
    sqlite_call.create_coupon()
    for change in ({"code": "OTHER"}, {"kind": "amount"}):
        assert wrong_fields(sqlite_call.patch("/coupons/SAVE", json=change)) == dict.fromkeys(change, "unknown_field")


def test_a_code_that_is_taken_is_a_422_and_its_letters_case_counts(call: Calls) -> None:
    first = call.create_coupon("SAVE")
    assert wrong_fields(create(call, percent=50)) == {"code": "taken"}
    assert call.get("/coupons/SAVE", OPERATOR).json == first
    call.create_coupon("save", percent=50)
    problem(call.get("/coupons/Save", OPERATOR), 404, "coupon_not_found")


def test_of_many_who_make_the_same_code_at_once_one_does(call: Calls) -> None:
    together = threading.Barrier(4)

    def one(percent: int) -> Any:
        together.wait()
        return create(Calls(call.app), percent=percent)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(one, range(1, 5)))
    (made,) = (answer.json for answer in answers if answer.status_code == 201)
    assert [wrong_fields(answer) for answer in answers if answer.status_code != 201] == [{"code": "taken"}] * 3
    assert call.get("/coupons/SAVE", OPERATOR).json == made


def test_a_window_may_be_empty_but_not_reversed_by_a_change_of_one_side_either(call: Calls) -> None:
    assert set(wrong_fields(create(call, starts_at=FAR_AHEAD, ends_at=PAST))) == {"ends_at"}
    made = call.create_coupon(starts_at=PAST, ends_at=PAST)
    assert wrong_fields(call.patch("/coupons/SAVE", json={"starts_at": FAR_AHEAD})) == {"ends_at": "window_reversed"}
    assert call.get("/coupons/SAVE", OPERATOR).json == made
    assert call.patch("/coupons/SAVE", json={"starts_at": FAR_AHEAD, "ends_at": None}).status_code == 200


@pytest.mark.parametrize("code", ["NONE", "a b", "é", "x" * 65, "%00"])
def test_a_code_that_is_not_there_or_cannot_be_is_a_404(call: Calls, code: str) -> None:
    problem(call.get(f"/coupons/{code}", OPERATOR), 404, "coupon_not_found")
    problem(call.patch(f"/coupons/{code}", json={"active": False}), 404, "coupon_not_found")


def test_every_writable_field_can_be_changed_and_given_back(call: Calls) -> None:
    made = call.create_coupon()
    news = {
        "percent": 20,
        "max_discount": 5,
        "currency": "JPY",
        "min_spend": 7,
        "goods_ids": [3, 1],
        "starts_at": PAST,
        "ends_at": FAR_AHEAD,
        "total_limit": 3,
        "per_user_limit": 4,
        "active": False,
    }
    for number, (name, value) in enumerate(news.items(), 2):
        changed = call.patch("/coupons/SAVE", json={name: value})
        assert (changed.status_code, changed.json[name], changed.json["version"]) == (200, value, number)
    old = {name: made[name] for name in news}
    given_back = call.patch("/coupons/SAVE", json=old).json
    assert given_back == made | {"version": len(news) + 2}
    assert call.get("/coupons/SAVE", OPERATOR).json == given_back


def test_a_change_of_nothing_is_no_change(sqlite_call: Calls) -> None:
    made = sqlite_call.create_coupon(goods_ids=[1, 2])
    for body in ({}, {"percent": 10}, {"goods_ids": [1, 2], "active": True}):
        assert sqlite_call.patch("/coupons/SAVE", json=body).json == made


def test_if_match_lets_only_its_version_be_changed(call: Calls) -> None:
    made = call.create_coupon()
    for tag in ('"2"', '"0"', '"x"', '""'):
        answer = call.patch("/coupons/SAVE", json={"percent": 99}, headers={"If-Match": tag})
        problem(answer, 412, "version_mismatch")
    assert call.get("/coupons/SAVE", OPERATOR).json == made
    etag = call.get("/coupons/SAVE", OPERATOR).headers["ETag"]
    changed = call.patch("/coupons/SAVE", json={"percent": 99}, headers={"If-Match": etag})
    assert (changed.status_code, changed.json["version"]) == (200, 2)
    assert changed.headers["ETag"] != etag
    problem(call.patch("/coupons/SAVE", json={"percent": 98}, headers={"If-Match": etag}), 412, "version_mismatch")


def test_of_many_changes_of_one_version_one_is_made(call: Calls) -> None:
    call.create_coupon()
    together = threading.Barrier(4)

    def one(percent: int) -> int:
        caller = Calls(call.app)
        together.wait()
        answer = caller.patch("/coupons/SAVE", json={"percent": percent}, headers={"If-Match": '"1"'})
        return answer.status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(one, range(20, 24))) == [200, 412, 412, 412]
    assert call.get("/coupons/SAVE", OPERATOR).json["version"] == 2


def test_the_etag_covers_the_uses_and_a_use_is_no_version(call: Calls) -> None:
    call.create_coupon()
    path = "/coupons/SAVE"
    etag = call.get(path, OPERATOR).headers["ETag"]
    assert call.get(path, OPERATOR, headers={"If-None-Match": etag}).status_code == 304
    call.bought(call.create()["id"], coupon_code="SAVE")
    used = call.get(path, OPERATOR, headers={"If-None-Match": etag})
    assert (used.status_code, used.json["used"], used.json["version"]) == (200, 1, 1)
    assert call.patch(path, json={"percent": 1}, headers={"If-Match": etag}).json["used"] == 1


def test_a_change_counts_for_the_next_purchase_and_not_for_the_last(call: Calls) -> None:
    item = call.create(price=1000)
    call.create_coupon()
    before = call.bought(item["id"], coupon_code="SAVE")
    call.patch("/coupons/SAVE", json={"percent": 50})
    assert call.bought(item["id"], coupon_code="SAVE")["discount"] == 500
    assert call.get(f"/orders/{before['order_no']}", "alice").json == before
    call.patch("/coupons/SAVE", json={"active": False})
    assert problem(call.buy(item["id"], coupon_code="SAVE"), 422, "coupon_invalid")["reason"] == "inactive"
    call.patch("/coupons/SAVE", json={"active": True, "total_limit": 1})
    assert problem(call.buy(item["id"], coupon_code="SAVE"), 422, "coupon_exhausted")["reason"] == "total_limit"
    assert call.get("/coupons/SAVE", OPERATOR).json["used"] == 2


@pytest.fixture
def drawer(call: Calls) -> Calls:
    for number in (3, 1, 4, 0, 2):
        kind = list(OF_KIND)[number % 3]
        call.create_coupon(f"C{number}", kind=kind, active=number % 2 == 0, **OF_KIND[kind])
    return call


def test_the_list_is_walked_whole_in_every_order(drawer: Calls) -> None:
    def codes(query: str, limit: int = 2) -> str:
        return "".join(item["code"][1] for item in walk(drawer, f"/coupons{query}", limit, OPERATOR))

    for limit in (1, 2, 5):
        assert codes("", limit) == codes("?sort=code", limit) == "01234"
        assert codes("?sort=-code", limit) == "43210"
    # Those of one moment stand in the order of their codes.
    assert sorted(codes("?sort=created_at")) == list("01234")
    assert codes("?sort=created_at") == codes("?sort=-created_at")[::-1]
    assert codes("?active=true") == "024"
    assert codes("?active=false") == "13"
    assert codes("?kind=percent") == "03"
    assert codes("?kind=free_shipping&active=true&sort=-code") == "2"


def test_unknown_filters_values_and_foreign_cursors_are_a_422(drawer: Calls) -> None:
    for query, field in [
        ("code=C1", "code"),
        ("active=1", "active"),
        ("active=True", "active"),
        ("active=", "active"),
        ("kind=bogus", "kind"),
        ("sort=used", "sort"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
    ]:
        assert set(wrong_fields(drawer.get(f"/coupons?{query}", OPERATOR))) == {field}, query
    cursor = drawer.get("/coupons?limit=1", OPERATOR).json["next_cursor"]
    assert set(wrong_fields(drawer.get(f"/coupons?limit=1&active=true&cursor={cursor}", OPERATOR))) == {"cursor"}


def test_without_the_check_of_the_version_a_change_would_be_lost(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin of `of_many_changes_of_one_version_one_is_made`: what its guard is there for."""
    call.create_coupon()
    change = CodedTable.change
    monkeypatch.setattr(
        CodedTable,
        "change",
        lambda self, database, code, fields, versions: change(self, database, code, fields, None),
    )
    for percent in (20, 21):
        assert call.patch("/coupons/SAVE", json={"percent": percent}, headers={"If-Match": '"1"'}).status_code == 200
    assert call.get("/coupons/SAVE", OPERATOR).json["version"] == 3
