"""The report of a sale, from orders as purchases and administrators write them."""

import itertools
import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.catalogue import goods
from core.db.transaction import run_with_default_deadline
from core.live import store
from core.live.board import Row
from core.live.tally import Tally
from core.ops import audit
from core.orders import order_life
from core.payments import payments, refunds
from core.refusals import Refusal
from core.report import sale_report
from core.services import Services
from resources.report_models import SaleReport
from tests.core.selling import ADMIN, Selling
from web.report import render

SECOND = 1_795_000_000


def report(services: Services, item: int) -> dict[str, Any]:
    made = sale_report.make(services.settings, item, audit.run(services.settings))
    SaleReport.model_validate(json.loads(json.dumps(made)))
    return made


@pytest.fixture
def selling(services: Services) -> Selling:
    return Selling(services)


def test_it_adds_up_what_became_of_the_orders(services: Services, selling: Selling) -> None:
    item = selling.item(stock=6, price=100)
    code = selling.coupon()
    first = selling.bought(item, "alice", 2, coupon=code)
    selling.bought(item, "bob", 1)
    given_up = selling.bought(item, "carol", 3)
    payments.pay(services.database, "alice", first.order_no)
    order_life.cancel(services.database, ADMIN, given_up.order_no)
    selling.bought(item, "dave", 2)
    made = report(services, item)
    assert made["offered"] == 6
    assert made["orders"] == {"pending": 2, "paid": 1, "cancelled": 1, "expired": 0, "refund_due": 0, "refunded": 0}
    assert made["units"] == {"placed": 8, "held": 5, "paid": 2, "unpaid": 3, "came_back": 3}
    assert made["revenue"] == [
        {
            "currency": "CNY",
            "paid": 190,
            "unpaid": 300,
            "discount": 10,
            "shipping": 0,
            "refund_due": 0,
            "refunded": 0,
        }
    ]
    assert made["came_back"]["units"] == 3
    assert [(each["user_id"], each["units"]) for each in made["came_back"]["orders"]] == [("dave", 2)]
    assert made["came_back"]["sold_again"] == 2
    assert made["buyers"] == {
        "count": 3,
        "units": [{"units": 1, "buyers": 1}, {"units": 2, "buyers": 2}],
        "most_units": 2,
    }
    assert (
        made["course"]["sold_out_at"] == made["came_back"]["orders"][0]["purchased_at"] or made["course"]["sold_out_at"]
    )
    assert made["course"]["seconds_to_sell_out"] >= 0
    assert sum(made["chart"]["orders"]) == 4
    assert made["chart"]["stock"][-1] == 1
    assert made["audit"]["ok"]


def test_units_of_a_refund_with_restock_come_back_and_money_is_told(services: Services, selling: Selling) -> None:
    item = selling.item(stock=1)
    order = selling.bought(item)
    payments.pay(services.database, "alice", order.order_no)
    refunds.refund(services.database, "operator", order.order_no, "r-1", True)
    again = selling.bought(item, "bob")
    made = report(services, item)
    assert [(each["user_id"], each["order_no"]) for each in made["came_back"]["orders"]] == [("bob", again.order_no)]
    assert made["revenue"][0]["refunded"] == 100
    assert made["orders"]["refunded"] == 1


def test_units_that_administrators_add_are_no_units_that_came_back(services: Services, selling: Selling) -> None:
    item = selling.item(stock=1)
    selling.bought(item)
    goods.change(services.database, "operator", item, {}, 2, None)
    selling.bought(item, "bob")
    made = report(services, item)
    assert made["offered"] == 3
    assert made["came_back"] == {"units": 0, "sold_again": 0, "orders": [], "left_out": 0}


def store_figures(services: Services, item: int, *rows: tuple[int, dict[str, Any]]) -> None:
    made = [Row(SECOND + second, "host-1", item, Tally.unpacked(parts)) for second, parts in rows]
    run_with_default_deadline(services.database, lambda connection: store.write(connection, made))


def test_demand_refusals_and_waits_are_what_the_workers_counted(services: Services, selling: Selling) -> None:
    item = selling.item()
    store_figures(
        services,
        item,
        (0, {"o": {"placed": 2, "sold_out": 5}, "w": {"20": 2}}),
        (1, {"o": {"sold_out": 30, "busy": 1}, "w": {"40": 1}}),
        (2, {"q": 4}),
    )
    other = selling.item()
    store_figures(services, other, (0, {"o": {"sold_out": 99}}))
    demand = report(services, item)["demand"]
    assert (demand["requests"], demand["purchases"], demand["replays"]) == (38, 2, 0)
    assert demand["refusals"] == {"sold_out": 35}
    assert demand["failures"] == {"busy": 1}
    made = report(services, item)
    assert made["peak"]["requests_per_second"] == 31
    assert made["waits"]["measured"] == 3
    assert made["waits"]["p50_ms"] < made["waits"]["p99_ms"] <= made["waits"]["longest_ms"]
    assert made["chart"]["requests"] == [7, 31]
    assert made["chart"]["refusals"] == {"sold_out": [5, 30]}


def test_writing_figures_twice_counts_nothing_twice(services: Services, selling: Selling) -> None:
    item = selling.item()
    for _ in range(2):
        store_figures(services, item, (0, {"o": {"placed": 2}}))
    assert report(services, item)["demand"]["requests"] == 2


def test_the_order_of_service_compares_arrivals_with_orders(services: Services, selling: Selling) -> None:
    item = selling.item(stock=10)
    orders = [selling.bought(item, f"buyer-{number}") for number in range(4)]
    arrivals = [(order.order_no, 1000 + place) for order, place in zip(orders, (0, 2, 1, 3), strict=True)]
    store_figures(services, item, (0, {"o": {"placed": 4}, "a": arrivals}))
    found = report(services, item)["order_of_service"]
    assert found == {"sample": 4, "kendall_tau": 0.6667, "in_order": 0.8333}


def test_a_breach_of_the_item_is_told(services: Services, selling: Selling) -> None:
    item, other = selling.item(), selling.item()
    with services.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE goods SET stock = stock - 1 WHERE id IN ({item}, {other})")
    found = report(services, item)["audit"]
    assert not found["ok"]
    assert [each["rows"] for each in found["breaches"]] == [1]
    assert found["of_other_items"] == 1


def test_the_same_data_give_the_same_bytes(services: Services, selling: Selling) -> None:
    item = selling.item(stock=3, starts_at=None)
    for number in range(3):
        selling.bought(item, f"buyer-{number}")
    store_figures(services, item, (0, {"o": {"placed": 3, "sold_out": 5, "limit_reached": 2}}))
    pages = {(language, render(report(services, item), language)) for language in ("en", "zh") for _ in range(3)}
    assert len(pages) == 2


def test_an_item_without_orders_has_a_report(services: Services, selling: Selling) -> None:
    item = selling.item()
    made = report(services, item)
    assert made["chart"]["from"] is None
    assert "No request was counted." in render(made)


def test_an_item_that_is_not_there_has_none(services: Services) -> None:
    with pytest.raises(Refusal, match="goods_not_found"):
        report(services, 7)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_loads_nothing_and_escapes_what_people_typed(
    services: Services, selling: Selling, language: str
) -> None:
    item = selling.item(stock=1, name='<script>alert("x")</script>&')
    order = selling.bought(item, "<img src=x onerror=y>")
    order_life.cancel(services.database, ADMIN, order.order_no)
    selling.bought(item, "<b>bob</b>")
    page = render(report(services, item), language)
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page
    assert "&lt;b&gt;bob" in page
    assert not re.search(r"(src|href|url\(|@import|style=|https?:)", page)
    linked = render(report(services, item), language, "/static/x/report/report.css")
    assert "<style" not in linked
    assert re.findall(r'href="([^"]*)"', linked) == ["/static/x/report/report.css"]


def test_columns_of_a_chart_add_up_to_what_they_show(services: Services, selling: Selling) -> None:
    item = selling.item()
    store_figures(services, item, *((second * 7, {"o": {"sold_out": 2}}) for second in range(400)))
    chart = report(services, item)["chart"]
    assert len(chart["requests"]) <= 240
    assert sum(chart["requests"]) >= 0.99 * 800
    assert datetime.fromisoformat(chart["from"]) <= datetime.fromtimestamp(SECOND).astimezone()
    assert timedelta(seconds=chart["seconds"] * len(chart["requests"])) >= timedelta(seconds=7 * 390)
    assert all(a <= b for a, b in itertools.pairwise([0, *itertools.accumulate(chart["requests"])]))


def test_the_status_is_that_of_the_data(services: Services, selling: Selling) -> None:
    item = selling.item(stock=1)
    assert report(services, item)["goods"]["status"] == "on_sale"
    selling.bought(item)
    assert report(services, item)["goods"]["status"] == "sold_out"
    goods.change(services.database, "operator", item, {"ends_at": selling.now()}, 0, None)
    ended = report(services, item)
    assert ended["goods"]["status"] == "ended"
    assert report(services, item) == ended
