"""The operator's list of coupons: each filter reads little more than its page, in each order, from its index."""

from itertools import product
from typing import Any

from flask import Flask

from bench import list_rows
from core.catalogue import coupons
from core.db.database import Database, patient_engine
from core.db.paging import PageRequest
from core.services import Services
from tests.rows_read import Statement, rows_read, sent_by

COUNT = 3000
PAGE = 20
FILTERS = [
    {name: value for name, value in (("kind", kind), ("active", active)) if value is not None}
    for kind, active in product((None, "percent", "free_shipping"), (None, True, False))
]
INDEXES = {(): "", ("active",): "active_", ("kind",): "kind_", ("kind", "active"): "kind_active_"}


def question(database: Database, *arguments: Any, **options: Any) -> tuple[Statement, Any]:
    """The statement of a page of the list, and where the next page begins."""
    with sent_by(database) as sent:
        page = coupons.table.list_page(database, *arguments, **options)
    return next(each for each in sent if "FROM coupons" in each[0]), page.after


def test_each_filter_reads_little_more_than_its_page(app: Flask, services: Services) -> None:
    engine = patient_engine(services.settings)
    list_rows.fill_coupons(engine, COUNT)
    with engine.connect() as connection:
        if not services.database.is_sqlite:
            connection.exec_driver_sql("ANALYZE TABLE coupons").all()
        for options, sort in product(FILTERS, ("code", "-code", "created_at", "-created_at")):
            request = PageRequest(PAGE)
            for _ in range(2):
                (statement, parameters), after = question(services.database, request, sort, **options)
                what = (options, sort, request)
                if services.database.is_sqlite:
                    plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all())
                    assert "TEMP B-TREE" not in plan, (what, plan)
                    if options:
                        index = f"coupons_{INDEXES[tuple(options)]}{sort.removeprefix('-').removesuffix('_at')}"
                        assert f"INDEX {index} (" in plan, (what, plan)
                else:
                    assert rows_read(connection, statement, parameters) <= 2 * PAGE + 5, what
                if after is None:
                    break
                request = PageRequest(PAGE, after)
