"""Watching a sale live, and buying."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import pytest
from flask import Flask

from core import services as services_module
from core.catalogue.poll_times import PollTimes
from tests.resources.calls import FAR_AHEAD, OPERATOR, Calls, problem, without_fast_path, wrong_fields

PAST = "2001-01-01T00:00:00.000Z"
ORDER_FIELDS = [
    "order_no",
    "goods_id",
    "goods_name",
    "user_id",
    "quantity",
    "currency",
    "unit_price",
    "subtotal",
    "discount",
    "shipping_fee",
    "total",
    "coupon_code",
    "shipping_method",
    "address",
    "status",
    "purchased_at",
    "expires_at",
    "paid_at",
    "closed_at",
    "refunded_at",
    "refund_reference",
]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_purchase_answers_with_the_order_and_where_it_is(call: Calls) -> None:
    item = call.create(name="键盘", price=1999)
    answer = call.buy(item["id"], quantity=3)
    assert answer.status_code == 201
    order = answer.json
    assert list(order) == ORDER_FIELDS
    assert answer.headers["Location"] == f"/orders/{order['order_no']}"
    assert "Idempotent-Replayed" not in answer.headers
    varying = ("order_no", "purchased_at", "expires_at")
    assert {name: order[name] for name in ORDER_FIELDS if name not in varying} == {
        "goods_id": item["id"],
        "goods_name": "键盘",
        "user_id": "alice",
        "quantity": 3,
        "currency": "CNY",
        "unit_price": 1999,
        "subtotal": 5997,
        "discount": 0,
        "shipping_fee": 0,
        "total": 5997,
        "coupon_code": None,
        "shipping_method": None,
        "address": None,
        "status": "pending",
        "paid_at": None,
        "closed_at": None,
        "refunded_at": None,
        "refund_reference": None,
    }
    assert moment(order["expires_at"]) - moment(order["purchased_at"]) == timedelta(seconds=900)
    assert call.get(answer.headers["Location"], "alice").json == order
    now = call.goods(item["id"])
    assert (now["stock"], now["sold"]) == (7, 3)


@pytest.mark.parametrize(
    "options",
    [{}, {"json": {}}, {"json": {"quantity": 1}}, {"data": b"", "content_type": "text/plain"}],
    ids=["no body", "an empty object", "one", "no body of another type"],
)
def test_nothing_said_means_one_unit(sqlite_call: Calls, options: dict) -> None:
    item = sqlite_call.create()
    answer = sqlite_call.post(f"/seckill/{item['id']}", "alice", **options)
    assert answer.status_code == 201
    assert answer.json["quantity"] == 1


@pytest.mark.parametrize(
    "quantity", [0, -1, 1001, 1.9, 1.0, "1", True, None, 2**63, 10**40, [], {}, "1; DROP TABLE orders"]
)
def test_a_quantity_out_of_bounds_is_a_422_and_buys_nothing(sqlite_call: Calls, quantity: object) -> None:
    item = sqlite_call.create(stock=5000)
    assert set(wrong_fields(sqlite_call.buy(item["id"], quantity=quantity))) == {"quantity"}
    assert sqlite_call.goods(item["id"])["sold"] == 0


def test_the_largest_quantity_can_be_bought(sqlite_call: Calls) -> None:
    item = sqlite_call.create(stock=1000, price=10**12)
    assert sqlite_call.bought(item["id"], quantity=1000)["total"] == 10**15


@pytest.mark.parametrize(
    "field",
    [
        "price",
        "unit_price",
        "subtotal",
        "discount",
        "shipping_fee",
        "total",
        "user_id",
        "status",
        "order_no",
        "goods_id",
    ],
)
def test_nobody_sets_a_price_an_owner_or_a_status(sqlite_call: Calls, field: str) -> None:
    item = sqlite_call.create()
    answer = sqlite_call.post(f"/seckill/{item['id']}", "alice", json={field: 1})
    assert wrong_fields(answer) == {field: "unknown_field"}
    assert sqlite_call.goods(item["id"])["sold"] == 0


def test_the_price_of_an_order_is_that_of_its_moment(sqlite_call: Calls) -> None:
    item = sqlite_call.create(price=5, name="old")
    order = sqlite_call.bought(item["id"])
    sqlite_call.patch(f"/goods/{item['id']}", json={"price": 9, "name": "new"})
    assert sqlite_call.get(f"/orders/{order['order_no']}", "alice").json == order
    assert sqlite_call.bought(item["id"])["total"] == 9


def test_each_refusal_of_a_purchase_has_its_code_and_members(call: Calls) -> None:
    upcoming = call.create(starts_at="2099-01-01T00:00:00.250Z")
    assert problem(call.buy(upcoming["id"]), 409, "sale_not_started")["starts_at"] == "2099-01-01T00:00:00.250Z"
    problem(call.buy(call.create(ends_at=PAST)["id"]), 409, "sale_ended")
    problem(call.buy(call.create(stock=0)["id"]), 409, "sold_out")
    item = call.create(stock=3, per_user_limit=5)
    assert problem(call.buy(item["id"], quantity=4), 409, "insufficient_stock")["available"] == 3
    call.bought(item["id"], quantity=2)
    call.patch(f"/goods/{item['id']}", json={"stock_delta": 10})
    refused = problem(call.buy(item["id"], quantity=4), 409, "limit_reached")
    assert (refused["limit"], refused["already_bought"]) == (5, 2)
    problem(call.buy(10**6), 404, "goods_not_found")


def test_the_first_refusal_that_fits_is_told(call: Calls) -> None:
    item = call.create(ends_at=PAST, stock=0)
    path = f"/goods/{item['id']}"
    call.post(f"{path}/pause", OPERATOR)
    steps = [
        ("sale_ended", {"ends_at": None, "starts_at": FAR_AHEAD}),
        ("sale_paused", None),
        ("sale_not_started", {"starts_at": None}),
        ("sold_out", {"stock_delta": 1, "per_user_limit": 1}),
        ("limit_reached", {"per_user_limit": None}),
        ("insufficient_stock", {"stock_delta": 1}),
    ]
    for code, cure in steps:
        problem(call.buy(item["id"], quantity=2), 409, code)
        answer = call.patch(path, json=cure) if cure else call.post(f"{path}/resume", OPERATOR)
        assert answer.status_code == 200
    call.bought(item["id"], quantity=2)


def test_the_limit_counts_all_orders_that_are_not_cancelled_or_expired(call: Calls) -> None:
    item = call.create(per_user_limit=2, stock=100)
    first, second = call.bought(item["id"]), call.bought(item["id"])
    problem(call.buy(item["id"]), 409, "limit_reached")
    assert call.bought(item["id"], "bob", quantity=2)
    assert call.post(f"/orders/{first['order_no']}/cancel", "alice").status_code == 200
    call.bought(item["id"])
    problem(call.buy(item["id"]), 409, "limit_reached")
    call.make_overdue(second["order_no"])
    third = call.bought(item["id"])
    problem(call.buy(item["id"]), 409, "limit_reached")
    call.set_order(third["order_no"], status="paid")
    assert problem(call.buy(item["id"]), 409, "limit_reached")["already_bought"] == 2


def test_users_whose_names_differ_in_case_accents_or_spaces_are_different(call: Calls) -> None:
    item = call.create(per_user_limit=1)
    names = ["alice", "Alice", "alice ", "álice", "ａlice", "alicé", "😀", "😁"]
    for user in names:
        order = call.bought(item["id"], user, key="same")
        assert order["user_id"] == user
    assert call.goods(item["id"])["sold"] == len(names)
    assert [len(call.get("/orders", user).json["items"]) for user in names] == [1] * len(names)


def test_the_same_key_and_request_give_the_same_order_again(call: Calls) -> None:
    item = call.create()
    first = call.buy(item["id"], key="k-1")
    again = call.buy(item["id"], key="k-1", quantity=1)
    assert again.status_code == 201
    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert call.goods(item["id"])["sold"] == 1


def test_a_replay_shows_the_order_as_it_now_stands_whatever_became_of_the_sale(call: Calls) -> None:
    item = call.create(stock=1, per_user_limit=1)
    order = call.bought(item["id"], key="k")
    path = f"/goods/{item['id']}"
    for change in ({"ends_at": PAST}, {"ends_at": None, "starts_at": FAR_AHEAD}, {"starts_at": None}):
        assert call.patch(path, json=change).status_code == 200
        assert call.bought(item["id"], key="k") == order
    call.post(f"{path}/pause", OPERATOR)
    assert call.bought(item["id"], key="k") == order
    cancelled = call.post(f"/orders/{order['order_no']}/cancel", "alice").json
    assert call.bought(item["id"], key="k") == cancelled
    assert cancelled["status"] == "cancelled"


def test_a_replay_of_an_overdue_order_shows_it_as_expired(call: Calls) -> None:
    item = call.create()
    order = call.bought(item["id"], key="k")
    call.make_overdue(order["order_no"])
    replayed = call.bought(item["id"], key="k")
    assert (replayed["order_no"], replayed["status"]) == (order["order_no"], "expired")


def test_another_request_under_the_key_is_told_so(call: Calls) -> None:
    item, other = call.create(), call.create(stock=0)
    call.bought(item["id"], key="k")
    problem(call.buy(item["id"], key="k", quantity=2), 422, "idempotency_key_reused")
    problem(call.buy(other["id"], key="k"), 422, "idempotency_key_reused")
    assert call.goods(item["id"])["sold"] == 1


def test_a_key_is_compared_letter_by_letter_and_belongs_to_its_user(call: Calls) -> None:
    item = call.create()
    orders = [
        call.bought(item["id"], user, key=key)["order_no"]
        for user, key in [("alice", "k"), ("alice", "K"), ("bob", "k"), ("alice", "k."), ("alice", "'--")]
    ]
    assert len(set(orders)) == len(orders)


def test_a_refusal_is_not_kept_under_the_key(call: Calls) -> None:
    item = call.create(stock=0)
    problem(call.buy(item["id"], key="k"), 409, "sold_out")
    call.patch(f"/goods/{item['id']}", json={"stock_delta": 5})
    order = call.bought(item["id"], key="k", quantity=2)
    assert order["quantity"] == 2


@pytest.mark.parametrize("key", ["!", "~" * 255, "a,b;c=d"])
def test_a_key_of_visible_ascii_is_taken(sqlite_call: Calls, key: str) -> None:
    item = sqlite_call.create()
    assert sqlite_call.bought(item["id"], key=key) == sqlite_call.bought(item["id"], key=key)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "键", "a\tb", "a\x7f"])
def test_a_key_that_is_empty_too_long_or_of_other_characters_is_a_422(sqlite_call: Calls, key: str) -> None:
    item = sqlite_call.create()
    answer = sqlite_call.post(
        f"/seckill/{item['id']}", "alice", environ_overrides={"HTTP_IDEMPOTENCY_KEY": key.encode().decode("latin-1")}
    )
    assert set(wrong_fields(answer)) == {"Idempotency-Key"}
    assert sqlite_call.goods(item["id"])["sold"] == 0


def test_fifty_identical_requests_at_once_make_one_order_and_fifty_equal_answers(call: Calls) -> None:
    item = call.create(stock=100)
    start = threading.Barrier(50)

    def buy() -> tuple[int, dict]:
        start.wait()
        answer = Calls(call.app).buy(item["id"], key="k")
        return answer.status_code, answer.json

    with ThreadPoolExecutor(50) as threads:
        answers = [future.result() for future in [threads.submit(buy) for _ in range(50)]]
    assert [status for status, _ in answers] == [201] * 50
    assert all(order == answers[0][1] for _, order in answers)
    assert call.goods(item["id"])["sold"] == 1


def test_a_sale_is_watched_live(call: Calls) -> None:
    item = call.create(order_limit=3, starts_at=PAST, ends_at=FAR_AHEAD)
    call.bought(item["id"], quantity=4)
    answer = call.get(f"/seckill/{item['id']}")
    assert answer.status_code == 200
    assert answer.json == {
        "status": "on_sale",
        "stock": 6,
        "sold": 4,
        "starts_at": PAST,
        "ends_at": FAR_AHEAD,
        "server_time": answer.json["server_time"],
        "order_limit": 3,
        "in_progress": 0,
    }
    with call.services.in_progress.counted(item["id"]):
        assert call.get(f"/seckill/{item['id']}").json["in_progress"] == 1


def test_an_item_without_a_cap_of_its_own_shows_the_service_s(sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    assert (
        sqlite_call.get(f"/seckill/{item['id']}").json["order_limit"] == sqlite_call.services.settings.API_ORDER_LIMIT
    )


def test_the_time_of_the_answer_is_no_part_of_the_etag(sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    path = f"/seckill/{item['id']}"
    first = sqlite_call.get(path)
    while (second := sqlite_call.get(path)).json["server_time"] == first.json["server_time"]:
        pass
    assert second.headers["ETag"] == first.headers["ETag"]
    assert sqlite_call.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    sqlite_call.bought(item["id"])
    assert sqlite_call.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize("by_flask", [False, True])
def test_an_answer_of_304_tells_the_time_as_well(
    make_app: Callable[..., Flask], sqlite_uri: str, by_flask: bool
) -> None:
    app = make_app(sqlite_uri)
    if by_flask:
        app.wsgi_app = without_fast_path(app.wsgi_app)  # type: ignore[method-assign, arg-type]
    call = Calls(app)
    path = f"/seckill/{call.create()['id']}"
    before = call.get(path)
    known = call.get(path, headers={"If-None-Match": before.headers["ETag"]})
    other = call.get(path, headers={"If-None-Match": '"other"'})
    after = call.get(path)
    assert [answer.status_code for answer in (before, known, other, after)] == [200, 304, 200, 200]
    assert before.json["server_time"] <= known.headers["Server-Time"] <= other.json["server_time"]
    assert other.headers["Server-Time"] == other.json["server_time"] <= after.json["server_time"]
    assert "Server-Time" not in before.headers


@pytest.mark.parametrize("by_flask", [False, True])
def test_pages_that_ask_again_together_are_told_when_to_ask_next(
    make_app: Callable[..., Flask], sqlite_uri: str, by_flask: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services_module, "PollTimes", partial(PollTimes, clock=lambda: 1000.0))
    app = make_app(sqlite_uri, POLLS_PER_SECOND=2)
    if by_flask:
        app.wsgi_app = without_fast_path(app.wsgi_app)  # type: ignore[method-assign, arg-type]
    call = Calls(app)
    item = call.create()["id"]

    def poll(path: str = f"/seckill/{item}", **headers: str) -> tuple[int, int | None]:
        answer = call.get(path, headers=headers)
        return answer.status_code, answer.headers.get("Poll-After", type=int)

    known = {"If-None-Match": call.get(f"/seckill/{item}").headers["ETag"]}
    assert poll() == (200, None)  # whoever has seen nothing yet is no open page
    # Half a second for each turn; below a second nothing is said.
    assert [poll(**known) for _ in range(6)] == [(304, wait) for wait in (None, None, 1, 1, 2, 2)]
    assert poll(**{"If-None-Match": '"other"'}) == (200, 3)
    assert poll(f"/goods/{item}", **known)[1] is None
    for _ in range(120):
        last = poll(**known)
    assert last == (304, 60)
