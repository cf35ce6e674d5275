"""Items: put up, read, changed, paused and taken down."""

import re

import pytest

from tests.resources.calls import FAR_AHEAD, LONG_AGO, OPERATOR, Calls, problem, wrong_fields

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PAST = "2001-01-01T00:00:00.000Z"
NEEDED = {"name": "item", "currency": "CNY", "price": 100, "stock": 10}


def test_an_item_has_exactly_the_contract_s_fields_and_defaults(call: Calls) -> None:
    answer = call.post("/goods", OPERATOR, json=NEEDED)
    assert answer.status_code == 201
    item = answer.json
    assert answer.headers["Location"] == f"/goods/{item['id']}"
    assert TIME.fullmatch(item["created_at"])
    assert item == {
        "id": item["id"],
        "name": "item",
        "description": "",
        "image_url": "",
        "currency": "CNY",
        "price": 100,
        "list_price": None,
        "stock": 10,
        "sold": 0,
        "status": "on_sale",
        "starts_at": None,
        "ends_at": None,
        "per_user_limit": None,
        "order_limit": None,
        "shippable": False,
        "version": 1,
        "created_at": item["created_at"],
        "updated_at": item["created_at"],
    }
    assert call.get(answer.headers["Location"]).json == item


def test_every_writable_field_is_stored_as_given(call: Calls) -> None:
    given = {
        "name": "机械键盘 ⌨ O'Brien; DROP TABLE goods; --",
        "description": "两行\n说明\t/* */",
        "image_url": "https://shop.example/a.png?x=1&y=%20",
        "currency": "JPY",
        "price": 10**12,
        "list_price": 0,
        "stock": 10**9,
        "starts_at": "2026-11-23T12:00:00.123Z",
        "ends_at": FAR_AHEAD,
        "per_user_limit": 10**9,
        "order_limit": 1,
        "shippable": True,
    }
    item = call.create(**given)
    assert {name: item[name] for name in given} == given
    assert {name: call.goods(item["id"])[name] for name in given} == given


def test_chinese_text_is_written_as_itself(sqlite_call: Calls) -> None:
    item = sqlite_call.create(name="降噪耳机")
    assert "降噪耳机" in sqlite_call.get(f"/goods/{item['id']}").text
    assert "降噪耳机" in sqlite_call.get("/goods").text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00.000Z"),
        ("2026-11-23T20:00:00.5+08:00", "2026-11-23T12:00:00.500Z"),
        ("2026-11-23t12:00:00.123999z", "2026-11-23T12:00:00.123Z"),
        ("2026-11-23T12:00:00-00:00", "2026-11-23T12:00:00.000Z"),
    ],
)
def test_times_are_taken_in_any_offset_and_shown_in_utc_with_milliseconds(call: Calls, given: str, shown: str) -> None:
    assert call.create(starts_at=given)["starts_at"] == shown


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", ["x", "x" * 200, "键" * 200]),
        ("price", [0, 10**12]),
        ("list_price", [0, 10**12, None]),
        ("stock", [0, 10**9]),
        ("per_user_limit", [1, 10**9, None]),
        ("order_limit", [1, 10**9, None]),
        ("starts_at", [PAST, FAR_AHEAD, None]),
        ("ends_at", [PAST, FAR_AHEAD, None]),
        ("shippable", [True, False]),
        ("description", ["", "x" * 1000]),
        ("image_url", ["", "/a.png"]),
    ],
)
def test_the_bounds_themselves_are_allowed(sqlite_call: Calls, field: str, values: list) -> None:
    for value in values:
        assert sqlite_call.create(**{field: value})[field] == value


WRONG = [
    ("name", ["", "x" * 201, "a\0b", "a\nb", "a\x7fb", "\x1b[2J", 1, True, None, [], {}]),
    ("currency", ["", "cny", "CN", "CNYY", "ZZZ", 156, None]),
    ("price", [-1, 10**12 + 1, 1.9, 1.0, "1", True, None, 2**63, 10**40, [], {}]),
    ("list_price", [-1, 10**12 + 1, 1.5, "1", True, 2**63]),
    ("stock", [-1, 10**9 + 1, 1.9, "1", True, None, 2**63]),
    ("per_user_limit", [0, -1, 10**9 + 1, 1.5, "1", True]),
    ("order_limit", [0, -1, 10**9 + 1, 1.5, "1", True]),
    ("starts_at", ["", "now", "2026-11-23", "2026-11-23T12:00:00", "2026-13-01T00:00:00Z", 1700000000, True]),
    ("ends_at", ["2026-11-23 12:00:00Z", "2026-11-23T25:00:00Z", "10000-01-01T00:00:00Z", [], "٢٠٢٦-11-23T12:00:00Z"]),
    ("shippable", ["true", 1, 0, None]),
    ("description", ["a\0b", 1, None]),
    ("image_url", ["javascript:alert(1)", "a\0b", 1, None]),
]


@pytest.mark.parametrize(("field", "values"), WRONG, ids=[field for field, _ in WRONG])
def test_a_value_out_of_bounds_is_a_422_that_names_the_field_and_changes_nothing(
    sqlite_call: Calls, field: str, values: list
) -> None:
    item = sqlite_call.create()
    before = sqlite_call.row_counts()
    for value in values:
        assert set(wrong_fields(sqlite_call.post("/goods", OPERATOR, json={**NEEDED, field: value}))) == {field}, value
        if field != "stock":
            answer = sqlite_call.patch(f"/goods/{item['id']}", json={field: value})
            assert set(wrong_fields(answer)) == {field}, value
    assert sqlite_call.row_counts() == before
    assert sqlite_call.goods(item["id"]) == item


def test_all_wrong_and_missing_fields_are_listed_at_once(sqlite_call: Calls) -> None:
    answer = sqlite_call.post("/goods", OPERATOR, json={"price": -1, "order_limit": 0, "colour": "red"})
    assert wrong_fields(answer) == {
        "name": "missing",
        "currency": "missing",
        "stock": "missing",
        "price": "out_of_range",
        "order_limit": "out_of_range",
        "colour": "unknown_field",
    }


@pytest.mark.parametrize("field", ["id", "sold", "status", "version", "created_at", "updated_at", "paused", "colour"])
def test_read_only_and_unknown_fields_are_a_422(sqlite_call: Calls, field: str) -> None:
    item = sqlite_call.create()
    value = item.get(field, 1)
    answers = [
        sqlite_call.post("/goods", OPERATOR, json={**NEEDED, field: value}),
        sqlite_call.patch(f"/goods/{item['id']}", json={field: value}),
    ]
    assert [wrong_fields(answer) for answer in answers] == [{field: "unknown_field"}] * 2


def test_stock_is_set_at_the_creation_alone_and_moved_by_stock_delta_alone(sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    assert wrong_fields(sqlite_call.patch(f"/goods/{item['id']}", json={"stock": 5})) == {"stock": "unknown_field"}
    answer = sqlite_call.post("/goods", OPERATOR, json={**NEEDED, "stock_delta": 5})
    assert wrong_fields(answer) == {"stock_delta": "unknown_field"}


def test_a_window_may_lie_in_the_past_or_be_empty_but_not_be_reversed(call: Calls) -> None:
    assert call.create(starts_at=PAST, ends_at=PAST)["status"] == "ended"
    body = {**NEEDED, "starts_at": FAR_AHEAD, "ends_at": PAST}
    assert set(wrong_fields(call.post("/goods", OPERATOR, json=body))) == {"ends_at"}


def test_a_window_is_not_reversed_by_a_change_of_one_side(call: Calls) -> None:
    item = call.create(starts_at="2026-01-01T00:00:00.000Z", ends_at="2026-01-02T00:00:00.000Z")
    path = f"/goods/{item['id']}"
    assert wrong_fields(call.patch(path, json={"ends_at": "2025-12-31T23:59:59.999Z"}))
    assert wrong_fields(call.patch(path, json={"starts_at": "2026-01-02T00:00:00.001Z"}))
    assert call.goods(item["id"]) == item
    assert call.patch(path, json={"starts_at": None, "ends_at": PAST}).status_code == 200


def test_the_status_is_the_first_that_fits(call: Calls) -> None:
    def status(paused: bool = False, **fields: object) -> str:
        item = call.create(**fields)
        if paused:
            assert call.post(f"/goods/{item['id']}/pause", OPERATOR).status_code == 200
        return call.goods(item["id"])["status"]

    assert status(paused=True, ends_at=PAST, stock=0) == "ended"
    assert status(paused=True, starts_at=FAR_AHEAD, stock=0) == "paused"
    assert status(starts_at=FAR_AHEAD, stock=0) == "upcoming"
    assert status(stock=0) == "sold_out"
    assert status(starts_at=PAST, ends_at=FAR_AHEAD) == "on_sale"


def test_a_read_may_be_kept_for_a_second_and_costs_nothing_while_it_holds(call: Calls) -> None:
    path = f"/goods/{call.create()['id']}"
    answer = call.get(path)
    assert answer.headers["Cache-Control"] == "public, max-age=1"
    again = call.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert again.data == b""
    assert again.headers["ETag"] == answer.headers["ETag"]
    weak = f'"other", W/{answer.headers["ETag"]}'
    assert call.get(path, headers={"If-None-Match": weak}).status_code == 304
    assert call.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_etag_covers_the_stock_and_the_version_does_not(call: Calls) -> None:
    item = call.create()
    path = f"/goods/{item['id']}"
    before = call.get(path).headers["ETag"]
    call.bought(item["id"])
    assert call.get(path).headers["ETag"] != before
    assert call.get(path, headers={"If-None-Match": before}).status_code == 200
    assert call.goods(item["id"])["version"] == item["version"]
    assert call.goods(item["id"])["updated_at"] == item["updated_at"]


def test_a_change_answers_with_the_item_and_counts_as_a_version(call: Calls) -> None:
    item = call.create()
    path = f"/goods/{item['id']}"
    changed = call.patch(path, json={"name": "renamed", "price": 5, "per_user_limit": 3})
    assert changed.status_code == 200
    expected = {**item, "name": "renamed", "price": 5, "per_user_limit": 3, "version": 2}
    assert changed.json == expected | {"updated_at": changed.json["updated_at"]}
    assert changed.json == call.goods(item["id"])
    assert changed.json["updated_at"] >= item["updated_at"]
    assert call.patch(path, json={"per_user_limit": None}).json["per_user_limit"] is None


def test_every_writable_field_can_be_changed_and_given_back(call: Calls) -> None:
    item = call.create()
    path = f"/goods/{item['id']}"
    news = {
        "name": "新",
        "description": "new",
        "image_url": "/new.png",
        "price": 1,
        "list_price": 2,
        "starts_at": PAST,
        "ends_at": FAR_AHEAD,
        "per_user_limit": 3,
        "order_limit": 4,
        "shippable": True,
    }
    for name, value in news.items():
        assert call.patch(path, json={name: value}).json[name] == value
    old = {name: item[name] for name in news}
    given_back = call.patch(path, json=old).json
    assert {name: given_back[name] for name in news} == old
    assert given_back["version"] == 1 + len(news) + 1


def test_the_currency_of_an_item_never_changes_not_even_to_itself(call: Calls) -> None:
    item = call.create(currency="CNY", price=1999)
    for body in ({"currency": "USD"}, {"currency": "CNY"}, {"currency": "USD", "price": 1}):
        assert wrong_fields(call.patch(f"/goods/{item['id']}", json=body)) == {"currency": "unknown_field"}
    assert call.goods(item["id"]) == item
    order = call.bought(item["id"], expected_total=1999)
    assert (order["total"], order["currency"]) == (1999, "CNY")


def test_a_change_of_nothing_is_no_change(sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    for body in ({}, {"price": item["price"]}, {"stock_delta": 0}):
        answer = sqlite_call.patch(f"/goods/{item['id']}", json=body)
        assert answer.status_code == 200
        assert answer.json == item


def test_stock_moves_up_and_down_in_the_middle_of_a_sale(call: Calls) -> None:
    item = call.create(stock=5)
    path = f"/goods/{item['id']}"
    call.bought(item["id"], quantity=2)
    up = call.patch(path, json={"stock_delta": 7}).json
    assert (up["stock"], up["sold"], up["version"]) == (10, 2, 2)
    down = call.patch(path, json={"stock_delta": -10}).json
    assert (down["stock"], down["sold"], down["status"]) == (0, 2, "sold_out")


def test_no_more_stock_is_withdrawn_than_there_is(call: Calls) -> None:
    item = call.create(stock=5)
    call.bought(item["id"], quantity=2)
    answer = call.patch(f"/goods/{item['id']}", json={"stock_delta": -4, "name": "never"})
    problem(answer, 409, "stock_conflict")
    now = call.goods(item["id"])
    assert (now["stock"], now["sold"], now["name"], now["version"]) == (3, 2, "item", 1)


def test_stock_and_sold_together_stay_in_bounds(sqlite_call: Calls) -> None:
    item = sqlite_call.create(stock=10**9)
    answer = sqlite_call.patch(f"/goods/{item['id']}", json={"stock_delta": 1})
    assert wrong_fields(answer) == {"stock_delta": "out_of_range"}
    for value in (10**9 + 1, -(10**9) - 1, 1.5, "1", True, None, 2**63):
        answer = sqlite_call.patch(f"/goods/{item['id']}", json={"stock_delta": value})
        assert set(wrong_fields(answer)) == {"stock_delta"}


GUARDED = [
    ("PATCH", "", {"json": {"price": 7}}, 200),
    ("DELETE", "", {}, 204),
    ("POST", "/pause", {}, 200),
    ("POST", "/resume", {}, 200),
]


@pytest.mark.parametrize(("method", "suffix", "options", "status"), GUARDED)
def test_if_match_lets_only_its_version_be_changed(
    sqlite_call: Calls, method: str, suffix: str, options: dict, status: int
) -> None:
    item = sqlite_call.create()
    path = f"/goods/{item['id']}"
    for tag in ('"2"', '"0"', '"x"', '"1x"', '""', '"99999999999999999999"', "1 2"):
        answer = sqlite_call.send(method, path + suffix, OPERATOR, headers={"If-Match": tag}, **options)
        problem(answer, 412, "version_mismatch")
    assert sqlite_call.goods(item["id"]) == item
    answer = sqlite_call.send(method, path + suffix, OPERATOR, headers={"If-Match": '"7", "1"'}, **options)
    assert answer.status_code == status


def test_if_match_takes_the_etag_of_a_read_and_a_star_too(sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    path = f"/goods/{item['id']}"
    etag = sqlite_call.get(path).headers["ETag"]
    sqlite_call.bought(item["id"])
    # A purchase between the read and the change is no reason to refuse it.
    assert sqlite_call.patch(path, json={"price": 1}, headers={"If-Match": etag}).status_code == 200
    problem(sqlite_call.patch(path, json={"price": 2}, headers={"If-Match": etag}), 412, "version_mismatch")
    assert sqlite_call.patch(path, json={"price": 2}, headers={"If-Match": "*"}).status_code == 200


def test_an_item_that_was_never_ordered_can_be_deleted_once(call: Calls) -> None:
    path = f"/goods/{call.create()['id']}"
    answer = call.delete(path)
    assert answer.status_code == 204
    assert answer.data == b""
    for gone in (
        call.get(path),
        call.delete(path),
        call.patch(path, json={"price": 1}),
        call.get(path.replace("goods", "seckill")),
        call.buy(int(path.rpartition("/")[2])),
    ):
        problem(gone, 404, "goods_not_found")


def test_a_deleted_item_s_id_is_never_given_out_again(call: Calls) -> None:
    first = call.create()["id"]
    call.delete(f"/goods/{first}")
    assert call.create()["id"] > first


def test_an_item_that_was_ordered_cannot_be_deleted_even_after_the_order_was_cancelled(call: Calls) -> None:
    item = call.create()
    order = call.bought(item["id"])
    problem(call.delete(f"/goods/{item['id']}"), 409, "has_orders")
    assert call.post(f"/orders/{order['order_no']}/cancel", "alice").status_code == 200
    problem(call.delete(f"/goods/{item['id']}"), 409, "has_orders")
    assert call.goods(item["id"])["stock"] == 10
    assert call.bought(item["id"])


def test_a_sale_stops_and_restarts(call: Calls) -> None:
    item = call.create()
    path = f"/goods/{item['id']}"
    paused = call.post(f"{path}/pause", OPERATOR)
    assert paused.status_code == 200
    assert (paused.json["status"], paused.json["version"]) == ("paused", 2)
    problem(call.buy(item["id"]), 409, "sale_paused")
    resumed = call.post(f"{path}/resume", OPERATOR, json={})
    assert (resumed.json["status"], resumed.json["version"]) == ("on_sale", 3)
    call.bought(item["id"])


def test_pausing_twice_is_the_same_as_once(sqlite_call: Calls) -> None:
    path = f"/goods/{sqlite_call.create()['id']}"
    first = sqlite_call.post(f"{path}/pause", OPERATOR).json
    assert sqlite_call.post(f"{path}/pause", OPERATOR).json == first


IMPOSSIBLE_IDS = [
    "0",
    "-1",
    "+1",
    "01",
    "1.0",
    "1e3",
    "x",
    "%31%00",
    "%D9%A1",
    "1%20",
    "' OR 1=1--",
    "2" * 40,
    str(2**63),
    str(2**63 - 1),
    "%FF",
]


@pytest.mark.parametrize("goods_id", IMPOSSIBLE_IDS)
def test_an_id_that_cannot_exist_is_not_found_on_every_route(call: Calls, goods_id: str) -> None:
    call.create()
    before = call.row_counts()
    for method, path, options in [
        ("GET", f"/goods/{goods_id}", {}),
        ("PATCH", f"/goods/{goods_id}", {"json": {"price": 1}}),
        ("DELETE", f"/goods/{goods_id}", {}),
        ("POST", f"/goods/{goods_id}/pause", {}),
        ("POST", f"/goods/{goods_id}/resume", {}),
        ("GET", f"/goods/{goods_id}/changes", {}),
        ("GET", f"/seckill/{goods_id}", {}),
        ("POST", f"/seckill/{goods_id}", {}),
    ]:
        problem(call.send(method, path, OPERATOR, **options), 404, "goods_not_found")
    assert call.row_counts() == before


def test_head_is_get_without_the_body(sqlite_call: Calls) -> None:
    path = f"/goods/{sqlite_call.create()['id']}"
    head, get = sqlite_call.send("HEAD", path), sqlite_call.get(path)
    assert head.status_code == 200
    assert head.data == b""
    assert head.headers["ETag"] == get.headers["ETag"]
    assert sqlite_call.send("HEAD", "/goods/999").status_code == 404


def test_an_overdue_order_still_counts_as_sold_until_it_is_swept(call: Calls) -> None:
    item = call.create()
    call.make_overdue(call.bought(item["id"], quantity=3)["order_no"])
    now = call.goods(item["id"])
    assert now["stock"] + now["sold"] == 10
    assert LONG_AGO.year == 2001
