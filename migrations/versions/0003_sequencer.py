"""The sequencer's row has the last number that was given, so that each numbering of events writes it."""

import sqlalchemy as sa

from migrations.steps import add_column_if_missing, drop_column_if_exists

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The sequencer itself begins behind the newest event (core/events/sequencer.py).
    add_column_if_missing(
        "sequencer", sa.Column("last_seq", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )


def downgrade() -> None:
    drop_column_if_exists("sequencer", "last_seq")
