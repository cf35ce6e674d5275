"""What was deleted of the events, secrets of webhooks that are being replaced, and logs that are to be deleted."""

import sqlalchemy as sa

from migrations.steps import (
    add_column_if_missing,
    create_table_if_missing,
    drop_column_if_exists,
    drop_table_if_exists,
)
from models import UtcTime, ascii_text

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pruned = sa.Column("pruned_seq", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    add_column_if_missing("sequencer", pruned)
    add_column_if_missing("sequencer", sa.Column("pruned_before", UtcTime()))
    add_column_if_missing("webhooks", sa.Column("old_secret", ascii_text(128)))
    add_column_if_missing("webhooks", sa.Column("old_secret_ends_at", UtcTime()))
    create_table_if_missing(
        "removed_webhooks",
        sa.Column("webhook_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("webhook_id"),
    )


def downgrade() -> None:
    drop_table_if_exists("removed_webhooks")
    drop_column_if_exists("webhooks", "old_secret_ends_at")
    drop_column_if_exists("webhooks", "old_secret")
    drop_column_if_exists("sequencer", "pruned_before")
    drop_column_if_exists("sequencer", "pruned_seq")
