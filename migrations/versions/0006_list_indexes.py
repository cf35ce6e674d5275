"""Each filter and each order of a list has an index that its rows can be read from in the list's order."""

from migrations.steps import create_index_if_missing, drop_index_if_exists

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INDEXES = {
    "orders_status_time": ("orders", ["status", "purchased_at"]),
    "orders_goods_time": ("orders", ["goods_id", "status", "purchased_at"]),
    "orders_user_time": ("orders", ["user_id", "status", "purchased_at"]),
    "webhook_deliveries_log": ("webhook_deliveries", ["webhook_id", "status", "seq"]),
    "goods_starts": ("goods", ["starts_at"]),
    "goods_price": ("goods", ["price"]),
    "goods_created": ("goods", ["created_at"]),
    "coupons_created": ("coupons", ["created_at"]),
}


def upgrade() -> None:
    for name, (table, columns) in INDEXES.items():
        create_index_if_missing(name, table, columns)


def downgrade() -> None:
    for name, (table, _) in INDEXES.items():
        drop_index_if_exists(name, table)
