"""How Alembic reaches the database: by the connection that a start migrates with, or by one of its own."""

from alembic import context
from flask import current_app
from sqlalchemy import Connection

from models import Base


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by copying it
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    from server.prepare import alone

    with alone(current_app.extensions["seckill"].settings) as own:
        migrate(own)
