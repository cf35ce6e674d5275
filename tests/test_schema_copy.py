"""Tests on a server use one database after the other, and each finds it as the migrations make it."""

from collections.abc import Callable

import pytest
from flask import Flask

from core.services import Services
from harness.database_server import DatabaseServer
from harness.schema_copy import Copies, Recycled
from tests.core.selling import Selling


@pytest.fixture
def use(server: DatabaseServer, server_uri: str, copies: Copies, make_app: Callable[..., Flask]) -> Callable[..., str]:
    """Takes a database, sells on it, has a statement done in it, and gives it back. Returns its address."""
    make_app(server_uri)  # by the migrations, or a copy: those that follow are copies
    databases = Recycled(server, copies)

    def use(then: str = "DO 0") -> str:
        uri = databases.take()
        services: Services = make_app(uri).extensions["seckill"]
        selling = Selling(services)
        item = selling.item()
        assert item == 1, "a row, or the count of rows, was left"
        selling.bought(item)
        with services.database.engine.begin() as connection:
            connection.exec_driver_sql(then)
        services.database.engine.dispose()
        databases.give_back(uri)
        return uri

    return use


def test_a_database_is_emptied_for_the_next(use: Callable[..., str]) -> None:
    assert use() == use() == use()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE goods ADD COLUMN extra INT",
        "ALTER TABLE goods DROP CONSTRAINT goods_stock_not_negative",
        "CREATE TRIGGER extra BEFORE INSERT ON goods FOR EACH ROW SET @extra = 1",
        "CREATE TABLE extra (id INT)",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
def test_one_whose_tables_were_changed_is_not_used_again(use: Callable[..., str], change: str) -> None:
    assert use(change) != use()
