"""Requests to an application, by whoever is named; and rows set as only time would set them."""

from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from core.db.clock import database_now
from core.services import Services
from core.tokens import Tokens
from harness.service import SECRET
from models import Coupon, Goods, GoodsChange, Order, ShippingMethod, Webhook
from resources.fast_path import NoFastPath
from resources.http.pipeline import Pipeline

# The one administrator; every other name is a buyer's.
OPERATOR = "operator"
LONG_AGO = datetime.fromisoformat("2001-01-01T00:00:00+00:00")
FAR_AHEAD = "2099-01-01T00:00:00.000Z"
ADDRESS = {
    "name": "王芳",
    "phone": "+86 138-0000-0000",
    "region": "CN-31",
    "line1": "1 Nanjing Rd",
    "line2": None,
    "postcode": "200000",
}


def without_fast_path(pipeline: Pipeline) -> Pipeline:
    """The same pipeline, in which Flask answers everything."""
    return Pipeline(pipeline.application, NoFastPath(), pipeline.envelope, 30)


def authorization(user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {Tokens(SECRET).issue(user, is_admin=user == OPERATOR)}"}


class Calls:
    """Requests to one application."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.services: Services = app.extensions["seckill"]
        self._client = app.test_client()

    def send(self, method: str, path: str, by: str | None = None, **options: Any) -> TestResponse:
        """A request with the token of `by`, if named; `options` are those of Flask's test client."""
        headers = {**(authorization(by) if by else {}), **options.pop("headers", {})}
        return self._client.open(path, method=method, headers=headers, **options)

    def get(self, path: str, by: str | None = None, **options: Any) -> TestResponse:
        return self.send("GET", path, by, **options)

    def post(self, path: str, by: str | None = None, **options: Any) -> TestResponse:
        return self.send("POST", path, by, **options)

    def patch(self, path: str, by: str | None = OPERATOR, **options: Any) -> TestResponse:
        return self.send("PATCH", path, by, **options)

    def delete(self, path: str, by: str | None = OPERATOR, **options: Any) -> TestResponse:
        return self.send("DELETE", path, by, **options)

    def create(self, **fields: Any) -> dict[str, Any]:
        """Put an item up, by default ten units at 100 on sale; returns it."""
        body = {"name": "item", "currency": "CNY", "price": 100, "stock": 10, **fields}
        answer = self.post("/goods", OPERATOR, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json

    def create_coupon(self, code: str = "SAVE", **fields: Any) -> dict[str, Any]:
        """Make a coupon, by default of 10 percent, one of an amount in CNY; returns it."""
        usual = {"amount": {"currency": "CNY"}}.get(fields.get("kind", ""), {} if "kind" in fields else {"percent": 10})
        body = {"code": code, "kind": "percent", **usual, **fields}
        answer = self.post("/coupons", OPERATOR, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json

    def create_method(self, code: str = "express", **fields: Any) -> dict[str, Any]:
        """Make a shipping method, by default for 12 to anywhere; returns it."""
        answer = self.post("/shipping-methods", OPERATOR, json={"code": code, "name": code, "base_fee": 12, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json

    def quote(self, goods_id: int, by: str = "alice", **body: Any) -> TestResponse:
        return self.post(f"/seckill/{goods_id}/quote", by, json=body)

    def create_webhook(self, url: str = "https://93.184.216.34/hooks", **fields: Any) -> dict[str, Any]:
        """Subscribe to events; returns the subscription, with its secret."""
        answer = self.post("/webhooks", OPERATOR, json={"url": url, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json

    def buy(self, goods_id: int, by: str = "alice", key: str | None = None, **body: Any) -> TestResponse:
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.post(f"/seckill/{goods_id}", by, json=body, headers=headers)

    def bought(self, goods_id: int, by: str = "alice", key: str | None = None, **body: Any) -> dict[str, Any]:
        """Buy, and return the order."""
        answer = self.buy(goods_id, by, key, **body)
        assert answer.status_code == 201, answer.text
        return answer.json

    def goods(self, goods_id: int) -> dict[str, Any]:
        return self.get(f"/goods/{goods_id}").json

    def set_order(self, order_no: str, /, **columns: Any) -> None:
        """Set columns of an order's row."""
        with self.services.database.engine.begin() as connection:
            connection.execute(update(Order).where(Order.order_no == order_no).values(columns))

    def now(self) -> datetime:
        """The database's time."""
        with self.services.database.reading() as connection:
            return database_now(connection)

    def make_overdue(self, order_no: str) -> None:
        """Let an order's time to pay be over."""
        self.set_order(order_no, purchased_at=LONG_AGO, expires_at=LONG_AGO + timedelta(minutes=15))

    def row_counts(self) -> tuple[int, ...]:
        """How many items, changes, orders, coupons, methods and webhooks there are, and the units in stock and sold."""
        with self.services.database.reading() as connection:
            counts = [
                connection.scalar(select(func.count()).select_from(table))
                for table in (Goods, GoodsChange, Order, Coupon, ShippingMethod, Webhook)
            ]
            units = connection.execute(select(func.sum(Goods.stock), func.sum(Goods.sold))).one()
        return (*counts, *(int(number or 0) for number in units))


def problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The body of a problem, its status, code and type checked."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.mimetype == "application/problem+json"
    assert answer.json["code"] == code, answer.text
    return answer.json


def wrong_fields(answer: TestResponse) -> dict[str, str]:
    """What is wrong with which field, of a validation_failed."""
    return {error["field"]: error["code"] for error in problem(answer, 422, "validation_failed")["errors"]}
