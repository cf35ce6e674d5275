"""The tables of the peers that keep their stock in MariaDB: the columns that the service has, the same indexes."""

import secrets
from datetime import datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Index, String, UniqueConstraint
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

PAYMENT_SECONDS = 900
HOLDING = ("pending", "paid")


class Base(DeclarativeBase):
    pass


# Without expire_on_commit each order would be read again after its COMMIT, only to be shown.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})


class Goods(db.Model):  # type: ignore[name-defined, misc]
    """An item on sale."""

    __tablename__ = "goods"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    currency: Mapped[str] = mapped_column(String(3))
    price: Mapped[int] = mapped_column(BigInteger)
    stock: Mapped[int] = mapped_column(BigInteger)
    sold: Mapped[int] = mapped_column(BigInteger, server_default="0")
    per_user_limit: Mapped[int | None] = mapped_column(BigInteger)


class Order(db.Model):  # type: ignore[name-defined, misc]
    """A purchase."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("user_id", "idempotency_key"),
        Index("orders_goods_user", "goods_id", "user_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    order_no: Mapped[str] = mapped_column(String(32), unique=True, default=lambda: secrets.token_hex(16))
    goods_id: Mapped[int] = mapped_column(BigInteger)
    goods_name: Mapped[str] = mapped_column(String(200))
    user_id: Mapped[str] = mapped_column(String(64))
    quantity: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    unit_price: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    request_fingerprint: Mapped[str | None] = mapped_column(String(64))
    purchased_at: Mapped[datetime] = mapped_column(DATETIME(fsp=3))
    expires_at: Mapped[datetime] = mapped_column(DATETIME(fsp=3))


def shown(order: Order) -> dict[str, Any]:
    """An order as its buyer sees it."""
    return {
        "order_no": order.order_no,
        "goods_id": order.goods_id,
        "goods_name": order.goods_name,
        "user_id": order.user_id,
        "quantity": order.quantity,
        "currency": order.currency,
        "unit_price": order.unit_price,
        "total": order.total,
        "status": order.status,
        "purchased_at": order.purchased_at.isoformat(timespec="milliseconds") + "Z",
        "expires_at": order.expires_at.isoformat(timespec="milliseconds") + "Z",
    }
