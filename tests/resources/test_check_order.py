"""What is checked first: route, size and type, token and role, JSON, fields, then the business."""

import itertools

import pytest

from tests.resources.calls import OPERATOR, Calls, problem

LARGE = b" " * (64 * 1024 + 1)
JSON = "application/json"


def faults(call: Calls) -> list[tuple[str, int, dict]]:
    """The ways in which a change of an item can be wrong, foremost first; each with what it adds to a request."""
    return [
        ("method_not_allowed", 405, {"method": "PUT"}),
        ("body_too_large", 413, {"data": LARGE}),
        ("unsupported_media_type", 415, {"content_type": "text/plain"}),
        ("unauthenticated", 401, {"by": None}),
        ("malformed_json", 400, {"data": b"{"}),
        ("validation_failed", 422, {"data": b'{"price": -1}'}),
        ("goods_not_found", 404, {"path": "/goods/999"}),
        ("version_mismatch", 412, {"headers": {"If-Match": '"9"'}}),
        ("stock_conflict", 409, {"data": b'{"stock_delta": -11}'}),
    ]


def test_of_any_two_faults_the_foremost_is_told(sqlite_call: Calls) -> None:
    path = f"/goods/{sqlite_call.create()['id']}"
    plain = {"method": "PATCH", "path": path, "by": OPERATOR, "data": b"{}", "content_type": JSON, "headers": {}}
    found = faults(sqlite_call)
    assert sqlite_call.send(**plain).status_code == 200
    for code, status, fault in found:
        problem(sqlite_call.send(**(plain | fault)), status, code)
    for (code, status, first), (_, _, second) in itertools.combinations(found, 2):
        # The foremost fault wins where both would set the same part of the request.
        problem(sqlite_call.send(**(plain | second | first)), status, code)


def test_all_faults_at_once_are_told_one_after_the_other(sqlite_call: Calls) -> None:
    path = f"/goods/{sqlite_call.create()['id']}"
    worst = {"data": LARGE, "content_type": "text/plain"}
    problem(sqlite_call.send("PATCH", "/nowhere", **worst), 404, "not_found")
    problem(sqlite_call.send("PUT", path, **worst), 405, "method_not_allowed")
    problem(sqlite_call.send("PATCH", path, **worst), 413, "body_too_large")
    problem(sqlite_call.send("PATCH", path, data=b"{", content_type="text/plain"), 415, "unsupported_media_type")
    options = {"data": b"{", "content_type": JSON}
    problem(sqlite_call.send("PATCH", path, **options), 401, "unauthenticated")
    problem(sqlite_call.send("PATCH", path, "alice", **options), 403, "forbidden")
    problem(sqlite_call.send("PATCH", path, OPERATOR, **options), 400, "malformed_json")


def test_a_body_too_large_is_refused_on_every_operation_before_the_token(sqlite_call: Calls) -> None:
    path = f"/goods/{sqlite_call.create()['id']}"
    for method, place in [
        ("POST", "/goods"),
        ("GET", "/goods"),
        ("GET", path),
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/pause"),
        ("GET", f"{path}/changes"),
        ("POST", "/seckill/1"),
        ("POST", "/seckill/1/quote"),
        ("POST", "/coupons"),
        ("GET", "/coupons/NONE"),
        ("GET", "/shipping-methods"),
        ("PATCH", "/shipping-methods/none"),
        ("GET", "/orders"),
        ("POST", f"/orders/{'0' * 32}/cancel"),
        ("GET", "/payments"),
        ("GET", "/healthz"),
    ]:
        problem(sqlite_call.send(method, place, data=LARGE, content_type="text/plain"), 413, "body_too_large")


@pytest.mark.parametrize("path", ["/coupons/NONE", "/shipping-methods/none"])
def test_an_administrator_s_routes_check_token_role_json_and_fields_before_what_is_there(
    sqlite_call: Calls, path: str
) -> None:
    options = {"data": b"{", "content_type": JSON}
    problem(sqlite_call.send("PATCH", path, **options), 401, "unauthenticated")
    problem(sqlite_call.send("PATCH", path, "alice", **options), 403, "forbidden")
    problem(sqlite_call.send("PATCH", path, OPERATOR, **options), 400, "malformed_json")
    problem(sqlite_call.send("PATCH", path, OPERATOR, json={"active": 1}), 422, "validation_failed")
    assert sqlite_call.send("PATCH", path, OPERATOR, json={}).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/seckill/999",
        "/seckill/-1",
        "/seckill/999/quote",
        "/seckill/-1/quote",
        f"/orders/{'0' * 32}/cancel",
        "/orders/-1/cancel",
    ],
)
def test_a_buyer_s_routes_check_token_json_and_fields_before_what_is_there(sqlite_call: Calls, path: str) -> None:
    problem(sqlite_call.post(path), 401, "unauthenticated")
    problem(sqlite_call.post(path, "alice", data=b"{", content_type=JSON), 400, "malformed_json")
    problem(sqlite_call.post(path, "alice", json={"colour": "red"}), 422, "validation_failed")
    assert sqlite_call.post(path, "alice").status_code == 404


def test_body_and_header_faults_of_a_purchase_are_listed_together(sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    answer = sqlite_call.post(
        f"/seckill/{item['id']}", "alice", json={"quantity": 0, "x": 1}, headers={"Idempotency-Key": "a b"}
    )
    fields = {error["field"] for error in problem(answer, 422, "validation_failed")["errors"]}
    assert fields == {"quantity", "x", "Idempotency-Key"}
