"""What a purchase costs: asked for in a quote, paid with coupon and shipping, held to by `expected_total`."""

import itertools
from typing import Any

import pytest

from models import db
from resources.http.reasons import REASONS as TEXTS
from tests.resources.calls import ADDRESS, FAR_AHEAD, OPERATOR, Calls, problem, wrong_fields

PAST = "2001-01-01T00:00:00.000Z"


@pytest.fixture
def stall(call: Calls) -> Calls:
    """Item 1 ships and costs 19.99; methods `express` and `local`; the coupons TEN, FIVE and FREE."""
    call.create(price=1999, shippable=True, stock=100)
    call.create_method("express", base_fee=1200, additional_fee=300, free_from=10_000)
    call.create_method("local", base_fee=100, regions=["CN-31"], name="同城")
    call.create_coupon("TEN", kind="percent", percent=10, max_discount=500)
    call.create_coupon("FIVE", kind="amount", amount=500)
    call.create_coupon("FREE", kind="free_shipping")
    return call


def lines(body: dict[str, Any]) -> tuple[int, ...]:
    return tuple(body[name] for name in ("unit_price", "quantity", "subtotal", "discount", "shipping_fee", "total"))


def test_a_quote_has_exactly_the_contract_s_fields(stall: Calls) -> None:
    answer = stall.quote(1, quantity=2, coupon_code="TEN", shipping_method="express", address=ADDRESS)
    assert answer.status_code == 200
    assert answer.json == {
        "currency": "CNY",
        "unit_price": 1999,
        "quantity": 2,
        "subtotal": 3998,
        "discount": 400,
        "shipping_fee": 1500,
        "total": 5098,
        "coupon": {"code": "TEN", "kind": "percent", "discount": 400},
        "shipping_methods": [
            {"code": "express", "name": "express", "fee": 1500, "available": True, "reason": None},
            {"code": "local", "name": "同城", "fee": 100, "available": True, "reason": None},
        ],
    }


def test_a_quote_of_nothing_chosen_is_of_one_unit(stall: Calls) -> None:
    bare = stall.post("/seckill/1/quote", "alice")
    assert bare.status_code == 200
    assert lines(bare.json) == (1999, 1, 1999, 0, 0, 1999)
    assert bare.json["coupon"] is None
    assert [(method["code"], method["available"], method["reason"]) for method in bare.json["shipping_methods"]] == [
        ("express", True, None),
        ("local", False, "address_required"),
    ]
    assert bare.json == stall.quote(1).json


def test_a_quote_names_the_reason_of_each_method_that_cannot_serve(stall: Calls) -> None:
    stall.create_method("abroad", currency="JPY")
    stall.create_method("off", active=False)
    shown = stall.quote(1, address=ADDRESS | {"region": "CN-11"}).json["shipping_methods"]
    assert [(method["code"], method["fee"], method["reason"]) for method in shown] == [
        ("abroad", None, "currency"),
        ("express", 1200, None),
        ("local", None, "region"),
        ("off", None, "inactive"),
    ]


def test_a_quote_changes_and_reserves_nothing(stall: Calls) -> None:
    stall.patch("/coupons/TEN", json={"total_limit": 1})
    before = stall.row_counts()
    for _ in range(3):
        assert stall.quote(1, coupon_code="TEN").status_code == 200
    assert stall.row_counts() == before
    assert stall.get("/coupons/TEN", OPERATOR).json["used"] == 0


def test_a_quote_is_given_whatever_the_sale_and_its_stock_and_whatever_total_is_expected(call: Calls) -> None:
    for fields in ({"stock": 0}, {"ends_at": PAST}, {"starts_at": FAR_AHEAD}, {"per_user_limit": 1}):
        item = call.create(**fields)
        assert call.quote(item["id"], quantity=1000, expected_total=1).json["total"] == 100_000
    problem(call.quote(999), 404, "goods_not_found")
    problem(call.post("/seckill/0/quote", "alice"), 404, "goods_not_found")


@pytest.mark.parametrize(
    "body",
    [
        {"quantity": 0},
        {"quantity": 1001},
        {"coupon_code": ""},
        {"coupon_code": "a b"},
        {"coupon_code": 1},
        {"shipping_method": "é"},
        {"expected_total": -1},
        {"expected_total": 1.0},
        {"address": {}},
        {"address": "here"},
        {"address": ADDRESS | {"region": "cn"}},
        {"address": ADDRESS | {"phone": "call me"}},
        {"address": ADDRESS | {"name": "a\nb"}},
        {"address": ADDRESS | {"name": None}},
        {"address": ADDRESS | {"postcode": "1" * 17}},
        {"address": ADDRESS | {"user_id": "bob"}},
        {"unit_price": 1},
        {"discount": 1},
        {"total": 1},
        {"user_id": "bob"},
    ],
)
def test_quote_and_purchase_refuse_the_same_fields(sqlite_call: Calls, body: dict[str, Any]) -> None:
    item = sqlite_call.create(shippable=True)
    wrong = wrong_fields(sqlite_call.quote(item["id"], **body))
    assert {name.partition(".")[0] for name in wrong} == set(body)
    assert wrong_fields(sqlite_call.buy(item["id"], **body)) == wrong
    assert sqlite_call.goods(item["id"])["sold"] == 0


# What is chosen, and the lines that come of it for the item of `stall`.
CHOICES: list[tuple[dict[str, Any], tuple[int, ...]]] = [
    ({}, (1999, 1, 1999, 0, 1200, 3199)),
    ({"quantity": 3}, (1999, 3, 5997, 0, 1800, 7797)),
    ({"quantity": 6}, (1999, 6, 11_994, 0, 0, 11_994)),  # free from 100.00 on
    ({"coupon_code": "TEN"}, (1999, 1, 1999, 200, 1200, 2999)),  # 199.9
    ({"coupon_code": "TEN", "quantity": 5}, (1999, 5, 9995, 500, 2400, 11_895)),  # the most it gives
    ({"coupon_code": "FIVE"}, (1999, 1, 1999, 500, 1200, 2699)),
    ({"coupon_code": "FREE", "quantity": 2}, (1999, 2, 3998, 0, 0, 3998)),
    ({"shipping_method": "local"}, (1999, 1, 1999, 0, 100, 2099)),
]


@pytest.mark.parametrize(("body", "expected"), CHOICES)
def test_what_was_quoted_is_what_is_paid(stall: Calls, body: dict[str, Any], expected: tuple[int, ...]) -> None:
    chosen = {"shipping_method": "express", "address": ADDRESS, **body}
    quote = stall.quote(1, **chosen).json
    assert lines(quote) == expected
    order = stall.bought(1, expected_total=quote["total"], **chosen)
    assert lines(order) == expected
    assert order["coupon_code"] == body.get("coupon_code")
    assert order["shipping_method"] == chosen["shipping_method"]
    assert order["address"] == ADDRESS
    assert stall.get(f"/orders/{order['order_no']}", "alice").json == order
    if "coupon_code" in body:
        assert stall.get(f"/coupons/{body['coupon_code']}", OPERATOR).json["used"] == 1


@pytest.mark.parametrize(("currency", "price", "discount"), [("JPY", 5, 1), ("CNY", 1995, 200), ("KWD", 12_345, 1235)])
def test_minor_units_are_those_of_the_currency_and_halves_go_up(
    call: Calls, currency: str, price: int, discount: int
) -> None:
    item = call.create(currency=currency, price=price)
    call.create_coupon()
    order = call.bought(item["id"], coupon_code="SAVE")
    assert (order["currency"], order["discount"], order["total"]) == (currency, discount, price - discount)


def test_nothing_is_below_zero(call: Calls) -> None:
    item = call.create(price=100)
    call.create_coupon("A", kind="amount", amount=101)
    call.create_coupon("P", kind="percent", percent=100)
    for code in "AP":
        order = call.bought(item["id"], coupon_code=code, expected_total=0)
        assert (order["discount"], order["total"]) == (100, 0)


def test_another_total_than_expected_buys_nothing_and_tells_the_new_quote(stall: Calls) -> None:
    chosen = {"shipping_method": "express", "address": ADDRESS, "coupon_code": "TEN"}
    old = stall.quote(1, **chosen).json
    stall.patch("/goods/1", json={"price": 2999})
    for key in (None, "k"):
        refusal = problem(stall.buy(1, key=key, expected_total=old["total"], **chosen), 409, "price_changed")
        assert refusal["quote"] == stall.quote(1, **chosen).json
        assert lines(refusal["quote"]) == (2999, 1, 2999, 300, 1200, 3899)
    assert stall.goods(1)["sold"] == 0
    assert stall.get("/coupons/TEN", OPERATOR).json["used"] == 0
    # A refusal is not stored: the key is still free.
    assert stall.bought(1, key="k", expected_total=3899, **chosen)["total"] == 3899


def test_an_address_for_what_is_not_shipped_is_kept_nowhere(stall: Calls) -> None:
    download = stall.create(price=100)["id"]
    order = stall.bought(download, key="k", address=ADDRESS)
    assert order["address"] is None
    again = stall.buy(download, key="k", address=ADDRESS)
    assert (again.status_code, again.json["order_no"]) == (201, order["order_no"])
    assert stall.get(f"/orders/{order['order_no']}", "alice").json["address"] is None
    assert stall.quote(download, address=ADDRESS).status_code == 200
    with stall.services.database.reading() as connection:
        for table in db.metadata.sorted_tables:
            stored = "\n".join(str(tuple(row)) for row in connection.execute(table.select()))
            assert [name for name in ("name", "phone", "line1") if ADDRESS[name] in stored] == [], table.name
    shipped = stall.bought(1, shipping_method="express", address=ADDRESS)
    assert shipped["address"] == ADDRESS


def test_the_price_of_an_order_never_changes(stall: Calls) -> None:
    order = stall.bought(1, coupon_code="TEN", shipping_method="express", address=ADDRESS)
    stall.patch("/goods/1", json={"price": 1, "name": "other"})
    stall.patch("/coupons/TEN", json={"percent": 99, "active": False})
    stall.patch("/shipping-methods/express", json={"base_fee": 0, "active": False})
    assert stall.get(f"/orders/{order['order_no']}", "alice").json == order


REASONS: list[tuple[dict[str, Any], str, str, str]] = [
    # Changes of the coupon SAVE, what the purchase lacks or asks for, code, reason.
    ({"active": False}, "", "coupon_invalid", "inactive"),
    ({"starts_at": FAR_AHEAD}, "", "coupon_invalid", "not_started"),
    ({"ends_at": PAST}, "", "coupon_invalid", "ended"),
    ({"goods_ids": [999]}, "", "coupon_not_applicable", "goods"),
    ({"currency": "JPY"}, "", "coupon_not_applicable", "currency"),
    ({"min_spend": 101}, "", "coupon_not_applicable", "min_spend"),
    ({"total_limit": 1}, "bob", "coupon_exhausted", "total_limit"),
    ({"per_user_limit": 1}, "alice", "coupon_exhausted", "per_user_limit"),
]


@pytest.mark.parametrize(("changes", "used_by", "code", "reason"), REASONS, ids=[reason for *_, reason in REASONS])
def test_a_coupon_is_refused_with_its_reason_by_quote_and_purchase_alike(
    call: Calls, changes: dict[str, Any], used_by: str, code: str, reason: str
) -> None:
    item = call.create()
    call.create_coupon()
    if used_by:
        call.bought(item["id"], used_by, coupon_code="SAVE")
    call.patch("/coupons/SAVE", json=changes)
    sold = call.goods(item["id"])["sold"]
    for answer in (call.quote(item["id"], coupon_code="SAVE"), call.buy(item["id"], coupon_code="SAVE")):
        refusal = problem(answer, 422, code)
        assert (refusal["reason"], refusal["detail"]) == (reason, TEXTS[code][reason].en)
    assert call.goods(item["id"])["sold"] == sold
    if used_by == "alice":  # her limit is nobody else's
        assert call.quote(item["id"], "carol", coupon_code="SAVE").status_code == 200
        assert call.bought(item["id"], "carol", coupon_code="SAVE")


def test_the_detail_says_the_reason_in_the_language_of_the_buyer(sqlite_call: Calls) -> None:
    path = f"/seckill/{sqlite_call.create()['id']}"
    for language, detail in (("en", "There is no coupon with this code."), ("zh", "没有使用该代码的优惠券。")):
        answer = sqlite_call.post(path, "alice", json={"coupon_code": "NONE"}, headers={"Accept-Language": language})
        assert (answer.status_code, answer.json["reason"], answer.json["detail"]) == (422, "unknown", detail)


def test_a_code_that_is_not_exactly_right_tells_nothing(call: Calls) -> None:
    item = call.create()
    call.create_coupon("SAVE-9f3", active=False)
    answers = [
        send(item["id"], coupon_code=code)
        for code in ("SAVE-9F3", "SAVE-9f", "SAVE-9f3~", "save-9f3", "%", "_", "nothing-like-it")
        for send in (call.quote, call.buy)
    ]
    refusals = [problem(answer, 422, "coupon_invalid") | {"request_id": ""} for answer in answers]
    assert refusals == [refusals[0]] * len(refusals)
    assert refusals[0]["reason"] == "unknown"


METHODS: list[tuple[dict[str, Any], str]] = [
    ({"active": False}, "inactive"),
    ({"currency": "JPY"}, "currency"),
    ({"regions": ["JP", "CN-11"]}, "region"),
]


@pytest.mark.parametrize(("changes", "reason"), METHODS, ids=[reason for _, reason in METHODS])
def test_a_method_that_cannot_serve_is_refused_with_its_reason(
    stall: Calls, changes: dict[str, Any], reason: str
) -> None:
    stall.patch("/shipping-methods/express", json=changes)
    for send in (stall.quote, stall.buy):
        answer = send(1, shipping_method="express", address=ADDRESS)
        assert problem(answer, 422, "shipping_not_available")["reason"] == reason
    assert stall.goods(1)["sold"] == 0


def test_what_ships_needs_method_and_address_and_what_does_not_takes_no_method(stall: Calls) -> None:
    assert problem(stall.buy(1), 422, "shipping_required")["reason"] == "shipping_method"
    assert problem(stall.buy(1, address=ADDRESS), 422, "shipping_required")["reason"] == "shipping_method"
    assert problem(stall.buy(1, shipping_method="express"), 422, "shipping_required")["reason"] == "address"
    download = stall.create()["id"]
    answer = stall.buy(download, shipping_method="express", address=ADDRESS)
    assert problem(answer, 422, "shipping_not_available")["reason"] == "not_shippable"
    answer = stall.buy(download, coupon_code="FREE")
    assert problem(answer, 422, "coupon_not_applicable")["reason"] == "no_shipping"
    assert stall.bought(download)["shipping_method"] is None


def test_a_cancelled_order_gives_its_use_back(call: Calls) -> None:
    item = call.create()
    call.create_coupon(total_limit=1, per_user_limit=1)
    order = call.bought(item["id"], coupon_code="SAVE")
    for send, who in itertools.product((call.quote, call.buy), ("alice", "bob")):
        problem(send(item["id"], who, coupon_code="SAVE"), 422, "coupon_exhausted")
    assert call.post(f"/orders/{order['order_no']}/cancel", "alice").status_code == 200
    assert call.get("/coupons/SAVE", OPERATOR).json["used"] == 0
    assert call.quote(item["id"], "alice", coupon_code="SAVE").json["discount"] == 10
    assert call.bought(item["id"], "alice", coupon_code="SAVE")["discount"] == 10
    assert call.get("/coupons/SAVE", OPERATOR).json["used"] == 1


def test_the_same_request_after_defaults_is_a_replay_and_any_other_choice_is_not(stall: Calls) -> None:
    chosen = {"shipping_method": "express", "address": ADDRESS, "coupon_code": "TEN"}
    order = stall.bought(1, key="k", **chosen)
    same = [
        chosen,
        chosen | {"quantity": 1, "expected_total": None},
        chosen | {"address": {name: value for name, value in ADDRESS.items() if name != "line2"}},
        dict(reversed(chosen.items())),
    ]
    for body in same:
        again = stall.buy(1, key="k", **body)
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
        assert again.json == order
    others = [
        {"coupon_code": "FIVE"},
        {"coupon_code": None},
        {"shipping_method": "local"},
        {"address": ADDRESS | {"line2": "2F"}},
        {"expected_total": order["total"]},
        {"quantity": 2},
    ]
    for change in others:
        problem(stall.buy(1, key="k", **chosen | change), 422, "idempotency_key_reused")
    assert stall.goods(1)["sold"] == 1
    assert stall.get("/coupons/TEN", OPERATOR).json["used"] == 1
    # At any time later, whatever has become of coupon and method since.
    stall.patch("/coupons/TEN", json={"active": False})
    stall.patch("/shipping-methods/express", json={"active": False})
    assert stall.buy(1, key="k", **chosen).json == order


def test_an_address_is_for_its_owner_and_administrators(stall: Calls) -> None:
    order = stall.bought(1, shipping_method="express", address=ADDRESS)
    path = f"/orders/{order['order_no']}"
    problem(stall.get(path, "bob"), 404, "order_not_found")
    problem(stall.post(f"{path}/cancel", "bob"), 404, "order_not_found")
    assert stall.get("/orders", "bob").json["items"] == []
    for reader in ("alice", OPERATOR):
        assert stall.get(path, reader).json["address"] == ADDRESS
        assert [shown["address"] for shown in stall.get("/orders", reader).json["items"]] == [ADDRESS]
    everywhere = [
        stall.get(path, reader).text
        for path in ("/goods/1", "/goods", "/seckill/1", "/metrics", "/shipping-methods")
        for reader in (None, "bob")
    ]
    assert not [text for text in everywhere if ADDRESS["name"] in text or ADDRESS["phone"] in text]
