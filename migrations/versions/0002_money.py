"""Coupons, shipping, payments, events and webhooks."""

import sqlalchemy as sa
from alembic import op

from migrations.steps import (
    add_column_if_missing,
    create_index_if_missing,
    create_table_if_missing,
    drop_column_if_exists,
    drop_index_if_exists,
    drop_table_if_exists,
)
from models import CouponKind, DeliveryStatus, ExactText, Key, PaymentOutcome, UtcTime, ascii_text, values_of

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_column_if_missing("orders", sa.Column("coupon_code", ascii_text(64)))
    add_column_if_missing("orders", sa.Column("shipping_method", ascii_text(64)))
    add_column_if_missing("orders", sa.Column("address", sa.JSON()))
    add_column_if_missing("orders", sa.Column("cancelled_by", ExactText(64)))
    create_index_if_missing("orders_status_expires", "orders", ["status", "expires_at"])
    create_table_if_missing(
        "coupons",
        sa.Column("code", ascii_text(64), nullable=False),
        sa.Column("kind", ascii_text(16), nullable=False),
        sa.Column("percent", sa.Integer()),
        sa.Column("max_discount", sa.BigInteger()),
        sa.Column("amount", sa.BigInteger()),
        sa.Column("currency", ascii_text(3)),
        sa.Column("min_spend", sa.BigInteger()),
        sa.Column("goods_ids", sa.JSON()),
        sa.Column("starts_at", UtcTime()),
        sa.Column("ends_at", UtcTime()),
        sa.Column("total_limit", sa.BigInteger()),
        sa.Column("per_user_limit", sa.BigInteger()),
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("used", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default=sa.text("1")),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
        sa.CheckConstraint(f"kind IN {values_of(CouponKind)}", name="coupons_kind_known"),
        sa.CheckConstraint("percent BETWEEN 1 AND 100", name="coupons_percent_in_range"),
        sa.CheckConstraint("used >= 0", name="coupons_used_not_negative"),
    )
    create_table_if_missing(
        "coupon_uses",
        sa.Column("order_no", ascii_text(32), nullable=False),
        sa.Column("coupon_code", ascii_text(64), nullable=False),
        sa.Column("user_id", ExactText(64), nullable=False),
        sa.Column("total_limit", sa.BigInteger()),
        sa.Column("per_user_limit", sa.BigInteger()),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("user_number", sa.BigInteger(), nullable=False),
        sa.Column("returned_at", UtcTime()),
        sa.PrimaryKeyConstraint("order_no"),
    )
    create_index_if_missing("coupon_uses_coupon_user", "coupon_uses", ["coupon_code", "user_id"])
    create_table_if_missing(
        "shipping_methods",
        sa.Column("code", ascii_text(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("currency", ascii_text(3)),
        sa.Column("base_fee", sa.BigInteger(), nullable=False),
        sa.Column("additional_fee", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("free_from", sa.BigInteger()),
        sa.Column("regions", sa.JSON()),
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default=sa.text("1")),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
        sa.CheckConstraint("base_fee >= 0", name="shipping_methods_base_fee_not_negative"),
        sa.CheckConstraint("additional_fee >= 0", name="shipping_methods_additional_fee_not_negative"),
    )
    create_table_if_missing(
        "payments",
        sa.Column("id", Key, nullable=False, autoincrement=True),
        sa.Column("event_id", ascii_text(255), nullable=False),
        sa.Column("type", ascii_text(32), nullable=False),
        sa.Column("order_no", ascii_text(64), nullable=False),
        sa.Column("payment_id", ascii_text(255), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", ascii_text(3), nullable=False),
        sa.Column("outcome", ascii_text(16), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id", name="payments_event_id"),
        sa.CheckConstraint(f"outcome IN {values_of(PaymentOutcome)}", name="payments_outcome_known"),
        sqlite_autoincrement=True,
    )
    create_index_if_missing("payments_order", "payments", ["order_no"])
    create_index_if_missing("payments_payment", "payments", ["payment_id"])
    create_table_if_missing(
        "outbox",
        sa.Column("id", Key, nullable=False, autoincrement=True),
        sa.Column("occurred_at", UtcTime(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    create_table_if_missing(
        "events",
        sa.Column("seq", Key, nullable=False, autoincrement=True),
        sa.Column("type", ascii_text(32), nullable=False),
        sa.Column("goods_id", sa.BigInteger(), nullable=False),
        sa.Column("order_no", ascii_text(32)),
        sa.Column("occurred_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    create_table_if_missing(
        "sequencer",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("id"),
    )
    create_table_if_missing(
        "webhooks",
        sa.Column("id", Key, nullable=False, autoincrement=True),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("types", sa.JSON()),
        sa.Column("secret", ascii_text(128), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("after_seq", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default=sa.text("1")),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    create_table_if_missing(
        "webhook_deliveries",
        sa.Column("id", Key, nullable=False, autoincrement=True),
        sa.Column("webhook_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("status", ascii_text(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("next_attempt_at", UtcTime(), nullable=False),
        sa.Column("last_attempt_at", UtcTime()),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_error", ascii_text(64)),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("delivered_at", UtcTime()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("webhook_id", "seq", name="webhook_deliveries_webhook_seq"),
        sa.CheckConstraint(f"status IN {values_of(DeliveryStatus)}", name="webhook_deliveries_status_known"),
        sqlite_autoincrement=True,
    )
    create_index_if_missing("webhook_deliveries_due", "webhook_deliveries", ["webhook_id", "status", "next_attempt_at"])
    # What happened before there were events, as the orders tell it: whoever follows events misses no order.
    # Once: nobody else writes events before this migration is done.
    op.execute(
        "INSERT INTO events (type, goods_id, order_no, occurred_at)"
        " SELECT type, goods_id, order_no, occurred_at FROM ("
        "SELECT id, 'order.placed' AS type, goods_id, order_no, purchased_at AS occurred_at FROM orders"
        " UNION ALL SELECT id, 'order.paid', goods_id, order_no, paid_at FROM orders WHERE status = 'paid'"
        " UNION ALL SELECT id, 'order.cancelled', goods_id, order_no, closed_at FROM orders WHERE status = 'cancelled'"
        " UNION ALL SELECT id, 'order.expired', goods_id, order_no, closed_at FROM orders WHERE status = 'expired'"
        ") happened WHERE NOT EXISTS (SELECT 1 FROM events) ORDER BY occurred_at, id, type = 'order.placed' DESC"
    )


def downgrade() -> None:
    for table in (
        "webhook_deliveries",
        "webhooks",
        "sequencer",
        "events",
        "outbox",
        "payments",
        "shipping_methods",
        "coupon_uses",
        "coupons",
    ):
        drop_table_if_exists(table)
    drop_index_if_exists("orders_status_expires", "orders")
    for column in ("cancelled_by", "address", "shipping_method", "coupon_code"):
        drop_column_if_exists("orders", column)
