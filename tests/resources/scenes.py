"""A request for each POST and PATCH of the contract that can be answered 2xx, with what it needs to be so."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select
from werkzeug.test import TestResponse

from app import ROUTES
from core.db.clock import utc_now
from core.payments import payments
from core.payments.payment_records import PaymentEvent, PaymentEventType
from models import Event, WebhookDelivery
from resources.http.auth import Access
from resources.http.operation import Operation
from tests.resources.calls import ADDRESS, FAR_AHEAD, OPERATOR, Calls

# Purchases have keys of their own, which last for ever; a provider has ids of its events.
WITH_KEYS_OF_THEIR_OWN = {"buyGoods"}


@dataclass
class Scene:
    """A request that can be answered 2xx, and what the same key is refused for: another body, or another path."""

    method: str
    path: str
    by: str = OPERATOR
    body: dict[str, Any] | None = None
    other: dict[str, Any] = field(default_factory=dict)

    def send(self, call: Calls, key: str = "k", **changes: Any) -> TestResponse:
        options = {"path": self.path, "by": self.by, "json": self.body, **changes}
        headers = {"Idempotency-Key": key, **options.pop("headers", {})}
        return call.send(self.method, options.pop("path"), options.pop("by"), headers=headers, **options)


def goods_path(call: Calls, suffix: str = "") -> str:
    return f"/goods/{call.create(stock=5)['id']}{suffix}"


def _order(call: Calls, move: str) -> Scene:
    item = call.create()["id"]
    orders = [call.bought(item)["order_no"] for _ in range(2)]
    return Scene("POST", f"/orders/{orders[0]}/{move}", "alice", other={"path": f"/orders/{orders[1]}/{move}"})


def _quote(call: Calls) -> Scene:
    path = f"/seckill/{call.create()['id']}/quote"
    return Scene("POST", path, "alice", {"address": ADDRESS}, other={"json": {"quantity": 2}})


def _change(path: str, body: dict[str, Any], other: dict[str, Any]) -> Scene:
    return Scene("PATCH", path, body=body, other={"json": other})


def _delivery(call: Calls) -> Scene:
    webhook = call.create_webhook()["id"]
    with call.services.database.engine.begin() as connection:
        connection.execute(insert(Event).values(type="goods.restocked", goods_id=1, occurred_at=utc_now()))
        seqs = connection.execute(select(Event.seq)).scalars().all()
        delivery = {"webhook_id": webhook, "status": "failed", "next_attempt_at": utc_now(), "created_at": utc_now()}
        made = connection.execute(insert(WebhookDelivery).values(**delivery, seq=seqs[0]))
        key = made.inserted_primary_key[0]  # type: ignore[index]
    path = f"/webhooks/{webhook}/deliveries/{key}/retry"
    return Scene("POST", path, other={"path": path.replace(str(key), str(key + 1))})


def _refund(call: Calls) -> Scene:
    path = f"/orders/{call.bought(call.create(per_user_limit=5)['id'])['order_no']}"
    assert call.post(f"{path}/pay", "alice").status_code == 200
    body = {"reference": "r1", "restock": True}
    return Scene("POST", f"{path}/refund", body=body, other={"json": {**body, "reference": "r2"}})


def _resolution(call: Calls) -> Scene:
    unknown = PaymentEvent("evt_1", PaymentEventType.SUCCEEDED, "0" * 32, 100, "CNY", "pay_1")
    assert payments.receive(call.services.database, unknown) == "unknown_order"
    (payment,) = call.get("/payments?outcome=unknown_order", OPERATOR).json["items"]
    path = f"/payments/{payment['id']}/resolve"
    return Scene("POST", path, body={"resolution": "refunded"}, other={"json": {"resolution": "accepted"}})


GOODS = {"name": "item", "currency": "CNY", "price": 100, "stock": 10}
METHOD = {"code": "standard", "name": "x", "base_fee": 1}
SCENES: dict[str, Callable[[Calls], Scene]] = {
    "createGoods": lambda call: Scene("POST", "/goods", body=GOODS, other={"json": {**GOODS, "stock": 11}}),
    "changeGoods": lambda call: _change(goods_path(call), {"stock_delta": 5}, {"stock_delta": 6}),
    "pauseSale": lambda call: Scene("POST", goods_path(call, "/pause"), other={"path": goods_path(call, "/resume")}),
    "startSale": lambda call: Scene(
        "POST",
        f"/goods/{(item := call.create(starts_at=FAR_AHEAD)['id'])}/start",
        other={"path": f"/goods/{item}/pause"},
    ),
    "resumeSale": lambda call: Scene("POST", goods_path(call, "/resume"), other={"path": goods_path(call, "/pause")}),
    "createCoupon": lambda call: Scene(
        "POST",
        "/coupons",
        body={"code": "A", "kind": "percent", "percent": 1},
        other={"json": {"code": "B", "kind": "percent", "percent": 1}},
    ),
    "changeCoupon": lambda call: _change(f"/coupons/{call.create_coupon()['code']}", {"percent": 5}, {"percent": 6}),
    "createShippingMethod": lambda call: Scene(
        "POST", "/shipping-methods", body=METHOD, other={"json": {**METHOD, "base_fee": 2}}
    ),
    "changeShippingMethod": lambda call: _change(
        f"/shipping-methods/{call.create_method()['code']}", {"base_fee": 5}, {"base_fee": 6}
    ),
    "cancelOrder": lambda call: _order(call, "cancel"),
    "payOrder": lambda call: _order(call, "pay"),
    "quotePurchase": _quote,
    "refundOrder": _refund,
    "resolvePayment": _resolution,
    "createWebhook": lambda call: Scene(
        "POST", "/webhooks", body={"url": "https://93.184.216.34/a"}, other={"json": {"url": "https://93.184.216.34/b"}}
    ),
    "changeWebhook": lambda call: _change(
        f"/webhooks/{call.create_webhook()['id']}", {"active": False}, {"active": True}
    ),
    "rotateWebhookSecret": lambda call: Scene(
        "POST",
        f"/webhooks/{call.create_webhook()['id']}/secret",
        body={"keep_hours": 1},
        other={"json": {"keep_hours": 2}},
    ),
    "retryWebhookDelivery": _delivery,
}


def changing_operations() -> Iterator[Operation]:
    """Every POST and PATCH of the route table that a user may call."""
    for resource in ROUTES.values():
        for verb in ("post", "patch"):
            method = getattr(resource, verb, None)
            if method is not None and method.operation.access is not Access.PROVIDER:
                yield method.operation
