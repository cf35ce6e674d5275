"""The tables, and nothing else: no commits, no HTTP.

`goods(id, stock, sold)` and `orders(order_no, goods_id, user_id)` are public names that the SQL of others may use.
All times are UTC with milliseconds. `schema.sql` and `migrations/` say the same; a test holds the three equal.
"""

from datetime import datetime, timezone
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, Integer, String, Text, UniqueConstraint, false, text
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime, TypeDecorator, TypeEngine

# The newest migration; `readyz` and the start compare it with the database's. A test holds it to migrations/.
SCHEMA_REVISION = "0001"

ORDER_STATUSES = ("pending", "paid", "cancelled", "expired", "refund_due")
# The statuses whose units an item counts as sold.
HOLDING_STATUSES = ("pending", "paid")

MYSQL_TABLE = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"} | {
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_unicode_ci",
}


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC with milliseconds: aware in Python, DATETIME(3) in MySQL."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sqlite.DATETIME())
        return dialect.type_descriptor(mysql.DATETIME(fsp=3))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None else value.astimezone(timezone.utc).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None else value.replace(tzinfo=timezone.utc)


class ExactText(TypeDecorator[str]):
    """Text compared letter by letter: case, accents and trailing spaces all count.

    A user called `alice ` must never be taken for `alice`, which the PAD SPACE collations of MySQL do.
    The two servers have no NO PAD collation in common.
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        length: int = self.impl_instance.length  # type: ignore[attr-defined]
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(length))
        collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
        return dialect.type_descriptor(mysql.VARCHAR(length, charset="utf8mb4", collation=collation))


def ascii_text(length: int) -> TypeEngine[str]:
    """Text of visible ASCII only, compared byte by byte."""
    plain = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return String(length).with_variant(plain, "mysql", "mariadb")


Key = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER makes SQLite's row id the key


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Goods(Base):
    """An item on sale. `stock` can still be bought; `sold` is what pending and paid orders hold."""

    __tablename__ = "goods"
    __table_args__ = (
        CheckConstraint("stock >= 0", name="goods_stock_not_negative"),
        CheckConstraint("sold >= 0", name="goods_sold_not_negative"),
        CheckConstraint("price >= 0", name="goods_price_not_negative"),
        CheckConstraint("list_price >= 0", name="goods_list_price_not_negative"),
        CheckConstraint("per_user_limit >= 1", name="goods_per_user_limit_positive"),
        CheckConstraint("order_limit >= 1", name="goods_order_limit_positive"),
        CheckConstraint("ends_at >= starts_at", name="goods_window_not_reversed"),
        MYSQL_TABLE | {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text)
    image_url: Mapped[str] = mapped_column(String(2000))
    currency: Mapped[str] = mapped_column(ascii_text(3))
    price: Mapped[int] = mapped_column(BigInteger)
    list_price: Mapped[int | None] = mapped_column(BigInteger)
    stock: Mapped[int] = mapped_column(BigInteger)
    sold: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    paused: Mapped[bool] = mapped_column(server_default=false())
    starts_at: Mapped[datetime | None] = mapped_column(UtcTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcTime)
    per_user_limit: Mapped[int | None] = mapped_column(BigInteger)
    order_limit: Mapped[int | None] = mapped_column(BigInteger)
    shippable: Mapped[bool] = mapped_column(server_default=false())
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


class Order(Base):
    """A purchase. Its price lines are those of the moment it was placed and never change.

    No foreign key to goods: it would take a shared lock on the hot row from every other writer.
    """

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("order_no", name="orders_order_no"),
        UniqueConstraint("user_id", "idempotency_key", name="orders_user_key"),
        Index("orders_goods_user", "goods_id", "user_id"),
        CheckConstraint("quantity >= 1", name="orders_quantity_positive"),
        CheckConstraint("unit_price >= 0", name="orders_unit_price_not_negative"),
        CheckConstraint("total = subtotal - discount + shipping_fee", name="orders_total_adds_up"),
        CheckConstraint("total >= 0", name="orders_total_not_negative"),
        CheckConstraint(f"status IN {ORDER_STATUSES}", name="orders_status_known"),
        MYSQL_TABLE | {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    order_no: Mapped[str] = mapped_column(ascii_text(32))
    goods_id: Mapped[int] = mapped_column(BigInteger)
    goods_name: Mapped[str] = mapped_column(String(200))
    user_id: Mapped[str] = mapped_column(ExactText(64))
    quantity: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(ascii_text(3))
    unit_price: Mapped[int] = mapped_column(BigInteger)
    subtotal: Mapped[int] = mapped_column(BigInteger)
    discount: Mapped[int] = mapped_column(BigInteger)
    shipping_fee: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(ascii_text(16))
    # The item's limit when this order was placed: what an audit can judge it by after the limit was changed.
    per_user_limit: Mapped[int | None] = mapped_column(BigInteger)
    idempotency_key: Mapped[str | None] = mapped_column(ascii_text(255))
    request_fingerprint: Mapped[str | None] = mapped_column(ascii_text(64))
    purchased_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime)
    paid_at: Mapped[datetime | None] = mapped_column(UtcTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcTime)


class PurchaseSlot(Base):
    """A row to lock: who holds it may run one purchase transaction on the item. See docs/locking.md."""

    __tablename__ = "purchase_slots"
    __table_args__ = (MYSQL_TABLE,)

    goods_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    slot: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)


class GoodsChange(Base):
    """What an administrator did to an item. `stock_delta` adds up to the item's `stock + sold`."""

    __tablename__ = "goods_changes"
    __table_args__ = (
        Index("goods_changes_goods", "goods_id"),
        MYSQL_TABLE | {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    goods_id: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(BigInteger)
    action: Mapped[str] = mapped_column(ascii_text(16))
    changed_by: Mapped[str] = mapped_column(ExactText(64))
    changed_at: Mapped[datetime] = mapped_column(UtcTime)
    stock_delta: Mapped[int] = mapped_column(BigInteger)
    changes: Mapped[dict[str, Any]] = mapped_column(JSON)
