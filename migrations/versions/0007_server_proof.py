"""Rows on which a start tries the server's locks."""

import sqlalchemy as sa

from migrations.steps import create_table_if_missing, drop_table_if_exists
from models import UtcTime, ascii_text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table_if_missing(
        "server_proof",
        sa.Column("run", ascii_text(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("mark", sa.Integer(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("made_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("run", "number"),
        sa.UniqueConstraint("run", "mark", name="server_proof_mark"),
        sa.CheckConstraint("units >= 0", name="server_proof_units_not_negative"),
    )


def downgrade() -> None:
    drop_table_if_exists("server_proof")
