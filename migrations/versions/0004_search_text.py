"""The name of an item as it is searched, the same on every database."""

import sqlalchemy as sa
from alembic import op

from core.catalogue.search import searchable
from migrations.steps import add_column_if_missing, drop_column_if_exists
from models import MAX_SEARCH_TEXT, ExactText

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_AT_ONCE = 1000  # rows


def upgrade() -> None:
    add_column_if_missing("goods", sa.Column("search_text", ExactText(MAX_SEARCH_TEXT)))
    goods = sa.table("goods", sa.column("id"), sa.column("name"), sa.column("search_text"))
    todo = sa.select(goods.c.id, goods.c.name).where(goods.c.search_text.is_(None)).limit(_AT_ONCE)
    connection = op.get_bind()
    fill = sa.update(goods).where(goods.c.id == sa.bindparam("item")).values(search_text=sa.bindparam("text"))
    while rows := connection.execute(todo).all():
        connection.execute(fill, [{"item": row.id, "text": searchable(row.name)} for row in rows])


def downgrade() -> None:
    drop_column_if_exists("goods", "search_text")
