"""The operator's list of coupons: each filter reads little more than its page, in each order, from its index."""

from itertools import product
from typing import Any

from flask import Flask
from sqlalchemy import Connection, event

from bench import list_rows
from core.catalogue import coupons
from core.db.database import Database, patient_engine
from core.db.paging import PageRequest
from core.services import Services

COUNT = 3000
PAGE = 20
FILTERS = [
    {name: value for name, value in (("kind", kind), ("active", active)) if value is not None}
    for kind, active in product((None, "percent", "free_shipping"), (None, True, False))
]
INDEXES = {(): "", ("active",): "active_", ("kind",): "kind_", ("kind", "active"): "kind_active_"}


def question(database: Database, *arguments: Any, **options: Any) -> tuple[str, Any, Any]:
    """The statement of a page of the list, its parameters, and where the next page begins."""
    queries: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        queries.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    page = coupons.table.list_page(database, *arguments, **options)
    event.remove(database.engine, "before_cursor_execute", note)
    (statement, parameters) = next(each for each in queries if "FROM coupons" in each[0])
    return statement, parameters, page.after


def rows_read(connection: Connection, statement: str, parameters: Any) -> int:
    connection.exec_driver_sql("FLUSH STATUS")
    connection.exec_driver_sql(statement, parameters).all()
    return sum(int(value) for _, value in connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%'"))


def test_each_filter_reads_little_more_than_its_page(app: Flask, services: Services) -> None:
    engine = patient_engine(services.settings)
    list_rows.fill_coupons(engine, COUNT)
    with engine.connect() as connection:
        if not services.database.is_sqlite:
            connection.exec_driver_sql("ANALYZE TABLE coupons").all()
        for options, sort in product(FILTERS, ("code", "-code", "created_at", "-created_at")):
            request = PageRequest(PAGE)
            for _ in range(2):
                statement, parameters, after = question(services.database, request, sort, **options)
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
