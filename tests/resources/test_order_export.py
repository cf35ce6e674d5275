"""`/orders/export`: all that a list has, as CSV that a spreadsheet may open."""

import csv
import gc
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import requests
from sqlalchemy import insert

from core.db.paging import Page
from core.orders import order_list
from core.orders.orders import OrderView
from harness.service import Service
from models import Order, OrderStatus
from tests.resources.calls import ADDRESS, LONG_AGO, OPERATOR, Calls, problem, wrong_fields
from tests.resources.test_lists import walk

PATH = "/orders/export"


def rows(call: Calls, query: str = "") -> list[dict[str, str]]:
    answer = call.get(f"{PATH}{query}", OPERATOR)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="orders.csv"'
    return list(csv.DictReader(StringIO(answer.text), strict=True))


def test_an_export_has_what_the_list_has_the_oldest_first(call: Calls) -> None:
    items = [call.create(name=name, stock=300)["id"] for name in ('键盘, "large"', "Kettle")]
    for number in range(205):  # over two pages
        call.bought(items[number % 2], f"user-{number % 3}")
    call.post(f"/orders/{call.get('/orders', 'user-0').json['items'][0]['order_no']}/cancel", "user-0")
    now = call.get("/orders", OPERATOR).json["items"][7]["purchased_at"]
    for query in ("", "status=cancelled", f"goods_id={items[1]}", "user_id=user-2", f"purchased_to={now}"):
        listed = walk(call, f"/orders?sort=purchased_at&{query}".rstrip("&"), 100, OPERATOR)
        exported = rows(call, f"?{query}".rstrip("?"))
        assert [row["order_no"] for row in exported] == [order["order_no"] for order in listed]
        for row, order in zip(exported, listed, strict=True):
            assert {name: row[name] for name in order if name != "address"} == {
                name: "" if value is None else str(value) for name, value in order.items() if name != "address"
            }


def test_what_a_spreadsheet_would_take_for_a_formula_is_text(call: Calls) -> None:
    harmless = ["1+1=2", "a=b", "'=1", "mail@example.com"]
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "＝1", "＋cmd|' /C calc'!A0"]
    for name in harmless + formulas:
        call.create(name=name)
        item = call.get("/goods?sort=-id&limit=1").json["items"][0]["id"]
        call.bought(item, f"{name[:60]}")
    exported = rows(call)
    expected = harmless + [f"'{name}" for name in formulas]
    assert [row["goods_name"] for row in exported] == expected
    assert [row["user_id"] for row in exported] == expected


def test_the_columns_have_the_address(sqlite_call: Calls) -> None:
    sqlite_call.create_method()
    item = sqlite_call.create(shippable=True)["id"]
    sqlite_call.bought(item, shipping_method="express", address=ADDRESS)
    (row,) = rows(sqlite_call)
    exported = {name: row[f"address_{name}"] for name in ADDRESS}
    assert exported == ADDRESS | {"line2": "", "phone": f"'{ADDRESS['phone']}"}


def test_an_empty_export_names_its_columns(sqlite_call: Calls) -> None:
    text = sqlite_call.get(PATH, OPERATOR).text
    assert text.startswith("order_no,goods_id,goods_name,user_id,")
    assert text.count("\r\n") == 1


def test_it_is_an_administrator_s_and_takes_the_list_s_filters_alone(sqlite_call: Calls) -> None:
    problem(sqlite_call.get(PATH), 401, "unauthenticated")
    problem(sqlite_call.get(PATH, "alice"), 403, "forbidden")
    for name in ("limit", "cursor", "sort", "colour"):
        assert wrong_fields(sqlite_call.get(f"{PATH}?{name}=1", OPERATOR)) == {name: "unknown_field"}


def test_it_fails_as_a_whole_where_the_database_is_not_there(unreachable_call: Calls) -> None:
    problem(unreachable_call.get(PATH, OPERATOR), 503, "unavailable")


def test_it_is_streamed(start_service: Callable[..., Service], sqlite_uri: str) -> None:
    service = start_service(sqlite_uri)
    goods_id = service.create_goods()
    for number in range(3):
        assert service.buy(goods_id, f"user-{number}").status_code == 201
    with requests.get(
        f"{service.url}{PATH}", headers=service.headers("operator", admin=True), stream=True, timeout=20
    ) as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert len(answer.content.splitlines()) == 4


class Watched:
    """Counts the pages that an export reads, and the most orders that there are in memory when it reads one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pages = 0
        self.most_orders = 0
        self._before = orders_in_memory()  # of other tests
        self._read = order_list.list_page
        monkeypatch.setattr(order_list, "list_page", self._list_page)

    def _list_page(self, *arguments: Any, **options: Any) -> Page[OrderView]:
        page = self._read(*arguments, **options)
        self.pages += 1
        self.most_orders = max(self.most_orders, orders_in_memory() - self._before)
        return page


def orders_in_memory() -> int:
    return sum(type(each) is OrderView for each in gc.get_objects())


def test_a_long_export_reads_and_keeps_one_page_after_the_other(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    page, count = order_list.ROWS_AT_ONCE, 4 * order_list.ROWS_AT_ONCE + 7
    store_orders(call, count)
    watched = Watched(monkeypatch)
    answer = call.get(PATH, OPERATOR)
    assert answer.status_code == 200
    lines = 0
    for piece in answer.iter_encoded():
        # A piece may be of two pages, and has a few lines: one with all lines was put together in memory.
        assert watched.pages <= lines // page + 2, f"{watched.pages} pages were read after {lines} lines"
        lines += piece.count(b"\n")
    assert lines == count + 1
    assert watched.pages == 5
    assert watched.most_orders <= 3 * page, "the first page, the one that was sent last, and the one just read"


def store_orders(call: Calls, count: int) -> None:
    """Store paid orders of long ago, which no page has to wait for."""
    with call.services.database.engine.begin() as connection:
        connection.execute(
            insert(Order),
            [
                {
                    "order_no": f"{number:032x}",
                    "goods_id": 1,
                    "goods_name": "Kettle",
                    "user_id": f"user-{number}",
                    "quantity": 1,
                    "currency": "CNY",
                    "unit_price": 100,
                    "subtotal": 100,
                    "discount": 0,
                    "shipping_fee": 0,
                    "total": 100,
                    "status": OrderStatus.PAID,
                    "purchased_at": LONG_AGO + timedelta(seconds=number),
                    "expires_at": LONG_AGO + timedelta(seconds=number + 900),
                    "paid_at": LONG_AGO + timedelta(seconds=number + 1),
                }
                for number in range(count)
            ],
        )


def test_one_that_fails_midway_is_an_error_and_no_short_export(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri, without_guard=["export_fails_midway"])
    answer = requests.get(f"{service.url}{PATH}", headers=service.headers("operator", admin=True), timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_it_is_read_only(sqlite_call: Calls, method: str) -> None:
    problem(sqlite_call.send(method, PATH, OPERATOR), 405, "method_not_allowed")
