"""Goods, orders, purchase slots and the history of goods."""

import sqlalchemy as sa

from migrations.steps import create_index_if_missing, create_table_if_missing, drop_table_if_exists
from models import ExactText, Key, OrderStatus, UtcTime, ascii_text, values_of

revision = "0001"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table_if_missing(
        "goods",
        sa.Column("id", Key, nullable=False, autoincrement=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("image_url", sa.String(2000), nullable=False),
        sa.Column("currency", ascii_text(3), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("list_price", sa.BigInteger()),
        sa.Column("stock", sa.BigInteger(), nullable=False),
        sa.Column("sold", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("paused", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("starts_at", UtcTime()),
        sa.Column("ends_at", UtcTime()),
        sa.Column("per_user_limit", sa.BigInteger()),
        sa.Column("order_limit", sa.BigInteger()),
        sa.Column("shippable", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default=sa.text("1")),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("stock >= 0", name="goods_stock_not_negative"),
        sa.CheckConstraint("sold >= 0", name="goods_sold_not_negative"),
        sa.CheckConstraint("price >= 0", name="goods_price_not_negative"),
        sa.CheckConstraint("list_price >= 0", name="goods_list_price_not_negative"),
        sa.CheckConstraint("per_user_limit >= 1", name="goods_per_user_limit_positive"),
        sa.CheckConstraint("order_limit >= 1", name="goods_order_limit_positive"),
        sa.CheckConstraint("ends_at >= starts_at", name="goods_window_not_reversed"),
        sqlite_autoincrement=True,
    )
    create_table_if_missing(
        "orders",
        sa.Column("id", Key, nullable=False, autoincrement=True),
        sa.Column("order_no", ascii_text(32), nullable=False),
        sa.Column("goods_id", sa.BigInteger(), nullable=False),
        sa.Column("goods_name", sa.String(200), nullable=False),
        sa.Column("user_id", ExactText(64), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("currency", ascii_text(3), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=False),
        sa.Column("subtotal", sa.BigInteger(), nullable=False),
        sa.Column("discount", sa.BigInteger(), nullable=False),
        sa.Column("shipping_fee", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("status", ascii_text(16), nullable=False),
        sa.Column("per_user_limit", sa.BigInteger()),
        sa.Column("idempotency_key", ascii_text(255)),
        sa.Column("request_fingerprint", ascii_text(64)),
        sa.Column("purchased_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.Column("paid_at", UtcTime()),
        sa.Column("closed_at", UtcTime()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("order_no", name="orders_order_no"),
        sa.UniqueConstraint("user_id", "idempotency_key", name="orders_user_key"),
        sa.CheckConstraint("quantity >= 1", name="orders_quantity_positive"),
        sa.CheckConstraint("unit_price >= 0", name="orders_unit_price_not_negative"),
        sa.CheckConstraint("total = subtotal - discount + shipping_fee", name="orders_total_adds_up"),
        sa.CheckConstraint("total >= 0", name="orders_total_not_negative"),
        sa.CheckConstraint(f"status IN {values_of(OrderStatus)}", name="orders_status_known"),
        sqlite_autoincrement=True,
    )
    create_index_if_missing("orders_goods_user", "orders", ["goods_id", "user_id"])
    create_table_if_missing(
        "purchase_slots",
        sa.Column("goods_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("slot", sa.Integer(), nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("goods_id", "slot"),
    )
    create_table_if_missing(
        "goods_changes",
        sa.Column("id", Key, nullable=False, autoincrement=True),
        sa.Column("goods_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("action", ascii_text(16), nullable=False),
        sa.Column("changed_by", ExactText(64), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.Column("stock_delta", sa.BigInteger(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    create_index_if_missing("goods_changes_goods", "goods_changes", ["goods_id"])


def downgrade() -> None:
    for table in ("goods_changes", "purchase_slots", "orders", "goods"):
        drop_table_if_exists(table)
