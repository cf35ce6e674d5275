"""Orders with a total of 0 from before they were paid at once are paid by the upgrade, whatever interrupts it."""

from datetime import datetime, timedelta
from typing import Any

import flask_migrate
import pytest
from flask import Flask

from app import create_app
from config import load
from core.ops import audit
from harness.interrupted import Interrupted, before_change
from harness.service import SECRET
from server.prepare import offer_migrations, upgrade
from tests.tables import engine

LONG_AGO, FAR_AHEAD = "2026-11-02 10:00:00.000000", "2099-01-01 00:00:00.000000"
# Number, total, status and the end of its time.
ORDERS = (
    ("FREE1", 0, "pending", FAR_AHEAD),
    ("FREE2", 0, "pending", FAR_AHEAD),
    ("DEAR", 100, "pending", FAR_AHEAD),
    ("LATE", 0, "pending", "2026-11-02 10:15:00.000000"),
    ("GONE", 0, "cancelled", FAR_AHEAD),
)


@pytest.fixture
def before(database_uri: str) -> Flask:
    """An application whose database is that of the release before, with orders of it."""
    app = create_app(load(SQLALCHEMY_DATABASE_URI=database_uri, SECRET_KEY=SECRET))
    offer_migrations(app)
    with app.app_context():
        flask_migrate.upgrade(revision="0011")
    with engine(database_uri).begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO goods (name, currency, price, description, image_url, stock, sold, created_at, updated_at)"
            " VALUES ('Kettle', 'CNY', 0, '', '', 6, 4, '2026-11-01', '2026-11-01')"
        )
        connection.exec_driver_sql(
            "INSERT INTO goods_changes (goods_id, version, action, changed_by, changed_at, stock_delta, changes)"
            " VALUES (1, 1, 'created', 'root', '2026-11-01', 10, '{}')"
        )
        for number, total, status, end in ORDERS:
            closed = "NULL" if status == "pending" else f"'{LONG_AGO}'"
            connection.exec_driver_sql(
                "INSERT INTO orders (goods_id, goods_name, user_id, quantity, currency, unit_price, subtotal, discount,"
                " shipping_fee, total, purchased_at, expires_at, order_no, status, closed_at)"
                f" VALUES (1, 'Kettle', 'alice', 1, 'CNY', {total}, {total}, 0, 0, {total}, '{LONG_AGO}', '{end}',"
                f" '{number}', '{status}', {closed})"
            )
            kinds = ["order.placed"] if status == "pending" else ["order.placed", "order.cancelled"]
            for kind in kinds:
                connection.exec_driver_sql(
                    "INSERT INTO events (type, goods_id, order_no, occurred_at)"
                    f" VALUES ('{kind}', 1, '{number}', '{LONG_AGO}')"
                )
    return app


def orders(app: Flask) -> dict[str, tuple[str, Any]]:
    """The status of each order, and when it was paid."""
    with app.extensions["seckill"].database.engine.connect() as connection:
        query = "SELECT order_no, status, paid_at FROM orders"
        return {number: (status, paid_at) for number, status, paid_at in connection.exec_driver_sql(query)}


def assert_paid_once(app: Flask) -> None:
    now = orders(app)
    assert {number: status for number, (status, _) in now.items()} == {
        "FREE1": "paid",
        "FREE2": "paid",
        "DEAR": "pending",
        "LATE": "pending",
        "GONE": "cancelled",
    }
    assert {number for number, (_, paid_at) in now.items() if paid_at} == {"FREE1", "FREE2"}
    report = audit.run(app.extensions["seckill"].settings)
    assert [result.check.name for result in report.results if result.count] == []


def test_they_are_paid_and_the_others_stay(before: Flask) -> None:
    upgrade(before)
    assert_paid_once(before)
    paid_at = datetime.fromisoformat(str(orders(before)["FREE1"][1]))
    assert abs(paid_at - datetime.utcnow()) < timedelta(minutes=5)
    upgrade(before)
    assert_paid_once(before)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_interrupted_upgrade_is_finished_by_the_next(before: Flask, number: int) -> None:
    with pytest.raises(Interrupted), before_change(number):
        upgrade(before)
    assert orders(before)["FREE1"][0] == "pending"
    upgrade(before)
    assert_paid_once(before)


def test_many_are_paid_in_pieces(before: Flask, database_uri: str) -> None:
    with engine(database_uri).begin() as connection:
        for number in range(1100):
            connection.exec_driver_sql(
                "INSERT INTO orders (goods_id, goods_name, user_id, quantity, currency, unit_price, subtotal, discount,"
                " shipping_fee, total, purchased_at, expires_at, order_no, status)"
                f" VALUES (1, 'Kettle', 'bob', 1, 'CNY', 0, 0, 0, 0, 0, '{LONG_AGO}', '{FAR_AHEAD}', 'N{number}',"
                " 'pending')"
            )
    upgrade(before)
    assert sum(status == "paid" for status, _ in orders(before).values()) == 1102
    with engine(database_uri).connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM outbox").scalar_one() == 3
