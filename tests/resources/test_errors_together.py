"""Wrong fields are listed at once: first all that the request itself shows, then all that the stored state shows."""

from typing import Any

import pytest

from tests.resources.calls import FAR_AHEAD, OPERATOR, Calls, wrong_fields

GONE = "2001-01-01T00:00:00.000Z"

QUERIES: list[tuple[str, str, dict[str, str]]] = [
    (
        "alice",
        "/orders?user_id=bob&purchased_from=2026-01-01T00:00:00Z&purchased_to=never&limit=0&cursor=x&status=y",
        {
            "user_id": "unknown_field",
            "purchased_from": "unknown_field",
            "purchased_to": "unknown_field",
            "limit": "out_of_range",
            "cursor": "invalid_cursor",
            "status": "invalid_value",
        },
    ),
    (OPERATOR, "/orders?purchased_to=never&cursor=x", {"purchased_to": "invalid_time", "cursor": "invalid_cursor"}),
    *(
        (
            OPERATOR,
            f"{path}?cursor=junk&limit=0&x=1",
            {"cursor": "invalid_cursor", "limit": "out_of_range", "x": "unknown_field"},
        )
        for path in ("/goods", "/goods/1/changes", "/coupons", "/shipping-methods", "/payments", "/webhooks")
    ),
]


@pytest.mark.parametrize(("user", "path", "wrong"), QUERIES, ids=[path for _, path, _ in QUERIES])
def test_of_a_query(sqlite_call: Calls, user: str, path: str, wrong: dict[str, str]) -> None:
    sqlite_call.create()
    assert wrong_fields(sqlite_call.get(path, user)) == wrong


def test_a_filter_for_administrators_is_not_taken_for_a_slip_of_the_pen(sqlite_call: Calls) -> None:
    (error,) = sqlite_call.get("/orders?user_id=bob", "alice").json["errors"]
    assert (error["field"], error["code"], error.get("hint")) == ("user_id", "unknown_field", None)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (
            {"percent": None, "amount": 5, "ends_at": GONE},
            {"percent": "missing", "amount": "not_of_this_kind", "ends_at": "window_reversed"},
        ),
        ({"amount": 5, "starts_at": FAR_AHEAD}, {"amount": "not_of_this_kind", "ends_at": "window_reversed"}),
    ],
)
def test_of_a_coupon_beside_what_is_stored(call: Calls, change: dict[str, Any], wrong: dict[str, str]) -> None:
    window = {"starts_at": "2026-01-01T00:00:00.000Z", "ends_at": "2027-01-01T00:00:00.000Z"}
    made = call.create_coupon("A", kind="percent", percent=5, **window)
    assert wrong_fields(call.patch("/coupons/A", json=change)) == wrong
    assert call.get("/coupons/A", OPERATOR).json == made


def test_of_an_item_beside_what_is_stored(call: Calls) -> None:
    made = call.create(stock=10, starts_at="2026-01-01T00:00:00.000Z")
    change = {"ends_at": GONE, "stock_delta": 10**9}
    wrong = {"ends_at": "window_reversed", "stock_delta": "out_of_range"}
    assert wrong_fields(call.patch(f"/goods/{made['id']}", json=change)) == wrong
    assert call.goods(made["id"]) == made


def test_of_a_subscription(sqlite_call: Calls) -> None:
    body = {"url": "shop.example", "types": ["order.made"], "active": 1}
    wrong = {"url": "invalid_format", "types.0": "invalid_value", "active": "wrong_type"}
    assert wrong_fields(sqlite_call.post("/webhooks", OPERATOR, json=body)) == wrong
