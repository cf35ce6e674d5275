"""The operator's list of payments: its filters, and the index that each is read by."""

from typing import Any

import pytest
from flask import Flask

from core.db.paging import PageRequest
from core.payments import payment_records, payments, refunds
from core.payments.payment_records import PaymentEvent, PaymentEventType, Resolution
from core.services import Services
from tests.rows_read import sent_by

FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "PRIMARY"),
    ({"outcome": "mismatch"}, "payments_outcome"),
    ({"resolved": False}, "payments_resolved"),
    ({"resolved": True, "outcome": "unknown_order"}, "payments_outcome_resolved"),
    ({"order_no": "none-1"}, "payments_order"),
    ({"order_no": "none-1", "outcome": "unknown_order"}, "payments_order"),
    ({"order_no": "none-1", "resolved": False}, "payments_order"),
    ({"order_no": "none-1", "outcome": "unknown_order", "resolved": True}, "payments_order"),
]


def report_payments(services: Services, count: int) -> None:
    for number in range(count):
        money = PaymentEvent(f"e-{number}", PaymentEventType.SUCCEEDED, f"none-{number}", 7, "CNY", f"p-{number}")
        assert payments.receive(services.database, money) == "unknown_order"


def listed(services: Services, **filters: Any) -> list[str]:
    return [row.event_id for row in payment_records.list_page(services.database, PageRequest(10), **filters).items]


def test_what_is_resolved_leaves_the_work_that_is_left(services: Services) -> None:
    report_payments(services, 3)
    row = payment_records.list_page(services.database, PageRequest(10), order_no="none-1").items[0]
    refunds.resolve(services.database, row.id, Resolution("ignored", "a trial", "operator"))
    assert listed(services, resolved=False) == ["e-2", "e-0"]
    assert listed(services, resolved=True) == listed(services, resolved=True, outcome="unknown_order") == ["e-1"]
    assert listed(services, resolved=True, outcome="mismatch") == []
    assert listed(services) == ["e-2", "e-1", "e-0"]


@pytest.mark.parametrize(("filters", "index"), FILTERS)
def test_every_filter_is_read_by_its_index_and_nothing_is_sorted(
    app: Flask, services: Services, filters: dict[str, Any], index: str
) -> None:
    report_payments(services, 3)
    with sent_by(services.database) as sent:
        payment_records.list_page(services.database, PageRequest(2), **filters)
    ((statement, parameters),) = [each for each in sent if "FROM payments" in each[0]]
    with services.database.reading() as connection:
        if services.database.is_sqlite:
            plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all())
            assert "TEMP B-TREE" not in plan
            assert (f"USING INDEX {index} (" in plan) == (index != "PRIMARY"), plan
        else:
            explain = "EXPLAIN" if connection.dialect.is_mariadb else "EXPLAIN FORMAT=TRADITIONAL"
            statement = f"{explain} {statement}"
            (row,) = connection.exec_driver_sql(statement, parameters).mappings()
            assert row["key"] == index
            assert "filesort" not in (row["Extra"] or "")
