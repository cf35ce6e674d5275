"""The index of a buyer's orders of an item has them in the order of the list, status by status."""

from migrations.steps import replace_index

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Under its old name, which the statements of purchases give: those of an earlier version find it all the time.
    replace_index("orders_goods_user", "orders", ["goods_id", "user_id", "status", "purchased_at"])


def downgrade() -> None:
    replace_index("orders_goods_user", "orders", ["goods_id", "user_id"])
