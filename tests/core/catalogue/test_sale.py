"""The state of a sale, derived once in Python and once in SQL."""

import itertools
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import insert, select

from core.catalogue import goods, sale
from core.catalogue.sale import SaleStatus
from core.db.clock import EPOCH, database_now, utc_now
from core.db.paging import PageRequest
from core.services import Services
from models import Goods

PAST, FUTURE = timedelta(days=-1), timedelta(days=1)
OFFSETS = (None, PAST, timedelta(0), FUTURE)


@pytest.fixture
def every_combination(services: Services) -> int:
    """A row for each pause, stock and window that the table admits; returns how many there are."""
    with services.database.engine.begin() as connection:
        now = database_now(connection)
        rows = [
            {
                **goods.DEFAULTS,
                "name": "item",
                "currency": "CNY",
                "price": 1,
                "stock": stock,
                "paused": paused,
                "starts_at": None if starts is None else now + starts,
                "ends_at": None if ends is None else now + ends,
                "created_at": now,
                "updated_at": now,
            }
            for paused, stock, starts, ends in itertools.product((False, True), (0, 5), OFFSETS, OFFSETS)
            if starts is None or ends is None or starts <= ends
        ]
        connection.execute(insert(Goods), rows)
    return len(rows)


def test_sql_and_python_derive_the_same_status_for_every_combination(
    services: Services, every_combination: int
) -> None:
    query = select(*Goods.__table__.columns, utc_now().label("now"), sale.status_in_sql().label("status"))
    with services.database.reading() as connection:
        rows = connection.execute(query).all()
    assert len(rows) == every_combination
    assert [row.status for row in rows] == [sale.status(row, row.now) for row in rows]
    assert {row.status for row in rows} == set(SaleStatus)


@pytest.mark.parametrize("status", SaleStatus)
def test_a_filter_by_status_finds_exactly_its_rows(sqlite_shop: Services, status: str) -> None:
    for fields in (
        {"ends_at": EPOCH},
        {"stock": 0},
        {},
    ):
        goods.create(sqlite_shop.database, "t", {"name": "x", "currency": "CNY", "price": 1, "stock": 1, **fields})
    page = goods.list_page(sqlite_shop.database, PageRequest(100), status=status)
    expected = {SaleStatus.ENDED: 1, SaleStatus.SOLD_OUT: 1, SaleStatus.ON_SALE: 1}.get(status, 0)
    assert [sale.status(row, row.now) for row in page.items] == [status] * expected


def test_the_first_status_that_fits_is_told() -> None:
    now = EPOCH
    late, early = now + timedelta(seconds=1), now - timedelta(seconds=1)

    def status(starts_at=None, ends_at=None, paused=False, stock=1) -> str:
        item = SimpleNamespace(starts_at=starts_at, ends_at=ends_at, paused=paused, stock=stock)
        return sale.status(item, now)

    assert status() == SaleStatus.ON_SALE
    assert status(stock=0) == SaleStatus.SOLD_OUT
    assert status(starts_at=late, stock=0) == SaleStatus.UPCOMING
    assert status(starts_at=late, paused=True) == SaleStatus.PAUSED
    assert status(early, early, paused=True) == SaleStatus.ENDED
    assert status(now, late) == SaleStatus.ON_SALE
    assert status(early, now) == SaleStatus.ENDED
