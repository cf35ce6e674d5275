"""Lists: walked whole in every order, filtered, and with cursors that lead nowhere but on."""

import base64
import re
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import update

from models import Goods, Order
from tests.resources.calls import FAR_AHEAD, OPERATOR, Calls, problem, wrong_fields

PAST = "2001-01-01T00:00:00.000Z"
SORTS = ["id", "price", "starts_at", "created_at"]


def walk(call: Calls, path: str, limit: int, by: str | None = None) -> list[dict]:
    """All items of a list, page by page."""
    found: list[dict] = []
    joint = "&" if "?" in path else "?"
    cursor = ""
    while True:
        answer = call.get(f"{path}{joint}limit={limit}{cursor}", by)
        assert answer.status_code == 200, answer.text
        assert set(answer.json) == {"items", "next_cursor"}
        found += answer.json["items"]
        if answer.json["next_cursor"] is None:
            return found
        assert len(answer.json["items"]) == limit
        cursor = f"&cursor={quote(answer.json['next_cursor'])}"


@pytest.fixture
def shelf(call: Calls) -> Calls:
    """Nine items with ties in every field and starts that are missing."""
    for number in range(9):
        starts_at = (None, PAST, "2001-01-01T00:00:00.001Z")[number % 3]
        call.create(name=f"item {number}", price=number % 2, starts_at=starts_at, stock=number % 4)
    return call


@pytest.mark.parametrize("limit", [2, 9])
def test_every_order_of_the_items_is_walked_whole(shelf: Calls, limit: int) -> None:
    # No start means that the sale has always been open, so it sorts before all others.
    everything = walk(shelf, "/goods", 100)
    assert len(everything) == 9
    for sort in SORTS:
        expected = sorted(everything, key=lambda item: (item[sort] is not None, item[sort], item["id"]))
        assert walk(shelf, f"/goods?sort={sort}", limit) == expected, sort
        assert walk(shelf, f"/goods?sort=-{sort}", limit) == expected[::-1], sort


def test_the_orders_are_walked_whole_both_ways(call: Calls) -> None:
    item = call.create(stock=100)
    orders = [call.bought(item["id"], user)["order_no"] for user in ("alice", "bob") * 4]
    for limit in (1, 3):
        ascending = walk(call, "/orders?sort=purchased_at", limit, OPERATOR)
        assert [order["order_no"] for order in ascending] == orders
        assert walk(call, "/orders", limit, OPERATOR) == ascending[::-1]
        assert [order["order_no"] for order in walk(call, "/orders", limit, "bob")] == orders[1::2][::-1]


def test_the_history_is_walked_whole(call: Calls) -> None:
    item = call.create()
    for price in range(1, 6):
        call.patch(f"/goods/{item['id']}", json={"price": price})
    changes = walk(call, f"/goods/{item['id']}/changes", 2, OPERATOR)
    assert [change["version"] for change in changes] == [6, 5, 4, 3, 2, 1]


def test_a_page_has_twenty_items_unless_told_otherwise(sqlite_call: Calls) -> None:
    for _ in range(21):
        sqlite_call.create()
    assert len(sqlite_call.get("/goods").json["items"]) == 20
    assert len(sqlite_call.get("/goods?limit=100").json["items"]) == 21
    assert len(sqlite_call.get("/goods?limit=1").json["items"]) == 1


def test_an_empty_list_is_an_empty_page(call: Calls) -> None:
    assert call.get("/goods").json == {"items": [], "next_cursor": None}


def test_items_that_come_while_a_list_is_walked_are_neither_skipped_nor_repeated(call: Calls) -> None:
    for price in (5, 5, 7):
        call.create(price=price)
    first = call.get("/goods?sort=price&limit=2").json
    call.create(price=1)
    call.create(price=6)
    rest = call.get(f"/goods?sort=price&limit=10&cursor={quote(first['next_cursor'])}").json
    assert [item["price"] for item in first["items"] + rest["items"]] == [5, 5, 6, 7]


def test_items_are_filtered_by_status(call: Calls) -> None:
    ids = {
        "ended": call.create(ends_at=PAST)["id"],
        "paused": call.create()["id"],
        "upcoming": call.create(starts_at=FAR_AHEAD)["id"],
        "sold_out": call.create(stock=0)["id"],
        "on_sale": call.create()["id"],
    }
    call.post(f"/goods/{ids['paused']}/pause", OPERATOR)
    for status, goods_id in ids.items():
        listed = call.get(f"/goods?status={status}").json["items"]
        assert [(item["id"], item["status"]) for item in listed] == [(goods_id, status)]


def test_items_are_found_by_a_part_of_their_name(call: Calls) -> None:
    names = [
        "Red Lamp",
        "blue lamp",
        "100% cotton",
        "100 cotton",
        "under_score",
        "underscore",
        "保温杯",
        "a/b",
        "O'Neil",
    ]
    for name in names:
        call.create(name=name)

    def found(text: str) -> list[str]:
        return [item["name"] for item in call.get("/goods", query_string={"q": text}).json["items"]]

    assert found("LAMP") == ["Red Lamp", "blue lamp"]
    assert found("100%") == ["100% cotton"]
    assert found("r_s") == ["under_score"]
    assert found("温") == ["保温杯"]
    assert found("a/b") == ["a/b"]
    assert found("'") == ["O'Neil"]
    assert found("' OR 1=1 -- ") == []
    assert found("\\") == []


def test_a_search_tells_one_pictograph_from_another(call: Calls) -> None:
    call.create(name="smile 😀")
    call.create(name="cat 🐱")
    listed = call.get("/goods", query_string={"q": "🐱"}).json["items"]
    assert [item["name"] for item in listed] == ["cat 🐱"]


LISTS = ["/goods", "/orders", "/goods/1/changes"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=ten", "limit"),
        ("limit=1e1", "limit"),
        ("limit=%D9%A1", "limit"),
        (f"limit={'1' * 40}", "limit"),
        (f"limit={2**63}", "limit"),
        ("limit=5&limit=6", "limit"),
        ("cursor=", "cursor"),
        ("cursor=made-up", "cursor"),
        ("cursor=WzEsMV0.made-up", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=%FF", "cursor"),
        (f"cursor={'x' * 1001}", "cursor"),
        ("sort=name", "sort"),
        ("sort=--id", "sort"),
        ("sort=id;DROP TABLE goods", "sort"),
        ("colour=red", "colour"),
        ("offset=1", "offset"),
        ("LIMIT=1", "LIMIT"),
    ],
)
def test_a_query_that_is_not_understood_is_a_422_that_names_it(
    sqlite_call: Calls, path: str, query: str, field: str
) -> None:
    sqlite_call.create()
    assert field in wrong_fields(sqlite_call.get(f"{path}?{query}", OPERATOR))


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/goods", "status=open", "status"),
        ("/goods", "status=", "status"),
        ("/goods", "q=", "q"),
        ("/goods", "q=%00", "q"),
        ("/goods", f"q={'x' * 201}", "q"),
        ("/goods", "goods_id=1", "goods_id"),
        ("/orders", "status=on_sale", "status"),
        ("/orders", "goods_id=0", "goods_id"),
        ("/orders", "goods_id=-1", "goods_id"),
        ("/orders", f"goods_id={2**63}", "goods_id"),
        ("/orders", f"goods_id={'1' * 40}", "goods_id"),
        ("/orders", "goods_id=1.0", "goods_id"),
        ("/orders", "user_id=", "user_id"),
        ("/orders", "user_id=%00", "user_id"),
        ("/orders", f"user_id={'x' * 65}", "user_id"),
        ("/orders", "sort=id", "sort"),
        ("/orders", "q=x", "q"),
        ("/goods/1/changes", "sort=id", "sort"),
    ],
)
def test_a_filter_that_a_list_does_not_have_or_a_value_out_of_range_is_a_422(
    sqlite_call: Calls, path: str, query: str, field: str
) -> None:
    sqlite_call.create()
    assert set(wrong_fields(sqlite_call.get(f"{path}?{query}", OPERATOR))) == {field}


@pytest.fixture
def cursors(sqlite_call: Calls) -> dict[str, tuple[str, str]]:
    """A cursor of each list, and who had it."""
    first, second = sqlite_call.create(), sqlite_call.create()
    for item in (first, second):
        sqlite_call.patch(f"/goods/{item['id']}", json={"price": 1})
        for user in ("alice", "alice", "bob", "bob"):
            sqlite_call.bought(item["id"], user)
    places = [
        ("/goods", "anyone"),
        ("/goods?sort=-id", "anyone"),
        ("/goods?sort=price", "anyone"),
        ("/goods?sort=starts_at", "anyone"),
        ("/goods?status=on_sale", "anyone"),
        ("/goods?q=item", "anyone"),
        ("/orders", "alice"),
        ("/orders", "bob"),
        ("/orders", OPERATOR),
        ("/orders?sort=purchased_at", "alice"),
        ("/orders?status=pending", "alice"),
        ("/orders?goods_id=1", "alice"),
        ("/orders?goods_id=2", "alice"),
        ("/orders?user_id=alice", OPERATOR),
        ("/goods/1/changes", OPERATOR),
        ("/goods/2/changes", OPERATOR),
    ]
    found = {}
    for path, by in places:
        joint = "&" if "?" in path else "?"
        answer = sqlite_call.get(f"{path}{joint}limit=1", None if by == "anyone" else by)
        found[f"{path}{joint}", by] = answer.json["next_cursor"]
    assert all(found.values())
    return found


def test_a_cursor_leads_on_in_its_own_list_alone(sqlite_call: Calls, cursors: dict) -> None:
    for (path, by), cursor in cursors.items():
        caller = None if by == "anyone" else by
        for home, given in cursors.items():
            answer = sqlite_call.get(f"{path}limit=1&cursor={quote(given)}", caller)
            if home == (path, by):
                assert answer.status_code == 200
            else:
                assert wrong_fields(answer) == {"cursor": "invalid_cursor"}, (path, by, home)
        parts = (cursor.split(".")[0], cursor.split(".")[1])
        for changed in (cursor[:-1], cursor + "x", cursor + "=", cursor.swapcase(), *parts, "1.", "1.AAAA"):
            answer = sqlite_call.get(f"{path}limit=1&cursor={quote(changed)}", caller)
            assert wrong_fields(answer) == {"cursor": "invalid_cursor"}


def test_a_cursor_tells_nothing_of_the_row_that_it_stands_for(sqlite_call: Calls) -> None:
    item = sqlite_call.create(stock=5)["id"]
    for _ in range(3):
        sqlite_call.bought(item)

    def cursors() -> list[str]:
        pages = [("/goods?limit=1", None), ("/goods?limit=1&sort=created_at", None)]
        pages += [("/orders?limit=1", by) for by in ("alice", OPERATOR)] + [("/orders?limit=2", "alice")]
        return [sqlite_call.get(path, by).json["next_cursor"] for path, by in pages]

    sqlite_call.create()
    early, again = cursors(), cursors()
    with sqlite_call.services.database.engine.begin() as connection:
        connection.execute(update(Order).values(id=Order.id + 10**15))
        connection.execute(update(Goods).values(id=Goods.id + 10**15))
    late = cursors()
    for cursor in early + again + late:
        data = base64.urlsafe_b64decode(cursor.partition(".")[2] + "==")
        assert not re.search(rb"time|value|null|\d{6}", data)
        # Nor does its length tell how high an id is.
        assert len(cursor) == len(early[0])
    # The same place has another cursor each time.
    assert not set(early) & set(again)


def test_the_size_of_the_page_may_change_on_the_way(sqlite_call: Calls) -> None:
    for _ in range(4):
        sqlite_call.create()
    first = sqlite_call.get("/goods?limit=1").json
    rest = sqlite_call.get(f"/goods?limit=50&cursor={quote(first['next_cursor'])}").json
    assert [item["id"] for item in first["items"] + rest["items"]] == [1, 2, 3, 4]


def test_a_cursor_outlives_a_change_of_the_key(make_app, sqlite_uri: str) -> None:
    before, after = "a-key-of-the-tests-with-more-than-32-bytes", "another-key-of-the-tests-of-over-32-bytes"

    def cursor_of(app: Flask) -> str:
        return Calls(app).get("/goods?limit=1").json["next_cursor"]

    old = make_app(sqlite_uri)
    for _ in range(2):
        Calls(old).create()
    old.config["SECRET_KEY"] = before
    cursor = cursor_of(old)
    new = make_app(sqlite_uri)
    new.config.update(SECRET_KEY=after, SECRET_KEY_FALLBACKS=(before,))
    assert Calls(new).get(f"/goods?cursor={quote(cursor)}").status_code == 200
    new.config.update(SECRET_KEY_FALLBACKS=())
    problem(Calls(new).get(f"/goods?cursor={quote(cursor)}"), 422, "validation_failed")
