"""`flask summary`, `export` and `token --count`."""

import csv
import tracemalloc
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import insert

from core.db.clock import database_now
from core.orders import order_list
from core.orders.order_list import Filters
from core.orders.orders import Viewer
from core.services import Services
from models import SaleFigures
from tests.core.selling import Selling
from tests.resources.calls import ADDRESS, OPERATOR, Calls
from tests.test_cli import as_json, execute, run


def test_a_summary_adds_up_by_item_currency_and_reason(app: Flask, services: Services) -> None:
    selling = Selling(services)
    first, second, other = (
        selling.item(name="键盘", price=10**12, stock=10**6),
        selling.item(),
        selling.item(currency="USD", price=7),
    )
    for number in range(3):
        order = selling.bought(first, f"u{number}", quantity=1000)
        execute(app, f"UPDATE orders SET status = 'paid', paid_at = purchased_at WHERE order_no = '{order.order_no}'")
    selling.bought(second, "u1")
    selling.bought(other, "u1", quantity=2)
    with services.database.engine.begin() as connection:
        now = database_now(connection)
        for source, outcomes in (("a-1", {"placed": 3, "sold_out": 5}), ("a-2", {"sold_out": 2, "busy": 1})):
            row = {"goods_id": first, "at": now, "source": source, "figures": {"o": outcomes}}
            connection.execute(insert(SaleFigures).values(row))
        nobody = {"goods_id": 0, "at": now, "source": "a-1", "figures": {"o": {"not_found": 4}, "b": 1}}
        connection.execute(insert(SaleFigures).values(nobody))
    made = as_json(app, "summary")
    sums = {"units": 0, "orders": 0, "paid_orders": 0, "revenue": 0, "refunded": 0, "unpaid": 0}
    cny = sums | {"units": 3001, "orders": 4, "paid_orders": 3, "revenue": 3 * 10**15, "unpaid": 100}
    usd = sums | {"units": 2, "orders": 1, "unpaid": 14}
    assert made["currencies"] == [{"currency": "CNY", **cny}, {"currency": "USD", **usd}]
    assert [(item["goods_id"], item["units"], item["refusals"]) for item in made["items"]] == [
        (first, 3000, {"busy": 1, "sold_out": 7}),
        (second, 1, {}),
        (other, 2, {}),
    ]
    assert made["refusals"] == {"busy": 1, "not_found": 4, "sold_out": 7}
    shown = run(app, "summary")
    assert shown.exit_code == 0
    for text in ("键盘", "30,000,000,000,000.00 CNY", "0.14 USD", "sold_out"):
        assert text in shown.stdout


def test_a_summary_of_nothing_is_one(sqlite_app: Flask) -> None:
    assert run(sqlite_app, "summary").exit_code == 0
    assert as_json(sqlite_app, "summary")["items"] == []


def test_exports_are_csv_for_spreadsheets_the_oldest_first(app: Flask, tmp_path: Path) -> None:
    call = Calls(app)
    item = call.create(name="=1+1", shippable=True, stock=1000)
    method = {"code": "post", "name": "Post", "currency": "CNY", "base_fee": 5}
    assert call.post("/shipping-methods", OPERATOR, json=method).status_code == 201
    chosen = {"shipping_method": "post", "address": ADDRESS}
    numbers = []
    for number in range(3):
        answer = call.post(f"/seckill/{item['id']}", f"u{number}", json=chosen)
        assert answer.status_code == 201, answer.text
        numbers.append(answer.json["order_no"])
    result = run(app, "export", "orders")
    assert result.exit_code == 0
    rows = list(csv.DictReader(StringIO(result.stdout_bytes.decode("utf-8"), newline=""), strict=True))
    assert [row["order_no"] for row in rows] == numbers
    assert {(row["goods_name"], row["address_name"], row["address_phone"]) for row in rows} == {
        ("'=1+1", "王芳", "'+86 138-0000-0000")
    }
    assert list(csv.DictReader(StringIO(call.get("/orders/export", OPERATOR).text))) == rows
    path = tmp_path / "orders.csv"
    assert run(app, "export", "orders", "-o", str(path)).exit_code == 0
    assert path.read_bytes() == result.stdout_bytes
    assert path.stat().st_mode & 0o077 == 0


def test_payments_are_exported_in_pages(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.payments import payment_records, payments
    from core.payments.payment_records import PaymentEvent, PaymentEventType

    monkeypatch.setattr(payment_records, "READ_AT_ONCE", 2)
    for number in range(4):
        event = PaymentEvent(f"e-{number}", PaymentEventType.SUCCEEDED, "none", 7, "CNY", f"@p-{number}")
        payments.receive(app.extensions["seckill"].database, event)
    rows = list(csv.DictReader(StringIO(run(app, "export", "payments").stdout)))
    assert [(row["event_id"], row["payment_id"]) for row in rows] == [(f"e-{n}", f"'@p-{n}") for n in range(4)]


def peak(work: Callable[[], object]) -> int:
    """Bytes of Python's memory that the work takes at its peak."""
    tracemalloc.start()
    work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


@pytest.mark.long
def test_an_export_takes_the_same_memory_however_many_orders_there_are(sqlite_app: Flask, tmp_path: Path) -> None:
    database = sqlite_app.extensions["seckill"].database
    selling = Selling(sqlite_app.extensions["seckill"])
    selling.bought(selling.item())
    columns = (
        "goods_id, goods_name, user_id, quantity, currency, unit_price, subtotal, discount, shipping_fee, total, "
        "status, purchased_at, expires_at"
    )
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
    grow = f"INSERT INTO orders (order_no, {columns}) {numbers} SELECT printf('%032d', i), {columns} FROM n, orders"
    execute(sqlite_app, grow + " WHERE orders.id = 1")
    path = tmp_path / "orders.csv"
    run(sqlite_app, "export", "payments", "-o", str(path))  # what is loaded once
    streamed = peak(lambda: run(sqlite_app, "export", "orders", "-o", str(path)))
    assert len(path.read_text().splitlines()) == 20_002
    at_once = peak(lambda: list(order_list.every(database, Viewer("", is_admin=True), Filters())))
    assert streamed < at_once / 2


def test_an_export_that_cannot_be_written_leaves_what_was_there(sqlite_app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("before")
    execute(sqlite_app, "ALTER TABLE orders RENAME TO gone")
    assert run(sqlite_app, "export", "orders", "-o", str(path)).exit_code == 1
    assert [entry.name for entry in tmp_path.iterdir() if "csv" in entry.name] == ["orders.csv"]
    assert path.read_text() == "before"
    for unfit in ("/dev/null", str(tmp_path / "no" / "orders.csv")):
        result = run(sqlite_app, "export", "payments", "-o", unfit)
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_many_tokens_are_one_a_line(sqlite_app: Flask) -> None:
    result = run(sqlite_app, "token", "--count", "12", "--prefix", "load-", "--admin")
    tokens = sqlite_app.extensions["seckill"].tokens
    found = [tokens.verify(line) for line in result.stdout.splitlines()]
    assert [(who.user_id, who.is_admin) for who in found] == [(f"load-{number}", True) for number in range(1, 13)]
    many = as_json(sqlite_app, "token", "--count", "2")["tokens"]
    assert [each["user"] for each in many] == ["load-1", "load-2"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--user", "a", "--count", "2"),
        ("--count", "0"),
        ("--count", "100001"),
        ("--count", "2", "--prefix", "x" * 64),
        ("--count", "2", "--prefix", "\n"),
    ],
)
def test_what_no_tokens_can_be_made_of_is_an_error_of_usage(sqlite_app: Flask, arguments: tuple[str, ...]) -> None:
    assert run(sqlite_app, "token", *arguments).exit_code == 2
