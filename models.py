"""The tables, and nothing else: no commits, no HTTP.

`goods(id, stock, sold)` and `orders(order_no, goods_id, user_id)` are public names that the SQL of others may use.
All times are UTC with milliseconds. `schema.sql` and `migrations/` say the same; a test holds the three equal.
"""

from datetime import datetime, timezone
from enum import StrEnum
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime, TypeDecorator, TypeEngine

# The newest migration; `readyz` and the start compare it with the database's. A test holds it to migrations/.
SCHEMA_REVISION = "0013"


class OrderStatus(StrEnum):
    """The states of an order. core/orders/orders.py has the transitions between them."""

    PENDING = "pending"
    PAID = "paid"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUND_DUE = "refund_due"
    REFUNDED = "refunded"


# The statuses whose units an item counts as sold. A refunded order's units count as well, unless a restock gave them
# back: core/orders/orders.py.
HOLDING_STATUSES = (OrderStatus.PENDING, OrderStatus.PAID)


class CouponKind(StrEnum):
    PERCENT = "percent"
    AMOUNT = "amount"
    FREE_SHIPPING = "free_shipping"


class PaymentOutcome(StrEnum):
    """The effect of a payment event. docs/payments.md explains each."""

    PAID = "paid"  # it paid the order
    REFUND_DUE = "refund_due"  # the order cannot be paid (any more): the money is to be given back
    ALREADY_PAID = "already_paid"  # another payment has paid the order: this money is to be given back
    MISMATCH = "mismatch"  # it contradicts the order, or an earlier event
    UNKNOWN_ORDER = "unknown_order"
    FAILED = "failed"  # the payment failed
    REPEATED = "repeated"  # an earlier event reported the same payment or refund
    REFUNDED = "refunded"  # the money of an earlier event was given back


# Outcomes that an operator has to resolve.
OPEN_OUTCOMES = (
    PaymentOutcome.REFUND_DUE,
    PaymentOutcome.ALREADY_PAID,
    PaymentOutcome.MISMATCH,
    PaymentOutcome.UNKNOWN_ORDER,
)


class PaymentResolution(StrEnum):
    """What was done with the money of a payment event."""

    REFUNDED = "refunded"  # it was given back
    ACCEPTED = "accepted"  # it is kept
    IGNORED = "ignored"  # none was received


class DeliveryStatus(StrEnum):
    """The state of an event's delivery to one subscriber."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


# The longest search form of a name of 200 characters: one character (U+FDFA) becomes up to 18.
MAX_SEARCH_TEXT = 3600


def values_of(enumeration: type[StrEnum]) -> tuple[str, ...]:
    """The values of an enumeration as plain strings. A tuple of them reads as the right side of SQL's IN."""
    return tuple(member.value for member in enumeration)


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


# Of up to 16 MiB.
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
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
        Index("goods_starts", "starts_at"),
        Index("goods_price", "price"),
        Index("goods_created", "created_at"),
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
    # The name as it is searched (core/catalogue/search.py); NULL in rows that SQL of others has written.
    search_text: Mapped[str | None] = mapped_column(ExactText(MAX_SEARCH_TEXT))


class Order(Base):
    """A purchase. Its price lines are those of the moment it was placed and never change.

    No foreign key to goods: it would take a shared lock on the hot row from every other writer.
    """

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("order_no", name="orders_order_no"),
        UniqueConstraint("user_id", "idempotency_key", name="orders_user_key"),
        # The sweeper's: pending orders by the end of their time.
        Index("orders_status_expires", "status", "expires_at"),
        # The lists' (core/orders/order_list.py): each has its rows in the order of the list, the id being part of every
        # index.
        Index("orders_status_time", "status", "purchased_at"),
        Index("orders_goods_time", "goods_id", "status", "purchased_at"),
        Index("orders_user_time", "user_id", "status", "purchased_at"),
        # That of a buyer's orders of an item is also the purchases', which look there for what the buyer holds.
        Index("orders_goods_user", "goods_id", "user_id", "status", "purchased_at"),
        CheckConstraint("quantity >= 1", name="orders_quantity_positive"),
        CheckConstraint("unit_price >= 0", name="orders_unit_price_not_negative"),
        CheckConstraint("total = subtotal - discount + shipping_fee", name="orders_total_adds_up"),
        CheckConstraint("total >= 0", name="orders_total_not_negative"),
        CheckConstraint(f"status IN {values_of(OrderStatus)}", name="orders_status_known"),
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
    coupon_code: Mapped[str | None] = mapped_column(ascii_text(64))
    shipping_method: Mapped[str | None] = mapped_column(ascii_text(64))
    address: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    # Who cancelled it: only what buyers give up themselves counts against them.
    cancelled_by: Mapped[str | None] = mapped_column(ExactText(64))
    refunded_at: Mapped[datetime | None] = mapped_column(UtcTime)
    refund_reference: Mapped[str | None] = mapped_column(ExactText(255))


class Coupon(Base):
    """A discount for those who know its code. `used` counts the uses that pending and paid orders have."""

    __tablename__ = "coupons"
    __table_args__ = (
        CheckConstraint(f"kind IN {values_of(CouponKind)}", name="coupons_kind_known"),
        CheckConstraint("percent BETWEEN 1 AND 100", name="coupons_percent_in_range"),
        CheckConstraint("used >= 0", name="coupons_used_not_negative"),
        Index("coupons_created", "created_at", "code"),
        Index("coupons_active_code", "active", "code"),
        Index("coupons_active_created", "active", "created_at", "code"),
        Index("coupons_kind_code", "kind", "code"),
        Index("coupons_kind_created", "kind", "created_at", "code"),
        Index("coupons_kind_active_code", "kind", "active", "code"),
        Index("coupons_kind_active_created", "kind", "active", "created_at", "code"),
        MYSQL_TABLE,
    )

    code: Mapped[str] = mapped_column(ascii_text(64), primary_key=True)
    kind: Mapped[str] = mapped_column(ascii_text(16))
    percent: Mapped[int | None] = mapped_column(Integer)
    max_discount: Mapped[int | None] = mapped_column(BigInteger)
    amount: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(ascii_text(3))
    min_spend: Mapped[int | None] = mapped_column(BigInteger)
    goods_ids: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True))
    starts_at: Mapped[datetime | None] = mapped_column(UtcTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcTime)
    total_limit: Mapped[int | None] = mapped_column(BigInteger)
    per_user_limit: Mapped[int | None] = mapped_column(BigInteger)
    active: Mapped[bool] = mapped_column(server_default=true())
    used: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


class CouponUse(Base):
    """An order's use of a coupon; `returned_at` is set while the order holds it no longer.

    The limits are those of the moment it was taken, and the numbers the uses that there were then, this one included:
    what an audit can judge it by after the limits were changed.
    """

    __tablename__ = "coupon_uses"
    __table_args__ = (Index("coupon_uses_coupon_user", "coupon_code", "user_id"), MYSQL_TABLE)

    order_no: Mapped[str] = mapped_column(ascii_text(32), primary_key=True)
    coupon_code: Mapped[str] = mapped_column(ascii_text(64))
    user_id: Mapped[str] = mapped_column(ExactText(64))
    total_limit: Mapped[int | None] = mapped_column(BigInteger)
    per_user_limit: Mapped[int | None] = mapped_column(BigInteger)
    number: Mapped[int] = mapped_column(BigInteger)
    user_number: Mapped[int] = mapped_column(BigInteger)
    returned_at: Mapped[datetime | None] = mapped_column(UtcTime)


class ShippingMethod(Base):
    """A way of delivery. Fees are in the order's currency's minor unit."""

    __tablename__ = "shipping_methods"
    __table_args__ = (
        CheckConstraint("base_fee >= 0", name="shipping_methods_base_fee_not_negative"),
        CheckConstraint("additional_fee >= 0", name="shipping_methods_additional_fee_not_negative"),
        MYSQL_TABLE,
    )

    code: Mapped[str] = mapped_column(ascii_text(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    currency: Mapped[str | None] = mapped_column(ascii_text(3))
    base_fee: Mapped[int] = mapped_column(BigInteger)
    additional_fee: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    free_from: Mapped[int | None] = mapped_column(BigInteger)
    regions: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    active: Mapped[bool] = mapped_column(server_default=true())
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


class Payment(Base):
    """What a payment provider reported, once for each content of each of its events, and what came of it.

    `variant` is empty for the first content of an event id; any other content of the same id has its digest.
    `resolved` is NULL where nobody has to do anything, else whether an operator did, or a refund.
    """

    __tablename__ = "payments"
    __table_args__ = (
        UniqueConstraint("event_id", "variant", name="payments_event_variant"),
        # The indexes of the operator's list, newest first: an index's rows come in the order of their ids.
        Index("payments_order", "order_no"),
        Index("payments_outcome", "outcome"),
        Index("payments_resolved", "resolved"),
        Index("payments_outcome_resolved", "outcome", "resolved"),
        Index("payments_payment", "payment_id"),
        CheckConstraint(f"outcome IN {values_of(PaymentOutcome)}", name="payments_outcome_known"),
        CheckConstraint(f"resolution IN {values_of(PaymentResolution)}", name="payments_resolution_known"),
        MYSQL_TABLE | {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    event_id: Mapped[str] = mapped_column(ascii_text(255))
    type: Mapped[str] = mapped_column(ascii_text(32))
    order_no: Mapped[str] = mapped_column(ascii_text(64))
    payment_id: Mapped[str] = mapped_column(ascii_text(255))
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(ascii_text(3))
    outcome: Mapped[str] = mapped_column(ascii_text(16))
    received_at: Mapped[datetime] = mapped_column(UtcTime)
    variant: Mapped[str] = mapped_column(ascii_text(64), server_default=text("''"))
    resolved: Mapped[bool | None] = mapped_column()
    resolution: Mapped[str | None] = mapped_column(ascii_text(16))
    note: Mapped[str | None] = mapped_column(String(1000))
    resolved_at: Mapped[datetime | None] = mapped_column(UtcTime)
    resolved_by: Mapped[str | None] = mapped_column(ExactText(64))


class PaymentClaim(Base):
    """A payment that had its effect, and what it was for. The primary key lets it have one, over all orders."""

    __tablename__ = "payment_claims"
    __table_args__ = (MYSQL_TABLE,)

    payment_id: Mapped[str] = mapped_column(ascii_text(255), primary_key=True)
    order_no: Mapped[str] = mapped_column(ascii_text(64))
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(ascii_text(3))


class IdempotencyKey(Base):
    """The answer to a request under an `Idempotency-Key`, for 24 hours from `kept_at`; purchases keep theirs in orders.

    While `status` is NULL nothing was answered under it that had an effect.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        UniqueConstraint("user_id", "idempotency_key", name="idempotency_keys_user_key"),
        Index("idempotency_keys_kept", "kept_at"),
        MYSQL_TABLE | {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(ExactText(64))
    idempotency_key: Mapped[str] = mapped_column(ascii_text(255))
    fingerprint: Mapped[str | None] = mapped_column(ascii_text(64))
    status: Mapped[int | None] = mapped_column(Integer)
    headers: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    body: Mapped[str | None] = mapped_column(LongText)
    kept_at: Mapped[datetime] = mapped_column(UtcTime)


class Outbox(Base):
    """Events that were just written, by the transactions that made them true; numbered and moved to `events` later.

    `events` is a list of [type, goods_id, order_no or null].
    """

    __tablename__ = "outbox"
    __table_args__ = (MYSQL_TABLE | {"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    occurred_at: Mapped[datetime] = mapped_column(UtcTime)
    events: Mapped[list[Any]] = mapped_column(JSON)


class Event(Base):
    """What happened to an order or to stock. Numbered after its COMMIT: whoever has read to `seq` missed none."""

    __tablename__ = "events"
    __table_args__ = (MYSQL_TABLE | {"sqlite_autoincrement": True},)

    seq: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    type: Mapped[str] = mapped_column(ascii_text(32))
    goods_id: Mapped[int] = mapped_column(BigInteger)
    order_no: Mapped[str | None] = mapped_column(ascii_text(32))
    occurred_at: Mapped[datetime] = mapped_column(UtcTime)


class Sequencer(Base):
    """One row to lock and to write: who holds it numbers events. `last_seq` is the last number that was given.

    Events up to `pruned_seq`, and only such as occurred before `pruned_before`, were deleted (core/ops/retention.py).
    """

    __tablename__ = "sequencer"
    __table_args__ = (MYSQL_TABLE,)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    pruned_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    pruned_before: Mapped[datetime | None] = mapped_column(UtcTime)


class Webhook(Base):
    """A subscription to events. `after_seq` is the last event that was looked at for it.

    While a secret is replaced, `old_secret` signs beside `secret` until `old_secret_ends_at`.
    """

    __tablename__ = "webhooks"
    __table_args__ = (MYSQL_TABLE | {"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    url: Mapped[str] = mapped_column(String(2000))
    types: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    secret: Mapped[str] = mapped_column(ascii_text(128))
    active: Mapped[bool] = mapped_column(server_default=true())
    after_seq: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)
    old_secret: Mapped[str | None] = mapped_column(ascii_text(128))
    old_secret_ends_at: Mapped[datetime | None] = mapped_column(UtcTime)


class RemovedWebhook(Base):
    """A subscription that was deleted, and whose log is still to be deleted."""

    __tablename__ = "removed_webhooks"
    __table_args__ = (MYSQL_TABLE,)

    webhook_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class WebhookDelivery(Base):
    """An event on its way to a subscriber, and what came of the last attempt."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("webhook_id", "seq", name="webhook_deliveries_webhook_seq"),
        Index("webhook_deliveries_due", "webhook_id", "status", "next_attempt_at"),
        Index("webhook_deliveries_log", "webhook_id", "status", "seq"),
        CheckConstraint(f"status IN {values_of(DeliveryStatus)}", name="webhook_deliveries_status_known"),
        MYSQL_TABLE | {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    webhook_id: Mapped[int] = mapped_column(BigInteger)
    seq: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(ascii_text(16))
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    next_attempt_at: Mapped[datetime] = mapped_column(UtcTime)
    last_attempt_at: Mapped[datetime | None] = mapped_column(UtcTime)
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_error: Mapped[str | None] = mapped_column(ascii_text(64))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcTime)


class PurchaseSlot(Base):
    """A row to lock: who holds it may run one purchase transaction on the item. See docs/locking.md."""

    __tablename__ = "purchase_slots"
    __table_args__ = (MYSQL_TABLE,)

    goods_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    slot: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)


class ServerProof(Base):
    """Rows on which a start tries the server's locks (core/db/server_proof.py). Empty but for the moment."""

    __tablename__ = "server_proof"
    __table_args__ = (
        UniqueConstraint("run", "mark", name="server_proof_mark"),
        CheckConstraint("units >= 0", name="server_proof_units_not_negative"),
        MYSQL_TABLE,
    )

    run: Mapped[str] = mapped_column(ascii_text(32), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    mark: Mapped[int] = mapped_column(Integer)
    units: Mapped[int] = mapped_column(BigInteger)
    made_at: Mapped[datetime] = mapped_column(UtcTime)


class SaleFigures(Base):
    """What one process counted of an item's purchases within the second that begins `at` (core/live/tally.py).

    Written once, and never in a purchase's transaction. Those of item 0 are of no item, or of the whole process.
    """

    __tablename__ = "sale_figures"
    __table_args__ = (Index("sale_figures_at", "at"), MYSQL_TABLE)

    goods_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcTime, primary_key=True)
    source: Mapped[str] = mapped_column(ascii_text(32), primary_key=True)
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)


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
