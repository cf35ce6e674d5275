"""The audit passes rows that the rules allow, and names those that were changed by hand."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from core.catalogue import goods
from core.ops import audit
from core.ops.audit import CannotAudit
from core.services import Services
from harness.eventually import eventually
from models import Order
from tests.core.stored import NOW, broken, place, rows_of, sql


@pytest.fixture
def item(services: Services) -> int:
    """An item with 10 units and a limit of 2."""
    fields = {"name": "Kettle", "currency": "CNY", "price": 100, "stock": 10, "per_user_limit": 2}
    return goods.create(services.database, "root", fields).id


def test_an_empty_database_is_clean(services: Services) -> None:
    report = audit.run(services.settings)
    assert report.clean
    assert (report.goods, report.orders) == (0, 0)


def test_every_kind_of_order_that_the_rules_allow_is_clean(services: Services, item: int) -> None:
    place(services, item, "N1")
    place(services, item, "N2", status="paid")
    place(services, item, "N3", status="cancelled", quantity=2)
    place(services, item, "N4", status="expired", quantity=2)
    place(services, item, "N5", user_id="bob", quantity=2, idempotency_key="k")
    place(services, item, "N6", user_id="carol", idempotency_key="k")
    goods.change(services.database, "root", item, {"per_user_limit": 1}, -1, None)
    gone = goods.create(services.database, "root", {"name": "Gone", "currency": "CNY", "price": 1, "stock": 7})
    goods.remove(services.database, "root", gone.id, None)
    report = audit.run(services.settings)
    assert broken(report) == {}
    assert (report.goods, report.orders) == (1, 6)


def test_an_overdue_order_counts_as_sold_but_not_against_the_limit(services: Services, item: int) -> None:
    place(services, item, "N1", quantity=2, expires_at=NOW - timedelta(seconds=1))
    place(services, item, "N2", quantity=2)
    assert audit.run(services.settings).clean


def test_a_limit_that_was_lowered_or_set_later_breaks_nothing(services: Services, item: int) -> None:
    place(services, item, "N1", quantity=5, per_user_limit=None)
    place(services, item, "N2", quantity=3, per_user_limit=8)
    sql(services, "UPDATE goods SET per_user_limit = 1")
    assert audit.run(services.settings).clean


def test_a_limit_that_was_passed_names_the_order_that_passed_it(services: Services, item: int) -> None:
    for number in ("N1", "N2", "N3"):
        place(services, item, number, status="paid")
    place(services, item, "N4", user_id="Alice")
    report = audit.run(services.settings)
    assert broken(report) == {"limit_kept": 1}
    (breach,) = rows_of(report, "limit_kept")
    assert breach == audit.Breach(item, "N3", "alice", None, expected=2, found=3)


def test_units_from_nowhere_are_found(services: Services, item: int) -> None:
    sql(services, "UPDATE goods SET stock = stock + 1")
    report = audit.run(services.settings)
    assert broken(report) == {"stock_adds_up": 1}
    assert rows_of(report, "stock_adds_up") == (audit.Breach(item, None, None, None, expected=10, found=11),)


def test_an_item_without_history_is_found(services: Services, item: int) -> None:
    sql(services, "DELETE FROM goods_changes")
    assert broken(audit.run(services.settings)) == {"stock_adds_up": 1}


def test_negative_stock_is_found(services: Services, item: int) -> None:
    place(services, item, "N1", quantity=10, per_user_limit=None)
    sql(
        services,
        "UPDATE goods SET stock = -1, sold = 11",
        "UPDATE orders SET quantity = 11, subtotal = 1100, total = 1100",
        unchecked=True,
    )
    report = audit.run(services.settings)
    assert broken(report) == {"stock_not_negative": 1}
    assert rows_of(report, "stock_not_negative")[0].found == -1


@pytest.mark.parametrize("status", ["cancelled", "expired", "refund_due"])
def test_an_order_that_left_without_giving_its_units_back_is_found(services: Services, item: int, status: str) -> None:
    place(services, item, "N1")
    sql(services, f"UPDATE orders SET status = '{status}'")
    report = audit.run(services.settings)
    assert "sold_is_held" in broken(report)
    (breach,) = rows_of(report, "sold_is_held")
    assert (breach.goods_id, breach.expected, breach.found) == (item, 0, 1)


def test_a_lost_order_is_found(services: Services, item: int) -> None:
    place(services, item, "N1")
    sql(services, "DELETE FROM orders")
    assert broken(audit.run(services.settings)) == {"sold_is_held": 1, "events_have_orders": 1}


def test_an_order_whose_item_is_gone_is_found(services: Services, item: int) -> None:
    place(services, item, "N1")
    sql(services, "DELETE FROM goods")
    report = audit.run(services.settings)
    assert broken(report) == {"removed_adds_up": 1, "orders_have_goods": 1}
    assert rows_of(report, "orders_have_goods")[0].order_no == "N1"


def test_two_orders_under_one_key_are_found(services: Services, item: int) -> None:
    with services.database.engine.begin() as connection:
        _without_unique_key(connection)
    for number in ("N1", "N2"):
        place(services, item, number, idempotency_key="k-1")
    place(services, item, "N3", user_id="bob", idempotency_key="k-1")
    report = audit.run(services.settings)
    assert broken(report) == {"one_order_a_key": 1}
    (breach,) = rows_of(report, "one_order_a_key")
    assert (breach.user_id, breach.idempotency_key, breach.found) == ("alice", "k-1", 2)
    assert set((breach.order_no or "").split(",")) == {"N1", "N2"}


def _without_unique_key(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        connection.execute(text("ALTER TABLE orders DROP INDEX orders_user_key"))
        return
    made = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'orders'")).scalar_one()
    connection.execute(text("DROP TABLE orders"))
    loose = made.replace("CONSTRAINT orders_user_key UNIQUE (user_id, idempotency_key)", "CHECK (1)")
    assert loose != made
    connection.execute(text(loose))


def test_all_breaches_are_counted_and_the_first_hundred_named(services: Services, item: int) -> None:
    place(services, item, "N1")
    orders = ", ".join(column.name for column in Order.__table__.columns if column.name not in ("id", "order_no"))
    for copies in range(8):
        sql(
            services,
            f"INSERT INTO orders ({orders}, order_no) SELECT {orders}, "
            + (f"order_no || '{copies}'" if services.database.is_sqlite else f"CONCAT(order_no, '{copies}')")
            + " FROM orders",
        )
    report = audit.run(services.settings)
    assert broken(report) == {"sold_is_held": 1, "limit_kept": 254, "placed_told_once": 255}
    assert len(rows_of(report, "limit_kept")) == audit.SHOWN


def test_purchases_committed_during_the_audit_change_nothing(services: Services, item: int) -> None:
    place(services, item, "N1")

    def meanwhile(check: audit.Check) -> None:
        if check.name == "stock_adds_up":
            # Without a snapshot the checks that follow would see this.
            sql(services, "DELETE FROM orders", "DELETE FROM outbox", "UPDATE goods SET stock = 5")

    assert audit.run(services.settings, meanwhile).clean
    assert not audit.run(services.settings).clean


LIMITS = "SHOW SESSION VARIABLES WHERE Variable_name IN ('max_execution_time', 'max_statement_time')"


def test_each_statement_has_what_is_left_of_the_whole_time(make_app: Callable[..., Flask], database_uri: str) -> None:
    settings = make_app(database_uri).extensions["seckill"].settings
    if settings.on_sqlite:
        pytest.skip("SQLite has no such variable: one handler ends all statements")
    with audit.reading(settings, 100) as connection:

        def limit() -> float:
            ((_, value),) = connection.execute(text(LIMITS))
            return float(value) / (1 if connection.dialect.is_mariadb else 1000)

        first = limit()
        assert 0 < first <= 100
        assert eventually(lambda: 0 < limit() < first)


def test_many_short_statements_are_ended_too(make_app: Callable[..., Flask], database_uri: str) -> None:
    settings = make_app(database_uri).extensions["seckill"].settings

    def are_ended() -> bool:  # between two of them, unless the database stood still and the first did not end
        with pytest.raises((CannotAudit, DBAPIError)) as raised, audit.reading(settings, 1) as connection:
            eventually(lambda: connection.scalar(text("SELECT 0")))
        return "too long" in str(raised.value)

    assert any(are_ended() for _ in range(5))


def test_an_audit_leaves_the_sessions_of_the_service_as_they_are(services: Services) -> None:
    audit.run(services.settings)
    with services.database.reading() as connection:
        assert connection.get_isolation_level() == ("SERIALIZABLE" if services.database.is_sqlite else "READ COMMITTED")


def test_a_database_without_tables_cannot_be_audited(services: Services) -> None:
    sql(services, "DROP TABLE orders")
    with pytest.raises(CannotAudit, match="could not be read") as raised:
        audit.run(services.settings)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_said_and_not_made(sqlite_app: Flask, sqlite_uri: str) -> None:
    settings = sqlite_app.extensions["seckill"].settings
    elsewhere = settings.model_copy(update={"SQLALCHEMY_DATABASE_URI": sqlite_uri + "-none"})
    with pytest.raises(CannotAudit, match="no database file"):
        audit.run(elsewhere)
    assert not Path(str(elsewhere.database_url.database)).exists()
