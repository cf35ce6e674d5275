"""models.py, migrations/ and schema.sql say the same."""

import re
from pathlib import Path

import flask_migrate
import pytest
from sqlalchemy import create_engine, text

from app import create_app
from config import ROOT, load
from core.ops import audit
from harness.database_server import DatabaseServer
from harness.service import SECRET
from models import SCHEMA_REVISION, Base
from server.prepare import MIGRATIONS, offer_migrations, upgrade
from tests.tables import engine, tables


@pytest.fixture
def three(server: DatabaseServer) -> dict[str, str]:
    names = ("models", "migrations", "schema_sql")
    yield {name: server.create_database(f"schema_{name}") for name in names}
    for name in names:
        server.drop_database(f"schema_{name}")


def test_models_migrations_and_schema_sql_make_the_same_tables_on_a_real_server(three: dict[str, str]) -> None:
    with engine(three["models"]).begin() as connection:
        Base.metadata.create_all(connection)
    upgrade(create_app(load(SQLALCHEMY_DATABASE_URI=three["migrations"], SECRET_KEY=SECRET)))
    with engine(three["schema_sql"]).begin() as connection:
        script = re.sub(r"^--.*$", "", (ROOT / "schema.sql").read_text(), flags=re.MULTILINE)
        for statement in filter(str.strip, script.split(";")):
            connection.exec_driver_sql(statement)
    models = tables(three["models"])
    assert set(models) == set(Base.metadata.tables)
    assert tables(three["migrations"]) == models
    assert tables(three["schema_sql"]) == models
    # A database set up by hand is recognised, and not set up again.
    upgrade(create_app(load(SQLALCHEMY_DATABASE_URI=three["schema_sql"], SECRET_KEY=SECRET)))


def test_models_and_migrations_make_the_same_tables_on_sqlite(tmp_path: Path) -> None:
    made = {}
    for name in ("models", "migrations"):
        uri = f"sqlite:///{tmp_path / name}.db"
        if name == "models":
            with create_engine(uri).begin() as connection:
                Base.metadata.create_all(connection)
        else:
            upgrade(create_app(load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET)))
        with create_engine(uri).connect() as connection:
            rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%'")
            made[name] = {row.name: re.sub(r"\s+", "", row.sql or "") for row in rows if "alembic" not in row.name}
    assert {key: sorted(value.split(",")) for key, value in made["models"].items()} == {
        key: sorted(value.split(",")) for key, value in made["migrations"].items()
    }


def test_the_code_knows_its_newest_migration() -> None:
    revisions = sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    assert revisions[-1] == SCHEMA_REVISION


def test_schema_sql_says_that_it_is_of_the_newest_migration() -> None:
    assert f"UPDATE alembic_version SET version_num = '{SCHEMA_REVISION}';" in (ROOT / "schema.sql").read_text()


def test_orders_from_before_there_were_events_are_told_of(database_uri: str) -> None:
    app = create_app(load(SQLALCHEMY_DATABASE_URI=database_uri, SECRET_KEY=SECRET))
    offer_migrations(app)
    with app.app_context():
        flask_migrate.upgrade(revision="0001")
    goods = "'Kettle', 'CNY', 100, '', '', 8, 2, FALSE, FALSE, 1, '2026-11-01', '2026-11-01'"
    order = "1, 'Kettle', 'alice', 1, 'CNY', 100, 100, 0, 0, 100, '2026-11-02 10:00:00.000', '2026-11-02 10:15:00.000'"
    with engine(database_uri).begin() as connection:
        for statement in (
            "INSERT INTO goods (name, currency, price, description, image_url, stock, sold, paused, shippable, version,"
            f" created_at, updated_at) VALUES ({goods})",
            "INSERT INTO goods_changes (goods_id, version, action, changed_by, changed_at, stock_delta, changes)"
            " VALUES (1, 1, 'created', 'root', '2026-11-01', 10, '{}')",
            *(
                "INSERT INTO orders (goods_id, goods_name, user_id, quantity, currency, unit_price, subtotal, discount,"
                " shipping_fee, total, purchased_at, expires_at, order_no, status, closed_at)"
                f" VALUES ({order}, '{number}', '{status}', {closed_at})"
                for number, status, closed_at in (
                    ("N1", "pending", "NULL"),
                    ("N2", "cancelled", "'2026-11-02 10:01:00.000'"),
                    ("N3", "expired", "'2026-11-02 10:15:00.000'"),
                    ("N4", "pending", "NULL"),
                )
            ),
        ):
            connection.exec_driver_sql(statement)
    upgrade(app)
    with engine(database_uri).connect() as connection:
        rows = connection.exec_driver_sql("SELECT type, order_no FROM events ORDER BY seq").all()
    assert list(map(tuple, rows)) == [
        ("order.placed", "N1"),
        ("order.placed", "N2"),
        ("order.placed", "N3"),
        ("order.placed", "N4"),
        ("order.cancelled", "N2"),
        ("order.expired", "N3"),
    ]
    report = audit.run(app.extensions["seckill"].settings)
    assert [result.check.name for result in report.results if result.count] == []


def test_amounts_get_the_one_currency_that_was_meant_and_addresses_that_were_not_needed_go(database_uri: str) -> None:
    app = create_app(load(SQLALCHEMY_DATABASE_URI=database_uri, SECRET_KEY=SECRET))
    offer_migrations(app)
    with app.app_context():
        flask_migrate.upgrade(revision="0003")
    times = "'2026-11-01', '2026-11-01'"
    order = (
        "1, 'Kettle', 'alice', 1, 'CNY', 100, 100, 0, 0, 100, 'paid', '2026-11-02', '2026-11-02', '{\"name\"\\: \"A\"}'"
    )
    with engine(database_uri).begin() as connection:
        for statement in (
            "INSERT INTO goods (name, currency, price, description, image_url, stock, created_at, updated_at)"
            f" VALUES ('Kettle', 'JPY', 100, '', '', 8, {times})",
            *(
                "INSERT INTO coupons (code, kind, percent, amount, currency, created_at, updated_at)"
                f" VALUES ('{code}', '{kind}', {percent}, {amount}, {currency}, {times})"
                for code, kind, percent, amount, currency in (
                    ("ANY", "amount", "NULL", 5, "NULL"),
                    ("EUR", "amount", "NULL", 5, "'EUR'"),
                    ("TEN", "percent", 10, "NULL", "NULL"),
                )
            ),
            *(
                "INSERT INTO orders (goods_id, goods_name, user_id, quantity, currency, unit_price, subtotal, discount,"
                " shipping_fee, total, status, purchased_at, expires_at, address, order_no, shipping_method)"
                f" VALUES ({order}, '{number}', {method})"
                for number, method in (("N1", "NULL"), ("N2", "'express'"))
            ),
        ):
            connection.execute(text(statement))
    upgrade(app)
    with engine(database_uri).connect() as connection:
        coupons = connection.exec_driver_sql("SELECT code, currency FROM coupons ORDER BY code").all()
        kept = connection.exec_driver_sql("SELECT order_no FROM orders WHERE address IS NOT NULL").scalars().all()
    assert list(map(tuple, coupons)) == [("ANY", "JPY"), ("EUR", "EUR"), ("TEN", None)]
    assert kept == ["N2"]


def test_payments_from_before_get_their_claims_and_what_is_somebody_s_work_is_marked(database_uri: str) -> None:
    app = create_app(load(SQLALCHEMY_DATABASE_URI=database_uri, SECRET_KEY=SECRET))
    offer_migrations(app)
    with app.app_context():
        flask_migrate.upgrade(revision="0007")
    stored = (
        ("e1", "pay_1", "N1", "paid"),
        ("e2", "pay_1", "N2", "paid"),  # one payment for two orders, as it could be
        ("e3", "pay_3", "N1", "already_paid"),
        ("e4", "pay_4", "N3", "mismatch"),
        ("e5", "pay_1", "N1", "repeated"),
    )
    with engine(database_uri).begin() as connection:
        for event_id, payment_id, order_no, outcome in stored:
            connection.exec_driver_sql(
                "INSERT INTO payments (event_id, type, order_no, payment_id, amount, currency, outcome, received_at)"
                f" VALUES ('{event_id}', 'payment.succeeded', '{order_no}', '{payment_id}', 5, 'CNY', '{outcome}',"
                " '2026-11-02')"
            )
    upgrade(app)
    with engine(database_uri).connect() as connection:
        query = "SELECT event_id, outcome, variant, resolved FROM payments ORDER BY id"
        rows = list(map(tuple, connection.exec_driver_sql(query)))
        claims = connection.exec_driver_sql("SELECT * FROM payment_claims ORDER BY payment_id").all()
    assert rows == [
        (event_id, outcome, "", 0 if outcome in ("already_paid", "mismatch") else None)
        for event_id, _, _, outcome in stored
    ]
    assert list(map(tuple, claims)) == [("pay_1", "N1", 5, "CNY"), ("pay_3", "N1", 5, "CNY")]
    report = audit.run(app.extensions["seckill"].settings)
    assert {"payment_has_effect_once", "effects_are_claimed"} <= {
        result.check.name for result in report.results if result.count
    }
