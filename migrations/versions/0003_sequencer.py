"""The sequencer's row has the last number that was given, so that each numbering of events writes it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # One statement, which is done or not: the sequencer itself begins behind the newest event (core/sequencer.py).
    if "last_seq" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("sequencer")}:
        op.add_column("sequencer", sa.Column("last_seq", sa.BigInteger(), nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    op.drop_column("sequencer", "last_seq")
