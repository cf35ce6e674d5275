"""All rows of all tables but the figures of sales: what a refused request must leave as it was.

Workers store figures when they come to it, of requests before as well.
"""

from sqlalchemy import Engine

from models import SaleFigures, db


def rows(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """The rows of each table, by its name, in a fixed order."""
    with engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr)
            for table in db.metadata.sorted_tables
            if table is not SaleFigures.__table__
        }
