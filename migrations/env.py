"""How Alembic reaches the database: with the application's settings, and with patience for slow changes of tables."""

from alembic import context
from flask import current_app

from core.database import patient_engine
from models import Base

engine = patient_engine(current_app.extensions["seckill"].settings)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by copying it
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
