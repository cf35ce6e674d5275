"""All rows of all tables: what a refused request must leave as it was."""

from sqlalchemy import Engine

from models import db


def rows(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """The rows of each table, by its name, in a fixed order."""
    with engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr)
            for table in db.metadata.sorted_tables
        }
