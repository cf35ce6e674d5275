"""The table of figures is made by the upgrade, whatever interrupts it; what was there before stays."""

import flask_migrate
import pytest
from flask import Flask

from app import create_app
from config import load
from core.db.transaction import run_with_default_deadline
from core.live import store
from core.live.board import Row
from core.live.tally import Tally
from core.ops import audit
from harness.interrupted import Interrupted, before_change
from harness.service import SECRET
from server.prepare import offer_migrations, upgrade
from tests.tables import engine


@pytest.fixture
def before(database_uri: str) -> Flask:
    """An application whose database is that of the release before, with an item."""
    app = create_app(load(SQLALCHEMY_DATABASE_URI=database_uri, SECRET_KEY=SECRET))
    offer_migrations(app)
    with app.app_context():
        flask_migrate.upgrade(revision="0012")
    with engine(database_uri).begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO goods (name, currency, price, description, image_url, stock, sold, created_at, updated_at)"
            " VALUES ('Kettle', 'CNY', 0, '', '', 10, 0, '2026-11-01', '2026-11-01')"
        )
        connection.exec_driver_sql(
            "INSERT INTO goods_changes (goods_id, version, action, changed_by, changed_at, stock_delta, changes)"
            " VALUES (1, 1, 'created', 'root', '2026-11-01', 10, '{}')"
        )
    return app


def assert_figures_can_be_stored(app: Flask) -> None:
    database = app.extensions["seckill"].database
    run_with_default_deadline(
        database, lambda connection: store.write(connection, [Row(1_795_000_000, "x", 1, Tally(waiting=3))])
    )
    with database.reading() as connection:
        (row,) = store.of_item(connection, 1)
    assert (row.second, row.source, row.tally) == (1_795_000_000, "x", Tally(waiting=3))
    assert audit.run(app.extensions["seckill"].settings).clean


def test_the_upgrade_makes_the_table(before: Flask) -> None:
    upgrade(before)
    assert_figures_can_be_stored(before)
    upgrade(before)
    assert_figures_can_be_stored(before)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_interrupted_upgrade_is_finished_by_the_next(before: Flask, number: int) -> None:
    with pytest.raises(Interrupted), before_change(number):
        upgrade(before)
    upgrade(before)
    assert_figures_can_be_stored(before)
