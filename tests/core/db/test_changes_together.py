"""Several changes in one packet: carried out in their order, counted one by one, and none after one that fails."""

from collections.abc import Callable

import mysql.connector
import pytest
from flask import Flask
from sqlalchemy import text

from core.db.mysql_connection import Connection
from core.purchase.sql import Change, carry_out
from core.services import Services
from tests.core.selling import Selling


class Wrong(Exception):
    """A change that changed another number of rows."""


def names(*given: tuple[int, str, int]) -> list[Change]:
    """Changes of the names of items: the id, the name, and how many rows that must change."""
    place = "{}"
    return [
        Change(f"UPDATE goods SET name = {place} WHERE id = {item:d}", (name,), rows, Wrong(name))
        for item, name, rows in given
    ]


def made_by(services: Services, changes: list[Change]) -> None:
    mark = "?" if services.database.is_sqlite else "%s"
    with services.database.engine.begin() as connection:
        carry_out(connection, [each._replace(statement=each.statement.format(mark)) for each in changes])


def stored(services: Services) -> list[str]:
    with services.database.reading() as connection:
        return list(connection.execute(text("SELECT name FROM goods ORDER BY id")).scalars())


def test_changes_are_made_in_their_order(services: Services) -> None:
    first, second = Selling(services).item(), Selling(services).item()
    # What buyers send may look like SQL.
    made_by(services, names((first, "a", 1), (second, "'; DELETE FROM goods; -- \\", 1), (first, "b%s", 1)))
    assert stored(services) == ["b%s", "'; DELETE FROM goods; -- \\"]


def test_a_change_of_another_number_of_rows_undoes_all(services: Services) -> None:
    item = Selling(services).item()
    with pytest.raises(Wrong, match=r"^b$"):
        made_by(services, names((item, "a", 1), (item + 1, "b", 1), (item, "c", 1)))
    assert stored(services) == ["x"]


def test_nothing_is_done_after_a_change_that_fails(make_app: Callable[..., Flask], server_uri: str) -> None:
    server_services = make_app(server_uri).extensions["seckill"]
    item = Selling(server_services).item()
    fails = Change(f"UPDATE goods SET stock = -1 WHERE id = {item:d}", (), 1, Wrong())
    with server_services.database.engine.begin() as connection:
        opened = connection.connection.dbapi_connection
        assert isinstance(opened, Connection)
        before, after = names((item, "before", 1), (item, "after", 1))
        changes = [before._replace(statement=before.statement.format("%s")), fails]
        changes.append(after._replace(statement=after.statement.format("%s")))
        with pytest.raises(mysql.connector.Error):
            opened.execute_all([(each.statement, each.values) for each in changes])
        # The connection is as good as before.
        assert opened.execute("SELECT name FROM goods")[0] == [("before",)]
        assert opened.execute_all([("UPDATE goods SET name = 'z'", ()), ("UPDATE goods SET name = 'y'", ())]) == [1, 1]
