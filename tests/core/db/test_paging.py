"""Pages by key: in every order, with ties, nothing skipped or repeated while rows come and go."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Row, delete, insert

from core.catalogue import goods
from core.db.clock import EPOCH
from core.db.paging import PageRequest
from core.services import Services
from models import Goods

T = EPOCH + timedelta(days=20_000)


def add(services: Services, price: int = 1, starts_at: datetime | None = None, created_at: datetime = T) -> None:
    row = {**goods.DEFAULTS, "name": "x", "currency": "CNY", "stock": 1, "updated_at": T}
    with services.database.engine.begin() as connection:
        connection.execute(insert(Goods), [{**row, "price": price, "starts_at": starts_at, "created_at": created_at}])


def walk(services: Services, sort: str, limit: int) -> list[Row]:
    found: list[Row] = []
    page = goods.list_page(services.database, PageRequest(limit), sort)
    found += page.items
    while page.after is not None:
        assert len(page.items) == limit
        page = goods.list_page(services.database, PageRequest(limit, page.after), sort)
        found += page.items
    return found


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_a_walk_in_every_order_meets_each_row_once(services: Services, limit: int) -> None:
    for number in range(11):
        # Ties of every kind, and starts that are missing.
        starts_at = None if number % 4 == 0 else T + timedelta(milliseconds=number % 3)
        add(services, price=number % 3, starts_at=starts_at, created_at=T + timedelta(milliseconds=number % 2))
    for name in goods.SORTS:
        up, down = walk(services, name, limit), walk(services, f"-{name}", limit)
        assert len({row.id for row in up}) == len(up) == 11
        assert [row.id for row in down] == [row.id for row in reversed(up)]
        values = [(EPOCH if getattr(row, name) is None else getattr(row, name), row.id) for row in up]
        assert values == sorted(values)


def test_rows_that_come_and_go_are_neither_skipped_nor_repeated(sqlite_shop: Services) -> None:
    for _ in range(4):
        add(sqlite_shop, price=5)
    first = goods.list_page(sqlite_shop.database, PageRequest(2), "price")
    with sqlite_shop.database.engine.begin() as connection:
        connection.execute(delete(Goods).where(Goods.id == first.items[0].id))
    add(sqlite_shop, price=1)  # sorts before what was seen
    add(sqlite_shop, price=9)  # sorts after it
    second = goods.list_page(sqlite_shop.database, PageRequest(10, first.after), "price")
    assert [row.id for row in first.items] == [1, 2]
    assert [row.id for row in second.items] == [3, 4, 6]
    assert second.after is None


def test_a_page_that_ends_with_the_last_row_says_that_nothing_follows(sqlite_shop: Services) -> None:
    for _ in range(2):
        add(sqlite_shop)
    assert goods.list_page(sqlite_shop.database, PageRequest(2), "id").after is None
    assert goods.list_page(sqlite_shop.database, PageRequest(1), "id").after is not None


def test_an_empty_list_is_one_page(sqlite_shop: Services) -> None:
    page = goods.list_page(sqlite_shop.database, PageRequest(20), "id")
    assert page.items == []
    assert page.after is None
