"""The table of what workers count of a sale: for the live figures of all hosts, and for the report."""

import sqlalchemy as sa

from migrations.steps import create_index_if_missing, create_table_if_missing, drop_table_if_exists
from models import UtcTime, ascii_text

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_table_if_missing(
        "sale_figures",
        sa.Column("goods_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", UtcTime, primary_key=True),
        sa.Column("source", ascii_text(32), primary_key=True),
        sa.Column("figures", sa.JSON, nullable=False),
    )
    create_index_if_missing("sale_figures_at", "sale_figures", ["at"])


def downgrade() -> None:
    drop_table_if_exists("sale_figures")
