"""Changes nothing. A database at this revision is one in which our set-up began, so its tables are ours."""

revision = "0000"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
