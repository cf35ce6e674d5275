"""Idempotency keys of all requests, a currency for amounts of coupons, and no address of what is not shipped."""

import sqlalchemy as sa
from alembic import op

from migrations.steps import create_index_if_missing, create_table_if_missing, drop_table_if_exists
from models import ExactText, Key, LongText, UtcTime, ascii_text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table_if_missing(
        "idempotency_keys",
        sa.Column("id", Key, nullable=False, autoincrement=True),
        sa.Column("user_id", ExactText(64), nullable=False),
        sa.Column("idempotency_key", ascii_text(255), nullable=False),
        sa.Column("fingerprint", ascii_text(64)),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", sa.JSON()),
        sa.Column("body", LongText),
        sa.Column("kept_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("user_id", "idempotency_key", name="idempotency_keys_user_key"),
        sqlite_autoincrement=True,
    )
    create_index_if_missing("idempotency_keys_kept", "idempotency_keys", ["kept_at"])
    # An amount without a currency applies to nothing any more. Where all items have one currency, that was meant.
    op.execute(
        "UPDATE coupons SET currency = (SELECT MIN(currency) FROM goods) WHERE kind = 'amount' AND currency IS NULL"
        " AND (SELECT COUNT(DISTINCT currency) FROM goods) = 1"
    )
    # Orders of items that are not shipped have no shipping method, and need no address.
    op.execute("UPDATE orders SET address = NULL WHERE address IS NOT NULL AND shipping_method IS NULL")


def downgrade() -> None:
    drop_table_if_exists("idempotency_keys")
