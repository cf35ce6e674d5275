"""The steps that migrations are made of: each can be run again, and does what it says on each database."""

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.exc import DBAPIError

from core.db.schema import WrongSchema
from migrations import steps
from models import Key, ascii_text
from tests.tables import engine

COLOURS = ("red", "green")


@pytest.fixture
def connection(database_uri: str) -> Iterator[sa.Connection]:
    """A connection on which steps work, with a table that has two rows and whatever a table can have."""
    made = engine(database_uri)
    with made.connect() as opened, Operations.context(MigrationContext.configure(opened)):
        steps.create_table_if_missing(
            "things",
            sa.Column("id", Key, nullable=False, autoincrement=True),
            sa.Column("name", ascii_text(8), nullable=False),
            sa.Column("colour", ascii_text(8), nullable=False, server_default=sa.text("'red'")),
            sa.PrimaryKeyConstraint("id"),
            sa.UniqueConstraint("name", name="things_name"),
            sa.CheckConstraint(f"colour IN {COLOURS}", name="things_colour_known"),
            sa.CheckConstraint("name <> 'none, (or) \"nothing\"'", name="things_named"),
            sqlite_autoincrement=True,
        )
        steps.create_index_if_missing("things_colour", "things", ["colour"])
        opened.exec_driver_sql("INSERT INTO things (name) VALUES ('first'), ('last')")
        opened.exec_driver_sql("DELETE FROM things WHERE name = 'last'")
        opened.commit()
        yield opened
    made.dispose()


def refused(connection: sa.Connection, statement: str) -> bool:
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError:
        connection.rollback()
        return True
    connection.commit()
    return False


def again(step: Callable[[], None]) -> None:
    for _ in range(2):
        step()


def test_a_check_is_replaced(connection: sa.Connection) -> None:
    again(lambda: steps.replace_check("things", "things_colour_known", f"colour IN {(*COLOURS, 'blue: dark')}"))
    connection.commit()
    assert not refused(connection, "INSERT INTO things (name, colour) VALUES ('second', 'green')")
    assert refused(connection, "INSERT INTO things (name, colour) VALUES ('third', 'black')")
    # All else is as it was: the other CHECK, keys, defaults, the index, and numbers that are never given twice.
    assert refused(connection, "INSERT INTO things (name) VALUES ('none, (or) \"nothing\"')")
    assert refused(connection, "INSERT INTO things (name) VALUES ('first')")
    assert refused(connection, "INSERT INTO things (name) VALUES (NULL)")
    assert sa.inspect(connection).get_indexes("things")[0]["name"] in ("things_colour", "things_name")
    rows = connection.exec_driver_sql("SELECT name, colour FROM things ORDER BY id").all()
    assert list(map(tuple, rows)) == [("first", "red"), ("second", "green")]
    assert connection.exec_driver_sql("SELECT MAX(id) FROM things").scalar_one() > 2
    if connection.dialect.name == "sqlite":
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_a_check_that_was_not_there_is_added(connection: sa.Connection) -> None:
    again(lambda: steps.replace_check("things", "things_short", "name <> 'long'"))
    connection.commit()
    assert refused(connection, "INSERT INTO things (name) VALUES ('long')")
    assert not refused(connection, "INSERT INTO things (name) VALUES ('short')")


def test_a_check_that_rows_violate_is_not_put_in_place(connection: sa.Connection) -> None:
    with pytest.raises((WrongSchema, DBAPIError)):
        steps.replace_check("things", "things_colour_known", "colour = 'green'")
    connection.rollback()
    assert not refused(connection, "INSERT INTO things (name, colour) VALUES ('second', 'red')")
    assert refused(connection, "INSERT INTO things (name, colour) VALUES ('third', 'black')")


def test_a_column_is_changed(connection: sa.Connection) -> None:
    again(lambda: steps.change_column("things", sa.Column("name", ascii_text(300))))
    connection.commit()
    assert not refused(connection, "INSERT INTO things (name, colour) VALUES (NULL, 'green')")
    assert not refused(connection, f"INSERT INTO things (name, colour) VALUES ('{'n' * 300}', 'green')")
    assert refused(connection, "INSERT INTO things (name) VALUES ('first')")


def test_columns_indexes_and_tables_come_and_go(connection: sa.Connection) -> None:
    def names() -> tuple[set[str], set[str | None]]:
        found = sa.inspect(connection)
        return {c["name"] for c in found.get_columns("things")}, {i["name"] for i in found.get_indexes("things")}

    again(
        lambda: steps.add_column_if_missing("things", sa.Column("size", sa.BigInteger(), server_default=sa.text("7")))
    )
    again(lambda: steps.create_index_if_missing("things_size", "things", ["size"], unique=False))
    assert connection.exec_driver_sql("SELECT size FROM things").scalars().all() == [7]
    assert ("size" in names()[0], "things_size" in names()[1]) == (True, True)
    again(lambda: steps.drop_index_if_exists("things_size", "things"))
    again(lambda: steps.drop_column_if_exists("things", "size"))
    assert ("size" in names()[0], "things_size" in names()[1]) == (False, False)
    again(lambda: steps.drop_table_if_exists("things"))
    assert not sa.inspect(connection).has_table("things")


def test_an_index_is_replaced(connection: sa.Connection) -> None:
    def columns() -> list[list[str | None]]:
        found = sa.inspect(connection).get_indexes("things")
        return [index["column_names"] for index in found if index["name"] == "things_colour"]

    again(lambda: steps.replace_index("things_colour", "things", ["colour", "name"]))
    assert columns() == [["colour", "name"]]
    again(lambda: steps.replace_index("things_colour", "things", ["colour"]))
    assert columns() == [["colour"]]
    steps.drop_index_if_exists("things_colour", "things")
    again(lambda: steps.replace_index("things_colour", "things", ["name", "colour"]))
    assert columns() == [["name", "colour"]]


def test_a_table_of_this_name_without_our_columns_is_refused(connection: sa.Connection) -> None:
    with pytest.raises(WrongSchema, match="a table things of somebody else, without size"):
        steps.create_table_if_missing("things", sa.Column("id", Key), sa.Column("size", sa.BigInteger()))


def test_a_step_that_another_host_has_done_meanwhile_is_done(server_uri: str) -> None:
    with engine(server_uri).connect() as connection, Operations.context(MigrationContext.configure(connection)):
        seen = iter([False, True])
        make = lambda: connection.exec_driver_sql("CREATE TABLE things (id INT PRIMARY KEY)")  # noqa: E731
        make()
        steps.unless(lambda: next(seen), make)
        with pytest.raises(DBAPIError):
            steps.unless(lambda: False, make)
