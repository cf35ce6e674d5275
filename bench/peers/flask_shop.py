"""The Flask-RESTful shop around a way to buy: what textbook.py and conditional.py have in common.

The address of the database is in BENCH_DATABASE_URI, the key of the tokens in BENCH_SECRET_KEY.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from flask import Flask, request
from flask_restful import Api, Resource
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from bench.peers import rules
from bench.peers.tables import HOLDING, PAYMENT_SECONDS, Goods, Order, db, shown

# Connections of a worker. A tenth of a second in a queue for one of a few costs less than InnoDB's queue for the row.
CONNECTIONS = 8


@dataclass(frozen=True)
class Wish:
    """What a buyer asks for."""

    goods_id: int
    user_id: str
    quantity: int
    key: str | None

    @property
    def fingerprint(self) -> str:
        return rules.fingerprint_of(self.goods_id, self.quantity)


class Refused(Exception):
    """Not bought; `code` says why."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


# Buys in one transaction and commits it. Raises Refused.
Buy = Callable[[Wish], Order]


def create_app(buy: Buy) -> Flask:
    """The shop, selling by `buy`."""
    app = Flask(__name__)
    secret = os.environ["BENCH_SECRET_KEY"]
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["BENCH_DATABASE_URI"]
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "pool_size": CONNECTIONS,
        "max_overflow": 0,
        "isolation_level": "READ COMMITTED",
        # MariaDB 10.11 does not know the driver's default collation.
        "connect_args": {"charset": "utf8mb4", "collation": "utf8mb4_unicode_ci"},
    }
    db.init_app(app)

    class Seckill(Resource):
        def post(self, goods_id: int) -> tuple[dict, int]:
            try:
                user = rules.user_of(request.headers.get("Authorization", ""), secret)
                quantity = rules.quantity_of(request.get_json())
            except rules.Unauthenticated:
                return {"code": "unauthenticated"}, 401
            except rules.InvalidBody:
                return {"code": "validation_failed"}, 422
            wish = Wish(goods_id, user, quantity, request.headers.get("Idempotency-Key"))
            try:
                return shown(_settle(buy, wish)), 201
            except Refused as refusal:
                return {"code": refusal.code}, refusal.status

    Api(app).add_resource(Seckill, "/seckill/<int:goods_id>")
    return app


def _settle(buy: Buy, wish: Wish) -> Order:
    try:
        return buy(wish)
    except IntegrityError:
        # Another request under the same key was faster: its order is the answer.
        db.session.rollback()
        order = replay(wish)
        if order is None:
            raise
        return order
    except Refused:
        db.session.rollback()
        raise


def replay(wish: Wish) -> Order | None:
    """The order that stands under the wish's key. Raises Refused if it was for something else."""
    if wish.key is None:
        return None
    order = db.session.scalar(select(Order).filter_by(user_id=wish.user_id, idempotency_key=wish.key))
    if order is not None and order.request_fingerprint != wish.fingerprint:
        raise Refused(422, "idempotency_key_reused")
    return order


def check_limit(wish: Wish, limit: int | None) -> None:
    """Refuse who would hold more than `limit` units of the item. Needs the item's row lock."""
    if limit is None:
        return
    query = select(func.coalesce(func.sum(Order.quantity), 0)).where(
        Order.goods_id == wish.goods_id, Order.user_id == wish.user_id, Order.status.in_(HOLDING)
    )
    if db.session.scalar(query) + wish.quantity > limit:
        raise Refused(409, "limit_reached")


def order_for(wish: Wish, goods: Goods) -> Order:
    """The order row of a purchase that may be placed."""
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    return Order(
        goods_id=goods.id,
        goods_name=goods.name,
        user_id=wish.user_id,
        quantity=wish.quantity,
        currency=goods.currency,
        unit_price=goods.price,
        total=goods.price * wish.quantity,
        idempotency_key=wish.key,
        request_fingerprint=wish.fingerprint,
        purchased_at=now,
        expires_at=now + timedelta(seconds=PAYMENT_SECONDS),
    )
