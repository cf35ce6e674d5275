"""Refunds, payments that have their effect once over all orders, and what operators did about those that did not fit."""

import sqlalchemy as sa
from alembic import op

from migrations.steps import (
    add_column_if_missing,
    create_index_if_missing,
    create_table_if_missing,
    drop_column_if_exists,
    drop_index_if_exists,
    drop_table_if_exists,
    replace_check,
)
from models import ExactText, Key, OrderStatus, PaymentOutcome, PaymentResolution, UtcTime, ascii_text, values_of

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_OUTCOMES_BEFORE = ("paid", "refund_due", "already_paid", "mismatch", "unknown_order", "failed", "repeated")
_STATUSES_BEFORE = ("pending", "paid", "cancelled", "expired", "refund_due")
_COLUMNS_BEFORE = "id, event_id, type, order_no, payment_id, amount, currency, outcome, received_at"


def _on_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _new_columns() -> list[sa.Column]:
    return [
        sa.Column("variant", ascii_text(64), nullable=False, server_default=sa.text("''")),
        sa.Column("resolved", sa.Boolean()),
        sa.Column("resolution", ascii_text(16)),
        sa.Column("note", sa.String(1000)),
        sa.Column("resolved_at", UtcTime()),
        sa.Column("resolved_by", ExactText(64)),
    ]


def upgrade() -> None:
    # Ahead of the columns: MySQL writes a CHECK down as models.py has it only with the next change of its table.
    replace_check("orders", "orders_status_known", f"status IN {values_of(OrderStatus)}")
    add_column_if_missing("orders", sa.Column("refunded_at", UtcTime()))
    add_column_if_missing("orders", sa.Column("refund_reference", ExactText(255)))
    if _on_sqlite():
        _rebuild_payments()
    else:
        for column in _new_columns():
            add_column_if_missing("payments", column)
        create_index_if_missing("payments_event_variant", "payments", ["event_id", "variant"], unique=True)
        drop_index_if_exists("payments_event_id", "payments")
        replace_check("payments", "payments_outcome_known", f"outcome IN {values_of(PaymentOutcome)}")
        replace_check("payments", "payments_resolution_known", f"resolution IN {values_of(PaymentResolution)}")
    create_index_if_missing("payments_order", "payments", ["order_no"])
    create_index_if_missing("payments_payment", "payments", ["payment_id"])
    create_index_if_missing("payments_outcome", "payments", ["outcome"])
    create_index_if_missing("payments_resolved", "payments", ["resolved"])
    create_index_if_missing("payments_outcome_resolved", "payments", ["outcome", "resolved"])
    op.execute(
        "UPDATE payments SET resolved = FALSE WHERE resolved IS NULL AND resolution IS NULL"
        " AND outcome IN ('refund_due', 'already_paid', 'mismatch', 'unknown_order')"
    )
    create_table_if_missing(
        "payment_claims",
        sa.Column("payment_id", ascii_text(255), nullable=False),
        sa.Column("order_no", ascii_text(64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", ascii_text(3), nullable=False),
        sa.PrimaryKeyConstraint("payment_id"),
    )
    # One payment could pay two orders before: the first has the claim, and the audit tells of the other.
    op.execute(
        "INSERT INTO payment_claims (payment_id, order_no, amount, currency)"
        " SELECT payment_id, order_no, amount, currency FROM payments WHERE id IN"
        " (SELECT MIN(id) FROM payments WHERE outcome IN ('paid', 'refund_due', 'already_paid') GROUP BY payment_id)"
        " AND NOT EXISTS (SELECT 1 FROM payment_claims claimed WHERE claimed.payment_id = payments.payment_id)"
    )


def _rebuild_payments() -> None:
    """SQLite cannot take back a UNIQUE of a table: its rows move to a new one. Each step is skipped once it is done."""
    there = set(sa.inspect(op.get_bind()).get_table_names())
    columns = (
        {column["name"] for column in sa.inspect(op.get_bind()).get_columns("payments")}
        if ("payments" in there)
        else set()
    )
    if "payments_before" not in there:
        if "variant" in columns:
            return
        op.rename_table("payments", "payments_before")
    create_table_if_missing(
        "payments",
        sa.Column("id", Key, nullable=False, autoincrement=True),
        sa.Column("event_id", ascii_text(255), nullable=False),
        sa.Column("type", ascii_text(32), nullable=False),
        sa.Column("order_no", ascii_text(64), nullable=False),
        sa.Column("payment_id", ascii_text(255), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", ascii_text(3), nullable=False),
        sa.Column("outcome", ascii_text(16), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        *_new_columns(),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id", "variant", name="payments_event_variant"),
        sa.CheckConstraint(f"outcome IN {values_of(PaymentOutcome)}", name="payments_outcome_known"),
        sa.CheckConstraint(f"resolution IN {values_of(PaymentResolution)}", name="payments_resolution_known"),
        sqlite_autoincrement=True,
    )
    op.execute(
        f"INSERT INTO payments ({_COLUMNS_BEFORE}) SELECT {_COLUMNS_BEFORE} FROM payments_before"
        " WHERE id NOT IN (SELECT id FROM payments)"
    )
    drop_table_if_exists("payments_before")


def downgrade() -> None:
    """For databases without refunds and without events told in two ways: others break a constraint, and stay."""
    drop_table_if_exists("payment_claims")
    if _on_sqlite():
        raise NotImplementedError("SQLite is not taken back; restore a copy of the file")
    replace_check("orders", "orders_status_known", f"status IN {_STATUSES_BEFORE}")
    for column in ("refund_reference", "refunded_at"):
        drop_column_if_exists("orders", column)
    replace_check("payments", "payments_outcome_known", f"outcome IN {_OUTCOMES_BEFORE}")
    create_index_if_missing("payments_event_id", "payments", ["event_id"], unique=True)
    for index in ("payments_outcome_resolved", "payments_resolved", "payments_outcome", "payments_event_variant"):
        drop_index_if_exists(index, "payments")
    op.execute("ALTER TABLE payments DROP CONSTRAINT payments_resolution_known")
    for column in _new_columns():
        drop_column_if_exists("payments", column.name)
