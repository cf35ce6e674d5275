"""Who may call what: every method of every route, by the route table itself."""

from collections.abc import Callable

import pytest
from flask import Flask

from core.events import deliveries
from core.payments import payments
from core.payments.payment_records import PaymentEvent, PaymentEventType
from examples.payment_provider import new_secret
from harness.service import SECRET
from tests.core.forged_tokens import forged, signed
from tests.resources.calls import OPERATOR, Calls, problem

PUBLIC = {
    "GET /",
    "GET /admin",
    "GET /admin/",
    "GET /admin/<path:view>",
    "GET /docs",
    "GET /docs/",
    "GET /docs/<path:path>",
    "GET /docs/dist/<path:filename>",
    "GET /goods",
    "GET /goods/<goods_id>",
    "GET /healthz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /problems/",
    "GET /problems/<code>",
    "GET /readyz",
    "GET /seckill/<goods_id>",
    "GET /shipping-methods",
    "GET /shipping-methods/<code>",
    "GET /shop/<goods_id>",
    "GET /shop/<goods_id>/buy",
    "GET /shop/<goods_id>/quote",
    "GET /shop/orders",
    "GET /shop/orders/<order_no>/cancel",
    "GET /shop/orders/<order_no>/pay",
    "GET /shop/pictures/<picture>.svg",
    "GET /shop/session",
    "GET /shop/session/end",
    "GET /static/<static_version>/<path:asset>",
    "GET /static/client/v1/<path:asset>",
}
BUYER = {
    "GET /orders",
    "GET /orders/<order_no>",
    "POST /orders/<order_no>/cancel",
    "POST /orders/<order_no>/pay",
    "POST /seckill/<goods_id>",
    "POST /seckill/<goods_id>/quote",
}
# Their callers prove themselves by a signature: tests/resources/test_payment_webhook.py.
SIGNED = {"POST /payments/webhook"}
# Their callers prove themselves by the session of a page: tests/web/test_storefront_session.py.
VISITOR = {
    "POST /shop/<goods_id>/buy",
    "POST /shop/<goods_id>/quote",
    "POST /shop/orders/<order_no>/cancel",
    "POST /shop/orders/<order_no>/pay",
    "POST /shop/session",
    "POST /shop/session/end",
    "POST /shop/session/token",
}
ADMIN = {
    "GET /orders/export",
    "GET /payments",
    "POST /payments/<payment_id>/resolve",
    "POST /orders/<order_no>/refund",
    "POST /goods",
    "PATCH /goods/<goods_id>",
    "DELETE /goods/<goods_id>",
    "POST /goods/<goods_id>/pause",
    "POST /goods/<goods_id>/resume",
    "GET /goods/<goods_id>/changes",
    "POST /goods/<goods_id>/start",
    "GET /goods/<goods_id>/readiness",
    "GET /goods/<goods_id>/report",
    "GET /live",
    "GET /audit",
    "GET /coupons",
    "POST /coupons",
    "GET /coupons/<code>",
    "PATCH /coupons/<code>",
    "POST /shipping-methods",
    "PATCH /shipping-methods/<code>",
    "GET /events",
    "GET /webhooks",
    "POST /webhooks",
    "GET /webhooks/<webhook_id>",
    "PATCH /webhooks/<webhook_id>",
    "DELETE /webhooks/<webhook_id>",
    "POST /webhooks/<webhook_id>/secret",
    "GET /webhooks/<webhook_id>/deliveries",
    "POST /webhooks/<webhook_id>/deliveries/<delivery_id>/retry",
}
# What a call needs to be.
CREATED_FROM = {
    "POST /goods": {"name": "x", "currency": "CNY", "price": 1, "stock": 1},
    "POST /coupons": {"code": "x", "kind": "free_shipping"},
    "POST /webhooks": {"url": "https://93.184.216.34/hooks"},
    "POST /shipping-methods": {"code": "x", "name": "x", "base_fee": 1},
    "POST /payments/<payment_id>/resolve": {"resolution": "ignored"},
    "POST /orders/<order_no>/refund": {"reference": "x"},
}


@pytest.fixture
def sqlite_app(make_app: Callable[..., Flask], sqlite_uri: str) -> Flask:
    """An application that offers every route."""
    return make_app(sqlite_uri, PAYMENT_PROVIDER="test", PAYMENT_WEBHOOK_SECRETS=(new_secret(),))


def operations(app: Flask) -> set[str]:
    """Every method of every route, as the application itself dispatches them."""
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def address(operation: str, goods_id: int = 1) -> tuple[str, str]:
    """The operation's method, and a path on which it has something to do."""
    method, _, route = operation.partition(" ")
    values = {
        "<goods_id>": str(goods_id),
        "<order_no>": "0" * 32,
        "<payment_id>": "1",
        "<webhook_id>": "1",
        "<delivery_id>": "1",
        "<code>": "sold_out",  # an error, and what `create_coded` makes
        "<path:path>": "swagger-ui.css",
        "<path:filename>": "x",
        "<path:view>": "sales/1",
        "<static_version>": "0" * 16,
        "<picture>": "0" * 8,
        "<path:asset>": "client/seckill.js",
    }
    for name, value in values.items():
        route = route.replace(name, value)
    assert "<" not in route, f"{operation} has a parameter that this test does not know"
    return method, route


def create_coded(call: Calls) -> None:
    call.create_coupon("sold_out", kind="free_shipping")
    call.create_method("sold_out")
    call.create_webhook()
    order = call.bought(call.create()["id"])
    call.get("/events", OPERATOR)
    deliveries.fan_out(call.services.database, 1)
    payments.receive(call.services.database, PaymentEvent("e", PaymentEventType.SUCCEEDED, "nobody-s", 1, "CNY", "p"))
    call.set_order(order["order_no"], order_no="0" * 32, status="refund_due")


def test_the_access_of_every_route_is_stated_here(sqlite_app: Flask) -> None:
    stated = PUBLIC | BUYER | ADMIN | SIGNED | VISITOR
    unknown = operations(sqlite_app) - stated
    assert not unknown, f"say who may call {unknown}"
    assert not {operation for operation in (BUYER | ADMIN) if operation not in operations(sqlite_app)}


@pytest.mark.parametrize("operation", sorted(BUYER | ADMIN))
def test_without_a_token_nothing_is_done(sqlite_call: Calls, operation: str) -> None:
    item = sqlite_call.create()
    before = sqlite_call.row_counts()
    answer = sqlite_call.send(*address(operation, item["id"]))
    problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert sqlite_call.row_counts() == before
    assert sqlite_call.goods(item["id"]) == item


@pytest.mark.parametrize("operation", sorted(SIGNED))
@pytest.mark.parametrize("by", [None, "alice", OPERATOR])
def test_no_token_stands_in_for_a_signature(sqlite_call: Calls, operation: str, by: str | None) -> None:
    answer = sqlite_call.send(*address(operation), by, json={"type": "payment.refunded"})
    problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "StandardWebhooks"


@pytest.mark.parametrize("operation", sorted(ADMIN))
def test_a_buyer_is_kept_off_an_administrator_s_routes(sqlite_call: Calls, operation: str) -> None:
    item = sqlite_call.create()
    before = sqlite_call.row_counts()
    method, path = address(operation, item["id"])
    problem(sqlite_call.send(method, path, "alice"), 403, "forbidden")
    # Whether the item exists is none of the buyer's business there.
    problem(sqlite_call.send(method, path.replace(f"/{item['id']}", "/999"), "alice"), 403, "forbidden")
    assert sqlite_call.row_counts() == before
    assert sqlite_call.goods(item["id"]) == item


@pytest.mark.parametrize("operation", sorted(ADMIN))
def test_an_administrator_is_let_in(sqlite_call: Calls, operation: str) -> None:
    item = sqlite_call.create()
    create_coded(sqlite_call)
    options = {"json": CREATED_FROM.get(operation, {})} if operation.startswith(("POST", "PATCH")) else {}
    assert sqlite_call.send(*address(operation, item["id"]), OPERATOR, **options).status_code < 300


@pytest.mark.parametrize("operation", sorted(PUBLIC))
def test_public_routes_need_no_token_and_mind_none(sqlite_call: Calls, operation: str) -> None:
    item = sqlite_call.create()
    create_coded(sqlite_call)
    method, path = address(operation, item["id"])
    for headers in ({}, {"Authorization": "Bearer rubbish"}):
        with sqlite_call.send(method, path, headers=headers) as answer:
            assert answer.status_code not in (401, 403)


@pytest.mark.parametrize("token", forged(SECRET).values(), ids=forged(SECRET).keys())
def test_a_token_that_proves_nothing_opens_nothing(sqlite_call: Calls, token: str) -> None:
    item = sqlite_call.create()
    header = f"Bearer {token}".encode().decode("latin-1")
    for operation in ("GET /orders", "POST /seckill/<goods_id>", "DELETE /goods/<goods_id>"):
        method, path = address(operation, item["id"])
        answer = sqlite_call.send(method, path, environ_overrides={"HTTP_AUTHORIZATION": header})
        problem(answer, 401, "unauthenticated")
    assert sqlite_call.goods(item["id"]) == item


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "{token}", "Basic {token}", "Token {token}", "Bearer {token} x", "Bearer:{token}", "é"],
)
def test_an_authorization_of_another_form_opens_nothing(sqlite_call: Calls, header: str) -> None:
    given = header.format(token=signed(SECRET))
    answer = sqlite_call.get("/orders", environ_overrides={"HTTP_AUTHORIZATION": given})
    problem(answer, 401, "unauthenticated")


def test_the_scheme_may_be_written_in_any_case(sqlite_call: Calls) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert sqlite_call.get("/orders", headers={"Authorization": f"{scheme} {signed(SECRET)}"}).status_code == 200


def test_a_token_elsewhere_than_in_the_header_is_none(sqlite_call: Calls) -> None:
    problem(sqlite_call.get(f"/orders?access_token={signed(SECRET)}"), 401, "unauthenticated")


def test_the_scope_is_a_list_of_words(sqlite_call: Calls) -> None:
    item = sqlite_call.create()
    path = f"/goods/{item['id']}/changes"
    for scope, status in [("admin", 200), ("read admin write", 200), ("administrator", 403), ("ADMIN", 403), ("", 403)]:
        headers = {"Authorization": f"Bearer {signed(SECRET, scope=scope)}"}
        assert sqlite_call.get(path, headers=headers).status_code == status, scope


def test_an_earlier_key_still_verifies(make_app, sqlite_uri: str) -> None:
    earlier = "an-earlier-key-of-the-tests-of-over-32-bytes"
    headers = {"Authorization": f"Bearer {signed(earlier)}"}
    assert (
        Calls(make_app(sqlite_uri, SECRET_KEY_FALLBACKS=(earlier,))).get("/orders", headers=headers).status_code == 200
    )
    problem(Calls(make_app(sqlite_uri)).get("/orders", headers=headers), 401, "unauthenticated")
