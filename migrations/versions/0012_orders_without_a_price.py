"""Orders with a total of 0 that earlier releases left pending are paid; those since are when they are placed."""

import sqlalchemy as sa
from alembic import op

from core.db.clock import database_now
from models import UtcTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_AT_ONCE = 500
_BY_NUMBER = "FORCE INDEX (orders_order_no)"

_orders = sa.table(
    "orders",
    sa.column("order_no", sa.String),
    sa.column("goods_id", sa.BigInteger),
    sa.column("total", sa.BigInteger),
    sa.column("status", sa.String),
    sa.column("expires_at", UtcTime),
    sa.column("paid_at", UtcTime),
)
_outbox = sa.table("outbox", sa.column("occurred_at", UtcTime), sa.column("events", sa.JSON))


def upgrade() -> None:
    # No change of a table: all of it is one transaction, and the order and its event are written both or neither.
    # Those whose time is over are left to the sweep (core/orders/expiry.py), which knows their buyers' limits.
    connection = op.get_bind()
    now = database_now(connection)
    waiting = (_orders.c.status == "pending", _orders.c.total == 0, _orders.c.expires_at > now)
    # Without locks, for other hosts may be selling; then those alone, by the index through which all lock orders.
    numbers = sorted(connection.execute(sa.select(_orders.c.order_no).where(*waiting)).scalars())
    for first in range(0, len(numbers), _AT_ONCE):
        some = (_orders.c.order_no.in_(numbers[first : first + _AT_ONCE]), *waiting)
        query = sa.select(_orders.c.order_no, _orders.c.goods_id).where(*some).order_by(_orders.c.order_no)
        for dialect in ("mysql", "mariadb"):
            query = query.with_hint(_orders, _BY_NUMBER, dialect)
        told = [["order.paid", row.goods_id, row.order_no] for row in connection.execute(query.with_for_update())]
        if told:
            paid = sa.update(_orders).with_hint(_BY_NUMBER).where(_orders.c.order_no.in_([each[2] for each in told]))
            connection.execute(paid.values(status="paid", paid_at=now))
            connection.execute(sa.insert(_outbox).values(occurred_at=now, events=told))


def downgrade() -> None:
    """They stay paid."""
